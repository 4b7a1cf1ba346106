"""What is asked of a build: a base image, an operating system, a size, a recipe, a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Finding
from wholecard.guest.image.image_tree import Look
from wholecard.guest.image.package_tools import GuestChange, guest_changes
from wholecard.guest.image.recipe import Recipe, RunInGuest
from wholecard.guest.image.sizes import Room


@dataclass(frozen=True)
class Base:
    """The base image: a file of this machine, or addresses and the SHA-256 of what they give."""

    path: Path | None = None
    addresses: tuple[str, ...] = ()
    sha256: str | None = None

    @property
    def text(self) -> str:
        """The file, or the first address."""
        return str(self.path) if self.path is not None else self.addresses[0]


@dataclass(frozen=True)
class BuildRequest:
    """An image to build. `size` is the disk's in bytes, None for what the steps need.

    `findings` are what the profiles know to go wrong; `output` is the qcow2 file to write; `looks`
    say what is wrong in the image's root when the recipe was carried out.
    """

    name: str
    base: Base
    size: int | None
    recipe: Recipe
    room: Room
    output: Path
    findings: tuple[Finding, ...] = ()
    looks: tuple[Look, ...] = ()


def recipe_sha256(request: BuildRequest, base_sha256: str) -> str:
    """The identity of a build: equal where base, system, size and each file and command are equal.

    Raises UsageError as `guest_changes`.
    """
    recipe = request.recipe
    content = {
        "base": base_sha256,
        "os": recipe.os.name,
        "size": request.size,
        "changes": [change_json(change) for change in guest_changes(recipe)],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def change_json(change: GuestChange) -> dict[str, Any]:
    """A file or command without its reason; of a file's content the SHA-256."""
    if isinstance(change, RunInGuest):
        return {"run": list(change.argv)}
    sha256 = hashlib.sha256(change.content).hexdigest()
    return {"file": change.path, "mode": f"{change.mode:04o}", "sha256": sha256}

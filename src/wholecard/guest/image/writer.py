"""Writers: each carries out one recipe, in an image's file, in a root's folder, or as user data.

A writer takes the recipe from `package_tools.guest_changes` as files and commands, and does with
each in their order exactly what the step says; tests compare the writers file by file. A writer is
a row in `writers.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from wholecard.core import WholecardError
from wholecard.guest.image.recipe import Recipe

# Called with a line on what is being done, for a person who waits.
Say = Callable[[str], None]


class Target(enum.Enum):
    """What a writer changes."""

    IMAGE = "a raw disk image"
    ROOT = "a folder that is a system's root"
    USER_DATA = "a text that the guest's cloud-init reads at its first boot"


class WriteError(WholecardError):
    """A step failed; `details` have the command and the end of what it printed."""


class Writer(Protocol):
    """One way to carry out a recipe."""

    @property
    def name(self) -> str:
        """As `--writer` names it: `virt-customize`, `cloud-config`, `root`."""

    @property
    def target(self) -> Target:
        """What `write` is given."""

    def unusable(self) -> str:
        """Why this machine cannot use it, as a sentence; empty where it can."""

    def write(self, recipe: Recipe, target: Path, say: Say) -> None:
        """Carry out the recipe on `target`: change the image or root, or write the text there.

        An image or root whose writing failed is not used further: the caller works on a copy.
        Raises WriteError where a step failed, UsageError for a step that cannot be carried out.
        """

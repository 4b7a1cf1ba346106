"""Trees for tests: made from `{path: text}`, and read back to be compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Union

# A text; bytes; a text and its permission bits; or "-> target" for a symbolic link.
Leaf = Union[str, bytes, tuple[str, int]]


def grow(root: Path, tree: Mapping[str, Leaf]) -> Path:
    """Make the files of `tree` below `root` and return it; a path that ends in `/` is a folder."""
    for path, leaf in tree.items():
        place = root / path.lstrip("/")
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(leaf, str) and leaf.startswith("-> "):
            place.unlink(missing_ok=True)
            place.symlink_to(leaf[3:])
        elif isinstance(leaf, bytes):
            place.write_bytes(leaf)
        else:
            text, mode = leaf if isinstance(leaf, tuple) else (leaf, 0o644)
            place.write_text(text)
            place.chmod(mode)
    return root


def snapshot(root: Path, without: str = "var/lib/wholecard") -> dict[str, object]:
    """Everything below `root` but `without`: links by target, files by bytes, mode and owner."""
    seen: dict[str, object] = {}
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            place = Path(folder, name)
            path = str(place.relative_to(root))
            if path == without or path.startswith(without + "/"):
                continue
            status = place.lstat()
            facts = (status.st_mode, status.st_uid, status.st_gid)
            if place.is_symlink():
                seen[path] = str(place.readlink())
            elif place.is_dir():
                seen[path] = facts
            else:
                seen[path] = (facts, place.read_bytes())
    return seen

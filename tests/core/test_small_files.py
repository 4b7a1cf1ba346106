"""Small files below a root: where a path leads, and what is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core.small_files import inside, read_bytes

TREE = {
    "real/sub/file": "text",
    "absolute": "-> /real/sub",
    "relative": "-> real/sub",
    "climbs": "-> ../../../real",
    "twice": "-> /absolute",
    "real/back": "-> ../relative/..",
    "nowhere": "-> /only/outside",
    "half": "-> real/missing/further",
    "loop": "-> loop",
    "real/last": "-> /absolute/file",
}


@pytest.mark.parametrize(
    ("path", "follow", "leads_to"),
    [
        ("/real/sub/file", False, "real/sub/file"),
        ("/absolute/file", False, "real/sub/file"),
        ("/relative/file", False, "real/sub/file"),
        ("/climbs/sub/file", False, "real/sub/file"),
        ("/twice/file", False, "real/sub/file"),
        ("/real/back/back/sub/new", False, "real/sub/new"),
        ("/absolute", False, "absolute"),
        ("/absolute", True, "real/sub"),
        ("/real/last", True, "real/sub/file"),
        ("/real/../../../real/./sub", False, "real/sub"),
        ("/absolute/new/deep/file", False, "real/sub/new/deep/file"),
        ("/nowhere", False, "nowhere"),
        ("/", False, ""),
    ],
)
def test_inside(tmp_path: Path, path: str, follow: bool, leads_to: str) -> None:
    """Links lead where they lead in a chroot, also absolute ones and those that climb."""
    root = grow(tmp_path / "root", TREE)
    assert Path(inside(root, path, follow)) == root / leads_to


@pytest.mark.parametrize(
    ("path", "follow"),
    [("/nowhere/file", False), ("/nowhere", True), ("/half/x", False), ("/loop/x", False)],
)
def test_leads_nowhere(tmp_path: Path, path: str, follow: bool) -> None:
    """A link that leads to nothing inside is an error, whatever is outside."""
    root = grow(tmp_path / "root", {**TREE, "nowhere": f"-> {tmp_path}"})
    with pytest.raises(OSError, match=r"leads to nothing|symbolic links"):
        inside(root, path, follow)


def test_running_host(tmp_path: Path) -> None:
    """With the root of the machine it is what the kernel itself says."""
    grow(tmp_path, {"real/": "", "link": f"-> {tmp_path}/real"})
    assert inside("/", f"{tmp_path}/link/file") == f"{tmp_path.resolve()}/real/file"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_not_read(tmp_path: Path, kind: str) -> None:
    """What is no plain file, or too large for a setting, is absent: nothing waits or fills up."""
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    assert read_bytes(str(path)) is None

"""The package for Debian and Ubuntu, made by dpkg-deb."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import textwrap
from pathlib import Path

from staged_files import DESCRIPTION, NAME, SUMMARY, set_times, stage, version


def build_deb(target: Path, epoch: int, maintainer: str) -> Path:
    """Write the package into the folder `target`; the same sources give the same bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, NAME)
        root.mkdir(mode=0o755)
        files = stage(root, epoch, "vendor-completions")
        control = root / "DEBIAN"
        control.mkdir(mode=0o755)
        size = sum((root / file).stat().st_size for file in files)
        (control / "control").write_text(_control(size, maintainer))
        (control / "md5sums").write_text("".join(_sum(root, file) for file in files))
        set_times(root, epoch)
        place = target / f"{NAME}_{version()}_all.deb"
        # Before dpkg 1.22 the files of control are packed with the umask's bits.
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, place],
            check=True, stdout=subprocess.DEVNULL, umask=0o022,
            env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
        )  # fmt: skip
    return place


def _control(size: int, maintainer: str) -> str:
    description = textwrap.indent(DESCRIPTION, " ")
    return (
        f"Package: {NAME}\nVersion: {version()}\nArchitecture: all\nMaintainer: {maintainer}\n"
        f"Installed-Size: {-(-size // 1024)}\nDepends: python3 (>= 3.9)\nSection: admin\n"
        f"Priority: optional\nDescription: {SUMMARY}\n{description}\n"
    )


def _sum(root: Path, file: Path) -> str:
    # deb-md5sums(5): dpkg -V compares with these.
    digest = hashlib.md5((root / file).read_bytes(), usedforsecurity=False).hexdigest()
    return f"{digest}  {file}\n"

"""`make dist`: everything that a release has, into dist/, with SHA256SUMS.

SOURCE_DATE_EPOCH, else the time of the last commit, is the time of all files, so that the same
commit gives the same bytes (the image too, as long as Debian's packages are the same).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

from build_collection import build_collection
from build_deb import build_deb
from build_image import build_image
from build_rpm import build_rpm
from man_page import client_page, host_page
from staged_files import REPOSITORY, version

from wholecard.host.agent.zipapp import agent_bytes

KINDS = ("wheel", "agent", "man", "deb", "rpm", "collection", "image")
# What each kind is made with, and Debian's package of it.
_TOOLS = {"deb": ("dpkg-deb", "dpkg"), "rpm": ("rpmbuild", "rpm"), "image": ("umoci", "umoci")}


def main() -> int:
    """Build the kinds that are named, all by default; 3 where a tool is missing."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND",
                         help=f"of {', '.join(KINDS)}; default: all")  # fmt: skip
    options.add_argument("--into", type=Path, default=REPOSITORY / "dist")
    arguments = options.parse_args()
    for kind in arguments.kinds:
        program, package = _TOOLS.get(kind, ("", ""))
        if kind not in KINDS or (program and shutil.which(program) is None):
            print(f"error: cannot build {kind}: "
                  f"{f'install {package} (needs {program})' if program else 'no such kind'}",
                  file=sys.stderr)  # fmt: skip
            return 3
    arguments.into.mkdir(parents=True, exist_ok=True)
    _build(arguments.kinds, arguments.into)
    _write_sums(arguments.into)
    return 0


def _build(kinds: list[str], into: Path) -> None:
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct"))
    uv = str(Path(os.environ["UV_BIN"], "uv")) if "UV_BIN" in os.environ else "uv"
    builders: dict[str, Callable[[], Path]] = {
        "wheel": lambda: _wheel(into, epoch, uv),
        "agent": lambda: _write(into / f"wholecard-host-{version()}.pyz", agent_bytes(), 0o755),
        "man": lambda: [
            _write(into / f"wholecard-host-{version()}.8", host_page(epoch).encode(), 0o644),
            _write(into / f"wholecard-{version()}.1", client_page(epoch).encode(), 0o644),
        ][-1],
        "deb": lambda: build_deb(into, epoch, _git("log", "-1", "--format=%an <%ae>")),
        "rpm": lambda: build_rpm(into, epoch),
        "collection": lambda: build_collection(into, epoch),
        "image": lambda: build_image(into, _wheel(into, epoch, uv), epoch, uv),
    }
    for kind in kinds:
        print(builders[kind]())


def _wheel(into: Path, epoch: int, uv: str) -> Path:
    # hatchling takes SOURCE_DATE_EPOCH for the times in the archive.
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", into, REPOSITORY], check=True,
                   env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)})  # fmt: skip
    return into / f"wholecard-{version()}-py3-none-any.whl"


def _write(path: Path, content: bytes, mode: int) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def _write_sums(into: Path) -> None:
    files = sorted(path for path in into.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (into / "SHA256SUMS").write_text("".join(lines))


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], check=True, capture_output=True, text=True, cwd=REPOSITORY
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())

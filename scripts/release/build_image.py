"""An OCI image with `wholecard` and ssh, built by mmdebstrap and umoci: no daemon is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from staged_files import REPOSITORY, set_times, version

SUITE, PYTHON = "trixie", "3.13"
_PACKAGES = "python3,openssh-client,ca-certificates"
# What no command of ours reads; a third of the image.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_SCRIPT = """\
#!/usr/bin/python3 -I
import sys
sys.path.insert(0, "/opt/wholecard")
from wholecard.cli.main import main
main()
"""


def build_image(target: Path, wheel: Path, epoch: int, uv: str) -> Path:
    """Write the image as an OCI archive into the folder `target`."""
    place = target / f"wholecard-{version()}-oci.tar"
    with tempfile.TemporaryDirectory() as scratch:
        root, layout = Path(scratch, "root"), Path(scratch, "layout")
        _system(root, epoch)
        _install(root, wheel, uv, Path(scratch))
        set_times(root, epoch)
        _pack(root, layout, epoch)
        with tarfile.open(place, "w") as archive:
            for path in sorted(layout.rglob("*")):
                archive.add(path, path.relative_to(layout), recursive=False, filter=_plain(epoch))
    return place


def _system(root: Path, epoch: int) -> None:
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", "--quiet",
         '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"',
         *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT), "--mode=root",
         "--format=directory", SUITE, root],
        check=True, env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip
    # Written anew by whoever installs a package there; they would differ from build to build.
    for name in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)


def _install(root: Path, wheel: Path, uv: str, scratch: Path) -> None:
    """The wheel with the libraries of uv.lock, without running anything in the root."""
    locked = scratch / "locked.txt"
    subprocess.run(
        [uv, "export", "--quiet", "--frozen", "--no-default-groups", "--no-emit-project",
         "--no-hashes", "-o", locked], check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--target", root / "opt/wholecard", "--python-version",
         PYTHON, "--only-binary", ":all:", "--link-mode=copy", "--no-compile-bytecode",
         "--constraints", locked, wheel],
        check=True,
    )  # fmt: skip
    script = root / "usr/bin/wholecard"
    script.write_text(_SCRIPT)
    script.chmod(0o755)


def _pack(root: Path, layout: Path, epoch: int) -> None:
    image = f"{layout}:{version()}"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    history = [f"--history.created={when}", "--history.author=wholecard"]

    def umoci(*words: str | Path) -> None:
        subprocess.run(["umoci", *words], check=True, stdout=sys.stderr)

    umoci("init", "--layout", layout)
    umoci("new", "--image", image)
    umoci("insert", "--image", image, *history, root, "/")
    umoci(
        "config", "--image", image, *history, f"--created={when}", "--os=linux",
        "--architecture=amd64", "--config.entrypoint=/usr/bin/wholecard",
        "--config.env=PATH=/usr/sbin:/usr/bin:/sbin:/bin", "--config.env=LC_ALL=C.UTF-8",
        f"--config.label=org.opencontainers.image.version={version()}",
        "--config.label=org.opencontainers.image.licenses=Apache-2.0",
    )  # fmt: skip
    umoci("gc", "--layout", layout)


def _plain(epoch: int) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    """What tarfile calls a filter: no entry says when, or by whom, it was packed."""

    def entry(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.uid, info.gid, info.uname, info.gname = epoch, 0, 0, "", ""
        return info

    return entry

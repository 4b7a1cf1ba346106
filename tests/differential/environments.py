"""Environments with real nova, one a release, locked by hashes and kept in the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from wholecard.lab.base import cache
from wholecard.lab.base.folder import key_of, key_of_files

__all__ = ["RELEASES", "python_of"]

# nova's major versions that are compared; `locks/MAJOR.txt` locks each.
RELEASES = (27, 30, 32, 34)
LOCKS = Path(__file__).parent / "locks"
# What the oldest of them still runs on. A newer one serves where this is not there.
PYTHON = "3.11"
MUST_HAVE = (
    "lib/python3.*/site-packages/nova/pci/stats.py",
    "lib/python3.*/site-packages/nova/compute/pci_placement_translator.py",
    "lib/python3.*/site-packages/os_traits/__init__.py",
    "lib/python3.*/site-packages/oslo_config/cfg.py",
    "lib/python3.*/site-packages/nova/tests/functional/libvirt/base.py",
)


def python_of(major: int) -> Path:
    """The Python that can import nova of this release; made where it is not in the cache.

    It lives in `$XDG_CACHE_HOME/wholecard/nova-MAJOR-KEY`; a broken one is made anew. Raises
    LabError where the lock is held too long and CalledProcessError where uv cannot make it.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lock = LOCKS / f"{major}.txt"
    key = key_of(PYTHON, key_of_files(lock))

    def build(folder: Path) -> None:
        uv = _uv()
        environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        make = [uv, "venv", "--quiet", "--allow-existing", str(folder), "--python"]
        for python in (PYTHON, "3"):
            made = subprocess.run([*make, python], env=environment, check=False, timeout=60)
            if made.returncode == 0:
                break
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode"]
        # Copies: a file that is spoilt here must not be spoilt in uv's own cache as well.
        install += ["--link-mode", "copy"]
        install += ["--python", str(folder / "bin/python"), "--requirement", str(lock)]
        subprocess.run(install, env=environment, check=True, timeout=900)

    def entry() -> Path:
        return (
            cache.entry(home / "wholecard", f"nova-{major}", key, build, MUST_HAVE) / "bin/python"
        )

    python = entry()
    if not python.exists():
        # The interpreter it was made with has gone from the machine.
        cache.remove_tree(python.parent.parent)
        python = entry()
    return python


def _uv() -> str:
    found = shutil.which("uv")
    if found is None:
        raise FileNotFoundError("uv is not on PATH; run the tests through make")
    return found

"""The Pythons of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path


@cache
def pythons() -> dict[tuple[int, int], str]:
    """Every Python there is on PATH and in pyenv's folder, by version, oldest first."""
    names = ["python2.7", *(f"python3.{minor}" for minor in range(5, 16))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    # Another user's Pythons may be named in the environment and not be ours to run.
    kept = sorted(pyenv.glob("versions/*/bin/python")) if os.access(pyenv, os.R_OK) else []
    found = [*(shutil.which(name) for name in names), *(str(path) for path in kept), sys.executable]
    versions = {_version(python): python for python in found if python}
    return {key: versions[key] for key in sorted(versions) if key != (0, 0)}


def oldest_and_newest() -> list[str]:
    """The oldest Python here that the agent is for, and the newest: one at least."""
    usable = [python for version, python in pythons().items() if version >= (3, 9)]
    return [usable[0], usable[-1]]


def too_old() -> list[str]:
    """The Pythons here that the agent is not for."""
    return [python for version, python in pythons().items() if version < (3, 9)]


def _version(python: str) -> tuple[int, int]:
    """A Python's version; (0, 0) where it does not run."""
    code = "import sys; print('%d %d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    major, minor = [*done.stdout.split(), "0", "0"][:2]
    return int(major), int(minor)

"""A release that is installed somewhere, and what is asked of it there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

EPOCH = 1_700_000_000
MAINTAINER = "Somebody <somebody@example.org>"


def chroot(root: Path, *words: str) -> str:
    """What a program prints in the root; its errors are part of the assertion."""
    done = subprocess.run(
        ["chroot", root, *words], capture_output=True, text=True, check=False, timeout=300,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"},
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stderr}"
    return done.stdout


def judge_agent(root: Path, version: str) -> None:
    """The installed agent says its version, reads the root as a host and knows that it is clean."""
    assert chroot(root, "wholecard-host", "--version") == f"{version}\n"
    assert json.loads(chroot(root, "wholecard-host", "inspect", "--json"))["schema"] == 2
    assert json.loads(chroot(root, "wholecard-host", "status", "--json"))["state"] == "clean"

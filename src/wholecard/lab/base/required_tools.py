"""What the lab needs of the machine that it runs on."""

from __future__ import annotations

import shutil

from wholecard.core import run
from wholecard.guest.image.sandbox import is_rootless
from wholecard.lab.base.errors import LabError


def require_tools() -> None:
    """Raise LabError where the machine lacks a program or a right that the lab needs."""
    for tool, package in (("bwrap", "bubblewrap"), ("mmdebstrap", "mmdebstrap")):
        if shutil.which(tool) is None:
            raise LabError(
                f"{tool} is not installed",
                "The lab runs its programs in a private Debian root.",
                f"Install it: sudo apt-get install {package} (`make tools` does).",
            )
    if not is_rootless():
        return
    trial = run(["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"], timeout=10, check=False)
    if trial.status != 0:
        raise LabError(
            "this machine does not allow user namespaces to ordinary users",
            trial.stderr.strip(),
            "Run the command as root (sudo), or allow user namespaces: on Ubuntu 24.04 "
            "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`.",
        )
    if shutil.which("newuidmap") is None:
        raise LabError(
            "newuidmap is not installed",
            "Without root, mmdebstrap needs it to unpack the private root in a user namespace.",
            "Install it: sudo apt-get install uidmap; or run the command as root.",
        )

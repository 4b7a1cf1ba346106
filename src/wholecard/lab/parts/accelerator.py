"""KVM or emulation: decided by a trial, because `/dev/kvm` may exist and not work."""

from __future__ import annotations

import os
import re
from pathlib import Path

from wholecard.core import RunError
from wholecard.guest.image.kernel_modules import kernel_release
from wholecard.guest.image.sandbox import Mount, Sandbox

KVM = Path("/dev/kvm")
TRIAL_SECONDS = 8
# The status of `timeout` when it had to kill: its own, a shell's, and subprocess's.
KILLED = (124, 137, -9)


def choose(root: Path) -> tuple[str, str]:
    """`kvm` or `tcg`, and why: KVM where the root's kernel, started under it, prints a line."""
    if not KVM.exists():
        return "tcg", "this machine has no /dev/kvm"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg", "no permission to open /dev/kvm"
    kernel = f"/boot/vmlinuz-{kernel_release(root)}"
    inside = Sandbox(root, (Mount(KVM, str(KVM), device=True),))
    command = ["timeout", "--signal=KILL", str(TRIAL_SECONDS), "qemu-system-x86_64",
               "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-display", "none",
               "-no-reboot", "-serial", "stdio", "-kernel", kernel,
               "-append", "console=ttyS0 earlyprintk=serial panic=-1"]  # fmt: skip
    try:
        answer = inside.run(command, timeout=TRIAL_SECONDS + 10, check=False)
    except RunError as error:
        return "tcg", f"the trial of KVM failed: {error.brief}"
    # Without a root file system the kernel panics, and panic=-1 ends the trial: KVM works.
    if "Linux version" in answer.stdout:
        return "kvm", "a kernel started under KVM"
    if answer.stderr.strip() and answer.status not in KILLED:
        return "tcg", f"KVM does not work on this machine (QEMU: {said_by_qemu(answer.stderr)})"
    return "tcg", f"a kernel under KVM printed nothing within {TRIAL_SECONDS} s"


def said_by_qemu(stderr: str) -> str:
    """QEMU's first line without its name and `error:`: an answer to a trial is no failure."""
    line = stderr.strip().splitlines()[0]
    return re.sub(r"^(qemu-system-\w+: )?(error: )?", "", line)

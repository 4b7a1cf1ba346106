"""Guests that are one script, run on files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.tree import grow
from wholecard.lab.parts.script_image import ScriptGuest


def run_on_files(
    guest: ScriptGuest, place: Path, boot_id: str, shell: Sequence[str],
    settings: Mapping[str, str],
) -> str:  # fmt: skip
    """Run a guest's script on the files below `place` as if it had booted; its console."""
    grow(place, {"proc/sys/kernel/random/boot_id": f"{boot_id}\n", "work/": ""})
    console = place / f"console-{boot_id}"
    script = place / "guest.sh"
    script.write_bytes(guest.script)
    environment = {
        "GUEST_PROC": str(place / "proc"), "GUEST_CONSOLE": str(console),
        "GUEST_SYS": str(place / "sys"), "GUEST_DEV": str(place / "dev"),
        "GUEST_WORK": str(place / "work"), "PATH": os.environ["PATH"], **settings,
    }  # fmt: skip
    ran = subprocess.run(
        [*shell, str(script)], env=environment, timeout=60, check=False, capture_output=True
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    return console.read_text()

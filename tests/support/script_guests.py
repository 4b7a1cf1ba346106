"""Guests that are one script: run on files, or in a running lab; what they say."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from support.tree import grow
from wholecard.cloud.client.errors import api_errors
from wholecard.lab.lab import Lab
from wholecard.lab.parts.script_image import ScriptGuest, script_image

_STEP = re.compile(
    r"^WHOLECARD-MOVING step=(?P<step>\d+) answered=(?P<answered>\d+) kept=(?P<kept>\d+) "
    r"slice=(?P<slice>\w*) card=(?P<card>\w*) mine=(?P<mine>[0-9a-f-]{36}) end\r?$",
    re.MULTILINE,
)


@dataclass(frozen=True, order=True)
class GuestStep:
    """What the moving guest says after a step: how many there were, and how often all was well.

    `answered` counts its slice's answers, `kept` that its card's memory was as marked; `boot` is
    the id of its boot.
    """

    step: int
    answered: int
    kept: int
    slice: str
    card: str
    boot: str


def steps(console: str) -> tuple[GuestStep, ...]:
    """All steps of the moving guest that a console has, in their order; each is printed thrice."""
    found = {
        GuestStep(int(match["step"]), int(match["answered"]), int(match["kept"]),
                  match["slice"], match["card"], match["mine"])
        for match in _STEP.finditer(console)
    }  # fmt: skip
    return tuple(sorted(found))


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


def offer_image(lab: Lab, conn: Connection, guest: ScriptGuest) -> str:
    """The id of the guest's image in Glance, built and uploaded where it is not there."""
    file = script_image(lab.folder, lab.parts.root, guest)
    with api_errors(conn, f"upload {guest.name}"):
        found: Any = conn.image.find_image(guest.name)
        if found is None:
            found = conn.create_image(
                guest.name, filename=str(file), disk_format="qcow2", container_format="bare",
                wait=True, hw_machine_type="q35", hw_firmware_type="bios",
            )  # fmt: skip
    return str(found.id)

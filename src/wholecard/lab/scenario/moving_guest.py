"""The guest that counts while it is moved live: its image in Glance, and what it says.

Its script is `inside/moving_guest.sh`: at each step it uses its slice and looks at its card's
memory, so that a move that loses anything shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.client.errors import api_errors
from wholecard.lab.lab import Lab
from wholecard.lab.parts.script_image import ScriptGuest, script_image

_STEP = re.compile(
    r"^WHOLECARD-MOVING step=(?P<step>\d+) answered=(?P<answered>\d+) kept=(?P<kept>\d+) "
    r"slice=(?P<slice>\w*) card=(?P<card>\w*) mine=(?P<boot>[0-9a-f-]{36}) end\r?$",
    re.MULTILINE,
)
# An emulated node's guest boots for minutes.
STEP_SECONDS = 1800


@dataclass(frozen=True, order=True)
class GuestStep:
    """What the guest says after a step: how many there were, and how often all was well.

    `answered` counts its slice's answers, `kept` how often its card's memory was as it was marked;
    `slice` and `card` are their names in the guest, empty for none, `boot` the id of its boot.
    """

    step: int
    answered: int
    kept: int
    slice: str
    card: str
    boot: str

    @property
    def is_well(self) -> bool:
        """Whether nothing was lost up to now."""
        return (not self.slice or self.answered == self.step) and (
            not self.card or self.kept == self.step
        )


def steps(console: str) -> tuple[GuestStep, ...]:
    """All steps that a console shows, in their order; each is printed three times."""
    found = {
        GuestStep(int(match["step"]), int(match["answered"]), int(match["kept"]),
                  match["slice"], match["card"], match["boot"])
        for match in _STEP.finditer(console)
    }  # fmt: skip
    return tuple(sorted(found))


def wait_for_steps(
    conn: Connection, server: str, after: int = 0, count: int = 3
) -> tuple[GuestStep, ...]:
    """The steps on a server's console, once it has said so many after the step `after`.

    Raises WaitTimeoutError, CloudError.
    """

    def said(console: str) -> bool:
        return any(each.step >= after + count for each in steps(console))

    return steps(servers.wait_for_console(conn, server, said, STEP_SECONDS))


def offer_image(lab: Lab, conn: Connection, guest: ScriptGuest) -> str:
    """The id of a guest's image in Glance, built and uploaded where it is not there."""
    file = script_image(lab.folder, lab.parts.root, guest)
    with api_errors(conn, f"upload {guest.name}"):
        found: Any = conn.image.find_image(guest.name)
        if found is None:
            found = conn.create_image(
                guest.name, filename=str(file), disk_format="qcow2", container_format="bare",
                wait=True, hw_machine_type="q35", hw_firmware_type="bios",
            )  # fmt: skip
    return str(found.id)

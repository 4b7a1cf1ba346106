"""What a server finds of the last one in its cards' memory, with and without a hand-over.

Each server looks first and then fills the memory with marks of its own, so servers one after the
other are a tenant A and a tenant B each.

What to expect, read in QEMU 10: the cards' memory is a RAM region that is made once
(hw/display/vga.c, `vga_common_init`). No reset of theirs touches it: `ati_vga_reset`
(hw/display/ati.c) and `vga_common_reset` set registers, and a reset of the bus
(hw/pci/pci_bridge.c, `bus_cold_reset`) ends in the same. Nor do they have a function-level reset or
a power capability, so VFIO in the node resets the bus. So B finds A's marks, but for what B's own
driver and console draw over (seen with QEMU 10.0.13 alone: after `system_reset`, which resets
every device, a guest found 257,343 of its predecessor's 262,144 marks). A hand-over finds them too
(WC570) and closes the leak only with `scrub`. Were QEMU to clear the memory, `ivshmem-plain` with a
`memory-backend-file,share=on` could stand in: its BAR 2 is a file that no reset can reach.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.client.errors import api_errors
from wholecard.core.waiting import wait_until
from wholecard.handover.record import CardState, HandoverStatus
from wholecard.handover.request import HandoverRequest, look
from wholecard.handover.reserved_cards import one_time_use_cards, read_card
from wholecard.handover.store import Store
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu, prove_cards
from wholecard.lab.scenario.hypervisor import Agent

# Both cards: so each server has what the last one had.
FLAVOR = emulated_gpu.CARDS_FLAVOR.name
# Reading and writing twice 16 MiB in an emulated guest.
LOOK_SECONDS = 900
CLEAN_SECONDS = 900
# nova frees a card some time after its server is gone from the API.
FREE_SECONDS = 900

_LINE = re.compile(
    r"^WHOLECARD-LEAK card=(?P<card>fb\d+) bytes=(?P<looked>\d+) nonzero=(?P<nonzero>\d+) "
    r"marked=(?P<marked>\d+) of=(?P<of>[0-9a-f-]+) mine=(?P<mine>[0-9a-f-]{36}) end\r?$",
    re.MULTILINE,
)
_DONE = re.compile(r"^WHOLECARD-LEAK cards=(\d+) mine=[0-9a-f-]{36} done\r?$", re.MULTILINE)
MARK_BYTES = 64


@dataclass(frozen=True)
class Sight:
    """What one guest found in one card before it wrote: numbers of bytes and of 64-byte marks.

    `of` is the boot id of the guest whose mark was found first, empty without one; `mine` the
    guest's own.
    """

    card: str
    looked_bytes: int
    nonzero_bytes: int
    marked: int
    of: str
    mine: str

    @property
    def leaked_bytes(self) -> int:
        """How much of another guest's was there."""
        return self.marked * MARK_BYTES if self.of != self.mine else 0


def sights(console: str) -> tuple[Sight, ...]:
    """What a guest's console says, by card; each line is printed three times."""
    found = {
        match["card"]: Sight(
            match["card"], int(match["looked"]), int(match["nonzero"]), int(match["marked"]),
            "" if match["of"] == "-" else match["of"], match["mine"],
        )
        for match in _LINE.finditer(console)
    }  # fmt: skip
    return tuple(found[card] for card in sorted(found))


def is_done(console: str) -> bool:
    """Whether the guest has looked at all cards and marked them."""
    done = _DONE.search(console)
    return done is not None and int(done[1]) == len(sights(console))


def one_server(conn: Connection, image_id: str, name: str) -> tuple[Sight, ...]:
    """Boot a server, read what it found, delete it."""
    with api_errors(conn, f"find the flavor {FLAVOR}"):
        flavor = conn.compute.find_flavor(FLAVOR, ignore_missing=False)
    server = servers.create(conn, servers.NewServer(name, str(flavor.id), image_id))
    try:
        return sights(servers.wait_for_console(conn, server, is_done, LOOK_SECONDS))
    finally:
        servers.delete_and_wait(conn, server, prove_cards.DELETE_SECONDS)


def hand_overs(
    conn: Connection, image_id: str, count: int, between: Callable[[], object]
) -> tuple[tuple[Sight, ...], ...]:
    """What each of `count` servers found that came after another one; `between` runs before each.

    One more server is booted, first, which nobody was before.
    """
    one_server(conn, image_id, "leak-0")
    found = []
    for number in range(1, count + 1):
        between()
        found.append(one_server(conn, image_id, f"leak-{number}"))
    return tuple(found)


class NodeCleaner:
    """The lab's nodes, by their names, reached as the lab reaches them."""

    def __init__(self, lab: Lab, scratch: Path, *, scrub: bool) -> None:
        self._lab, self._scrub = lab, scrub
        for spec in lab.nodes:
            # A lab that was saved has the agent of then.
            Agent(lab.node(spec.name)).install(scratch)

    def reaches(self, host: str) -> bool:
        """Whether it is a node of the lab."""
        return any(spec.name == host for spec in self._lab.nodes)

    def clean(self, host: str, address: str) -> dict[str, Any]:
        """See handover.cleaner.Cleaner."""
        options = ("--scrub-visible",) if self._scrub else ()
        agent = Agent(self._lab.node(host))
        return agent.json("clean-card", address, *options, timeout=CLEAN_SECONDS)


def hand_over(conn: Connection, cleaner: NodeCleaner, store: Store, cards: int) -> HandoverStatus:
    """Clean the `cards` that a deleted server had, and give them back; LabError where one is out.

    It looks until nova has freed them all.
    """
    request = HandoverRequest(jobs=1)
    seen = HandoverStatus()

    def probe() -> HandoverStatus | None:
        nonlocal seen
        seen = look(conn, cleaner, store, request, lambda _: None)
        states = [card.state for card in seen.cards]
        # Waiting for it helps nothing.
        final = [state for state in states if state in (CardState.NOT_CLEARED, CardState.OUT)]
        free = [card for card in one_time_use_cards(conn) if _is_free(conn, card)]
        return seen if final or len(free) == cards else None

    with store.held():
        return wait_until("the cards are given back", probe, FREE_SECONDS, interval=2.0,
                          last=lambda: str(seen.cards))  # fmt: skip


def _is_free(conn: Connection, provider: Any) -> bool:
    card = read_card(conn, provider)
    return card is not None and card.reserved == 0 and card.used == 0


def report(name: str, found: tuple[tuple[Sight, ...], ...], seconds: float) -> str:
    """A line for each hand-over, and the sum."""
    lines = [f"{name}: {len(found)} hand-overs in {seconds:.0f} s"]
    for number, cards in enumerate(found, 1):
        each = ", ".join(
            f"{sight.card} {sight.leaked_bytes} of {sight.looked_bytes} bytes" for sight in cards
        )
        lines.append(f"  {number:2}: {each}")
    leaks = sum(any(sight.leaked_bytes for sight in cards) for cards in found)
    total = sum(sight.leaked_bytes for cards in found for sight in cards)
    lines.append(f"  the last server's marks were found in {leaks} of {len(found)}: {total} bytes")
    return "\n".join(lines)


def timed(run: Callable[[], tuple[tuple[Sight, ...], ...]]) -> tuple[Any, float]:
    """What came out, and how many seconds it took."""
    began = time.monotonic()
    return run(), time.monotonic() - began

"""The way of a card as a picture: its stations as in Figure 1 of the talk it comes from. Pure.

Lengths are pixels of a canvas of `WIDTH`; the template draws them as SVG and adds nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wholecard.lab.report.record import DemoRecord, ProofRow, ServerRecord, Station

WIDTH = 1000
MARGIN = 8
PAD = 16
LINE = 16
HEAD = 32
FOOT = 10
GAP = 34
INNER = WIDTH - 2 * (MARGIN + PAD)
HALF = (INNER - PAD) // 2
COMPUTE_WIDTH = 372
# 11.5 px of any monospaced face in use is at most this wide.
CHARACTER = 7.05

# The stations in the order of the way, with the name of one that has no record.
STATIONS = {
    "api": "nova-api", "amqp": "AMQP", "scheduler": "nova-scheduler", "compute": "nova-compute",
    "kvm": "KVM", "vfio": "VFIO", "card": "card",
}  # fmt: skip
NOT_REACHED = "not reached"

_SLOT = re.compile(r"\b((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2})\.[0-7]\b")


@dataclass(frozen=True)
class Box:
    """A box with a title and lines below it. `kind` is its look: frame, station, bus, guest, card.

    `number` is its position on the way, 0 for none; `reached` is False where nothing was seen.
    """

    kind: str
    x: int
    y: int
    width: int
    height: int
    title: str
    number: int = 0
    lines: tuple[str, ...] = ()
    reached: bool = True

    @property
    def bottom(self) -> int:
        """Where it ends."""
        return self.y + self.height

    @property
    def middle(self) -> int:
        """The middle between its sides."""
        return self.x + self.width // 2

    @property
    def placed_lines(self) -> tuple[tuple[int, int, str], ...]:
        """Each line with the position where its baseline begins."""
        return tuple(
            (self.x + 12, self.y + HEAD + 12 + number * LINE, line)
            for number, line in enumerate(self.lines)
        )


@dataclass(frozen=True)
class Arrow:
    """A straight arrow. `kind` is what goes there: request, card, absent (its end not reached)."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str = "request"


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn, later boxes over earlier ones."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def fold(lines: Sequence[str], count: int, width: int) -> tuple[str, ...]:
    """Lines folded into `width` pixels, at most `count`; the last says that there is more."""
    room = max(int((width - 24) / CHARACTER), 8)
    folded = [
        part
        for text in lines
        for line in text.splitlines()
        for part in textwrap.wrap(line.strip(), room, subsequent_indent="  ")
    ]
    if len(folded) > count:
        last = folded[count - 1]
        folded = [*folded[: count - 1], f"{last[: room - 2]} …"]
    return tuple(folded)


def way(record: DemoRecord) -> Picture:
    """The picture of what was seen on the way to the server that got the most functions."""
    stations = {station.key: station for station in record.stations}
    server = _shown_server(record.servers)
    api, scheduler, bus = _control_plane(stations)
    plane_bottom = bus.bottom + PAD
    host_top = plane_bottom + GAP
    compute, kvm, chips = _hypervisor(stations, server, host_top + HEAD)
    vfio = _station(stations, "vfio", (MARGIN + PAD, kvm.bottom + GAP), INNER, 4, kind="bus")
    cards = _cards(stations, server, vfio.bottom + GAP)
    host_bottom = max(card.bottom for card in cards) + PAD
    name = f"hypervisor host {server.host}" if server and server.host else "hypervisor host"
    frames = (_frame("control plane", MARGIN, plane_bottom), _frame(name, host_top, host_bottom))
    arrows = (
        Arrow(api.middle, api.bottom, api.middle, bus.y, _kind(bus)),
        Arrow(scheduler.middle, bus.y, scheduler.middle, scheduler.bottom, _kind(scheduler)),
        Arrow(compute.middle, bus.bottom, compute.middle, compute.y, _kind(compute)),
        Arrow(compute.x + compute.width, compute.y + 24, kvm.x, compute.y + 24, _kind(kvm)),
        *(Arrow(chip.middle, vfio.y, chip.middle, chip.bottom, "card") for chip in chips
          if chip.reached),
        *(Arrow(card.middle, card.y, card.middle, vfio.bottom, "card") for card in cards
          if card.reached and vfio.reached),
    )  # fmt: skip
    boxes = (*frames, api, scheduler, bus, compute, kvm, *chips, vfio, *cards)
    return Picture(WIDTH, host_bottom + MARGIN, boxes, arrows)


def _kind(end: Box) -> str:
    return "request" if end.reached else "absent"


def _frame(title: str, top: int, bottom: int) -> Box:
    return Box("frame", MARGIN, top, WIDTH - 2 * MARGIN, bottom - top, title)


def _control_plane(stations: Mapping[str, Station]) -> tuple[Box, Box, Box]:
    top = MARGIN + HEAD
    api = _station(stations, "api", (MARGIN + PAD, top), HALF, 7)
    scheduler = _station(stations, "scheduler", (MARGIN + 2 * PAD + HALF, top), HALF, 7)
    height = max(api.height, scheduler.height)
    api, scheduler = replace(api, height=height), replace(scheduler, height=height)
    bus = _station(stations, "amqp", (MARGIN + PAD, api.bottom + GAP), INNER, 4, kind="bus")
    return api, scheduler, bus


def _hypervisor(
    stations: Mapping[str, Station], server: ServerRecord | None, top: int
) -> tuple[Box, Box, tuple[Box, ...]]:
    """nova-compute, KVM beside it, and in KVM the guest's cards as the guest sees them."""
    compute = _station(stations, "compute", (MARGIN + PAD, top), COMPUTE_WIDTH, 9)
    left = compute.x + COMPUTE_WIDTH + GAP
    kvm = _station(stations, "kvm", (left, top), WIDTH - MARGIN - PAD - left, 4)
    by_slot = slots(server.rows) if server else {}
    chips: list[Box] = []
    width = (kvm.width - PAD * (len(by_slot) + 1)) // max(len(by_slot), 1)
    for number, (slot, rows) in enumerate(by_slot.items(), 1):
        lines = fold([_in_guest(row) for row in rows], 5, width)
        title = f"card {number} in the guest" if slot else "not in the guest"
        chips.append(
            Box("guest", kvm.x + PAD + (number - 1) * (width + PAD), kvm.bottom, width,
                _height(lines), title, lines=lines, reached=any(row.guest_address for row in rows))
        )  # fmt: skip
    inside = max((chip.height for chip in chips), default=0)
    height = max(compute.height, kvm.height + inside + (PAD if chips else 0))
    compute, kvm = replace(compute, height=height), replace(kvm, height=height)
    return compute, kvm, tuple(replace(chip, height=inside) for chip in chips)


def _cards(
    stations: Mapping[str, Station], server: ServerRecord | None, top: int
) -> tuple[Box, ...]:
    """A box for each card of the host: the server's, else those that the station names."""
    cards = _lines_by_card(stations.get("card"), server)
    if not cards:
        return (_station(stations, "card", (MARGIN + PAD, top), INNER, 6, kind="card"),)
    width = (INNER - PAD * (len(cards) - 1)) // len(cards)
    boxes = []
    for number, (slot, text) in enumerate(cards.items()):
        lines = fold(text, 6, width)
        boxes.append(
            Box("card", MARGIN + PAD + number * (width + PAD), top, width, _height(lines),
                f"card {number + 1}  {slot}", 7, lines)
        )  # fmt: skip
    height = max(box.height for box in boxes)
    return tuple(replace(box, height=height) for box in boxes)


def _lines_by_card(station: Station | None, server: ServerRecord | None) -> dict[str, list[str]]:
    """Lines by the slot of the server's cards, else of those that the station names.

    A line of the station is about the card of the first address in it.
    """
    seen: dict[str, list[str]] = {}
    for line in "\n".join(station.seen if station else ()).splitlines():
        if match := _SLOT.search(line):
            seen.setdefault(match[1], []).append(line)
    cards = slots(server.rows) if server else {}
    return {
        slot: seen.get(slot) or list(map(_on_host, cards[slot])) for slot in cards if slot
    } or seen


def slots(rows: Sequence[ProofRow]) -> dict[str, list[ProofRow]]:
    """A server's functions by the host's slot they come from, `""` where it was not seen."""
    by_slot: dict[str, list[ProofRow]] = {}
    for row in rows:
        by_slot.setdefault(row.host_address.rpartition(".")[0], []).append(row)
    return by_slot


def _shown_server(servers: Sequence[ServerRecord]) -> ServerRecord | None:
    proved = [server for server in servers if server.rows and not server.refusal_expected]
    return max(proved, key=lambda server: len(server.rows), default=None)


def _in_guest(row: ProofRow) -> str:
    driver = row.driver if row.driver != "none" else ""
    return f"{row.guest_address or 'not seen'} {row.ids} {driver}".strip()


def _on_host(row: ProofRow) -> str:
    return f"{row.host_address} {row.ids} {row.name}".strip()


def _station(
    stations: Mapping[str, Station], key: str, corner: tuple[int, int], width: int, count: int, *,
    kind: str = "station",
) -> Box:  # fmt: skip
    station = stations.get(key)
    reached = station is not None and bool(station.seen)
    seen = station.seen if station and reached else (NOT_REACHED,)
    # A bus is wide: what was seen there is written in one line.
    lines = fold([" · ".join(seen)] if kind == "bus" else seen, count, width)
    title = station.name if station else STATIONS[key]
    number = list(STATIONS).index(key) + 1
    return Box(kind, *corner, width, _height(lines), title, number, lines, reached)


def _height(lines: Sequence[str]) -> int:
    return HEAD + len(lines) * LINE + FOOT

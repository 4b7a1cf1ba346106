"""What became of a host's functions between two boots, and what would if a card came or went.

Bus numbers are given at boot, in the order in which bridges are found: firmware numbers them depth
first, and Linux keeps what the firmware gave (linux, drivers/pci/probe.c, pci_scan_bridge_extend).
A bridge more or less, on a card or in front of it, moves all buses that come after it below the
same root bus. The slot of a bridge on its bus is wiring, so a function's path stays.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.pci import Address
from wholecard.pci.function import Function, slot_path


class How(enum.StrEnum):
    """By what a function was recognised."""

    PATH = "the same place"
    SERIAL = "the same serial number"
    MODEL = "the only one of its model"


@dataclass(frozen=True)
class Renumbered:
    """One function at another address than before. `name` is for a person."""

    name: str
    before: Address
    after: Address
    how: How
    path_before: str = ""
    path_after: str = ""

    @property
    def moved(self) -> bool:
        """Whether it sits in another place, and not only behind another bus number."""
        return self.path_before != self.path_after


@dataclass(frozen=True)
class Comparison:
    """Two facts of one host: what has another address, what is gone, what is new."""

    renumbered: tuple[Renumbered, ...] = ()
    gone: tuple[Function, ...] = ()
    new: tuple[Function, ...] = ()


def renumbered(before: Host, after: Host) -> tuple[Renumbered, ...]:
    """The functions that have another address than before, by their former address."""
    return compared(before, after).renumbered


def compared(before: Host, after: Host) -> Comparison:
    """What became of each function: recognised by place, then serial number, then model.

    A function is the same only where its ids and its subsystem's are. VFs and bridges are compared
    too: a bridge has a driver, and a VF may be a server's.
    """
    pairs: list[tuple[Function, Function, How]] = []
    old, new = list(before.functions), list(after.functions)
    for how, key in _KEYS:
        old, new = _matched(old, new, how, key, pairs)
    changed = [
        Renumbered(_name(one), one.address, other.address, how, slot_path(one), slot_path(other))
        for one, other, how in pairs
        if one.address != other.address
    ]
    changed.sort(key=lambda row: row.before)
    return Comparison(tuple(changed), tuple(old), tuple(new))


_Key = Callable[[Function], object]


def _model(function: Function) -> tuple[str, ...]:
    return (function.ids, function.subsystem_vendor, function.subsystem_device,
            function.class_code)  # fmt: skip


def _by_path(function: Function) -> object:
    return slot_path(function), _model(function)


def _by_serial(function: Function) -> object:
    if not function.serial:
        return None
    return function.serial, function.address.function, _model(function)


_KEYS: tuple[tuple[How, _Key], ...] = (
    (How.PATH, _by_path), (How.SERIAL, _by_serial), (How.MODEL, _model),
)  # fmt: skip


def _matched(
    old: list[Function], new: list[Function], how: How, key: _Key,
    pairs: list[tuple[Function, Function, How]],
) -> tuple[list[Function], list[Function]]:  # fmt: skip
    """Pair those with the same key, where it is one on both sides; what is left of both."""
    ones, others = _single(old, key), _single(new, key)
    # Two cards of different serial numbers are two cards, wherever they sit.
    both = ones.keys() & others.keys()
    common = {name for name in both if _may_be_one(ones[name], others[name])}
    pairs += [(ones[name], others[name], how) for name in common]
    taken_old = {ones[name].address for name in common}
    taken_new = {others[name].address for name in common}
    return (
        [each for each in old if each.address not in taken_old],
        [each for each in new if each.address not in taken_new],
    )


def _may_be_one(one: Function, other: Function) -> bool:
    return not (one.serial and other.serial and one.serial != other.serial)


def _single(functions: Iterable[Function], key: _Key) -> dict[object, Function]:
    """The functions by key, without keys that several have or that are None."""
    found: dict[object, Function | None] = {}
    for function in functions:
        name = key(function)
        if name is not None:
            found[name] = None if name in found else function
    return {name: function for name, function in found.items() if function is not None}


def _name(function: Function) -> str:
    words = function.device_name or function.ids
    return f"{function.vendor_name} {words}".strip()


class Will(enum.StrEnum):
    """What becomes of a function's address at the next boot."""

    CHANGE = "will probably change"
    MAY = "may change"


@dataclass(frozen=True)
class Prediction:
    """One function whose address would not be sure to stay. `expected` is None where not known."""

    function: Function
    will: Will
    expected: Address | None = None


def predicted(host: Host, place: str, buses: int | None) -> tuple[Prediction, ...]:
    """Which addresses change when the number of bridges at `place` changes by `buses`.

    `place` is the path of the slot that a card leaves or comes to, `buses` the bridges more
    (positive) or less (negative), None where that is not known: a card that is not seen yet. What
    is below another root bus, or is numbered before the slot, stays. With no bridge more or less
    everything stays on most boards; some firmware hides a port without a card, and then its bus
    number goes too: those after it may change.
    """
    port = place.rpartition("/")[0]
    inside = [each for each in host.functions if _is_in(place, each)]
    last = max((each.address.bus for each in inside), default=None)
    found = []
    for function in host.functions:
        if function in inside or not _is_after(function, port, last):
            continue
        if not buses:
            found.append(Prediction(function, Will.MAY))
            continue
        address = function.address
        bus = address.bus + buses
        expected = Address(address.domain, bus, address.slot, address.function)
        found.append(Prediction(function, Will.CHANGE, expected if 0 <= bus <= 0xFF else None))
    return tuple(found)


def _is_in(place: str, function: Function) -> bool:
    return slot_path(function).startswith((f"{place}.", f"{place}/"))


def _is_after(function: Function, port: str, last: int | None) -> bool:
    """Whether the function's bus is numbered after the slot behind `port`.

    `last` is the last bus in the slot. Where it is empty, the order of places tells: firmware goes
    depth first, from the lowest slot up.
    """
    parent = slot_path(function).rpartition("/")[0]
    root = port.partition("/")[0]
    # What is on the root bus itself has the root's number.
    if parent == root or not parent.startswith(f"{root}/"):
        return False
    return function.address.bus > last if last is not None else parent > port

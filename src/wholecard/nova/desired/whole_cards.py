"""Functions of one card that nova would give one by one, and where it could mix those of two. Pure.

nova gives each function as a device of its own and knows no slots: it takes functions from pools of
equal devices (nova/pci/stats.py, `_filter_pools` and `consume_requests`), and with Placement from
any provider of the class. Measured on nova 34 with two cards of two functions each, a flavor that
asks for one of each, and `randomize_allocation_candidates`: in 4 of 6 runs two servers got the GPU
of one card and the audio function of the other. VFIO gives an IOMMU group to one guest
(linux: Documentation/driver-api/vfio.rst), so the second server cannot start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wholecard.host.facts.host import Host
from wholecard.pci import Address, Function


@dataclass(frozen=True)
class CardInParts:
    """Functions that a guest can only get together, of which several are given.

    They are in one slot, or in one IOMMU group. `labels` has for each of the given functions what
    a request can name it by; `mixed` are those labels that functions of other cards have too.
    """

    functions: tuple[Function, ...]
    labels: Mapping[Address, frozenset[str]]
    mixed: frozenset[str] = frozenset()

    @property
    def is_one_slot(self) -> bool:
        """Whether it is one card; else several share an IOMMU group."""
        return len({function.address.slot_key for function in self.functions}) == 1

    @property
    def displays(self) -> tuple[Function, ...]:
        """The GPUs and accelerators among the functions."""
        return tuple(function for function in self.functions if function.is_display)

    @property
    def extra_functions(self) -> tuple[Function, ...]:
        """The other functions."""
        return tuple(function for function in self.functions if not function.is_display)

    @property
    def beside_gpu(self) -> tuple[Function, ...]:
        """What is given besides the GPU: extra functions, or more GPUs; nothing without one."""
        return (self.extra_functions or self.displays[1:]) if self.displays else ()


def card_units(host: Host) -> dict[Address, int]:
    """The number of the unit that each function is in: a card's slot, or an IOMMU group.

    A slot without a card and VFs are no unit of their own. Predicted groups do not count.
    """
    units: dict[Address, int] = {}
    together = [card.functions for card in host.cards]
    if not host.groups_predicted:
        together += [group.endpoints for group in host.groups]
    for number, functions in enumerate(together):
        addresses = {function.address for function in functions}
        joined = {units[address] for address in addresses if address in units}
        addresses |= {address for address, unit in units.items() if unit in joined}
        units.update(dict.fromkeys(addresses, number))
    return units


def cards_in_parts(host: Host, labels: Mapping[Address, Iterable[str]]) -> tuple[CardInParts, ...]:
    """The cards of which several functions are given, by address.

    `labels` has the given functions, VFs left out, with the names by which they are requested.
    """
    units = card_units(host)
    functions = [function for function in host.functions if function.address in labels]
    by_unit: dict[object, list[Function]] = {}
    units_of: dict[str, set[object]] = {}
    for function in functions:
        unit = units.get(function.address, str(function.address))
        by_unit.setdefault(unit, []).append(function)
        for label in labels[function.address]:
            units_of.setdefault(label, set()).add(unit)
    cards = []
    for members in by_unit.values():
        if len(members) > 1:
            own = {function.address: frozenset(labels[function.address]) for function in members}
            every = frozenset[str]().union(*own.values())
            mixed = frozenset(label for label in every if len(units_of[label]) > 1)
            cards.append(CardInParts(tuple(members), own, mixed))
    return tuple(cards)

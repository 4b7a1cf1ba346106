"""A host's facts as they will be when its cards are split as a site file says. Pure.

nova is told of VFs by their addresses, so a plan is rendered and counted with VFs that are not made
yet. Their addresses are the next free ones behind the card's, and their ids are the card's: both
are the driver's affair, and how many can be given depends on neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from wholecard.core.record import replace
from wholecard.host.facts.host import Host
from wholecard.nova.desired.mdev_types import vfs_of
from wholecard.pci import Address, Function
from wholecard.pci.splitting.nvidia import SRIOV
from wholecard.pci.splitting.registry import find_card
from wholecard.site.card_matching import functions_of
from wholecard.site.give import Mdev, Mig, Vfs
from wholecard.site.give_checks import asked_vfs
from wholecard.site.model import Site

_MOST_IDS = 1 << 16


def planned_facts(site: Site, name: str, host: Host) -> Host:
    """The facts of the site's host `name` with the VFs that its cards will have."""
    functions = host.functions
    for kind in site.cards.values():
        for card in functions_of(kind, name, host) if kind.parts is not None else ():
            if kind.parts is not None:
                lacking = _needed(kind.parts, card, host) - len(vfs_of(card, host))
                functions = _with_vfs(functions, card, lacking)
    return host if functions is host.functions else replace(host, functions=functions)


def _needed(parts: Mdev | Vfs | Mig, card: Function, host: Host) -> int:
    """How many VFs the card needs so that nova can be told of its parts."""
    if asked_vfs(parts):
        return asked_vfs(parts)
    types = host.slices.mdev_types if host.slices else ()
    known = find_card(card.ids)
    is_parent = any(row.parent == str(card.address) for row in types)
    if is_parent or known is None or known.generation not in SRIOV:
        return 0
    # Each VF is the parent of one mediated device.
    return sum(each.count for each in parts.types.values())


def _with_vfs(functions: tuple[Function, ...], card: Function, number: int) -> tuple[Function, ...]:
    if number <= 0:
        return functions
    used = {function.address for function in functions}
    made = [
        replace(
            card, address=address, physfn=card.address, sriov_total=0, sriov_vfs=0, driver=None,
            driver_module=None, boot_vga=False, path="", serial="", iommu_group=None,
        )
        for address in islice(_behind(card.address, used), number)
    ]  # fmt: skip
    return tuple(sorted((*functions, *made), key=lambda function: function.address))


def _behind(address: Address, used: set[Address]) -> Iterator[Address]:
    """Free addresses behind this one, in the order of routing IDs."""
    own = address.bus << 8 | address.slot << 3 | address.function
    for routing in range(own + 1, _MOST_IDS):
        free = Address(address.domain, routing >> 8, routing >> 3 & 31, routing & 7)
        if free not in used:
            yield free

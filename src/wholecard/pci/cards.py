"""Cards: the functions that belong to one, and what shares their IOMMU group.

Which functions of a slot a guest gets, `membership` decides.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.pci.function import Function
from wholecard.pci.groups import IommuGroup
from wholecard.pci.membership import behind_own_switch, serves_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wholecard.pci.address import Address


@dataclass(frozen=True)
class Card:
    """The functions that belong together, at least one of them a GPU or another accelerator.

    They are the slot's and, behind the card's own switch, those of other slots. `kept` are
    functions of the slot that stay with the host, for they serve it and have IOMMU groups of their
    own. `companions` are endpoints of neither that share an IOMMU group with the card; some of
    them may belong to another card. A guest gets the card with them or not at all.
    """

    functions: tuple[Function, ...]
    companions: tuple[Function, ...] = ()
    kept: tuple[Function, ...] = ()

    @property
    def slot(self) -> str:
        """The card's name: its slot, `0000:01:00`."""
        return self.gpu[0].address.slot_key

    def has(self, address: Address) -> bool:
        """Whether the function at `address` is the card's, or an address of a VF in its slot is."""
        if any(function.address == address for function in self.kept):
            return False
        own = any(function.address == address for function in self.functions)
        return own or address.slot_key == self.slot

    @property
    def gpu(self) -> tuple[Function, ...]:
        """The functions of a display or accelerator class; never empty."""
        return tuple(function for function in self.functions if function.is_display)

    @property
    def boot_display(self) -> bool:
        """Whether the firmware's console is on this card (sysfs `boot_vga`)."""
        return any(function.boot_vga for function in self.functions)

    @property
    def bar_bytes(self) -> int:
        """The memory that the BARs of all its functions need together."""
        return sum(size for function in self.functions for size in function.bars)

    @property
    def serial(self) -> str:
        """The serial number that one of its functions has; empty if none is known."""
        return next((function.serial for function in self.functions if function.serial), "")

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants of vfio-pci that this kernel has for its functions, without repetition."""
        return tuple(dict.fromkeys(f.variant for f in self.functions if f.variant))

    @property
    def title(self) -> str:
        """Slot and the GPU's name or ids, by which a person recognises the card."""
        gpu = self.gpu[0]
        title = f"{self.slot} {gpu.vendor_name} {gpu.device_name or gpu.ids}"
        return title.replace("  ", " ")

    def to_json(self) -> dict[str, Any]:
        """`{"slot", "functions", "gpu", "companions", "kept", "boot_display"}`, by address."""
        return {
            "slot": self.slot,
            "functions": [str(function.address) for function in self.functions],
            "gpu": [str(function.address) for function in self.gpu],
            "companions": [str(function.address) for function in self.companions],
            "kept": [str(function.address) for function in self.kept],
            "boot_display": self.boot_display,
        }


def find_cards(functions: Iterable[Function], groups: Iterable[IommuGroup]) -> tuple[Card, ...]:
    """The cards among `functions`, by slot, with the companions that `groups` give them.

    A VF is not a card: it is a part of its PF's. Bridges never belong to one.
    """
    endpoints = [each for each in functions if each.physfn is None and not each.is_bridge]
    with_gpu = [
        [*slot, *behind_own_switch(slot, endpoints)]
        for slot in _slots(endpoints)
        if any(function.is_display for function in slot)
    ]
    shared = _groups_by_address(groups, {f.address for members in with_gpu for f in members})
    return tuple(_card(tuple(members), shared) for members in with_gpu)


def _slots(endpoints: Iterable[Function]) -> list[list[Function]]:
    """The functions of each slot, slots and functions in the order of their addresses."""
    slots: dict[tuple[int, int, int], list[Function]] = {}
    for function in endpoints:
        address = function.address
        slots.setdefault((address.domain, address.bus, address.slot), []).append(function)
    return [
        sorted(slots[slot], key=lambda function: function.address.function)
        for slot in sorted(slots)
    ]


def _groups_by_address(
    groups: Iterable[IommuGroup], addresses: set[Address]
) -> dict[Address, list[IommuGroup]]:
    shared: dict[Address, list[IommuGroup]] = {}
    for group in groups:
        for function in group.functions:
            if function.address in addresses:
                shared.setdefault(function.address, []).append(group)
    return shared


def _card(candidates: tuple[Function, ...], shared: dict[Address, list[IommuGroup]]) -> Card:
    kept = tuple(each for each in candidates if serves_host(each, candidates, shared))
    functions = tuple(each for each in candidates if each not in kept) if kept else candidates
    return Card(functions, _companions(functions, shared), kept)


def _companions(
    functions: tuple[Function, ...], shared: dict[Address, list[IommuGroup]]
) -> tuple[Function, ...]:
    """The endpoints that share an IOMMU group with a card's functions, by address."""
    own = {function.address for function in functions}
    companions = {
        endpoint.address: endpoint
        for address in own
        for group in shared.get(address, ())
        for endpoint in group.endpoints
        if endpoint.address not in own
    }
    return tuple(companions[address] for address in sorted(companions))

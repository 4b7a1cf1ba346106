"""Cards: all functions of one slot, and what shares their IOMMU group."""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.pci.function import Function
from wholecard.pci.groups import IommuGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wholecard.pci.address import Address


@dataclass(frozen=True)
class Card:
    """All functions of one slot, at least one of them a GPU or another accelerator.

    `companions` are endpoints outside the slot that share an IOMMU group with a function in it;
    some of them may belong to another card. A guest gets the card with them or not at all.
    """

    functions: tuple[Function, ...]
    companions: tuple[Function, ...] = ()

    @property
    def slot(self) -> str:
        """The card's name: its slot, `0000:01:00`."""
        return self.functions[0].address.slot_key

    @property
    def gpu(self) -> tuple[Function, ...]:
        """The functions of a display or accelerator class; never empty."""
        return tuple(function for function in self.functions if function.is_display)

    @property
    def boot_display(self) -> bool:
        """Whether the firmware's console is on this card (sysfs `boot_vga`)."""
        return any(function.boot_vga for function in self.functions)

    @property
    def title(self) -> str:
        """Slot and the GPU's name or ids, by which a person recognises the card."""
        gpu = self.gpu[0]
        title = f"{self.slot} {gpu.vendor_name} {gpu.device_name or gpu.ids}"
        return title.replace("  ", " ")

    def to_json(self) -> dict[str, Any]:
        """`{"slot", "functions", "gpu", "companions", "boot_display"}`, functions by address."""
        return {
            "slot": self.slot,
            "functions": [str(function.address) for function in self.functions],
            "gpu": [str(function.address) for function in self.gpu],
            "companions": [str(function.address) for function in self.companions],
            "boot_display": self.boot_display,
        }


def find_cards(functions: Iterable[Function], groups: Iterable[IommuGroup]) -> tuple[Card, ...]:
    """The cards among `functions`, by slot, with the companions that `groups` give them.

    A VF is not a card: it is a part of its PF's. Bridges never belong to one.
    """
    slots: dict[tuple[int, int, int], list[Function]] = {}
    for function in functions:
        if function.physfn is None and not function.is_bridge:
            address = function.address
            slot = (address.domain, address.bus, address.slot)
            slots.setdefault(slot, []).append(function)
    with_gpu = [
        sorted(slots[slot], key=lambda function: function.address.function)
        for slot in sorted(slots)
        if any(function.is_display for function in slots[slot])
    ]
    shared = _groups_by_address(groups, {f.address for members in with_gpu for f in members})
    return tuple(_card(tuple(members), shared) for members in with_gpu)


def _groups_by_address(
    groups: Iterable[IommuGroup], addresses: set[Address]
) -> dict[Address, list[IommuGroup]]:
    shared: dict[Address, list[IommuGroup]] = {}
    for group in groups:
        for function in group.functions:
            if function.address in addresses:
                shared.setdefault(function.address, []).append(group)
    return shared


def _card(functions: tuple[Function, ...], shared: dict[Address, list[IommuGroup]]) -> Card:
    own = {function.address for function in functions}
    companions = {
        endpoint.address: endpoint
        for address in own
        for group in shared.get(address, ())
        for endpoint in group.endpoints
        if endpoint.address not in own
    }
    return Card(functions, tuple(companions[address] for address in sorted(companions)))

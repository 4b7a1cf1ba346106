"""What a host has: addresses, functions, cards and IOMMU groups, read from sysfs.

Standard library only, Python 3.9: this room travels to hosts. Nothing here writes.
"""

from __future__ import annotations

from wholecard.pci.address import Address
from wholecard.pci.bmc import is_bmc_display, is_console_like
from wholecard.pci.cards import Card, find_cards
from wholecard.pci.function import Function, slot_path
from wholecard.pci.groups import IommuGroup, ReservedRegion, predicted_groups, read_groups
from wholecard.pci.sysfs import read_functions

__all__ = [
    "Address", "Card", "Function", "IommuGroup", "ReservedRegion", "find_cards", "is_bmc_display",
    "is_console_like",     "predicted_groups", "read_functions", "read_groups", "slot_path",
]  # fmt: skip

"""Where a function is by slots: what stays the same when other devices renumber the buses."""

from __future__ import annotations

from wholecard.pci.address import Address
from wholecard.pci.function import Function


def slot_path(function: Function) -> str:
    """`0000:00/02.0/00.0`: the root bus, each bridge's device and function, and its own.

    Bus numbers are assigned at boot, in the order in which bridges are found; the slot of a
    bridge on its bus is wiring. Behind Intel VMD the root bus is that of the domain which the VMD
    makes (`10000:e0`).
    """
    return function.path or _derived(function.parents, function.address)


def _derived(parents: tuple[Address, ...], address: Address) -> str:
    chain = [*(parent for parent in parents if parent.domain == address.domain), address]
    root = f"{address.domain:04x}:{chain[0].bus:02x}"
    return "/".join([root, *(f"{step.slot:02x}.{step.function:x}" for step in chain)])

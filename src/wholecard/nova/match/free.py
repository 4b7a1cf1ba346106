"""Which devices are left when some are in use."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from wholecard.nova.match.device import Device

__all__ = ["free_devices"]


def free_devices(devices: Iterable[Device], taken: Collection[str]) -> tuple[Device, ...]:
    """The devices nova counts as free when those at the addresses `taken` are claimed, in order.

    With a PF its VFs are gone, with a VF its PF; other VFs of the PF stay.

    Source: nova `nova/objects/pci_device.py`, `claim`. Read, not compared with the real thing.
    """
    devices = tuple(devices)
    parents = {each.parent_addr for each in devices if each.address in taken}
    return tuple(
        each
        for each in devices
        if each.address not in taken
        and each.parent_addr not in taken
        and each.address not in parents
    )

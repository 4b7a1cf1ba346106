"""Which devices are free when some are in use."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from wholecard.nova.match.device import Device

__all__ = ["free_devices"]


def free_devices(devices: Iterable[Device], taken: Collection[str]) -> tuple[Device, ...]:
    """The devices nova counts as free when those at the addresses `taken` are claimed, in order.

    With a PF its VFs are not free either, with a VF its PF; other VFs of the PF stay free.

    Source: nova `nova/objects/pci_device.py`, `claim`. Read, not compared with the real thing.
    """
    devices = tuple(devices)
    parents = {device.parent_addr for device in devices if device.address in taken}
    return tuple(
        device
        for device in devices
        if device.address not in taken
        and device.parent_addr not in taken
        and device.address not in parents
    )

"""From functions in sysfs to devices as nova's libvirt driver reports them."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.nova.match.device import Device
from wholecard.pci import Function
from wholecard.pci.device_types import PciDeviceType

__all__ = ["devices_of"]


def devices_of(functions: Iterable[Function]) -> tuple[Device, ...]:
    """The devices nova would be told of, in the same order.

    A function with an SR-IOV capability is `type-PF` even without VFs: libvirt shows the
    `virt_functions` capability from its highest possible number of VFs (`sriov_totalvfs`). A VF
    is `type-VF` under its PF, all else is `type-PCI`, bridges too. A VF without a serial number
    of its own has its PF's. What sysfs cannot tell: a VF that carries a vDPA device is `vdpa` to
    nova, and is `type-VF` here. A function without ids is left out, for libvirt names none such.

    Source: nova `nova/virt/libvirt/host.py` `_get_pcidev_info` (up to Victoria in `driver.py`),
    the same from Mitaka to 2026.2; libvirt `src/conf/node_device_conf.c`
    `virNodeDeviceGetPCISRIOVCaps`.
    """
    functions = tuple(functions)
    serials = {each.address: each.serial for each in functions}
    devices = []
    for each in functions:
        if not each.vendor or not each.device:
            continue
        dev_type: PciDeviceType = "type-PCI"
        if each.physfn is not None:
            dev_type = "type-VF"
        elif each.sriov_total > 0:
            dev_type = "type-PF"
        inherited = serials.get(each.physfn, "") if each.physfn is not None else ""
        devices.append(
            Device(
                address=str(each.address),
                vendor_id=each.vendor,
                product_id=each.device,
                dev_type=dev_type,
                parent_addr=None if each.physfn is None else str(each.physfn),
                numa_node=each.numa_node,
                serial=each.serial or inherited,
            )
        )
    return tuple(devices)

"""From functions in sysfs to devices as nova's libvirt driver reports them."""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.nova.match.device import Device
from wholecard.pci import Function
from wholecard.pci.device_types import PciDeviceType

__all__ = ["devices_of"]


def devices_of(functions: Iterable[Function]) -> tuple[Device, ...]:
    """The devices that libvirt would report to nova, in the same order.

    A function with an SR-IOV capability is `type-PF` even without VFs: libvirt shows the
    `virt_functions` capability from its highest possible number of VFs (`sriov_totalvfs`). A VF
    is `type-VF` under its PF, all else is `type-PCI`, bridges too. A VF without a serial number
    of its own has its PF's. sysfs does not show vDPA: a VF with a vDPA device is `vdpa` to nova,
    and `type-VF` here. A function without ids is left out, because libvirt does not list it.

    Source: nova `nova/virt/libvirt/host.py` `_get_pcidev_info` (up to Victoria in `driver.py`),
    the same from Mitaka to 2026.2; libvirt `src/conf/node_device_conf.c`
    `virNodeDeviceGetPCISRIOVCaps`.
    """
    functions = tuple(functions)
    serials = {function.address: function.serial for function in functions}
    devices = []
    for function in functions:
        if not function.vendor or not function.device:
            continue
        dev_type: PciDeviceType = "type-PCI"
        if function.physfn is not None:
            dev_type = "type-VF"
        elif function.sriov_total > 0:
            dev_type = "type-PF"
        inherited = serials.get(function.physfn, "") if function.physfn is not None else ""
        devices.append(
            Device(
                address=str(function.address),
                vendor_id=function.vendor,
                product_id=function.device,
                dev_type=dev_type,
                parent_addr=None if function.physfn is None else str(function.physfn),
                numa_node=function.numa_node,
                serial=function.serial or inherited,
            )
        )
    return tuple(devices)

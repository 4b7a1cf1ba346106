"""Devices as nova's libvirt driver reports them, and the host as nova's parser asks about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from wholecard.nova.match.fields import Fields, device_fields
from wholecard.pci import Function
from wholecard.pci.device_types import PciDeviceType


@dataclass(frozen=True)
class Device:
    """One function as `get_available_resource` of nova's libvirt driver lists it.

    `address` is as nova prints it (`0000:41:00.0`; five or more digits of domain behind Intel
    VMD), ids are four lower-case hexadecimal digits. `parent_addr` is the PF's address on a VF
    and on the VF of a vDPA device. `numa_node` is None where the host does not say. `serial` is
    the card's serial number in its VPD, which nova asks for where `remote_managed` is set.
    """

    address: str
    vendor_id: str
    product_id: str
    dev_type: PciDeviceType = "type-PCI"
    parent_addr: str | None = None
    numa_node: int | None = None
    serial: str = ""

    @cached_property
    def fields(self) -> Fields:
        """The address in fields. Raises UnreadableAddressError where nova cannot read it."""
        return device_fields(self.address)

    @cached_property
    def parent_fields(self) -> Fields | None:
        """The PF's address in fields, None without one. Raises UnreadableAddressError."""
        return device_fields(self.parent_addr) if self.parent_addr else None

    @property
    def provider_address(self) -> str:
        """The address its Placement provider is named after: its PF's, or its own."""
        return self.parent_addr or self.address


class Sysfs(Protocol):
    """What nova looks up on the host while it reads a `device_spec`."""

    def is_physical_function(self, address: str) -> bool:
        """Whether this function is there and can have VFs."""

    def function_of(self, interface: str) -> tuple[str, bool] | None:
        """The address behind a network interface and whether it is a PF; None without one."""


class DeviceSysfs:
    """A host known by its devices and, where it matters, its network interfaces by address.

    `DeviceSysfs(())` is a host of which nothing is known: it has no PFs, so a PF's address matches
    the PF and not its VFs.
    """

    def __init__(self, devices: Iterable[Device], interfaces: Mapping[str, str] | None = None):
        self._pfs = frozenset(pf.address for pf in devices if pf.dev_type == "type-PF")
        self._interfaces = dict(interfaces or {})

    def is_physical_function(self, address: str) -> bool:
        """Whether this function is there and can have VFs."""
        return address in self._pfs

    def function_of(self, interface: str) -> tuple[str, bool] | None:
        """The address behind a network interface and whether it is a PF; None without one."""
        address = self._interfaces.get(interface)
        return None if address is None else (address, address in self._pfs)


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
        dev_type: PciDeviceType = "type-PF" if function.sriov_total > 0 else "type-PCI"
        parent, serial = None, function.serial
        if function.physfn is not None:
            dev_type, parent = "type-VF", str(function.physfn)
            serial = serial or serials.get(function.physfn, "")
        device = Device(
            address=str(function.address),
            vendor_id=function.vendor,
            product_id=function.device,
            dev_type=dev_type,
            parent_addr=parent,
            numa_node=function.numa_node,
            serial=serial,
        )
        devices.append(device)
    return tuple(devices)


def free_devices(devices: Iterable[Device], taken: Collection[str]) -> tuple[Device, ...]:
    """The devices nova counts as free when those at the addresses `taken` are claimed, in order.

    With a PF its VFs are not free either, with a VF its PF; other VFs of the PF stay free.

    Source: nova `nova/objects/pci_device.py`, `claim`. Read, not compared with the real thing.
    """
    devices = tuple(devices)
    parents = {device.parent_addr for device in devices if device.address in taken}
    gone = parents.union(taken)
    return tuple(one for one in devices if one.address not in gone and one.parent_addr not in taken)

"""A device as nova's libvirt driver reports it, and the host as nova's parser asks about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from wholecard.nova.match.fields import Fields, device_fields
from wholecard.pci.device_types import PciDeviceType

__all__ = ["Device", "DeviceSysfs", "Sysfs"]


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

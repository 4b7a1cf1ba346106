"""Functions of a host as devices of nova."""

from __future__ import annotations

from wholecard.nova.match import Device, devices_of
from wholecard.pci import Address, Function

CARD = Address.parse("0000:41:00.0")
NIC = Address.parse("0000:81:00.0")
VMD = Address.parse("10000:01:00.0")


def test_devices() -> None:
    """An SR-IOV capability makes a PF even without VFs; a VF has its PF's serial number."""
    functions = (
        Function(CARD, "10de", "2331", numa_node=0, sriov_total=32),
        Function(NIC, "15b3", "101d", sriov_total=8, sriov_vfs=1, serial="MT1"),
        Function(Address(0, 0x81, 0, 1), "15b3", "101e", physfn=NIC),
        Function(Address(0, 0, 1, 0), "8086", "1901", class_code="060400"),
        Function(VMD, "8086", "0a54"),
        Function(Address(0, 2, 0, 0)),
    )
    assert devices_of(functions) == (
        Device("0000:41:00.0", "10de", "2331", "type-PF", numa_node=0),
        Device("0000:81:00.0", "15b3", "101d", "type-PF", serial="MT1"),
        Device("0000:81:00.1", "15b3", "101e", "type-VF", "0000:81:00.0", serial="MT1"),
        Device("0000:00:01.0", "8086", "1901"),
        Device("10000:01:00.0", "8086", "0a54"),
    )

"""What nova calls a device's type and its NUMA policy: the words, once.

Since which release nova has them is in `core/capabilities.py`.
"""

from __future__ import annotations

from typing import Literal, get_args

# nova/objects/fields.py, PciDeviceType.
PciDeviceType = Literal["type-PCI", "type-PF", "type-VF", "vdpa"]
# What `device_type` of an alias may be, for aliases never get a vDPA device: nova/pci/request.py.
DeviceType = Literal["type-PCI", "type-PF", "type-VF"]
DEVICE_TYPES: tuple[DeviceType, ...] = get_args(DeviceType)

# nova/objects/fields.py, PCINUMAAffinityPolicy.
NumaPolicy = Literal["required", "preferred", "legacy", "socket"]
NUMA_POLICIES: tuple[NumaPolicy, ...] = get_args(NumaPolicy)

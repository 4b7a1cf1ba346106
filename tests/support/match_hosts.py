"""Hosts for the tests of matching: two cards, a NIC with VFs, and how to read specs for them."""

from __future__ import annotations

import json
import os
from typing import Any

from wholecard.nova.match import Device, DeviceSysfs, Rules, Spec, rules_for

# How many inputs a property is tried on; the long test set asks for more.
EXAMPLES = int(os.environ.get("WHOLECARD_EXAMPLES", "200"))

NEW = rules_for(34)
REPORTING = rules_for(34, report_in_placement=True)
ASKING = rules_for(34, report_in_placement=True, pci_in_placement=True)

CARD = Device("0000:41:00.0", "10de", "2331", "type-PF", numa_node=0)
FAR_CARD = Device("0000:c1:00.0", "10de", "2331", "type-PF", numa_node=1)
PLAIN = Device("0000:42:00.0", "10de", "2204", numa_node=0)
NIC = Device("0000:81:00.0", "15b3", "101d", "type-PF", numa_node=1, serial="MT1")
VF = Device("0000:81:00.1", "15b3", "101e", "type-VF", "0000:81:00.0", 1, "MT1")
VDPA = Device("0000:81:00.2", "15b3", "101e", "vdpa", "0000:81:00.0", 1, "MT1")
WIDE = Device("10000:01:00.0", "8086", "0a54")
ALL = (CARD, FAR_CARD, PLAIN, NIC, VF, VDPA, WIDE)
SYSFS = DeviceSysfs(ALL, {"eth0": NIC.address, "eth1": VF.address})


def specs(*confs: Any, rules: Rules = NEW) -> tuple[Spec, ...]:
    """The specs of these objects."""
    return tuple(spec for conf in confs for spec in Spec.parse(json.dumps(conf), rules, SYSFS))


def spec(conf: Any, rules: Rules = NEW) -> Spec:
    """The one spec of this object."""
    (only,) = specs(conf, rules=rules)
    return only

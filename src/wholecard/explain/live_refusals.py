"""The sentences with which a live migration of a server with a device is refused, and what to do.

One table, as in `refusals`: the first row that matches counts. nova's sentences were read in nova
of August 2026; they are in `openstack server event show` and in the logs of nova-conductor and
nova-compute, QEMU's in nova-compute's log on the source. "Seen" are those that two nodes gave.
"""

from __future__ import annotations

import re

from wholecard.explain.refusals import Cause
from wholecard.nova.live_migration import MDEVS, PCI_DEVICES, POST_COPY

# What it is, what the sentence contains, and who says it where.
LIVE_MESSAGES: tuple[tuple[str, str, str], ...] = (
    ("live-devices", r"does not explicitly request live-migratable devices",
     "nova/conductor/tasks/live_migrate.py, _check_can_migrate_pci (2025.1)"),
    ("live-ports", r"Cannot live migrate VIF with related PCI",
     "nova/conductor/tasks/live_migrate.py, _check_can_migrate_pci"),
    ("live-versions", r"libvirt or QEMU version for compute service \S+ are too old",
     "nova/virt/libvirt/driver.py, _assert_source_can_live_migrate_mdevs"),
    ("live-types", r"Source mdev types .* are not supported by this compute",
     "nova/virt/libvirt/driver.py, check_source_migrate_data_at_dest"),
    ("live-too-few", r"Source mdevs .* are not fully mapped for this compute",
     "nova/virt/libvirt/driver.py, check_source_migrate_data_at_dest"),
    ("live-key", r"configured for live_migratable but it's not supported by libvirt",
     "nova/virt/libvirt/driver.py, _check_pci_whitelist"),
    ("live-cpu", r"Unacceptable CPU info", "nova/exception.py, seen"),
    ("live-post-copy", re.escape(POST_COPY).replace("\\ ", " "), "QEMU hw/vfio/migration.c"),
    ("live-no-state", r"VFIO migration is not supported in kernel",
     "QEMU hw/vfio/migration.c, seen with 10.0"),
    ("live-dirty",
     r"VFIO device doesn't support device (?:and IOMMU )?dirty tracking"
     r"|Failed to get DMA logging report", "QEMU hw/vfio/migration.c, seen with 10.0"),
    ("live-hostdev", r"cannot migrate a domain with <hostdev",
     "libvirt src/qemu/qemu_migration.c"),
    ("live-check", r"Migration pre-check error", "nova/exception.py"),
)  # fmt: skip

_COLD = "wholecard migrate moves it cold."
LIVE: dict[str, Cause] = {
    "live-devices": Cause(
        "the server was made by an alias that does not ask for devices that migrate: "
        "nova-conductor looks at the request that is stored with the server",
        'Write "live_migratable": "yes" in the alias and in device_spec of both hosts, where the '
        "card has a variant driver of VFIO that can do it, and resize the server: what it has "
        f"asked for stays as it was. Else {_COLD}", ("WC257", "WC272")),
    "live-ports": Cause(
        "a port of the server has a VF, and Neutron or one of the hosts is too old for that",
        "Upgrade nova-compute on both hosts, and Neutron with the extension binding-extended.", ()),
    "live-versions": Cause(
        f"libvirt or QEMU of one of the two hosts is too old: mediated devices need {MDEVS}",
        "Upgrade the host that the sentence names (source or target), and restart its "
        f"nova-compute. Until then {_COLD}", ("WC271",)),
    "live-types": Cause(
        "nova-compute on the destination does not enable the type of the server's mediated device",
        "Add the type to [devices] enabled_mdev_types there, with its parents, or name another "
        "host.", ("WC264", "WC351")),
    "live-too-few": Cause(
        "the destination could not make a mediated device of the same type for each one that the "
        "server has",
        "See what its parents have left:\n    wholecard explain --server ID --host HOST",
        ("WC355", "WC356")),
    "live-key": Cause(
        f"nova-compute does not start: live_migratable in device_spec needs {PCI_DEVICES}",
        "Upgrade libvirt and QEMU of that host, or take the key out of its device_spec.",
        ("WC271",)),
    "live-cpu": Cause(
        "the destination's CPU lacks what the guest's CPU model has",
        "Set [libvirt] cpu_mode = custom with a cpu_models that both hosts have, and reboot the "
        "server hard. Of emulated CPUs nova may be wrong: [workarounds] skip_cpu_compare_on_dest.",
        ()),
    "live-post-copy": Cause(
        "QEMU does not move a device where post-copy is permitted",
        "Set [libvirt] live_migration_permit_post_copy = false on both hosts.", ("WC270",)),
    "live-no-state": Cause(
        "the host's driver of the device cannot hand over its state: vfio-pci never can",
        f"Bind a variant driver of VFIO that can, where the card has one. Else {_COLD}",
        ("WC257",)),
    "live-dirty": Cause(
        "neither the device's driver nor the IOMMU can say which memory the device has written",
        "Use a kernel with IOMMUFD (CONFIG_IOMMUFD_DRIVER), which Debian's does not have, and a "
        f"driver that reports it. Else {_COLD}", ()),
    "live-hostdev": Cause(
        "libvirt does not migrate this kind of device", f"{_COLD[:1].upper()}{_COLD[1:]}", ()),
    "live-check": Cause(
        "a check of nova's before the migration failed",
        "Read the rest of the sentence in nova-conductor's log, and in nova-compute's on both "
        "hosts.", ()),
}  # fmt: skip


def live_kind_of(message: str) -> str | None:
    """Which of these refusals the message is; None where it is none of a live migration."""
    return next((kind for kind, pattern, _ in LIVE_MESSAGES if re.search(pattern, message)), None)

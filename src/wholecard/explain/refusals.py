"""The sentences with which nova, libvirt, QEMU and the kernel refuse, and what each proves.

A server's fault has 255 characters of the sentence; nova-compute's log has all of it. One table:
`kind_of` names the first row that matches, `HYPERVISOR` says what the host's kinds mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "alias-not-defined", "alias-refused", "quota", "scheduler-found-no-card", "no-candidate",
    "filtered", "hosts-refused", "no-host", "claim-cards", "claim-numa", "nova-record", "iommu-off",
    "interrupts", "reserved-region", "not-viable", "group-busy", "in-use", "unbind", "unmanaged",
    "reset", "no-answer", "memlock", "dma-map", "address-width", "no-vfio", "group-access", "gone",
    "no-acs", "bar-taken", "attach",
]  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """Why a host could not start the server, and what to do there; `rules` have pages on it."""

    why: str
    fix: str
    rules: tuple[str, ...] = ()


# Kind, what the sentence contains, and who says it where.
_MESSAGES: tuple[tuple[Kind, str, str], ...] = (
    ("alias-not-defined", r"PCI alias .* is not defined", "nova/exception.py"),
    ("alias-refused", r"Invalid PCI alias definition|PCI alias\(es\)", "nova/exception.py"),
    ("quota", r"[Qq]uota exceeded|over limit|exceeds? .*quota", "nova/exception.py, nova/limit"),
    # nova-scheduler logs it and goes on; a claim on a compute may end in it as well.
    ("scheduler-found-no-card", r"PCI device request|PciDeviceRequestFailed", "nova/pci/stats.py"),
    ("claim-numa", r"Requested instance NUMA topology", "nova/compute/claims.py"),
    ("claim-cards", r"Claim pci failed", "nova/compute/claims.py"),
    ("nova-record",
     r"PCI device \S+ is \w+ instead of|PCI device \S+ is owned by|PCI Device \S+ not found\."
     r"|Attempt to consume PCI device|Not all Virtual Functions of PF|Physical Function \S+, "
     r"related to VF", "nova/exception.py, raised by nova/objects/pci_device.py"),
    ("iommu-off",
     r"host doesn't support (?:passthrough of host PCI devices|VFIO PCI)|no iommu_group found"
     r"|not in an IOMMU group|[Nn]o IOMMU|IOMMU not present",
     "libvirt src/hypervisor/domain_driver.c and virpci.c; QEMU hw/vfio"),
    ("interrupts", r"[Nn]o interrupt remapping|allow_unsafe_interrupts",
     "linux drivers/vfio/vfio_iommu_type1.c"),
    ("reserved-region",
     r"ineligible for IOMMU domain attach|RMRR requirement|requested this device have a 1:1",
     "linux drivers/iommu/intel/iommu.c, drivers/iommu/iommu.c"),
    ("not-viable", r"not viable|Verify all devices in group|bound to their vfio bus driver",
     "QEMU hw/vfio/container.c and pci.c"),
    ("group-busy",
     r"/dev/vfio/\S+: Device or resource busy|group \S+ (?:is )?(?:already )?in use",
     "QEMU hw/vfio/container.c"),
    ("group-access",
     r"/dev/vfio/\S+?'?: (?:Permission denied|Operation not permitted|No such file)",
     "QEMU hw/vfio/container.c; libvirt src/util/virpci.c"),
    ("in-use", r"PCI device \S+ is in use|is already in use by|is in use by driver",
     "libvirt src/hypervisor/virhostdev.c"),
    ("unmanaged", r"Unmanaged PCI device \S+ must be manually detached",
     "libvirt src/hypervisor/virhostdev.c"),
    ("no-acs", r"behind a switch lacking ACS|is not assignable", "libvirt src/util/virpci.c"),
    ("no-vfio", r"[Ff]ailed to load PCI (?:stub|driver) module|vfio-pci\S* not found"
     r"|Module vfio[-_]pci not found", "libvirt src/util/virpci.c"),
    ("unbind",
     r"[Ff]ailed to (?:un)?bind|[Uu]nable to (?:un)?bind|[Ff]ailed to add PCI device ID"
     r"|Failed to (?:prepare|detach) PCI device|driver_override", "libvirt src/util/virpci.c"),
    ("no-answer", r"Unknown PCI header type|not ready \d+ms after|device inaccessible"
     r"|Unable to change power state|failed to read .* config", "libvirt src/util/virpci.c; linux "
     "drivers/pci/pci.c"),
    ("reset", r"[Uu]nable to reset PCI device|not doing bus reset|no FLR, PM reset or bus reset"
     r"|[Cc]annot reset device", "libvirt src/util/virpci.c; QEMU hw/vfio/pci.c"),
    ("gone", r"[Dd]evice \S+ not found|could not access \S*/sys/bus/pci|error getting device \S+ "
     r"from group", "libvirt src/util/virpci.c; QEMU hw/vfio/container.c"),
    ("memlock", r"cannot limit locked memory|RLIMIT_MEMLOCK"
     r"|(?:VFIO_MAP_DMA|vfio\S*dma_map|vfio_pin_pages).*(?:-12\b|Cannot allocate memory)",
     "libvirt src/util/virprocess.c; QEMU hw/vfio; linux drivers/vfio/vfio_iommu_type1.c"),
    ("address-width", r"phys-bits too low|Address space limit 0x", "QEMU hw/i386/pc.c"),
    ("bar-taken", r"can't reserve \[mem|Failed to mmap \S+ BAR|BAR \d+: can't",
     "linux drivers/vfio/pci/vfio_pci_core.c; QEMU hw/vfio/pci.c"),
    ("dma-map", r"VFIO_MAP_DMA|vfio\S*dma_map|memory listener initialization failed",
     "QEMU hw/vfio"),
    ("attach", r"vfio|VFIO_|hostdev|host device|host PCI device|iommu|PCI device",
     "libvirt, QEMU"),
    ("hosts-refused", r"Exhausted all hosts available|Exceeded maximum number of retries",
     "nova/conductor/manager.py"),
    # The filters or the claim left none.
    ("filtered", r"There are not enough hosts available", "nova/scheduler/manager.py"),
    # The same file, since Pike: Placement had no candidate, and the reason is empty.
    ("no-candidate", r"No valid host was found\.\s*(?:$|\")", "nova/scheduler/manager.py"),
    ("no-host", r"No valid host|NoValidHost", "nova/exception.py"),
)  # fmt: skip

_CHECK = "Check the host's drivers and IOMMU groups:\n    wholecard --on {host} check"
_BIND = "Bind every function of the card at boot:\n    wholecard --on {host} host plan --all-cards"
_HOLDER = (
    "Find who has it:\n    openstack server list --all-projects --host {host}\n"
    "    virsh list  # on {host}"
)
_POWER = (
    "Shut the host down and take it off power; a reboot may not be enough for a card that hangs."
)
HYPERVISOR: dict[Kind, Cause] = {
    "claim-numa": Cause(
        "The guest's NUMA layout and its cards do not fit together there",
        "Enable NUMATopologyFilter, so that the scheduler looks before.", ("WC317",)),
    "claim-cards": Cause(
        "nova-compute had no free card that fits when it claimed them",
        "Another server got its cards meanwhile, or the scheduler does not look at cards: check "
        "that PciPassthroughFilter is enabled.", ("WC318", "WC327")),
    "scheduler-found-no-card": Cause(
        "no free card fitted the request when nova took them from its record of the host",
        "Another server got its cards meanwhile; try again, and look for servers there:\n"
        "    openstack server list --all-projects --host {host}", ("WC318",)),
    "nova-record": Cause(
        "nova's record of the card differs from what it is to do with it: another server has it, "
        "or a server that failed still holds it",
        "Compare nova's record with the servers there:\n"
        "    openstack server list --all-projects --host {host}\nand restart nova-compute, which "
        "reads the cards anew.", ("WC318",)),
    "iommu-off": Cause(
        "the host's IOMMU is off, or vfio-pci is not loaded", _CHECK, ("WC101", "WC116")),
    "interrupts": Cause("the host has no interrupt remapping", _CHECK, ("WC102",)),
    "reserved-region": Cause(
        "the firmware reserves memory for the card (RMRR, or a 1:1 mapping), and the kernel keeps "
        "such a device from guests",
        "Turn the function off in the firmware setup that uses the region (often remote "
        "management or shared memory), or use another slot.", ()),
    "not-viable": Cause(
        "an endpoint of the card's IOMMU group has a driver of the host", _BIND,
        ("WC105", "WC104")),
    "group-busy": Cause(
        "another guest has a function of the card's IOMMU group", _HOLDER, ("WC250", "WC107")),
    "group-access": Cause(
        "QEMU may not open the group's file in /dev/vfio, or it is missing", _CHECK, ("WC105",)),
    "in-use": Cause("a domain on the host has the card already", _HOLDER, ("WC151",)),
    "unbind": Cause("libvirt could not take the card from its driver, or give it to vfio-pci",
                    _BIND, ("WC103", "WC108")),
    "unmanaged": Cause(
        "the device_spec has managed false, so that libvirt binds nothing, and the card has the "
        "host's driver", _BIND, ("WC256",)),
    "reset": Cause(
        "the card cannot be reset alone, and other functions on its bus are in use",
        "Give all functions behind the reset to vfio-pci:\n    wholecard --on {host} check",
        ("WC120",)),
    "no-answer": Cause("the card does not answer: it hangs, or sleeps", _POWER, ("WC121",)),
    "memlock": Cause(
        "the guest's memory may not be locked, as VFIO needs it",
        "Raise the limit of locked memory of libvirt's service (LimitMEMLOCK=infinity), and see "
        "whether the host has as much free RAM as the server needs.", ("WC125",)),
    "dma-map": Cause(
        "the IOMMU could not map the guest's memory or another card's BAR",
        "Compare the guest's address width with the cards' memory:\n"
        "    wholecard --on {host} check", ("WC123", "WC124")),
    "address-width": Cause(
        "the guest has fewer address bits than its RAM and its cards' memory need",
        "Set hw:maxphysaddr_mode=passthrough in the flavor (since 2024.1).", ("WC123", "WC337")),
    "no-vfio": Cause("the host's kernel cannot load vfio-pci", _CHECK, ("WC116",)),
    "gone": Cause(
        "the card is not at that address any more",
        "See what the host has, correct device_spec, and restart nova-compute:\n"
        "    wholecard --on {host} inspect", ("WC111",)),
    "no-acs": Cause(
        "a switch above the card cannot isolate it (no ACS)",
        "Use another slot, or switch on ACS in the firmware setup.", ("WC104", "WC107")),
    "bar-taken": Cause(
        "something of the host uses the card's memory, often a console framebuffer", _CHECK,
        ("WC112",)),
    "attach": Cause("libvirt or QEMU could not give the card to the guest", _CHECK, ()),
}  # fmt: skip


def kind_of(message: str) -> Kind | None:
    """Which of these messages this is, None where it is none that we know."""
    return next((kind for kind, pattern, _ in _MESSAGES if re.search(pattern, message)), None)


def cause_of(message: str) -> Cause | None:
    """What a message of a host means; None where it is not a host's, or not known."""
    kind = kind_of(message)
    return HYPERVISOR.get(kind) if kind else None

"""The sentences with which nova, libvirt, QEMU and the kernel refuse, and what each proves.

A server's fault has 255 characters of the sentence; nova-compute's log has all of it. One table:
`kind_of` names the first row that matches, `HYPERVISOR` says what the host's kinds mean.

Each sentence was read where its row says, in nova of August 2026 and Yoga, libvirt 7.0, 9.0 and
11.3, QEMU 5.2, 7.2 and 10.0, Linux 6.1 and 6.12. One that only some of them have says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "alias-not-defined", "alias-refused", "quota", "scheduler-found-no-card", "no-candidate",
    "filtered", "hosts-refused", "no-host", "claim-cards", "claim-numa", "nova-record", "reshape",
    "detach", "iommu-off", "interrupts", "reserved-region", "denied-model", "not-endpoint",
    "container",
    "shared-group", "not-viable", "group-busy", "in-use", "unbind", "unmanaged", "reset",
    "no-answer", "memlock", "dma-map", "address-width", "no-vfio", "group-access", "gone", "no-acs",
    "bar-taken", "guest-memory", "no-slots", "attach",
]  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """Why a host could not start the server, and what to do there; `rules` have pages on it."""

    why: str
    fix: str
    rules: tuple[str, ...] = ()


# Kind, what the sentence contains, and who says it where.
MESSAGES: tuple[tuple[Kind, str, str], ...] = (
    ("alias-not-defined", r"PCI alias .* is not defined", "nova/exception.py"),
    ("alias-refused", r"Invalid PCI alias definition|PCI alias\(es\)",
     "nova/exception.py, nova/pci/request.py"),
    # The last two are oslo.limit's, which nova passes on, and Cinder's for a server's volume.
    ("quota", r"[Qq]uota exceeded|is over a limit for|exceeds allowed \S+ quota",
     "nova/exception.py; oslo_limit/exception.py; cinder/exception.py"),
    # nova-scheduler logs it and goes on; a claim on a compute may end in it as well.
    ("scheduler-found-no-card", r"PCI device request|PciDeviceRequestFailed",
     "nova/exception.py, raised by nova/pci/stats.py"),
    ("claim-numa", r"Requested instance NUMA topology", "nova/compute/claims.py"),
    ("claim-cards", r"Claim pci failed", "nova/compute/claims.py"),
    ("nova-record",
     r"PCI device \S+ is \w+ instead of|PCI device \S+ is owned by|PCI Device \S+ not found\."
     r"|PCI device \d+ not found|Attempt to consume PCI device|Not all Virtual Functions of PF"
     r"|Physical Function \S+, related to VF",
     "nova/exception.py, raised by nova/objects/pci_device.py, nova/db/main/api.py"),
    # nova-compute logs it at its start too, and ends.
    ("reshape", r"Resource provider inventory and allocation data migration failed"
     r"|Resource provider data migration failed fatally",
     "nova/exception.py, ReshapeFailed; nova/compute/manager.py"),
    ("detach", r"Failed to detach PCI device",
     "nova/exception.py, raised by nova/virt/libvirt/driver.py when a server is suspended"),
    ("iommu-off",
     r"host doesn't support (?:passthrough of host PCI devices|VFIO PCI)|no iommu_group found",
     "libvirt src/qemu/qemu_hostdev.c (11.3: qemu_domain.c); QEMU hw/vfio/pci.c (10.0: "
     "container.c)"),
    # The second is iommufd's, in 6.12 and not in 6.1.
    ("interrupts", r"[Nn]o interrupt remapping|MSI interrupts are not secure"
     r"|allow_unsafe_interrupts",
     "linux drivers/vfio/vfio_iommu_type1.c, drivers/iommu/iommufd/device.c"),
    # The first is in 6.1 and not in 6.12, the second the other way round.
    ("reserved-region",
     r"ineligible for IOMMU domain attach|requested this device have a 1:1",
     "linux drivers/iommu/intel/iommu.c, drivers/iommu/iommu.c"),
    ("denied-model", r"exists in vfio-pci device \w+list", "linux drivers/vfio/pci/vfio_pci.c"),
    ("not-endpoint",
     r"Non-endpoint PCI devices cannot be assigned|Only PCI endpoint devices can be reset"
     r"|assignment of PCIe type 0x\w+ devices is not",
     "libvirt src/hypervisor/virhostdev.c, src/util/virpci.c; QEMU hw/vfio/pci.c"),
    # Before the rows of what its hint says ("Verify all devices in group ..."). ENODEV: no function
    # of that name in the group has a VFIO driver (linux drivers/vfio/group.c).
    ("in-use", r"error getting device from group \d+: Device or resource busy",
     "QEMU hw/vfio/common.c (10.0: container.c)"),
    ("unbind", r"error getting device from group \d+: No such device", "the same"),
    ("no-answer", r"error getting device from group \d+", "the same; any other reason"),
    ("shared-group", r"group \d+ used in multiple address spaces", "the same"),
    ("not-viable", r"group \d+ is not viable|bound to their vfio bus driver"
     r"|Verify all devices in group", "the same"),
    # 5.2 and 7.2: failed to open /dev/vfio/12; 10.0: Could not open '/dev/vfio/12'.
    ("group-busy", r"/dev/vfio/\S+: Device or resource busy",
     "QEMU hw/vfio/common.c (10.0: util/osdep.c)"),
    ("group-access",
     r"/dev/vfio/\S+?'?: (?:Permission denied|Operation not permitted|No such file)",
     "the same; libvirt src/security/security_dac.c"),
    ("in-use",
     r"PCI device \S+ is in use|Device \S+ is already in use"
     r"|Not (?:detaching|resetting|reattaching) active device",
     "libvirt src/hypervisor/virhostdev.c, src/util/virpci.c"),
    ("unmanaged", r"Unmanaged PCI device \S+ must be manually detached",
     "libvirt src/hypervisor/virhostdev.c"),
    ("no-acs", r"behind a switch lacking ACS|PCI device \S+ is not assignable",
     "libvirt src/util/virpci.c, src/hypervisor/virhostdev.c"),
    # 11.3 says "driver module" and looks for a variant of vfio-pci, the older ones "stub module".
    ("no-vfio",
     r"Failed to load PCI (?:stub|driver) module|Module vfio[-_]pci not found"
     r"|reported success loading module|supposedly loaded by module"
     r"|does not implement any pci driver|No available IOMMU models",
     "libvirt src/util/virpci.c; modprobe's words in it; QEMU hw/vfio/common.c (10.0: "
     "container.c)"),
    # "bind" and "add PCI device ID" are libvirt's before 7.0, "prepare" is nova's before Yoga.
    ("unbind",
     r"Failed to (?:un)?bind PCI device|Failed to add PCI device ID"
     r"|Failed to add driver \S+ to driver_override|Failed to trigger a probe for PCI device"
     r"|Failed to prepare PCI device", "libvirt src/util/virpci.c; nova/exception.py"),
    ("no-answer",
     r"Unknown PCI header type|not ready \d+ms after|device inaccessible|stuck in D\d"
     r"|Failed to read PCI config space|failed to read device config space",
     "libvirt src/util/virpci.c; linux drivers/pci/pci.c; QEMU hw/vfio/pci.c"),
    ("reset", r"Unable to reset PCI device|not doing bus reset|no FLR, PM reset or bus reset"
     r"|Cannot reset device", "libvirt src/util/virpci.c; QEMU hw/vfio/pci.c"),
    ("gone", r"Device \S+ not found: could not access|PCI device [0-9a-f]{4}:\S+ not found"
     r"|no such host device",
     "libvirt src/util/virpci.c; nova/pci/utils.py; QEMU hw/vfio/pci.c (10.0: helpers.c)"),
    # VFIO_MAP_DMA is in 5.2 and 7.2; 10.0 says vfio_container_dma_map, the others vfio_dma_map.
    ("memlock", r"cannot limit locked memory|RLIMIT_MEMLOCK \("
     r"|(?:VFIO_MAP_DMA|vfio\w*_dma_map).*(?:-12\b|Cannot allocate memory)",
     "libvirt src/util/virprocess.c; linux drivers/vfio/vfio_iommu_type1.c; QEMU hw/vfio"),
    # In 7.2 and 10.0; 5.2 starts the guest.
    ("address-width", r"phys-bits too low|Address space limit 0x", "QEMU hw/i386/pc.c"),
    # QEMU starts the guest all the same; its words are there because of the kernel's.
    ("bar-taken", r"can't reserve \[mem|Failed to mmap \S+ BAR",
     "linux drivers/pci/pci.c; QEMU hw/vfio/pci.c"),
    ("dma-map", r"VFIO_MAP_DMA|vfio\w*_dma_map|memory listener initialization failed"
     r"|can't map guest IOVA region|DMA mapping failed, unable to continue",
     "QEMU hw/vfio/common.c (10.0: also container.c, spapr.c)"),
    # 5.2 says os_mem_prealloc, the others qemu_prealloc_mem.
    ("guest-memory",
     r"cannot set up guest memory|for guest RAM"
     r"|mem_prealloc: Insufficient free host memory|prealloc_mem: preallocating memory failed",
     "QEMU softmmu/physmem.c (10.0: system/physmem.c), util/oslib-posix.c"),
    ("no-slots", r"No more available PCI slots", "libvirt src/conf/domain_addr.c"),
    ("container", r"[Ff]ailed to set (?:iommu for|group) container",
     "QEMU hw/vfio/common.c (10.0: container.c)"),
    ("attach", r"vfio|VFIO_|hostdev|host device|host PCI device|iommu|PCI device",
     "libvirt, QEMU"),
    ("hosts-refused", r"Exhausted all hosts available|Exceeded maximum number of retries",
     "nova/conductor/manager.py, nova/exception.py"),
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
    "reshape": Cause(
        "Placement refused what nova-compute wrote of its cards: it counts one of them for another "
        "server or keeps it reserved, or a device_spec got another resource_class while a server "
        "has the card; nova-compute does not start as long as that is so",
        "See which card it is, and repair that:\n"
        "    wholecard audit --host {host}\n    wholecard repair plan --host {host}\n"
        "If the resource_class of a device_spec was changed, write the former one back.",
        ("WC514", "WC524")),
    "detach": Cause(
        "the card could not be taken out of the running guest, as suspending a server needs it",
        "Stop the server instead, or unload the card's driver in the guest before.", ()),
    "iommu-off": Cause(
        "the host's IOMMU is off, or vfio-pci is not loaded", _CHECK, ("WC101", "WC116")),
    "interrupts": Cause("the host has no interrupt remapping", _CHECK, ("WC102",)),
    "reserved-region": Cause(
        "the firmware reserves memory for the card (RMRR, or a 1:1 mapping), and the kernel keeps "
        "such a device from guests",
        "Turn the function off in the firmware setup that uses the region (often remote "
        "management or shared memory), or use another slot.", ("WC160",)),
    "denied-model": Cause(
        "vfio-pci itself refuses this model", "Do not give this device to guests.", ("WC167",)),
    "not-endpoint": Cause(
        "the device is a bridge or a port of a switch, which cannot be given to a guest",
        "Let device_spec match the functions of the cards only:\n"
        "    wholecard --on {host} inspect", ()),
    "container": Cause(
        "the kernel does not let VFIO use the IOMMU group of the card",
        "Read why in the kernel's log of that time (often no interrupt remapping, or memory that "
        "the firmware reserves):\n    wholecard --on {host} check", ("WC102", "WC160")),
    "shared-group": Cause(
        "the guest has an IOMMU of its own, and two of its functions are in one IOMMU group",
        "Remove hw:viommu_model from the flavor (hw_viommu_model from the image), or use a slot "
        "whose functions have groups of their own.", ("WC107",)),
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
    "guest-memory": Cause(
        "the host has too little free memory for the guest, or too few free huge pages",
        "Compare the flavor's RAM and hw:mem_page_size with what is free on {host}:\n"
        "    grep -E 'MemAvailable|HugePages_Free|Hugepagesize' /proc/meminfo", ("WC126", "WC317")),
    "no-slots": Cause(
        "the guest has no free PCI slot for the device",
        "Use the machine type q35 (hw_machine_type of the image), and set [libvirt] num_pcie_ports "
        "of nova-compute (28 at most).", ()),
    "attach": Cause("libvirt or QEMU could not give the card to the guest", _CHECK, ()),
}  # fmt: skip


def kind_of(message: str) -> Kind | None:
    """Which of these messages this is, None where it is none that we know."""
    return next((kind for kind, pattern, _ in MESSAGES if re.search(pattern, message)), None)


def cause_of(message: str) -> Cause | None:
    """What a message of a host means; None where it is not a host's, or not known."""
    kind = kind_of(message)
    return HYPERVISOR.get(kind) if kind else None

"""NVIDIA's vGPUs: as mediated devices, or as types of SR-IOV VFs; and MIG through both.

Not run on hardware. Which of the two frameworks a host has is decided by driver, kernel and card,
and sources differ on one case; what the host itself shows is the truth: a VF with the folder
`nvidia/` has the vendor's VFIO, a parent in `/sys/class/mdev_bus` has mediated devices.
"""

from __future__ import annotations

from wholecard.pci.splitting import mig
from wholecard.pci.splitting.record import CardKind, Source, Way, dotted, driver_text, ids_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.pci.splitting.record import Software, State, Version

VENDOR = "10de"
NOVA = Source("nova 34.0.0, admin/virtual-gpu and admin/pci-passthrough", "2026-11-29")
_SYSFS = Source(
    "KubeVirt's device manager, harvester/pcidevices, kernel/hypeman pull 364 (2026-08-06), which "
    "read and write these files", "2026-11-29")  # fmt: skip
_BRANCHES = Source(
    "vGPU 17 is driver 550, 16 is 535 (NVIDIA's release notes, not read again); 19.5 is "
    "580.159.01 (noon-at-cgn/geforce-sriov 0.2.2)", "2026-11-30")  # fmt: skip
_TURING = Source(
    "kubevirt/community, the move to CentOS Stream 10: no mdev for a T4 on kernel 6.8 and later",
    "2026-11-30",
)
_MANAGER = Source(
    "NVIDIA/vgpu-device-manager pull 195 (2026-07-01, not merged), kubevirt issue 17642: from vGPU "
    "17 on no mdev for Ada, Hopper and later", "2026-11-30")  # fmt: skip
HETEROGENEOUS = Source(
    "NVML API, nvmlDeviceSetVgpuHeterogeneousMode; bigstack-oss/cubecos, tried on an RTX PRO 6000 "
    "(2026-08-21)", "2026-11-30")  # fmt: skip
_ENTERPRISE = Source("NVIDIA vGPU software 18.0 User Guide, introduction", "2026-11-30")

# From this kernel on the driver makes VFs with types of its own, and no mediated devices.
VENDOR_VFIO_KERNEL = (6, 8)
# The driver of vGPU 17, the first with them.
VENDOR_VFIO_DRIVER = (550,)
# Generations with SR-IOV, and those that NVIDIA's own manager never expects mdev of.
SRIOV = frozenset({"Ampere", "Ada", "Hopper", "Blackwell"})
# Those whose card is the one parent of all its mediated devices.
ONE_PARENT = frozenset({"Volta", "Turing"})
_VENDOR_VFIO_ALWAYS = frozenset({"Ada", "Hopper", "Blackwell"})
# What vGPU types are for: virtual applications, PCs, compute, workstations.
_SERIES = "ABCQ"
_SMALLEST_MIB = 512
# Of these no source that was read says that the vGPU host driver supports them.
_NO_SOURCE = frozenset({"10de:20b6", "10de:2342", "10de:2348", "10de:2901", "10de:2941",
                        "10de:3182", "10de:31c2"})  # fmt: skip
# By the beginning of the device ids of cards with MIG; all others are Blackwell.
_GENERATIONS = {"20": "Ampere", "23": "Hopper"}

# As of 30 November 2026; names and ids: pci.ids 2026-08-22. Which of them the installed driver
# gives vGPU types, `nvidia-smi vgpu -s` says.
CARDS = (
    CardKind("V100", ids_of(VENDOR, "1db1 1db4 1db5 1db6 1db8"), "Volta"),
    CardKind("T4", ids_of(VENDOR, "1eb8"), "Turing"),
    CardKind("Quadro RTX 6000, RTX 8000", ids_of(VENDOR, "1e30"), "Turing"),
    CardKind("A2, A16", ids_of(VENDOR, "25b6"), "Ampere"),
    CardKind("A10", ids_of(VENDOR, "2236"), "Ampere"),
    CardKind("A40", ids_of(VENDOR, "2235"), "Ampere"),
    CardKind("RTX A6000", ids_of(VENDOR, "2230"), "Ampere"),
    CardKind("L4", ids_of(VENDOR, "27b8"), "Ada"),
    CardKind("L40", ids_of(VENDOR, "26b5"), "Ada"),
    CardKind("L40S", ids_of(VENDOR, "26b9"), "Ada"),
    CardKind("RTX 6000 Ada", ids_of(VENDOR, "26b1"), "Ada"),
    *(
        CardKind(card.name, card.ids, _GENERATIONS.get(card.ids[0][5:7], "Blackwell"))
        for card in mig.CARDS
    ),
)

_SIZES = (
    "Without the heterogeneous mode (nvidia-smi vgpu -shm 1) all vGPUs of a card have one size. "
    "The mode is set after the VFs are made and before the first type; sriov-manage ends it."
)
_TYPES = "nvidia-smi vgpu -s lists all types of the card that the installed driver has."
_AGAIN = "VFs, types and MIG geometry are gone after a reboot: make them before nova-compute starts"


_LICENCE = "NVIDIA's vGPU host driver and its licence."
_MDEV_NEEDS = (
    _LICENCE,
    _TYPES,
    "nova: enabled_mdev_types; of a card with SR-IOV each VF is a parent of one device.",
    _SIZES,
)
_VFS_NEEDS = (
    _LICENCE,
    "/usr/lib/nvidia/sriov-manage -e makes the VFs; the driver refuses a write to sriov_numvfs.",
    f"A type's ID is written to the VF's nvidia/current_vgpu_type; 0 clears it. {_TYPES}",
    _SIZES,
    'The VFs stay with the driver nvidia: managed "no" in device_spec (nova 31 and later).',
    f"{_AGAIN}.",
)


def ways(card: CardKind, software: Software) -> tuple[Way, ...]:
    """mdev, VFs and MIG, in this order."""
    mdev, vfs = _mdev_state(card, software), _vfs_state(card, software)
    sources = (NOVA, _BRANCHES, _MANAGER, HETEROGENEOUS)
    by = "NVIDIA vGPU driver"
    return (
        Way("mdev", *mdev, by, "", _MDEV_NEEDS if mdev[0] != "no" else (), (*sources, _TURING)),
        Way("vfs", *vfs, by, "", _VFS_NEEDS if vfs[0] != "no" else (), (*sources, _SYSFS)),
        _mig(card, software),
    )


def _mdev_state(card: CardKind, software: Software) -> tuple[State, str]:
    if card.ids[0] in _NO_SOURCE:
        return "not known", "no source that was read says that a vGPU driver supports it"
    kernel, driver = software.kernel, software.driver
    if kernel is not None and kernel >= VENDOR_VFIO_KERNEL:
        return "no", (
            f"on kernel 6.8 and later NVIDIA's driver makes no mediated devices (this is "
            f"{dotted(kernel)})"
        )
    if card.generation in _VENDOR_VFIO_ALWAYS and (driver is None or driver >= VENDOR_VFIO_DRIVER):
        return "depends", (
            "with vGPU 16 (driver 535) on a kernel below 6.8; with 17 and later sources differ, so "
            "look for /sys/class/mdev_bus on the host"
        )
    if kernel is None:
        return "depends", "on a kernel below 6.8"
    return "yes", f"kernel {dotted(kernel)} is below 6.8"


def _vfs_state(card: CardKind, software: Software) -> tuple[State, str]:
    if card.generation not in SRIOV:
        return "no", f"a {card.generation} card has no SR-IOV"
    if card.ids[0] in _NO_SOURCE:
        return "not known", "no source that was read says that a vGPU driver supports it"
    kernel, driver = software.kernel, software.driver
    if driver is not None and driver < VENDOR_VFIO_DRIVER:
        return "no", f"needs vGPU 17, that is driver 550, and {driver_text(driver)} is older"
    if kernel is not None and kernel < VENDOR_VFIO_KERNEL:
        return _vfs_on_older_kernel(card, kernel)
    if kernel is None or driver is None:
        return "depends", "with vGPU 17 (driver 550) and kernel 6.8, or later ones"
    return "yes", f"driver {driver_text(driver)} and kernel {dotted(kernel)}"


def _vfs_on_older_kernel(card: CardKind, kernel: Version) -> tuple[State, str]:
    if card.generation in _VENDOR_VFIO_ALWAYS:
        return "depends", (
            "sources differ for kernels below 6.8: look for nvidia/ in a VF's folder on the host"
        )
    return "no", f"needs kernel 6.8, and {dotted(kernel)} is older: there it is mdev"


def _mig(card: CardKind, software: Software) -> Way:
    mig_card = mig.mig_card(card.ids[0])
    if mig_card is None:
        return Way("mig", "no", "the card has no MIG", sources=(mig.GUIDE,))
    driver = software.driver
    if driver is not None and mig.driver_refusal(mig_card, driver):
        return Way("mig", "no", mig.driver_refusal(mig_card, driver), sources=mig_card.sources)
    state: State = "depends" if driver is None else "yes"
    reason = f"driver {driver_text(mig_card.driver)} or later"
    if mig_card.inferred:
        reason += f"; inferred: {mig_card.inferred}"
    needs = (
        "An instance reaches a server only as a MIG-backed vGPU (mdev or VF), or inside a guest "
        "that has the whole card.",
        "From vGPU 18 on, cards with MIG have vGPUs only with NVIDIA AI Enterprise.",
        "MIG first, VFs after: tools for MIG fail once sriov-manage has run.",
        "Switching MIG on or off resets an A100 or A30.",
        f"{_AGAIN}.",
    )  # fmt: skip
    sources = (*mig_card.sources, _ENTERPRISE)
    most = max((profile.most for profile in mig_card.profiles), default=mig_card.compute)
    return Way("mig", state, reason, "NVIDIA driver", f"1 to {most}", needs, sources)


def type_memory_mib(name: str) -> int | None:
    """The video memory of a vGPU type by its name; None for a name of another form.

    `NVIDIA L40S-12Q` has 12 GiB, `GRID M60-0B` 512 MiB, MIG's `NVIDIA H100-1-10C` 10 GiB; a number
    after the series is about displays, `ME` about media engines. Source: NVIDIA, Virtual GPU
    Software User Guide, "Virtual GPU Types". Not compared on hardware.
    """
    card, _, last = name.rpartition("-")
    size, series = last, ""
    for letter in _SERIES:
        before, found, after = last.partition(letter)
        if found and (after.isdigit() or after in ("", "ME")):
            size, series = before, letter
    if not (card and series and size.isdigit()):
        return None
    return int(size) * 1024 or _SMALLEST_MIB

"""Intel's VFs by xe and i915, and GVT-g's mediated devices.

Not run on hardware. How many VFs a card can have, its own `sriov_totalvfs` says.
"""

from __future__ import annotations

from wholecard.pci.splitting.record import CardKind, Source, Way, dotted, ids_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.pci.splitting.record import Software

VENDOR = "8086"
_XE = Source(
    "linux 6.19: drivers/gpu/drm/xe/xe_pci.c (has_sriov), Documentation/ABI/testing/"
    "sysfs-driver-intel-xe-sriov, drivers/vfio/pci/xe", "2026-11-30")  # fmt: skip
_XPU = Source("intel/xpumanager 2.0, xpu-smi vgpu", "2026-11-30")
_I915 = Source(
    "strongtz/i915-sriov-dkms 2026.09.16 (not Intel's): i915 of kernel.org makes no VFs",
    "2026-11-30",
)
_GVT = Source("intel/gvt-linux, GVTg_Setup_Guide (2021; archived 2024-10-03)", "2026-11-30")

# Intel's kernel driver xe has `sriov_admin/` and VFIO a driver for its VFs from here on.
SRIOV_ADMIN = (6, 19)

# By the driver that splits them, as the field `generation`; names and ids: pci.ids 2026-08-22.
CARDS = (
    CardKind("Arc Pro B50, B60 (Battlemage)", ids_of(VENDOR, "e212 e211"), "xe"),
    CardKind("Arc Pro B65, B70 (Battlemage)", ids_of(VENDOR, "e222 e223"), "xe"),
    CardKind("Panther Lake graphics", ids_of(VENDOR, "b080 b0a0"), "xe"),
    CardKind("Data Center GPU Flex 140, 170", ids_of(VENDOR, "56c1 56c0"), "i915"),
    CardKind("UHD Graphics 770 (Alder Lake)", ids_of(VENDOR, "4680"), "i915"),
    CardKind("HD Graphics 530, 630 (Skylake, Kaby Lake)", ids_of(VENDOR, "1912 5912"), "gvt-g"),
)


def ways(card: CardKind, software: Software) -> tuple[Way, ...]:
    """mdev by GVT-g, VFs by xe or i915; there is no MIG."""
    return (_mdev(card), _vfs(card, software), Way("mig", "no", "MIG is NVIDIA's", sources=(_XE,)))


def _mdev(card: CardKind) -> Way:
    if card.generation != "gvt-g":
        reason = "GVT-g is for processors of the 5th to 8th generation"
        return Way("mdev", "no", reason, sources=(_GVT,))
    needs = (
        "i915.enable_gvt=1 on the kernel command line, and the module kvmgt.",
        "Intel has ended the project: no new host should depend on it.",
    )
    reason = "if the kernel is built with CONFIG_DRM_I915_GVT_KVMGT"
    return Way("mdev", "depends", reason, "i915 (GVT-g)", "", needs, (_GVT,))


def _vfs(card: CardKind, software: Software) -> Way:
    kernel = software.kernel
    if card.generation == "gvt-g":
        return Way("vfs", "no", "graphics of this generation have no SR-IOV", sources=(_GVT,))
    if card.generation == "i915":
        reason = "not with kernel.org's i915: with Intel's own packages, or a DKMS module"
        bound = "sriov_numvfs makes the VFs; they are bound to vfio-pci."
        return Way("vfs", "depends", reason, "i915", "", (bound,), (_I915,))
    needs = (
        "sriov_numvfs makes the VFs, after the PF is on xe.",
        "sriov_admin/ has the execution quantum, preemption timeout and priority of PF and VFs.",
        "The VFs on xe-vfio-pci can migrate (stop and copy); on vfio-pci they cannot.",
        "xpu-smi vgpu --precheck says whether the host is ready.",
    )
    if kernel is None or kernel < SRIOV_ADMIN:
        older = "" if kernel is None else f"; {dotted(kernel)} is older"
        reason = f"kernel 6.19 has sriov_admin/ and xe-vfio-pci{older}: sriov_totalvfs tells"
        return Way("vfs", "depends", reason, "xe", "", needs, (_XE, _XPU))
    return Way("vfs", "yes", f"kernel {dotted(kernel)}", "xe", "", needs, (_XE, _XPU))

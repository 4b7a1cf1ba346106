"""VFIO's drivers for PCI functions: vfio-pci, and the variants that know more of a device.

Which variant a function gets is said by the running kernel: its `modules.alias` has `vfio_pci:`
aliases, of which the most specific counts, as for libvirt (src/util/virpci.c,
virPCIDeviceFindBestVFIOVariant). The tables here are of Linux 6.19 and of November 2026; they only
add what no alias says.
"""

from __future__ import annotations

VFIO_PCI = "vfio-pci"
PCI_STUB = "pci-stub"

# linux: drivers/vfio/pci/*/Kconfig and `.name` of their pci_driver; the module's name, and the
# driver's, by which `driver_override` compares.
VARIANTS = {
    "hisi_acc_vfio_pci": "hisi-acc-vfio-pci",
    "ism_vfio_pci": "ism_vfio_pci",
    "mlx5_vfio_pci": "mlx5_vfio_pci",
    "nvgrace_gpu_vfio_pci": "nvgrace_gpu_vfio_pci",
    "pds_vfio_pci": "pds_vfio_pci",
    "qat_vfio_pci": "qat_vfio_pci",
    "virtio_vfio_pci": "virtio_vfio_pci",
    "xe_vfio_pci": "xe-vfio-pci",
}

# linux: drivers/vfio/pci/nvgrace-gpu/main.c (6.9: GH200; 6.13: 2348; 6.14: GB200; 6.18: GB300).
# The GPU's memory is no BAR there, and only this driver shows it to a guest. A kernel whose module
# does not list the id yet binds it by `driver_override` all the same, as NVIDIA's own steps do by
# `new_id`.
GRACE = "nvgrace_gpu_vfio_pci"
GRACE_SINCE = (6, 9)
NEEDS_VARIANT = {
    "10de:2342": GRACE,  # GH200 120GB
    "10de:2345": GRACE,  # GH200 480GB
    "10de:2348": GRACE,  # GH200
    "10de:2941": GRACE,  # GB200
    "10de:31c2": GRACE,  # GB300
}


def module_of(driver: str) -> str:
    """A module's name as the kernel spells it: `vfio-pci` is `vfio_pci`."""
    return driver.replace("-", "_")


def driver_of(module: str) -> str:
    """The name of the driver in a module of VFIO; a module that nobody knows has its own name."""
    return VARIANTS.get(module_of(module), module)


def is_same_driver(one: str | None, other: str) -> bool:
    """Whether both name one driver; some are written with `-` where their module has `_`."""
    return one is not None and module_of(one) == module_of(other)


def is_variant(driver: str | None) -> bool:
    """Whether the driver is a variant of vfio-pci, by the table or by how they all are named."""
    return driver is not None and (
        module_of(driver) in VARIANTS or module_of(driver).endswith("_vfio_pci")
    )

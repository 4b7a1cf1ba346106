"""What a host needs so that nova moves a server with a device live; what distributions have of it.

Sources: nova/virt/libvirt/driver.py, MIN_MDEV_LIVEMIG_* and MIN_VFIO_PCI_VARIANT_*; Linux 5.18:
nova, doc/source/admin/virtual-gpu.rst. Post-copy: QEMU, hw/vfio/migration.c, vfio_save_prepare.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Needs:
    """The lowest versions on both hosts; `kernel` is empty where nova asks for none."""

    libvirt: Version
    qemu: Version
    kernel: Version = ()

    def __str__(self) -> str:
        kernel = f" and Linux {_text(self.kernel)}" if self.kernel else ""
        joint = "," if kernel else " and"
        return f"libvirt {_text(self.libvirt)}{joint} QEMU {_text(self.qemu)}{kernel}"

    def lacking(self, distribution: str) -> str:
        """What a distribution (`debian 12`) has of it that is too old; empty for enough."""
        libvirt, qemu = OLD.get(distribution, (self.libvirt, self.qemu))
        if libvirt >= self.libvirt and qemu >= self.qemu:
            return ""
        return f"libvirt {_text(libvirt)} and QEMU {_text(qemu)}"


MDEVS = Needs((8, 6, 0), (8, 1, 0), (5, 18))
# With less nova-compute does not start where a device_spec names `live_migratable` at all.
PCI_DEVICES = Needs((10, 0, 0), (8, 2, 2))
# libvirt's and QEMU's own packages of distributions that have too little for one of them, by
# os-release's ID and VERSION_ID. Read at packages.debian.org and packages.ubuntu.com, 2026-11.
OLD: dict[str, tuple[Version, Version]] = {
    "debian 11": ((7, 0, 0), (5, 2)),
    "debian 12": ((9, 0, 0), (7, 2)),
    "ubuntu 20.04": ((6, 0, 0), (4, 2, 1)),
    "ubuntu 22.04": ((8, 0, 0), (6, 2)),
}
POST_COPY = "VFIO migration is not supported with postcopy migration"


def _text(version: Version) -> str:
    """`8.6` for 8.6.0: a third number of 0 says nothing."""
    return ".".join(map(str, version)).removesuffix(".0" if len(version) > 2 else "…")

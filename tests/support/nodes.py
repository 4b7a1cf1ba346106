"""The lab's node as a tree: two cards of two functions, a display and a network card of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from support.acpi import dmar
from support.tree import Leaf, grow

RELEASE = "6.12.1-amd64"

# Address, bridges above it, ids, class, native driver, what else sysfs says.
Device = tuple[str, tuple[str, ...], str, str, str, dict[str, str]]

OWN: list[Device] = [
    ("0000:00:01.0", (), "1234:1111", "030000", "bochs-drm", {"boot_vga": "1"}),
    ("0000:00:02.0", (), "1b36:000c", "060400", "pcieport", {}),
    ("0000:00:03.0", (), "1b36:000c", "060400", "pcieport", {}),
    ("0000:00:04.0", (), "1af4:1041", "020000", "virtio-pci", {}),
]


def card(slot: str, *above: str) -> list[Device]:
    """A GPU without a driver and its audio function."""
    return [
        (f"{slot}.0", above, "1002:5046", "030000", "", {"boot_vga": "0"}),
        (f"{slot}.1", above, "8086:293e", "040300", "snd_hda_intel", {}),
    ]


APART = [*OWN, *card("0000:01:00", "0000:00:02.0"), *card("0000:02:00", "0000:00:03.0")]
_BRIDGES = ("0000:00:02.0", "0000:01:00.0")
TOGETHER = [
    *OWN,
    ("0000:01:00.0", ("0000:00:02.0",), "1b36:000e", "060400", "", {}),
    *card("0000:02:01", *_BRIDGES),
    *card("0000:02:02", *_BRIDGES),
]
GROUPS_APART = {
    8: ["0000:00:01.0"],
    9: ["0000:00:04.0"],
    10: ["0000:01:00.0", "0000:01:00.1"],
    11: ["0000:02:00.0", "0000:02:00.1"],
}
GROUPS_TOGETHER = {
    8: ["0000:00:01.0"],
    9: ["0000:00:04.0"],
    13: ["0000:01:00.0", "0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1"],
}


def pci_tree(devices: Iterable[Device]) -> dict[str, Leaf]:
    """Functions as sysfs has them: folders below their bridges, links by bus, driver and module."""
    tree: dict[str, Leaf] = {}
    for address, above, ids, class_code, driver, extra in devices:
        vendor, device = ids.split(":")
        below = "/".join(("devices/pci0000:00", *above, address))
        folder = f"sys/{below}"
        tree[f"sys/bus/pci/devices/{address}"] = f"-> ../../../{below}"
        tree[f"{folder}/vendor"] = f"0x{vendor}\n"
        tree[f"{folder}/device"] = f"0x{device}\n"
        tree[f"{folder}/class"] = f"0x{class_code}\n"
        tree[f"{folder}/driver_override"] = "(null)\n"
        tree[f"{folder}/modalias"] = (
            f"pci:v0000{vendor.upper()}d0000{device.upper()}sv00001AF4sd00001100"
            f"bc{class_code[:2]}sc{class_code[2:4]}i{class_code[4:]}\n"
        )
        if driver:
            up = "../" * (len(above) + 3)
            tree[f"{folder}/driver"] = f"-> {up}bus/pci/drivers/{driver}"
            tree[f"sys/bus/pci/drivers/{driver}/"] = ""
        for name, text in extra.items():
            tree[f"{folder}/{name}"] = f"{text}\n"
    return tree


def bare(devices: Iterable[Device], next_boot: str = "off") -> dict[str, Leaf]:
    """A host as Debian installs it, its IOMMU off, and `next_boot` for its next boot."""
    return {
        **pci_tree(devices),
        "sys/firmware/acpi/tables/DMAR": dmar(),
        "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro intel_iommu=off quiet\n",
        "proc/sys/kernel/osrelease": f"{RELEASE}\n",
        "proc/sys/kernel/random/boot_id": "boot-one\n",
        f"lib/modules/{RELEASE}/modules.builtin": "kernel/drivers/virtio/virtio_pci.ko\n",
        f"lib/modules/{RELEASE}/modules.alias": (
            "# Aliases extracted from modules themselves.\n"
            "alias pci:v00008086d*sv*sd*bc04sc03i00* snd_hda_intel\n"
            "alias pci:v00001002d00005046sv*sd*bc*sc*i* aty128fb\n"
            "alias pci:v00001002d00005159sv*sd*bc*sc*i* radeon\n"
        ),
        "etc/default/grub": (
            'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
            f'GRUB_CMDLINE_LINUX="console=ttyS0,115200 intel_iommu={next_boot}"\n'
        ),
        "etc/initramfs-tools/initramfs.conf": "MODULES=list\n",
        "etc/initramfs-tools/hooks/": "",
        "etc/initramfs-tools/scripts/init-top/": "",
        "etc/modprobe.d/": "",
        "etc/modules-load.d/": "",
        "var/lib/": "",
        "usr/sbin/update-grub": "",
        "usr/sbin/update-initramfs": "",
        "usr/share/misc/pci.ids": (
            "# names\n1002  ATI\n\t5046  Rage 128 PRO\n\t\t1af4 1100  sub\n"
            "8086  Intel\n\t293e  HD Audio\nC 03  Display controller\n\t00  VGA controller\n"
        ),
        f"boot/initrd.img-{RELEASE}": ("old image", 0o600),
        "boot/grub/grub.cfg": ("old grub.cfg", 0o444),
    }


def with_groups(tree: dict[str, Leaf], groups: dict[int, list[str]]) -> dict[str, Leaf]:
    """The tree with its IOMMU on."""
    grown = dict(tree)
    grown["sys/class/iommu/dmar0/"] = ""
    for number, addresses in groups.items():
        for address in addresses:
            link = str(tree[f"sys/bus/pci/devices/{address}"]).removeprefix("-> ../../../")
            up = "../" * (link.count("/") + 1)
            grown[f"sys/kernel/iommu_groups/{number}/devices/{address}"] = f"-> ../../../../{link}"
            grown[f"sys/{link}/iommu_group"] = f"-> {up}kernel/iommu_groups/{number}"
    return grown


def reboot(
    root: Path,
    devices: Iterable[Device],
    groups: dict[int, list[str]],
    taken: Iterable[str],
    log: str | None = None,
) -> None:
    """Make `root` what it is after the next boot, `taken` being the functions of vfio-pci."""
    taken = tuple(taken)
    moved = [
        (address, above, ids, class_code, "vfio-pci" if address in taken else driver, extra)
        for address, above, ids, class_code, driver, extra in devices
    ]
    tree = with_groups(pci_tree(moved), groups)
    tree["proc/sys/kernel/random/boot_id"] = "boot-two\n"
    ids = {address: device_ids for address, _, device_ids, _, _, _ in moved}
    lines = ["6,0,0,-;Linux version 6.12", "6,1,700000,-;DMAR-IR: Enabled IRQ remapping in x2apic"]
    lines += [
        f"14,{n},{3200000 + n},-;wholecard: {address} {ids[address]} claimed by vfio-pci"
        for n, address in enumerate(taken, 2)
    ]
    tree["dev/kmsg"] = log if log is not None else "\n".join(lines) + "\n"
    grow(root, tree)

"""The host's disks: what they are built on, and which are its own though nothing is mounted.

ZFS, a volume that only a virtual machine or a Ceph OSD has open, an array or a cache that waits:
none of them is a mount. Seen from sysfs, proc and udev's database, so that it needs no root and
opens no device. Sources: linux, Documentation/ABI/stable/sysfs-block (`holders`, `slaves`,
`partition`); systemd, src/libsystemd/sd-device (udev's database); util-linux, libblkid, for the
names of what is on a disk; OpenZFS, module/os/linux/spl/spl-kstat.c.
"""

from __future__ import annotations

import os

from wholecard.core.small_files import exists, listed, read_text, under
from wholecard.host.facts.host import KernelUse
from wholecard.pci.address import parse_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wholecard.core.small_files import Root

BLOCK = "sys/class/block"
NVME_SUBSYSTEMS = "sys/class/nvme-subsystem"
UDEV = "run/udev/data"
POOLS = "proc/spl/kstat/zfs"

# What udev's builtin blkid says of a disk or partition; all that is read of its database.
UDEV_NAMES = ("E:ID_FS_TYPE=", "E:ID_FS_LABEL=")
_ZFS = "zfs_member"
# A host's OSD keeps its device open without a holder or a mount.
_OPENED = frozenset({"ceph_bluestore"})


def kept_disks(root: Root) -> Iterator[KernelUse]:
    """Uses of disks that no mount shows: `disk` where the host has it, `data` where it may have.

    A holder (LVM, md, bcache, multipath, LUKS) has it, so does an imported ZFS pool, by its name on
    the disk or, without udev's word, by being the only explanation of partitions. Other content
    that nothing uses now is `data`: it may be a guest's own disk.
    """
    pools = _pools(root)
    for disk, parts in sorted(_disks(root).items()):
        addresses = addresses_of(root, disk)
        if addresses:
            kind, texts = _kept(root, disk, parts, pools)
            yield from (
                KernelUse(a, kind, text) for a in addresses for text in dict.fromkeys(texts)
            )


def _kept(root: Root, disk: str, parts: list[str], pools: tuple[str, ...]) -> tuple[str, list[str]]:
    """`disk` or `data`, and why, of a disk with these partitions."""
    content = {name: _content(root, name) for name in (disk, *parts)}
    uses = _certain_uses(root, disk, content, pools)
    if uses:
        return "disk", uses
    known = [kind for kind, _ in content.values() if kind]
    if parts and pools and not known:
        zfs = f"{disk} has partitions, which may be those of ZFS ({', '.join(pools)})"
        return "disk", [zfs]
    return "data", _data(disk, parts, known)


def _certain_uses(
    root: Root, disk: str, content: Mapping[str, tuple[str, str]], pools: tuple[str, ...]
) -> list[str]:
    """The holders of a disk and its partitions, then the pools and services that they are in."""
    uses = [_held(root, name) for name in content]
    uses += [_used(disk, kind, label, pools) for kind, label in content.values()]
    return [use for use in uses if use]


def _disks(root: Root) -> dict[str, list[str]]:
    """Each whole disk with its partitions; devices that are made of others are none."""
    disks: dict[str, list[str]] = {}
    for name in listed(under(root, BLOCK)):
        target = target_of(root, f"{BLOCK}/{name}")
        above = target.rpartition("/")[0].rpartition("/")[2]
        if above and exists(under(root, f"{BLOCK}/{name}/partition")):
            disks.setdefault(above, []).append(name)
        elif "/virtual/block/" not in target:
            disks.setdefault(name, [])
    return disks


def _held(root: Root, name: str) -> str:
    holders = listed(under(root, f"{BLOCK}/{name}/holders"))
    mapped = {h: read_text(under(root, f"{BLOCK}/{h}/dm/name")) for h in holders}
    names = [f"{holder} ({title})" if title else holder for holder, title in mapped.items()]
    return f"{name} is held by {', '.join(names)}" if names else ""


def _content(root: Root, name: str) -> tuple[str, str]:
    """What is on a disk or partition, and its label, by udev's database; empty where unknown."""
    number = read_text(under(root, f"{BLOCK}/{name}/dev"))
    if not number or "/" in number:
        return "", ""
    lines = read_text(under(root, f"{UDEV}/b{number}")).splitlines()
    values = dict.fromkeys(UDEV_NAMES, "")
    values.update({n: line[len(n) :] for line in lines for n in UDEV_NAMES if line.startswith(n)})
    kind, label = values.values()
    return kind, label


def _used(disk: str, kind: str, label: str, pools: tuple[str, ...]) -> str:
    if kind == _ZFS and label in pools:
        return f"{disk} is in the ZFS pool {label}"
    return f"{disk} has {kind}, which a service opens" if kind in _OPENED else ""


def _data(disk: str, parts: list[str], known: list[str]) -> list[str]:
    what = ", ".join(dict.fromkeys(known)) or ("partitions" if parts else "")
    return [f"{disk} has {what}"] if what else []


def _pools(root: Root) -> tuple[str, ...]:
    """The ZFS pools that the host has imported: those that ZFS lists, and those of mounts."""
    names = {n for n in listed(under(root, POOLS)) if listed(under(root, f"{POOLS}/{n}"))}
    for line in read_text(under(root, "proc/self/mountinfo")).splitlines():
        fields = line.partition(" - ")[2].split(" ")
        if len(fields) > 1 and fields[0] == "zfs":
            names.add(fields[1].partition("/")[0])
    return tuple(sorted(names))


def functions_below(root: Root, device: str) -> set[str]:
    """The functions that a block device depends on, through btrfs, dm and md."""
    disks = {disk for name in _with_members(root, device) for disk in _below(root, name)}
    return {address for disk in disks for address in addresses_of(root, disk)}


def _with_members(root: Root, name: str) -> set[str]:
    """The device, and where it is part of a btrfs of several devices, those too."""
    for volume in listed(under(root, "sys/fs/btrfs")):
        members = listed(under(root, f"sys/fs/btrfs/{volume}/devices"))
        if name in members:
            return set(members)
    return {name}


def _below(root: Root, name: str) -> set[str]:
    """The devices that a device is built on: slaves of dm and md, all the way down."""

    def lower(device: str) -> list[str]:
        disk = _whole_disk(root, device)
        return listed(under(root, f"{BLOCK}/{device}/slaves")) + ([disk] if disk else [])

    return closure(name, lower)


def closure(name: str, lower: Callable[[str], list[str]]) -> set[str]:
    """A device and all below it, where `lower` gives those directly below."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        device = waiting.pop()
        # A name with a slash would leave the folder that is read.
        if device not in seen and "/" not in device:
            seen.add(device)
            waiting += lower(device)
    return seen


def _whole_disk(root: Root, name: str) -> str | None:
    """The disk of a partition; a partition of an md device has its slaves only there."""
    steps = target_of(root, f"{BLOCK}/{name}").split("/")
    return steps[-2] if len(steps) > 2 and steps[-3] in ("block", "nvme") else None


def addresses_of(root: Root, name: str) -> set[str]:
    """The functions that a block device belongs to, by its folder among the devices."""
    target = target_of(root, f"{BLOCK}/{name}")
    own = last_address(target)
    if own:
        return {own}
    # With the kernel's own multipath an NVMe disk belongs to a subsystem, not to a controller.
    subsystems = [step for step in target.split("/") if step.startswith("nvme-subsys")]
    addresses = {
        last_address(target_of(root, f"{NVME_SUBSYSTEMS}/{subsystem}/{controller}"))
        for subsystem in subsystems
        for controller in listed(under(root, f"{NVME_SUBSYSTEMS}/{subsystem}"))
    }
    return addresses - {""}


def target_of(root: Root, path: str) -> str:
    """What a link below the root points to; empty where it is none."""
    try:
        return os.readlink(under(root, path))
    except (OSError, ValueError):
        return ""


def last_address(target: str) -> str:
    """The last function in a path of the devices' tree; empty where it has none."""
    return next((step for step in reversed(target.split("/")) if parse_numbers(step)), "")

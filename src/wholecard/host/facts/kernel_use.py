"""What the host itself uses its functions for: disks, links, the way out.

Seen from sysfs and proc alone, so that it needs no root and opens no device. Sources: linux,
Documentation/ABI/stable/sysfs-block and testing/sysfs-class-net, Documentation/filesystems/
proc.rst; include/uapi/linux/route.h for the flags of a route.
"""

from __future__ import annotations

import os

from wholecard.core.small_files import link_name, listed, read_text, under
from wholecard.host.facts.host import KernelUse
from wholecard.pci.address import parse_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wholecard.core.small_files import Root

BLOCK = "sys/class/block"
NET = "sys/class/net"

_UP = 0x1
_REJECT = 0x200


def read_uses(root: Root) -> tuple[KernelUse, ...]:
    """Each use of each function, by address; `what` names the thing as a person would."""
    return tuple(
        sorted(
            {*_disks(root), *_links(root), *_default_routes(root)},
            key=lambda use: (use.address, use.kind, use.what),
        )
    )


def _disks(root: Root) -> Iterator[KernelUse]:
    names = listed(under(root, BLOCK))
    by_number = {read_text(under(root, f"{BLOCK}/{name}/dev")): name for name in names}
    by_path = {f"/dev/{name}": name for name in names}
    for name in names:
        mapped = read_text(under(root, f"{BLOCK}/{name}/dm/name"))
        if mapped:
            by_path[f"/dev/mapper/{mapped}"] = name
    for number, source, where in (*_mounts(root), *_swaps(root)):
        used = by_number.get(number) or by_path.get(source)
        if used:
            for name in _with_members(root, used):
                for disk in _below(root, name):
                    for address in _addresses(root, disk):
                        yield KernelUse(address, "disk", f"{source} {where}")


def _mounts(root: Root) -> Iterator[tuple[str, str, str]]:
    for line in read_text(under(root, "proc/self/mountinfo")).splitlines():
        words, _, after = line.partition(" - ")
        fields, source = words.split(" "), after.split(" ")
        if len(fields) > 4 and len(source) > 1:
            yield fields[2], _plain(source[1]), f"at {_plain(fields[4])}"


def _swaps(root: Root) -> Iterator[tuple[str, str, str]]:
    for line in read_text(under(root, "proc/swaps")).splitlines()[1:]:
        yield "", _plain((line.split() or [""])[0]), "as swap"


def _plain(text: str) -> str:
    """The kernel writes a space in a name as an octal escape."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


def _with_members(root: Root, name: str) -> set[str]:
    """The device, and where it is part of a btrfs of several devices, those too."""
    for volume in listed(under(root, "sys/fs/btrfs")):
        members = listed(under(root, f"sys/fs/btrfs/{volume}/devices"))
        if name in members:
            return set(members)
    return {name}


def _below(root: Root, name: str) -> set[str]:
    """The devices that a device stands on: slaves of dm and md, all the way down."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in seen and "/" not in each:
            seen.add(each)
            waiting += listed(under(root, f"{BLOCK}/{each}/slaves"))
            whole = _whole_disk(root, each)
            if whole:
                waiting.append(whole)
    return seen


def _whole_disk(root: Root, name: str) -> str | None:
    """The disk of a partition; a partition of an md device has its slaves only there."""
    steps = _target(root, f"{BLOCK}/{name}").split("/")
    return steps[-2] if len(steps) > 2 and steps[-3] in ("block", "nvme") else None


def _addresses(root: Root, name: str) -> set[str]:
    """The functions that a block device hangs on, by its place among the devices."""
    target = _target(root, f"{BLOCK}/{name}")
    own = _last_address(target)
    if own:
        return {own}
    # With the kernel's own multipath an NVMe disk belongs to a subsystem, not to a controller.
    found = set()
    for step in target.split("/"):
        if step.startswith("nvme-subsys"):
            place = f"sys/class/nvme-subsystem/{step}"
            for controller in listed(under(root, place)):
                address = _last_address(_target(root, f"{place}/{controller}"))
                found.update({address} - {""})
    return found


def _links(root: Root) -> Iterator[KernelUse]:
    for name in listed(under(root, NET)):
        address = _last_address(_target(root, f"{NET}/{name}"))
        if address and _is_up(root, name):
            yield KernelUse(address, "network", name)


def _is_up(root: Root, name: str) -> bool:
    state = read_text(under(root, f"{NET}/{name}/operstate"))
    if state not in ("", "unknown"):
        return state == "up"
    # Some drivers never tell; then what counts is whether a person has brought it up.
    return bool(_hex(read_text(under(root, f"{NET}/{name}/flags")).removeprefix("0x")) & _UP)


def _default_routes(root: Root) -> Iterator[KernelUse]:
    for name in sorted({*_routes(root), *_routes6(root)}):
        for lower in _lower(root, name):
            address = _last_address(_target(root, f"{NET}/{lower}"))
            if address:
                yield KernelUse(
                    address, "default-route", name if name == lower else f"{name} on {lower}"
                )


def _routes(root: Root) -> Iterator[str]:
    for line in read_text(under(root, "proc/net/route")).splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == words[7] == "00000000":
            flags = _hex(words[3])
            if flags & _UP and not flags & _REJECT:
                yield words[0]


def _routes6(root: Root) -> Iterator[str]:
    for line in read_text(under(root, "proc/net/ipv6_route")).splitlines():
        words = line.split()
        if len(words) == 10 and words[0] == "0" * 32 and words[1] == "00":
            flags = _hex(words[8])
            if flags & _UP and not flags & _REJECT and words[9] != "lo":
                yield words[9]


def _lower(root: Root, name: str) -> set[str]:
    """The links that a link stands on: of a bond, a bridge, a VLAN, Open vSwitch."""
    every = listed(under(root, NET))
    masters = {each: link_name(under(root, f"{NET}/{each}/master")) for each in every}
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in seen or "/" in each:
            continue
        seen.add(each)
        inside = listed(under(root, f"{NET}/{each}"))
        lower = [entry[6:] for entry in inside if entry.startswith("lower_")]
        lower += [other for other, master in masters.items() if master == each]
        # Open vSwitch does not say which of its ports a bridge's own link goes out by.
        if not lower and "device" not in inside and "ovs-system" in every and each != "ovs-system":
            lower = [other for other, master in masters.items() if master == "ovs-system"]
        waiting += lower
    return seen


def _target(root: Root, path: str) -> str:
    try:
        return os.readlink(under(root, path))
    except (OSError, ValueError):
        return ""


def _last_address(target: str) -> str:
    return next((step for step in reversed(target.split("/")) if parse_numbers(step)), "")


def _hex(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0

"""What the host itself uses its functions for: links, routes, consoles; its disks.

Seen from sysfs and proc alone, so that it needs no root and opens no device. Sources: linux,
Documentation/ABI/stable/sysfs-block and testing/sysfs-class-net, Documentation/filesystems/
proc.rst; include/uapi/linux/route.h for the flags of a route.
"""

from __future__ import annotations

from wholecard.core.small_files import link_name, listed, read_text, under
from wholecard.host.facts.disks import (
    BLOCK,
    closure,
    functions_below,
    kept_disks,
    last_address,
    target_of,
)
from wholecard.host.facts.host import KernelUse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wholecard.core.small_files import Root

NET = "sys/class/net"
TTY = "sys/class/tty"

# linux: include/uapi/linux/if.h, IFF_UP, and the route flag RTF_UP, which has the same value.
_UP = 0x1
_REJECT = 0x200


def read_uses(root: Root) -> tuple[KernelUse, ...]:
    """Each use of each function, by address."""
    uses = {*_disks(root), *_links(root), *_default_routes(root), *_consoles(root)}
    # A mount says more of a disk than what holds it.
    mounted = {use.address for use in uses if use.kind == "disk"}
    uses.update(use for use in kept_disks(root) if use.address not in mounted)
    return tuple(sorted(uses, key=lambda use: (use.address, use.kind, use.what)))


def _disks(root: Root) -> Iterator[KernelUse]:
    names = listed(under(root, BLOCK))
    by_number = {read_text(under(root, f"{BLOCK}/{name}/dev")): name for name in names}
    by_path = {f"/dev/{name}": name for name in names}
    for name in names:
        mapped = read_text(under(root, f"{BLOCK}/{name}/dm/name"))
        if mapped:
            by_path[f"/dev/mapper/{mapped}"] = name
    for number, source, where in (*_mounts(root), *_swaps(root)):
        device = by_number.get(number) or by_path.get(source)
        for address in functions_below(root, device) if device else ():
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
    """A name as it is: the kernel writes a space in it as an octal escape."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text


def _links(root: Root) -> Iterator[KernelUse]:
    for name in listed(under(root, NET)):
        address = last_address(target_of(root, f"{NET}/{name}"))
        if address and _is_up(root, name):
            yield KernelUse(address, "network", name)


def _is_up(root: Root, name: str) -> bool:
    state = read_text(under(root, f"{NET}/{name}/operstate"))
    if state not in ("", "unknown"):
        return state == "up"
    # Some drivers never report a state; then it counts whether the link was set up.
    return bool(_hex(read_text(under(root, f"{NET}/{name}/flags")).removeprefix("0x")) & _UP)


def _consoles(root: Root) -> Iterator[KernelUse]:
    """Serial ports that are consoles of the kernel: a host without a display has no other."""
    # linux: Documentation/ABI/testing/sysfs-tty, `active`; where it is missing, the arguments.
    words = read_text(under(root, "proc/cmdline")).split()
    asked = (w[len("console=") :].partition(",")[0] for w in words if w.startswith("console="))
    active = read_text(under(root, f"{TTY}/console/active")).split()
    for name in active or dict.fromkeys(asked):
        address = last_address(target_of(root, f"{TTY}/{name}")) if "/" not in name else ""
        if address:
            yield KernelUse(address, "console", name)


def _default_routes(root: Root) -> Iterator[KernelUse]:
    for name in sorted({*_routes(root), *_routes6(root)}):
        for lower in _lower(root, name):
            address = last_address(target_of(root, f"{NET}/{lower}"))
            if address:
                what = name if name == lower else f"{name} on {lower}"
                yield KernelUse(address, "default-route", what)


def _routes(root: Root) -> Iterator[str]:
    for line in read_text(under(root, "proc/net/route")).splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[1] == words[7] == "00000000" and _leads_out(words[3]):
            yield words[0]


def _routes6(root: Root) -> Iterator[str]:
    for line in read_text(under(root, "proc/net/ipv6_route")).splitlines():
        words = line.split()
        if len(words) == 10 and words[:2] == ["0" * 32, "00"] and words[9] != "lo":
            yield from words[9:] if _leads_out(words[8]) else ()


def _leads_out(flags: str) -> bool:
    """Whether a route is up and not one that rejects."""
    number = _hex(flags)
    return bool(number & _UP) and not number & _REJECT


def _lower(root: Root, name: str) -> set[str]:
    """The links that a link is built on: of a bond, a bridge, a VLAN, Open vSwitch."""
    links = listed(under(root, NET))
    ports: dict[str | None, list[str]] = {}
    for link in links:
        ports.setdefault(link_name(under(root, f"{NET}/{link}/master")), []).append(link)

    def lower(link: str) -> list[str]:
        entries = listed(under(root, f"{NET}/{link}"))
        names = [entry[6:] for entry in entries if entry.startswith("lower_")]
        names += ports.get(link, [])
        # sysfs does not show by which of Open vSwitch's ports a bridge's own link goes out.
        if not names and "device" not in entries and link != "ovs-system":
            return ports.get("ovs-system", [])
        return names

    return closure(name, lower)


def _hex(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0

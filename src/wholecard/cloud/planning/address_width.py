"""How wide a server's addresses must be for its cards and its RAM. Pure.

The host's check calculates the same (`host/facts/address_width.py`): a guest's default address
width leaves UEFI a window that large cards do not fit into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from wholecard.core import Finding, Severity
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.core.units import size_text
from wholecard.host.facts.address_width import functions_window, needed_bits, widest_bits
from wholecard.host.facts.host import Host
from wholecard.pci import Function
from wholecard.site.card_matching import functions_of
from wholecard.site.model import Site, SiteFlavor

D = TypeVar("D")

_MIB = 1 << 20
_MODE, _BITS = "hw:maxphysaddr_mode", "hw:maxphysaddr_bits"


@dataclass(frozen=True)
class Width:
    """The extra specs of a flavor's address width, and the findings about it."""

    specs: Mapping[str, str]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Need:
    """The window (bytes) and address bits that a flavor needs on a host; None: the default."""

    host: Host
    window: int
    bits: int | None


def width(
    site: Site, name: str, flavor: SiteFlavor, facts: Mapping[str, Host], release: Release
) -> Width:
    """The flavor's address width: what the site file sets, or calculated from the hosts' facts.

    Calculated it is `emulate` with as many bits as the cards and the RAM need on the host where
    they need most: `passthrough` starts only on hosts with `[libvirt] cpu_mode = host-passthrough`
    (libvirt: qemu_validate.c), which no fact of a host tells.
    """
    if not _is_requested(flavor):
        return Width({})
    every_host = _needs(site, flavor, facts)
    needs = [need for need in every_host if need.host.cpu.is_x86]
    if every_host and not needs:
        # libvirt has the address width for x86 alone: src/qemu/qemu_validate.c.
        return Width({})
    if flavor.maxphysaddr == "passthrough":
        return _checked(name, {_MODE: "passthrough"}, needs, None, release)
    bits = flavor.maxphysaddr_bits or _bits(needs, flavor.maxphysaddr == "emulate")
    if bits is None:
        return Width({}, () if needs else (_unknown(name, flavor),))
    specs = {_MODE: "emulate", _BITS: str(min(bits, _widest(needs, bits)))}
    return _checked(name, specs, needs, bits, release)


def _is_requested(flavor: SiteFlavor) -> bool:
    """Whether the flavor needs a width at all: `auto` is for flavors with cards."""
    return bool(flavor.cards) if flavor.maxphysaddr == "auto" else flavor.maxphysaddr != "none"


def _bits(needs: list[_Need], emulate: bool) -> int | None:
    """The most bits that a host needs; where none needs any and `emulate` is set, what all have."""
    needed = [need.bits for need in needs if need.bits is not None]
    if needed:
        return max(needed)
    return _widest(needs, None) if emulate else None


def _widest(needs: list[_Need], default: D) -> int | D:
    """The most bits that a guest can have on every host."""
    return min((widest_bits(need.host) for need in needs), default=default)


def _checked(
    name: str, specs: dict[str, str], needs: list[_Need], bits: int | None, release: Release
) -> Width:
    """The specs, without those that nova does not have, and WC337 where they are too few bits."""
    if not has(release, Capability.GUEST_ADDRESS_WIDTH):
        return Width({}, (_without_width(name, needs),))
    short = any(need.bits is not None and need.bits > widest_bits(need.host) for need in needs)
    if not short and (bits is None or bits <= int(specs.get(_BITS, bits))):
        return Width(specs)
    most = max(bits or 0, *(need.bits or 0 for need in needs))
    finding = Finding(
        "WC337",
        f"flavor {name}",
        Severity.WARNING,
        f"It needs {most} address bits for its cards and RAM, but some hosts with such cards have "
        f"only {_widest(needs, None)}.",
        "Give the flavor fewer cards or less RAM.",
    )
    return Width(specs, (finding,))


def _without_width(name: str, needs: list[_Need]) -> Finding:
    window = max((need.window for need in needs), default=0)
    return Finding(
        "WC337",
        f"flavor {name}",
        Severity.WARNING,
        f"Its cards need a window of {size_text(window)} in the guest, but nova has {_MODE} only "
        f"since {Capability.GUEST_ADDRESS_WIDTH.series}: the guest does not see all of their "
        "memory.",
        "Set [libvirt] cpu_mode = host-passthrough on the hosts, so that QEMU shows the host's "
        "own width to guests; or give the flavor fewer cards.",
    )


def _unknown(name: str, flavor: SiteFlavor) -> Finding:
    cards = ", ".join(flavor.cards)
    return Finding(
        "WC337",
        f"flavor {name}",
        Severity.NOTE,
        f"No facts of a host with {cards} are known. So it was not checked whether a guest can "
        "map all of their memory, and no address width is set.",
        "Name the facts of such a host in the site file, or set maxphysaddr and maxphysaddr_bits "
        "on the flavor.",
    )


def _needs(site: Site, flavor: SiteFlavor, facts: Mapping[str, Host]) -> list[_Need]:
    """What the flavor needs on each host that has its cards."""
    needs = []
    for host_name, host in facts.items():
        functions = _largest(site, flavor, host_name, host)
        if functions is not None:
            window = functions_window(functions)
            needs.append(_Need(host, window, needed_bits(host, window, flavor.ram * _MIB)))
    return needs


def _largest(site: Site, flavor: SiteFlavor, host_name: str, host: Host) -> list[Function] | None:
    """The largest functions that nova may give the flavor's server there; None for too few."""
    chosen: list[Function] = []
    for kind, count in flavor.cards.items():
        functions = functions_of(site.cards[kind], host_name, host)
        if len(functions) < count:
            return None
        by_size = sorted(functions, key=lambda row: max(row.bars, default=0), reverse=True)
        chosen += by_size[:count]
    return chosen

"""How wide a server's addresses have to be for its cards and its RAM. Pure.

The reckoning is the host check's (`host.check_memory`): a guest's default address width leaves UEFI
a window that large cards do not fit into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.core.units import size_text
from wholecard.host.facts.address_width import functions_window, needed_bits, widest_bits
from wholecard.host.facts.host import Host
from wholecard.pci import Function
from wholecard.site.card_matching import functions_of
from wholecard.site.model import Site, SiteFlavor

_MIB = 1 << 20
_MODE, _BITS = "hw:maxphysaddr_mode", "hw:maxphysaddr_bits"


@dataclass(frozen=True)
class Width:
    """What a flavor says of its address width: extra specs, and what is to be said about it."""

    specs: Mapping[str, str]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Need:
    """The window (bytes) and address bits that a flavor needs on one host; bits None: as it is."""

    host: Host
    window: int
    bits: int | None


def width(
    site: Site, name: str, flavor: SiteFlavor, facts: Mapping[str, Host], release: Release
) -> Width:
    """The flavor's address width: what it says itself, or reckoned from the hosts' facts.

    Reckoned it is `emulate` with as many bits as the cards and the RAM need on the host where they
    need most: `passthrough` starts only on hosts with `[libvirt] cpu_mode = host-passthrough`
    (libvirt: qemu_validate.c), which no fact of a host tells.
    """
    if flavor.maxphysaddr == "none" or (flavor.maxphysaddr == "auto" and not flavor.cards):
        return Width({})
    needs = _needs(site, flavor, facts)
    if flavor.maxphysaddr == "passthrough":
        return _said(name, {_MODE: "passthrough"}, needs, None, release)
    needed = [need.bits for need in needs if need.bits is not None]
    bits = flavor.maxphysaddr_bits or (max(needed) if needed else None)
    if flavor.maxphysaddr == "emulate" and bits is None:
        bits = min((widest_bits(need.host) for need in needs), default=None)
    if bits is None:
        return Width({}, () if needs else (_unknown(name, flavor),))
    widest = min((widest_bits(need.host) for need in needs), default=bits)
    specs = {_MODE: "emulate", _BITS: str(min(bits, widest))}
    return _said(name, specs, needs, bits, release)


def _said(
    name: str, specs: dict[str, str], needs: list[_Need], bits: int | None, release: Release
) -> Width:
    """The specs with what stands against them."""
    short = [need for need in needs if need.bits is not None and need.bits > widest_bits(need.host)]
    findings = []
    if not has(release, Capability.GUEST_ADDRESS_WIDTH):
        window = max((need.window for need in needs), default=0)
        findings.append(
            Finding(
                "WC337",
                f"flavor {name}",
                Severity.WARNING,
                f"Its cards need a window of {size_text(window)} in the guest, and nova has "
                f"{_MODE} since {Capability.GUEST_ADDRESS_WIDTH.series} alone: the guest does not "
                "see all of their memory.",
                "Set [libvirt] cpu_mode = host-passthrough on the hosts, whose QEMU then shows the "
                "host's own width, or give a server fewer cards.",
            )
        )
        specs = {}
    elif short or (bits is not None and bits > int(specs.get(_BITS, bits))):
        widest = min(widest_bits(need.host) for need in needs)
        most = max(bits or 0, *(need.bits or 0 for need in needs))
        findings.append(
            Finding(
                "WC337",
                f"flavor {name}",
                Severity.WARNING,
                f"It needs {most} address bits for its cards and RAM, and no more than {widest} "
                "can be had on every host with such cards.",
                "Ask for fewer cards or less RAM in one server.",
            )
        )
    return Width(specs, tuple(findings))


def _unknown(name: str, flavor: SiteFlavor) -> Finding:
    cards = ", ".join(flavor.cards)
    return Finding(
        "WC337",
        f"flavor {name}",
        Severity.NOTE,
        f"No facts of a host that has {cards} for it: whether a guest sees all of their memory "
        "is not known, and no address width is set.",
        "Name the facts of such a host in the site file, or the width on the flavor (maxphysaddr).",
    )


def _needs(site: Site, flavor: SiteFlavor, facts: Mapping[str, Host]) -> list[_Need]:
    """What the flavor needs on each host that has its cards."""
    found = []
    for host_name, host in facts.items():
        given = _largest(site, flavor, host_name, host)
        if given is not None:
            window = functions_window(given)
            found.append(_Need(host, window, needed_bits(host, window, flavor.ram * _MIB)))
    return found


def _largest(site: Site, flavor: SiteFlavor, host_name: str, host: Host) -> list[Function] | None:
    """The largest functions that nova may give the flavor's server there; None for too few."""
    given: list[Function] = []
    for kind, count in flavor.cards.items():
        having = functions_of(site.cards[kind], host_name, host)
        if len(having) < count:
            return None
        given += sorted(having, key=lambda each: max(each.bars, default=0), reverse=True)[:count]
    return given

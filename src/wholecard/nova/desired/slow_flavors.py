"""Why servers of a flavor with cards will be slow, by the flavor and the facts of its hosts. Pure.

What is set on the flavor is a choice, and nothing is said of it; nor of a flavor with `tuned:
false`. Where each sentence comes from: docs/how-to/why-is-my-guest-slow.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.flavor_specs import SPEC_OF_KEY, flavor_request
from wholecard.nova.desired.near_cards import CardHost, card_hosts
from wholecard.nova.desired.unsupported import Unsupported
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import GuestLayout, layout
from wholecard.site.model import Site, SiteFlavor

_MIB = 1 << 20
_PAGES = {"large": 0, "2M": 2 << 20, "1G": 1 << 30}
_SMALL_KIB = 4
_NEAR = ("required", "socket")
_MOST_NAMES = 4
_FIX = ("Write tuned: true, or tuned: false", "Change this, or write tuned: false")


@dataclass(frozen=True)
class _SlowCase:
    """A flavor, its guests' layout, and the hosts that have its cards."""

    site: Site
    name: str
    flavor: SiteFlavor
    guest: GuestLayout
    hosts: tuple[CardHost, ...]

    def is_open(self, *keys: str) -> bool:
        """Whether the flavor says nothing of any of these keys."""
        specs = self.flavor.extra_specs
        return not any(
            getattr(self.flavor, key) is not None or SPEC_OF_KEY[key] in specs for key in keys
        )


def slow_flavors(site: Site, facts: Mapping[str, Host], release: Release) -> Iterator[Unsupported]:
    """A note for flavors with cards that are not tuned; one for hosts that isolate no CPUs.

    Flavors with the same reasons have one note.

    `site` is the site with what `tuned` sets on its flavors.
    """
    pinning: dict[str, Host] = {}
    alike: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for name, flavor in site.flavors.items():
        case = _case(site, name, flavor, facts, release) if flavor.cards else None
        if case is None or flavor.tuned is False:
            continue
        alike.setdefault((bool(flavor.tuned), tuple(_reasons(case, release))), []).append(name)
        if case.guest.pinned:
            pinning |= {host.name: host.facts for host in case.hosts}
    for (is_tuned, reasons), names in alike.items():
        if reasons:
            yield _slow(names, reasons, is_tuned)
    yield from _unisolated(pinning)


def _slow(names: list[str], reasons: tuple[str, ...], is_tuned: bool) -> Unsupported:
    """The note of all flavors with the same reasons, at the first of them."""
    which, whose = f"flavors.{names[0]}", "its"
    if len(names) > 1:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        which, whose = f"the flavors {', '.join(names[:_MOST_NAMES])}{more}", "their"
    return Unsupported(
        ("flavors", names[0]),
        f"{which} will be slower than {whose} cards allow: {'; '.join(reasons)}",
        "",
        f"{_FIX[is_tuned]} if this is intended.",
    )


def _case(
    site: Site, name: str, flavor: SiteFlavor, facts: Mapping[str, Host], release: Release
) -> _SlowCase | None:
    try:
        guest = layout(flavor_request(name, flavor, release), release)
    except LayoutError:
        # An error of its own.
        return None
    return _SlowCase(site, name, flavor, guest, tuple(card_hosts(site, flavor, facts)))


def _reasons(case: _SlowCase, release: Release) -> Iterator[str]:
    guest = case.guest
    if not guest.pinned and case.is_open("cpu_policy"):
        yield "CPUs are shared with other servers (cpu_policy)"
    if guest.page in (None, "small", _SMALL_KIB) and case.is_open("hugepages"):
        yield "memory is in pages of 4 KiB (hugepages)"
    apart = not guest.pinned or any(cell.emulator for cell in guest.cells)
    has_policy = has(release, Capability.EMULATOR_THREADS)
    if not apart and has_policy and case.is_open("emulator_threads_policy"):
        yield "QEMU's own threads run on the guest's CPUs (emulator_threads_policy)"
    yield from _far_cards(case)
    yield from _shared_core(case)


def _far_cards(case: _SlowCase) -> Iterator[str]:
    """Its CPUs and memory may be on other NUMA nodes than its cards: on the first such host."""
    for host in case.hosts:
        nodes = ", ".join(
            f"{kind} on {_nodes_text(host.nodes_with(kind))}"
            for kind in case.flavor.cards
            if host.nodes_with(kind)
        )
        if len(host.nodes.nodes) < 2 or not nodes:
            continue
        reason = _far_reason(case, host)
        if reason:
            yield f"{reason}: {host.name} has {nodes}"
            return


def _far_reason(case: _SlowCase, host: CardHost) -> str:
    """Why the server may be far from its cards on that host; empty where it is near, or chosen."""
    guest, flavor = case.guest, case.flavor
    if not guest.cells:
        open_keys = case.is_open("cpu_policy", "hugepages", "numa_nodes")
        return "CPUs and memory are on any NUMA node (numa_nodes)" if open_keys else ""
    is_near = any(host.is_near(flavor, seat) for seat in host.seats(guest))
    if not is_near and case.is_open("numa_nodes"):
        vcpus = max(cell.shared + cell.pinned for cell in guest.cells)
        return f"no NUMA node has the cards and room for {vcpus} CPUs (numa_nodes, vcpus)"
    policies = [guest.policy or case.site.cards[kind].numa_policy for kind in flavor.cards]
    if "preferred" in policies and case.is_open("numa_policy"):
        return "the cards may be of another NUMA node (numa_policy)"
    return ""


def _shared_core(case: _SlowCase) -> Iterator[str]:
    """An odd number of CPUs on a host with hyper-threads leaves half a core to another server."""
    odd = [cell.pinned for cell in case.guest.cells if cell.pinned % 2]
    if not odd or not case.is_open("cpu_thread_policy"):
        return
    for host in case.hosts:
        cpu = host.facts.cpu
        if cpu.cores and cpu.threads // cpu.cores == 2:
            yield (
                f"a core is shared with another server: the guest has {odd[0]} CPUs on a NUMA "
                f"node, an odd number, and a core of {host.name} has two threads (vcpus)"
            )
            return


def _unisolated(pinning: Mapping[str, Host]) -> Iterator[Unsupported]:
    """Hosts whose own processes run on the CPUs that guests are pinned to."""
    names = [name for name, host in pinning.items() if host.cpu.nodes and not host.cpu.isolated]
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        verb = "isolate" if more else "isolates"
        yield Unsupported(
            ("hosts", names[0]),
            f"{names[0]}{more} {verb} no CPUs: the host's own processes run on the CPUs that "
            "servers are pinned to",
            "",
            "Run wholecard-host apply --isolate-cpus LIST, and set [compute] cpu_dedicated_set to "
            "the same list.",
        )


def missing_pages(site: Site, facts: Mapping[str, Host], release: Release) -> Iterator[Unsupported]:
    """Flavors whose huge pages no host has now; their number may still change."""
    for name, flavor in site.flavors.items():
        size = _PAGES.get(flavor.hugepages or "")
        if size is None or not facts:
            continue
        most = max(_page_bytes(host, size) for host in facts.values())
        if most < flavor.ram * _MIB:
            lack = f"no host has more than {most // _MIB} MiB" if most else "no host has any"
        elif _has_no_node(_case(site, name, flavor, facts, release)):
            lack = "no host has enough of them on its NUMA nodes beside the cards"
        else:
            continue
        yield Unsupported(
            ("flavors", name, "hugepages"),
            f"flavors.{name} needs {flavor.ram} MiB of huge pages, and {lack}",
            "",
            "Reserve them (wholecard-host apply --hugepages SIZE:COUNT; on a system that comes "
            "from an image plan --for-image with the same option), and inspect the hosts again.",
        )


def _has_no_node(case: _SlowCase | None) -> bool:
    """Whether each host would have room for the guest, were it not for the nodes' huge pages."""
    if case is None or not case.hosts:
        return False
    for host in case.hosts:
        known = any(pool.node is not None for pool in host.facts.memory.hugepages)
        near = case.guest.policy in _NEAR
        with_pages = host.seats(case.guest, pages=True)
        if not known or any(not near or host.is_near(case.flavor, seat) for seat in with_pages):
            return False
    return True


def _page_bytes(host: Host, size: int) -> int:
    """The bytes of a host's huge pages of that size, of any size for 0."""
    pools = [pool for pool in host.memory.hugepages if size in (0, pool.size)]
    whole = [pool for pool in pools if pool.node is None]
    return sum(pool.size * pool.total for pool in whole or pools)


def _nodes_text(nodes: list[int]) -> str:
    numbers = ", ".join(map(str, nodes))
    return f"NUMA node {numbers}" if len(nodes) == 1 else f"NUMA nodes {numbers}"

"""What `tuned: true` sets on a flavor, where its keys and its release let it. Pure.

CPUs of its own, QEMU's threads on one more, huge pages, locked memory, and as many NUMA nodes as
its cards are on. The sources of what each does are in docs/how-to/why-is-my-guest-slow.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wholecard.core.releases import Release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.flavor_specs import SPEC_OF_KEY, flavor_request, since
from wholecard.nova.desired.near_cards import CardHost, card_hosts
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.numa_topology import layout
from wholecard.site.model import Site, SiteFlavor


def tuned_site(site: Site, facts: Mapping[str, Host], release: Release) -> Site:
    """The site with what `tuned` sets on each of its flavors that has it."""
    tuned = {
        name: tuned_flavor(site, flavor, facts, release)
        for name, flavor in site.flavors.items()
        if flavor.tuned
    }
    return site.model_copy(update={"flavors": {**site.flavors, **tuned}}) if tuned else site


def tuned_flavor(
    site: Site, flavor: SiteFlavor, facts: Mapping[str, Host], release: Release
) -> SiteFlavor:
    """The flavor with every key that it leaves open set as a fast guest needs it."""
    flavor = _with(flavor, release, cpu_policy="dedicated", hugepages="large")
    # Both need CPUs of the guest's own, which the flavor may have turned down.
    if _spec(flavor, "cpu_policy") in ("dedicated", "mixed"):
        flavor = _with(flavor, release, emulator_threads_policy="isolate")
    if _spec(flavor, "hugepages"):
        flavor = _with(flavor, release, locked_memory=True)
    if not flavor.cards:
        return flavor
    nodes = _fewest_nodes(site, flavor, facts, release)
    if nodes is None:
        return _with(flavor, release, numa_policy="preferred")
    return _with(flavor, release, numa_nodes=nodes, numa_policy="required")


def _spec(flavor: SiteFlavor, key: str) -> Any:
    """What the flavor says of a key, by the key itself or by the extra spec."""
    return flavor.extra_specs.get(SPEC_OF_KEY[key]) or getattr(flavor, key)


def _with(flavor: SiteFlavor, release: Release, **values: Any) -> SiteFlavor:
    """The flavor with those of the values that it leaves open and the release reads."""
    open_keys = {
        key: value
        for key, value in values.items()
        if _spec(flavor, key) is None
        and since(SPEC_OF_KEY[key], str(value).lower()) <= release.nova
    }
    return flavor.model_copy(update=open_keys)


def _fewest_nodes(
    site: Site, flavor: SiteFlavor, facts: Mapping[str, Host], release: Release
) -> int | None:
    """The fewest NUMA nodes that have the cards and room, on as many hosts as possible.

    None where no host's facts show any: they are not known, or the firmware does not tell where
    the cards are.
    """
    hosts = list(card_hosts(site, flavor, facts))
    most = max((len(host.nodes.nodes) for host in hosts), default=0)
    counts = range(1, most + 1) if flavor.numa_nodes is None else (flavor.numa_nodes,)
    fitting = {
        count: sum(_fits(host, flavor, count, release) for host in hosts) for count in counts
    }
    best = max(fitting, key=lambda count: (fitting[count], -count), default=None)
    return best if best is not None and fitting[best] else None


def _fits(host: CardHost, flavor: SiteFlavor, count: int, release: Release) -> bool:
    """Whether the guest fits on so many nodes of the host that have its cards."""
    spread = flavor.model_copy(update={"numa_nodes": count})
    try:
        guest = layout(flavor_request("", spread, release), release)
    except LayoutError:
        # It does not divide by so many nodes, or nova refuses it whatever their number.
        return False
    return any(host.is_near(flavor, seat) for seat in host.seats(guest))

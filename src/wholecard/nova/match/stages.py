"""nova's filters over pools, one function for each: what is left, and why the rest is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wholecard.core.capabilities import Capability
from wholecard.nova.match.pool import PLACEMENT_TAGS, Pool, count_of
from wholecard.nova.match.request import PciRequest
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.words import truth


@dataclass(frozen=True)
class HostCell:
    """A NUMA node of the host and its socket; None where the host does not say."""

    id: int
    socket: int | None = None


@dataclass(frozen=True)
class DeviceDemand:
    """A request with everything that the filters need besides the pools.

    `cells` are the host's NUMA nodes the guest sits on, empty for a guest without NUMA.
    `host_cells` is None for a host that reports no NUMA topology. `providers` are those that
    Placement chose, once for each device; empty where it was not asked.
    """

    request: PciRequest
    rules: Rules
    cells: tuple[int, ...] = ()
    host_cells: tuple[HostCell, ...] | None = None
    providers: tuple[str, ...] = ()


Left = tuple[list[Pool], str]
Filter = Callable[[Sequence[Pool], DeviceDemand], Left]


def filters(rules: Rules) -> tuple[tuple[str, Filter], ...]:
    """The stages of this release, in the order of nova/pci/stats.py, `_filter_pools`."""
    stages: list[tuple[str, Filter]] = [("spec", by_spec), ("numa", by_numa), ("pf", by_pf)]
    if rules.has(Capability.VDPA):
        stages.append(("vdpa", by_vdpa))
    if rules.has(Capability.REMOTE_MANAGED):
        stages.append(("remote-managed", by_remote_managed))
    if rules.has(Capability.PCI_IN_PLACEMENT):
        stages.append(("placement", by_provider))
    if rules.has(Capability.LIVE_MIGRATABLE):
        stages.append(("live-migratable", by_live_migratable))
    return tuple(stages)


def by_spec(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """Pools that have every key of one of the request's specs."""
    ignored = PLACEMENT_TAGS if demand.rules.has(Capability.PCI_IN_PLACEMENT) else frozenset[str]()
    specs = [
        {key: value for key, value in spec.items() if key not in ignored}
        for spec in demand.request.specs
    ]
    left, counts = [], Counter[str]()
    for pool in pools:
        differences = [_differences(pool, spec, demand.rules) for spec in specs]
        if [] in differences:
            left.append(pool)
        elif differences:
            counts[", ".join(sorted(differences, key=len)[0])] += max(pool.count, 0)
    return left, "; ".join(text for text, _ in counts.most_common(3))


def _differences(pool: Pool, spec: Mapping[str, Any], rules: Rules) -> list[str]:
    """The keys of `spec` in which the pool differs, each with both values."""
    return [
        f"{key} is {pool.keys.get(key)}, not {value}"
        for key, value in spec.items()
        if _word(pool.keys.get(key), rules) != _word(value, rules)
    ]


def _word(value: Any, rules: Rules) -> Any:
    return (
        value.lower() if isinstance(value, str) and rules.has(Capability.CASELESS_MATCH) else value
    )


def by_numa(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """Pools on the NUMA nodes that the policy allows; the strictest choice with enough devices.

    nova tries the guest's own nodes first, whatever the policy. `required` stops there, `socket`
    continues with the nodes of the same sockets, `legacy` with devices without a node,
    `preferred` with all devices.
    """
    # nova/pci/stats.py, `_filter_pools_for_numa_cells`: a guest without NUMA may take any device.
    if not demand.cells:
        return list(pools), ""
    policy = demand.request.numa_policy if demand.rules.numa_policies else "legacy"
    cells: tuple[int | None, ...] = demand.cells
    near = _on(pools, cells)
    reason = f"they are not on the guest's NUMA nodes {_listed(cells)} (policy {policy})"
    strict = bool(demand.rules.numa_policies)
    if strict and (policy == "required" or count_of(near) >= demand.request.count):
        return near, reason
    if policy == "socket":
        return _by_socket(pools, demand)
    near_or_nowhere = _on(pools, (*cells, None))
    if policy == "legacy" or count_of(near_or_nowhere) >= demand.request.count:
        return near_or_nowhere, reason
    return sorted(pools, key=lambda pool: pool.keys.get("numa_node") not in (*cells, None)), ""


def _by_socket(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    host = demand.host_cells
    if host is None:
        return [], "the host reports no NUMA topology (policy socket)"
    if any(cell.socket is None for cell in host):
        return [], "the host does not say which socket its NUMA nodes are on (policy socket)"
    sockets = {cell.socket for cell in host if cell.id in demand.cells}
    nodes = tuple(cell.id for cell in host if cell.socket in sockets)
    return _on(pools, nodes), f"they are not on the guest's sockets {_listed(sockets)}"


def _on(pools: Sequence[Pool], nodes: Sequence[int | None]) -> list[Pool]:
    return [pool for pool in pools if pool.keys.get("numa_node") in nodes]


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in sorted(values, key=str)) or "none"


def by_pf(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """No PFs, unless one of the specs asks for them."""
    return _without(
        pools, demand, "type-PF", "they are PFs, which the alias does not request with device_type"
    )


def by_vdpa(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """No vDPA devices, unless one of the specs asks for them, as an alias cannot."""
    return _without(pools, demand, "vdpa", "they are vDPA devices, which aliases never get")


def _without(pools: Sequence[Pool], demand: DeviceDemand, dev_type: str, reason: str) -> Left:
    if any(spec.get("dev_type") == dev_type for spec in demand.request.specs):
        return list(pools), ""
    return [pool for pool in pools if pool.keys.get("dev_type") != dev_type], reason


def by_remote_managed(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """No remote-managed devices, unless one of the specs asks for them, as an alias cannot."""
    if any(truth(spec.get("remote_managed")) for spec in demand.request.specs):
        return list(pools), ""
    left = [pool for pool in pools if not truth(pool.keys.get("remote_managed"))]
    return left, "they are remote_managed, which aliases never get"


def by_provider(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """Pools of providers that Placement chose, with as many devices as it took there."""
    if not demand.providers:
        return list(pools), ""
    taken = Counter[str | None](demand.providers)
    left = [pool for pool in pools if pool.provider in taken and pool.count >= taken[pool.provider]]
    return left, "Placement's allocation is of other providers, or of more than they have free"


def by_live_migratable(pools: Sequence[Pool], demand: DeviceDemand) -> Left:
    """Where all specs have live_migratable, only pools with the same value."""
    values = {spec.get("live_migratable") for spec in demand.request.specs}
    for word in ("true", "false"):
        if values <= {word}:
            left = [pool for pool in pools if pool.keys.get("live_migratable") == word]
            return left, f"their device_spec does not say live_migratable={word}"
    return list(pools), ""

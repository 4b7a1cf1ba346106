"""A host's free devices as the scheduler sees them, and whether a server's requests fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wholecard.core.capabilities import Capability
from wholecard.nova.match.device import Device
from wholecard.nova.match.pool import Pool, count_of, pools_of, reported
from wholecard.nova.match.request import PciRequest
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.spec import Spec
from wholecard.nova.match.stages import DeviceDemand, HostCell, filters
from wholecard.nova.match.verdict import Stage, Trail, Verdict


@dataclass(frozen=True)
class Pools:
    """nova's PCI statistics of one host: pools in the order in which nova tries them."""

    pools: tuple[Pool, ...]
    rules: Rules
    host_cells: tuple[HostCell, ...] | None = None

    @classmethod
    def of(
        cls,
        devices: Iterable[Device],
        specs: Sequence[Spec],
        rules: Rules,
        *,
        host_cells: Iterable[HostCell] | None = (),
        providers: Mapping[str, str] | None = None,
    ) -> Pools:
        """The pools of the free `devices` that `specs` give, in the order nova was told of them.

        `host_cells` is the host's NUMA topology, None where it reports none. `providers` are the
        ids of Placement's providers by the address they are named after, of devices reported.
        """
        pools = pools_of(devices, specs, rules)
        for pool in pools:
            # A device for Neutron is not reported, even where the PF of these VFs is.
            if not pool.keys.get("physical_network"):
                pool.provider = (providers or {}).get(pool.devices[0].provider_address)
        # nova-compute writes its pools into the database; the scheduler reads them from there and
        # sorts them again, with the provider as one more key.
        stored = sorted((reported(pool) for pool in pools), key=lambda pool: pool.width)
        cells = None if host_cells is None else tuple(host_cells)
        return cls(tuple(stored), rules, cells)

    def supports(
        self,
        requests: Iterable[PciRequest],
        numa_cells: Sequence[int] | None = None,
        provider_mapping: Mapping[str, Sequence[str]] | None = None,
    ) -> Verdict:
        """Whether this host can take all `requests` of a server at once, as nova's filter says.

        `numa_cells` are the host's NUMA nodes the guest's cells sit on, None or empty for a guest
        without NUMA. `provider_mapping` is Placement's choice: groups named
        `<request_id>-<number>`, each with the one provider that gives its device; None where
        Placement was not asked.
        """
        pools = [pool.copy() for pool in self.pools]
        trails = []
        for request in requests:
            if self.rules.has(Capability.SHARED_BETWEEN_REQUESTS):
                pools = [pool.copy() for pool in self.pools]
            asks_placement = self.rules.has(Capability.PCI_IN_PLACEMENT)
            chosen = _chosen(request, provider_mapping) if asks_placement else ()
            cells = tuple(numa_cells or ())
            demand = DeviceDemand(request, self.rules, cells, self.host_cells, chosen)
            trails.append(_apply(pools, demand))
            if trails[-1].broken is not None:
                break
        return Verdict(tuple(trails))


def _chosen(request: PciRequest, mapping: Mapping[str, Sequence[str]] | None) -> tuple[str, ...]:
    """The providers that give the request's devices, each as often as it gives one."""
    if mapping:
        own = [group for group in mapping if group.startswith(request.request_id)]
        return tuple(mapping[group][0] for group in own)
    stored = request.specs[0].get("rp_uuids") if request.specs else None
    return tuple(stored.split(",")) if stored else ()


def _apply(pools: list[Pool], demand: DeviceDemand) -> Trail:
    """Filter, then take the devices out of `pools`, which changes them."""
    requested = demand.request.count
    left: Sequence[Pool] = pools
    stages = []
    for name, apply in filters(demand.rules):
        came, (left, reason) = left, apply(left, demand)
        stage = _stage(name, came, left, reason, requested)
        stages.append(stage)
        if not stage.enough:
            return Trail(demand.request, tuple(stages))
    before = count_of(left)
    split = _split_provider(pools, demand)
    if split is None:
        _consume(pools, left, demand)
    reason = "" if split is None else f"provider {split} has its devices in two pools"
    after = before - requested if split is None else before
    stages.append(Stage("consume", before, after, reason=reason, enough=split is None))
    return Trail(demand.request, tuple(stages))


def _stage(
    name: str, came: Sequence[Pool], left: Sequence[Pool], reason: str, requested: int
) -> Stage:
    kept = {id(pool) for pool in left}
    dropped = [pool for pool in came if id(pool) not in kept]
    count = count_of(left)
    if not dropped:
        reason = "" if count >= requested else f"the host has {count} of {requested}"
    # A request for none still needs a pool: nova takes an empty list for a refusal.
    enough = bool(left) and count >= requested
    addresses = tuple(address for pool in dropped for address in pool.free)
    return Stage(name, count_of(came), count, addresses, reason, enough)


def _split_provider(pools: Sequence[Pool], demand: DeviceDemand) -> str | None:
    """The first provider with devices in two pools, where nova follows Placement and refuses it."""
    if not demand.providers or not demand.rules.has(Capability.ONE_POOL_PER_PROVIDER):
        return None
    counts = Counter(pool.provider for pool in pools if pool.provider is not None)
    return next((provider for provider, count in counts.items() if count > 1), None)


def _consume(pools: list[Pool], left: Sequence[Pool], demand: DeviceDemand) -> None:
    if demand.providers:
        taken = Counter(demand.providers)
        for pool in left:
            pool.count -= taken[pool.provider or ""]
            if pool.count == 0:
                pools.remove(pool)
            if demand.rules.has(Capability.ONE_POOL_PER_PROVIDER):
                del taken[pool.provider or ""]
        return
    count = demand.request.count
    for pool in left:
        if pool.count > count:
            pool.count -= count
            return
        count -= pool.count
        pools.remove(pool)
        if not count:
            return

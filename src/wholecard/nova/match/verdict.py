"""Whether a host can take a server's requests, and what each filter left."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.nova.match.request import PciRequest

# In nova's order (nova/pci/stats.py, _filter_pools, _apply_request).
STAGES = {
    "spec": "the devices that have what the alias asks for",
    "numa": "on the NUMA nodes that the policy allows",
    "pf": "PFs only where they are asked for",
    "vdpa": "no vDPA devices, which aliases never get",
    "remote-managed": "no devices that a SmartNIC's own system manages",
    "placement": "of the providers that Placement chose",
    "live-migratable": "live-migratable or not, as the alias says",
    "consume": "taken from their pools",
}


@dataclass(frozen=True)
class Stage:
    """One step of nova's filtering: `name` is a key of STAGES.

    `came` and `left` are how many free devices there were before and after, `dropped` the
    addresses of those that it removed, `reason` says why, "" where it removed none. `enough` is
    False where fewer are left than the request needs: then the request fails, whether nova counts
    at this step or later.
    """

    name: str
    came: int
    left: int
    dropped: tuple[str, ...] = ()
    reason: str = ""
    enough: bool = True


@dataclass(frozen=True)
class Trail:
    """A request and its stages, up to and with the first that failed."""

    request: PciRequest
    stages: tuple[Stage, ...]

    @property
    def broken(self) -> Stage | None:
        """The first stage that left too few devices; None where the host has enough."""
        return next((stage for stage in self.stages if not stage.enough), None)


@dataclass(frozen=True)
class Verdict:
    """Each request's trail; it is true where the host can take all requests.

    nova stops at the first request that fails, and so do the trails.
    """

    trails: tuple[Trail, ...]

    def __bool__(self) -> bool:
        return self.broken is None

    @property
    def broken(self) -> Trail | None:
        """The trail of the request that failed; None where all succeed."""
        return next((trail for trail in self.trails if trail.broken is not None), None)

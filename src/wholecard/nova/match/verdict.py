"""What came of a server's requests on a host, and the way there."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.nova.match.request import PciRequest

__all__ = ["Stage", "Trail", "Verdict", "STAGES"]

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

    `came` and `left` are how many free devices came in and were left, `dropped` the addresses of
    those that went here, `reason` says why, "" where none went. `enough` is False where fewer are
    left than the request wants: that request fails, whether nova counts here or further on.
    """

    name: str
    came: int
    left: int
    dropped: tuple[str, ...] = ()
    reason: str = ""
    enough: bool = True


@dataclass(frozen=True)
class Trail:
    """A request and the stages it came through, up to and with the first that broke it."""

    request: PciRequest
    stages: tuple[Stage, ...]

    @property
    def broken(self) -> Stage | None:
        """The first stage that left too few devices; None where the request is met."""
        return next((stage for stage in self.stages if not stage.enough), None)


@dataclass(frozen=True)
class Verdict:
    """Whether the host can take all requests (its truth), and each request's trail.

    nova stops at the first request it cannot meet, and so do the trails.
    """

    trails: tuple[Trail, ...]

    def __bool__(self) -> bool:
        return self.broken is None

    @property
    def broken(self) -> Trail | None:
        """The trail of the request that failed; None where there is none."""
        return next((trail for trail in self.trails if trail.broken is not None), None)

"""What is asked of nova, with the names it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from wholecard.explain.evidence.requested_devices import (
    RequestedDevices,
)
from wholecard.explain.link import (
    CheckResult,
    first_broken,
)
from wholecard.nova.flavor.numa_topology import GuestLayout


@dataclass(frozen=True)
class Asked:
    """The request's own links, and what hosts are asked for where none of them broke."""

    links: tuple[CheckResult, ...]
    wanted: RequestedDevices = field(default_factory=RequestedDevices)
    layout: GuestLayout = field(default_factory=GuestLayout)

    @property
    def broken(self) -> bool:
        """Whether no host is asked."""
        return first_broken(self.links) is not None


def names_in(text: str) -> tuple[str, ...]:
    """The aliases that an extra spec names, as far as it can be read."""
    return tuple(part.partition(":")[0].strip() for part in text.split(","))

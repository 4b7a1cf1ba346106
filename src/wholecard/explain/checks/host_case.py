"""What the checks of one host look at."""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.explain.check_result import unknown
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.host_devices import HostDevices
from wholecard.explain.evidence.requested_devices import RequestedDevices, in_placement
from wholecard.nova.flavor.numa_topology import GuestLayout

ALIAS_UNKNOWN = unknown("the definition of the alias is not known", "--conf api=FILE")
PROVIDERS = "Placement's providers"
ASK_CLOUD = "--cloud NAME, with --host {} if there are many hosts"
FEWER = "Request fewer cards, or use a host with more."


@dataclass(frozen=True)
class HostCase:
    """One host beside the request: the devices that it has and those that are requested."""

    evidence: Evidence
    host: HostEvidence
    requested: RequestedDevices
    layout: GuestLayout
    devices: HostDevices

    @property
    def asks_placement(self) -> bool | None:
        """Whether nova asks Placement for the cards; None where that is not known."""
        return in_placement(self.evidence)[0]

    @property
    def facts_option(self) -> str:
        """How a person tells what this host has."""
        return f"--facts {self.host.name}=FILE (wholecard inspect --save FILE there)"

    @property
    def conf_option(self) -> str:
        """How a person tells what nova-compute reads on this host."""
        return f"--conf compute@{self.host.name}=FILE (its nova.conf)"

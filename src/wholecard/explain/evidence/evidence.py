"""What is known of a request and of the hosts that could take it; what is not known is None.

Everything here is plain data. `from_files` fills it from files and facts, `from_cloud` from the
APIs; `merged` joins the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.core.releases import LATEST, Release
from wholecard.host.facts.host import Host
from wholecard.host.facts.offered_slices import OfferedSlices
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.flavor.server_request import ServerRequest

Demand = Literal["machine", "traits", "groups", "class", "card traits", "count"]


@dataclass(frozen=True)
class ComputeServiceState:
    """nova-compute on a host, as `openstack compute service list` shows it."""

    up: bool
    enabled: bool
    reason: str = ""


@dataclass(frozen=True)
class CandidatesQuery:
    """A candidates query that Placement was asked about one host, and whether it found any.

    `demand` is what the query adds to the one before it. `has_candidates` is None where Placement
    did not answer; `error` is its own, or that no answer came in time.
    """

    demand: Demand
    text: str
    has_candidates: bool | None
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Guest:
    """A server that is on a host, and how many cards of each alias its flavor asks for."""

    id: str
    cards: Mapping[str, int]


@dataclass(frozen=True)
class HostAggregate:
    """A host aggregate that the host is in."""

    name: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class HostEvidence:
    """What is known of one host.

    `taken` are addresses of functions that servers have, with the server's id; `guests` the
    servers on the host, where only their flavors tell. `zones` are the availability zones that
    the host is in; `refused` is what nova-compute there answered to this very request.
    """

    name: str
    conf: NovaConf | None = None
    facts: Host | None = None
    facts_source: str = ""
    service: ComputeServiceState | None = None
    provider_tree: ProviderTree | None = None
    taken: Mapping[str, str] | None = None
    guests: tuple[Guest, ...] | None = None
    zones: tuple[str, ...] | None = None
    aggregates: tuple[HostAggregate, ...] | None = None
    queries: tuple[CandidatesQuery, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def slices(self) -> OfferedSlices | None:
        """What its drivers offer to be made of cards; None where the facts do not say."""
        return self.facts.slices if self.facts else None


@dataclass(frozen=True)
class Refusal:
    """That nova refused: the message it gave, and where it was read."""

    message: str
    source: str


@dataclass(frozen=True)
class Evidence:
    """All that is known. `release_known` tells whether a person or a site file named the release.

    `forbidden` is what the cloud does not show to the user that asked.
    """

    request: ServerRequest
    hosts: tuple[HostEvidence, ...] = ()
    release: Release = LATEST
    release_known: bool = False
    api: NovaConf | None = None
    scheduler: NovaConf | None = None
    placement: NovaConf | None = None
    refusal: Refusal | None = None
    forbidden: tuple[str, ...] = ()


def merged(first: HostEvidence, second: HostEvidence) -> HostEvidence:
    """One host's evidence of two sources; where both know something, the first counts."""
    lacking = [name for name, value in first.__dict__.items() if value in (None, (), "")]
    given = {name: getattr(second, name) for name in lacking}
    changed = {name: value for name, value in given.items() if value != getattr(first, name)}
    return replace(first, **changed) if changed else first


def merged_hosts(
    first: tuple[HostEvidence, ...], second: tuple[HostEvidence, ...]
) -> tuple[HostEvidence, ...]:
    """The hosts of two sources by name, those that both know as one."""
    by_name = {host.name: host for host in second}
    both = [merged(host, by_name.pop(host.name, HostEvidence(host.name))) for host in first]
    return tuple(sorted([*both, *by_name.values()], key=lambda host: host.name))

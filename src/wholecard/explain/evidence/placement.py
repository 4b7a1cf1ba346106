"""What Placement has of each host, and the candidates queries about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from openstack.connection import Connection

from wholecard.cloud.placement import allocation_candidates, resource_providers
from wholecard.cloud.placement.allocation_candidates import RequestGroup
from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.explain.evidence import requested_devices
from wholecard.explain.evidence.card_providers import address_in, card_providers
from wholecard.explain.evidence.evidence import CandidatesQuery, Demand, Evidence, HostEvidence
from wholecard.explain.evidence.requested_devices import RequestedDevices, class_of, traits_of
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.nova.match import PciRequest

# Providers are read one by one, four calls each; of more hosts the first are read.
MOST_HOSTS = 32
# With more groups than this Placement does not answer in time anyway: a query stays readable.
_MOST_GROUPS = 64


def queries(
    conn: Connection, evidence: Evidence, host: HostEvidence, requested: RequestedDevices
) -> tuple[CandidatesQuery, ...]:
    """nova's query about this host alone; where it finds no candidate, its parts.

    The parts begin with the machine and add a demand each, up to the one that leaves no candidate.
    Empty where Placement does not know the host or is too old for such a query.
    """
    uuid = host.provider_tree.root.uuid if host.provider_tree else ""
    if not uuid or not allocation_candidates.takes_queries(conn):
        return ()
    steps = _steps(evidence, requested)
    whole = _ask(conn, steps[-1], uuid)
    # nova asks again, for VCPU instead of PCPU, where the first query finds no candidate.
    pinned = resource_request(evidence.request, evidence.release).pinned
    again = pinned and not requested_devices.no_second_query(evidence)
    if whole.has_candidates is False and again:
        second = _ask(conn, _steps(evidence, requested, second=True)[-1], uuid)
        if second.has_candidates is not False:
            return (second,)
    if whole.has_candidates is not False:
        return (whole,)
    parts = []
    for step in steps[:-1]:
        parts.append(_ask(conn, step, uuid))
        if not parts[-1].has_candidates:
            return tuple(parts)
    return (*parts, whole)


@dataclass(frozen=True)
class _Step:
    """A query's groups, and what it demands beyond the one before it."""

    demand: Demand
    machine: RequestGroup
    groups: tuple[RequestGroup, ...] = ()


def _steps(evidence: Evidence, requested: RequestedDevices, second: bool = False) -> list[_Step]:
    request = resource_request(evidence.request, evidence.release, second)
    bare = RequestGroup(request.machine.resources or {"VCPU": 1})
    machine = RequestGroup(
        bare.resources,
        request.machine.required | request.root_required,
        request.machine.forbidden | request.root_forbidden,
    )
    steps = [_Step("machine", bare), _Step("traits", machine)]
    groups = tuple(
        RequestGroup(group.resources, group.required, group.forbidden)
        for group in request.groups.values()
        if group.resources
    )
    if groups:
        steps.append(_Step("groups", machine, groups))
    if requested_devices.in_placement(evidence)[0] and requested.requests:
        steps += _card_steps(machine, groups, requested.requests)
    return steps


def _card_steps(
    machine: RequestGroup, groups: tuple[RequestGroup, ...], requests: tuple[PciRequest, ...]
) -> Iterator[_Step]:
    """One card of each alias by its class, then with its traits, then as many as requested."""
    classes = tuple(RequestGroup({class_of(request): 1}) for request in requests)
    cards = tuple(RequestGroup({class_of(request): 1}, traits_of(request)) for request in requests)
    every = tuple(
        card
        for request, card in zip(requests, cards, strict=True)
        for _ in range(min(request.count, _MOST_GROUPS))
    )
    yield _Step("class", machine, groups + classes)
    yield _Step("card traits", machine, groups + cards)
    yield _Step("count", machine, groups + every)


def _ask(conn: Connection, step: _Step, uuid: str) -> CandidatesQuery:
    path = allocation_candidates.candidates_query(step.machine, step.groups, uuid)
    answer = allocation_candidates.candidates(conn, path)
    has_candidates = None if answer.count is None else answer.count > 0
    return CandidatesQuery(step.demand, f"GET {path}", has_candidates, answer.seconds, answer.error)


def provider_trees(conn: Connection, hypervisor_hosts: Iterable[str]) -> Mapping[str, ProviderTree]:
    """What Placement has of these hosts, of the first `MOST_HOSTS` that it knows."""
    trees = resource_providers.provider_trees(conn, hypervisor_hosts, MOST_HOSTS)
    return {host: _with_holders(conn, tree) for host, tree in trees.items()}


def _with_holders(conn: Connection, tree: ProviderTree) -> ProviderTree:
    below = (
        resource_providers.with_consumers(conn, provider)
        if address_in(provider) and any(row.used for row in provider.inventories or ())
        else provider
        for provider in tree.below
    )
    return replace(tree, below=tuple(below))


def taken(tree: ProviderTree) -> dict[str, str]:
    """The addresses of cards of which nothing is left, with who has them.

    A PF of which VFs are allocated is one provider; Placement does not know its VFs' addresses.
    """
    return {
        address_in(provider): ", ".join(provider.consumers or ()) or "a server"
        for provider in card_providers(tree)
        if any(row.used >= row.total > 0 for row in provider.inventories or ())
    }

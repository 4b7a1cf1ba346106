"""What Placement has of each host, and the real questions about the hosts that it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from openstack.connection import Connection

from wholecard.cloud.placement import allocation_candidates as placement
from wholecard.cloud.placement import resource_providers
from wholecard.cloud.placement.allocation_candidates import RequestGroup
from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.explain.evidence.asked import Asked
from wholecard.explain.evidence.card_providers import address_in, card_providers
from wholecard.explain.evidence.evidence import (
    CandidatesQuery,
    Evidence,
    HostEvidence,
)
from wholecard.explain.evidence.requested_devices import class_of, in_placement, traits_of
from wholecard.explain.evidence.second_question import asks_again
from wholecard.nova.flavor.resource_request import resource_request

# Providers are read one by one, four calls each; of more hosts the first are read.
MOST_HOSTS = 32


@dataclass(frozen=True)
class ProviderTrees:
    """Shelves by hypervisor host, and the uuid of each host's provider."""

    by_host: Mapping[str, ProviderTree]

    def questions(
        self, conn: Connection, evidence: Evidence, host: HostEvidence, wanted: Asked
    ) -> tuple[CandidatesQuery, ...]:
        """The question that nova would ask, about this host alone; where it is in vain, its parts.

        The parts begin with the machine and add a demand each, up to the one that empties the
        answer. Empty where Placement does not know the host or is too old for such a question, or
        we do not know what nova asks.
        """
        uuid = host.provider_tree.root.uuid if host.provider_tree else ""
        if not uuid or not placement.can_ask(conn):
            return ()
        steps = _steps(evidence, wanted)
        whole = _ask(conn, steps[-1], uuid)
        if whole.found is False and asks_again(evidence):
            again = _ask(conn, _steps(evidence, wanted, second=True)[-1], uuid)
            if again.found is not False:
                return (again,)
        if whole.found or whole.found is None or len(steps) == 1:
            return (whole,)
        found = []
        for step in steps[:-1]:
            found.append(_ask(conn, step, uuid))
            if not found[-1].found:
                return tuple(found)
        return (*found, whole)


@dataclass(frozen=True)
class _Step:
    """A question's groups, and what it demands beyond the one before it."""

    demand: str
    machine: RequestGroup
    cards: tuple[RequestGroup, ...] = ()


def _steps(evidence: Evidence, wanted: Asked, second: bool = False) -> list[_Step]:
    asked = resource_request(evidence.request, evidence.release, second)
    bare = RequestGroup(asked.machine.resources or {"VCPU": 1})
    machine = RequestGroup(
        bare.resources,
        asked.machine.required | asked.root_required,
        asked.machine.forbidden | asked.root_forbidden,
    )
    steps = [_Step("machine", bare), _Step("traits", machine)]
    groups = tuple(
        RequestGroup(each.resources, each.required, each.forbidden)
        for each in asked.groups.values()
        if each.resources
    )
    if groups:
        steps.append(_Step("groups", machine, groups))
    requests = wanted.wanted.requests
    if not in_placement(evidence)[0] or not requests:
        return steps
    classes = tuple(RequestGroup({class_of(each): 1}) for each in requests)
    cards = tuple(RequestGroup({class_of(each): 1}, traits_of(each)) for each in requests)
    every = tuple(
        RequestGroup({class_of(each): 1}, traits_of(each))
        for each in requests
        for _ in range(min(each.count, 64))
    )
    return [
        *steps,
        _Step("class", machine, groups + classes),
        _Step("card traits", machine, groups + cards),
        _Step("count", machine, groups + every),
    ]


def _ask(conn: Connection, step: _Step, uuid: str) -> CandidatesQuery:
    path = placement.question(step.machine, step.cards, uuid)
    answer = placement.candidates(conn, path)
    found = None if answer.count is None else answer.count > 0
    return CandidatesQuery(step.demand, f"GET {path}", found, answer.seconds, answer.error)  # type: ignore[arg-type]


def trees(conn: Connection, hypervisor_hosts: Iterable[str]) -> ProviderTrees:
    """What Placement has of these hosts, of the first `MOST_HOSTS` that it knows."""
    read = resource_providers.provider_trees(conn, hypervisor_hosts, MOST_HOSTS)
    return ProviderTrees({host: _with_holders(conn, tree) for host, tree in read.items()})


def _with_holders(conn: Connection, tree: ProviderTree) -> ProviderTree:
    """The tree, with who holds each card that is used."""
    below = (
        resource_providers.with_consumers(conn, provider)
        if address_in(provider) and any(row.used for row in provider.inventories or ())
        else provider
        for provider in tree.below
    )
    return replace(tree, below=tuple(below))


def taken(tree: ProviderTree) -> dict[str, str]:
    """The addresses of cards of which nothing is left, with who has them.

    A PF of which VFs are given is one provider; its VFs' own addresses Placement does not know.
    """
    return {
        address_in(each): ", ".join(each.consumers or ()) or "a server"
        for each in card_providers(tree)
        if any(inventory.used >= inventory.total > 0 for inventory in each.inventories or ())
    }

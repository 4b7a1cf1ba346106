"""Hosts that could take a server: explain's checks for each, and what Placement has free there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.compute_services import (
    Hypervisor,
    compute_services,
    hypervisors,
)
from wholecard.cloud.client.errors import answer_read
from wholecard.cloud.client.server_details import ServerDetails
from wholecard.cloud.placement.allocation_candidates import (
    MICROVERSION,
    RequestGroup,
    candidates_query,
)
from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.core.releases import Release
from wholecard.explain.check_result import first_failed
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.from_cloud import CloudReader, with_cloud, with_queries
from wholecard.explain.evidence.from_files import Files, gathered
from wholecard.explain.evidence.placement import MOST_HOSTS, provider_trees
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC
from wholecard.explain.evidence.selector import ServerSelector
from wholecard.explain.explain import Explanation, check_request, explain
from wholecard.explain.host_answer import HostAnswer
from wholecard.moving.record import Destination, Holdings
from wholecard.nova.flavor.server_request import ServerRequest

_ORDER = {"yes": 0, "unknown": 1, "no": 2}
_MOST_UNKNOWN = 4


@dataclass(frozen=True)
class Search:
    """What was found: the hosts, and what each has free by resource class, by its name."""

    destinations: tuple[Destination, ...]
    free: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    explanation: Explanation | None = None
    notes: tuple[str, ...] = ()


def request_of(server: ServerDetails) -> ServerRequest:
    """The request that nova's scheduler gets when the server is moved."""
    root = 0 if server.image_id is None else server.disk_gb
    return ServerRequest(
        flavor=server.flavor or None,
        source=f"openstack server show {server.id}",
        extra_specs=server.extra_specs,
        vcpus=server.vcpus,
        ram_mb=server.ram_mb,
        disk_gb=root + server.ephemeral_gb + -(-server.swap_mb // 1024),
        image=server.image_id or "",
        properties=server.properties,
        zone=server.zone,
        zone_known=server.zone_known,
        operation="resize",
    )


def search(
    conn: Connection,
    server: ServerDetails,
    holdings: Holdings,
    to: tuple[str, ...] = (),
    files: Files | None = None,
    release: Release | None = None,
) -> Search:
    """The hosts that could take the server, the best first; all but its own, or those of `to`.

    Names are nova-compute's or the hypervisor's. Raises UsageError for a host that nova does not
    know, CloudError.
    """
    listed = hypervisors(conn)
    chosen = [row for row in _named(listed, to) if row.service_host != server.host]
    notes = []
    if len(chosen) > MOST_HOSTS:
        count = len(chosen)
        chosen = _with_room(conn, chosen, holdings)[:MOST_HOSTS]
        notes.append(f"Of {count} hosts, {len(chosen)} with enough free in Placement were checked.")
    if not chosen:
        return Search((), notes=(*notes, "There is no other host to move to."))
    if EXTRA_SPEC not in server.extra_specs:
        # explain answers for cards of an alias; of all else Placement knows what is free.
        return _by_placement(conn, chosen, server, holdings, tuple(notes))
    known = gathered(request_of(server), files or Files(), release, "")
    names = tuple(row.hostname for row in chosen)
    reader = CloudReader(conn)
    evidence = with_cloud(reader, ServerSelector(hosts=names), known, release)
    evidence = replace(evidence, hosts=tuple(h for h in evidence.hosts if h.name in names))
    if first_failed(check_request(evidence)) is None:
        evidence = with_queries(reader, evidence)
    return _found(chosen, explain(evidence), evidence, holdings, tuple(notes))


def _by_placement(
    conn: Connection, chosen: list[Hypervisor], server: ServerDetails, holdings: Holdings,
    notes: tuple[str, ...],
) -> Search:  # fmt: skip
    """The hosts for a server without an alias: a cardless one, or one with a mediated device."""
    asked = holdings if holdings.amounts else Holdings(amounts=_sizes(server))
    with_room = {row.service_host for row in _with_room(conn, chosen, asked)}
    states = {row.host: row for row in compute_services(conn) if row.binary == "nova-compute"}
    trees = provider_trees(conn, [row.hostname for row in chosen])
    found, free = [], {}
    for row in chosen:
        host = row.service_host
        free[host] = free_amounts(HostEvidence(host, provider_tree=trees.get(row.hostname)))
        least = min((free[host].get(name, 0) for name in holdings.card_amounts), default=None)
        service = states.get(host)
        if service is None or (service.state, service.status) != ("up", "enabled"):
            state = f"{service.state} and {service.status}" if service else "unknown to nova"
            to = Destination(host, row.hostname, "no", f"nova-compute is {state}", "", least)
        elif host not in with_room:
            to = Destination(host, row.hostname, "no", "Placement has no room for it", "", least)
        else:
            why = "not checked: nova's filters"
            to = Destination(host, row.hostname, "unknown", why, "", least)
        found.append(to)
    return Search(tuple(sorted(found, key=_better)), free, notes=notes)


def _sizes(server: ServerDetails) -> dict[str, int]:
    """What the flavor asks Placement for, of a server whose allocation is not known."""
    request = request_of(server)
    sizes = {"VCPU": server.vcpus, "MEMORY_MB": server.ram_mb, "DISK_GB": request.disk_gb or 0}
    return {name: size for name, size in sizes.items() if size}


def _found(
    chosen: Iterable[Hypervisor], explanation: Explanation, evidence: Evidence,
    holdings: Holdings, notes: tuple[str, ...],
) -> Search:  # fmt: skip
    rows = {row.hostname: row for row in chosen}
    hosts = {host.name: host for host in evidence.hosts}
    request_failure = first_failed(explanation.checks)
    answers, free = [], {}
    for answer in explanation.hosts:
        row = rows[answer.name]
        amounts = free_amounts(hosts[answer.name])
        free[row.service_host] = amounts
        to = _destination(row, answer, amounts, holdings)
        if request_failure is not None:
            to = replace(to, answer="no", why=request_failure.says, rule=request_failure.rule)
        answers.append(to)
    return Search(tuple(sorted(answers, key=_better)), free, explanation, notes)


def _better(to: Destination) -> tuple[int, int, str]:
    """A sure host before one that was not fully checked, then the one that is fullest after it."""
    return _ORDER[to.answer], to.free or 0, to.host


def _destination(
    row: Hypervisor, answer: HostAnswer, amounts: Mapping[str, int], holdings: Holdings
) -> Destination:
    needed = holdings.card_amounts
    least = min((amounts.get(name, 0) for name in needed), default=None) if needed else None
    result = answer.failed
    if result is not None:
        return Destination(row.service_host, row.hostname, "no", result.says, result.rule, least)
    for name, count in needed.items() if amounts else ():
        if amounts.get(name, 0) < count:
            why = f"{amounts.get(name, 0)} of {count} {name} are free"
            return Destination(row.service_host, row.hostname, "no", why, "", least)
    unknown = [each.name for each in answer.unknown]
    more = f" and {len(unknown) - _MOST_UNKNOWN} more" if len(unknown) > _MOST_UNKNOWN else ""
    why = f"not checked: {', '.join(unknown[:_MOST_UNKNOWN])}{more}" if unknown else ""
    return Destination(row.service_host, row.hostname, answer.answer, why, "", least)


def free_amounts(host: HostEvidence) -> dict[str, int]:
    """What Placement has free at the host and below it, by resource class; {} where not known."""
    tree: ProviderTree | None = host.provider_tree
    amounts: dict[str, int] = {}
    for own in (tree.root, *tree.below) if tree else ():
        for row in own.inventories or ():
            amounts[row.resource_class] = amounts.get(row.resource_class, 0) + max(0, row.free)
    return amounts


def _named(listed: tuple[Hypervisor, ...], names: tuple[str, ...]) -> list[Hypervisor]:
    """The hosts of these names, all where none is named. Raises UsageError for an unknown one."""
    if not names:
        return list(listed)
    by_name = {name: row for row in listed for name in (row.hostname, row.service_host)}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise UsageError(
            f"nova has no host {missing[0]}",
            did_you_mean(missing[0], by_name),
            "openstack hypervisor list shows its hosts.",
        )
    return list(dict.fromkeys(by_name[name] for name in names))


def _with_room(conn: Connection, chosen: list[Hypervisor], holdings: Holdings) -> list[Hypervisor]:
    """Those that Placement names for what the server holds: one query about all hosts."""
    if not holdings.amounts:
        return chosen
    cards = holdings.card_amounts
    machine = {name: count for name, count in holdings.amounts.items() if name not in cards}
    units = [RequestGroup({name: 1}) for name, count in cards.items() for _ in range(count)]
    path = candidates_query(RequestGroup(machine or {"VCPU": 1}), tuple(units))
    with answer_read(conn, "ask Placement for candidates"):
        response = conn.placement.get(path, microversion=MICROVERSION)
        sdk.raise_from_response(response)
        summaries: dict[str, Any] = response.json()["provider_summaries"]
    roots = {str(row["root_provider_uuid"]) for row in summaries.values()}
    # A hypervisor's id is its provider's uuid (compute API 2.53).
    return [row for row in chosen if row.id in roots]

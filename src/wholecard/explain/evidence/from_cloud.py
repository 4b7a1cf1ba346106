"""Evidence from a running cloud: its flavors, images, services, aggregates and Placement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import Hypervisor, compute_services, hypervisors
from wholecard.cloud.client.errors import CloudError, answer_read
from wholecard.cloud.client.failed_servers import FailedServer, failed_server
from wholecard.cloud.operations.aggregates import Aggregate, aggregates
from wholecard.core.releases import RELEASES, Release
from wholecard.explain.evidence.card_providers import has_cards
from wholecard.explain.evidence.evidence import (
    CandidatesQuery,
    ComputeServiceState,
    Evidence,
    Guest,
    HostAggregate,
    HostEvidence,
    Refusal,
    merged_hosts,
)
from wholecard.explain.evidence.placement import provider_trees, queries, taken
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC, names_in, requested_devices
from wholecard.explain.evidence.selector import ServerSelector
from wholecard.explain.evidence.server import request_of

T = TypeVar("T")

# nova/conf/availability_zone.py `default_availability_zone`.
_NO_ZONE = "nova"
# The newest compute API of each release: nova, nova/api/openstack/api_version_request.py. Where two
# releases share one, the older counts: what it lacks is not used by mistake.
_API = {
    (2, 25): 13, (2, 38): 14, (2, 42): 15, (2, 53): 16, (2, 60): 17, (2, 65): 18, (2, 72): 19,
    (2, 79): 20, (2, 87): 21, (2, 88): 23, (2, 90): 24, (2, 93): 26, (2, 95): 27, (2, 96): 29,
    (2, 100): 31, (2, 103): 33, (2, 104): 34,
}  # fmt: skip


@dataclass(frozen=True)
class CloudReader:
    """A connection that leaves out what its user may not see, and keeps the names of that."""

    conn: Connection
    forbidden: list[str] = field(default_factory=list)

    def read(self, what: str, how: Callable[[Connection], T]) -> T | None:
        """What the cloud tells, None where it does not tell this user. Raises CloudError."""
        try:
            return how(self.conn)
        except CloudError as error:
            if error.http_status != HTTPStatus.FORBIDDEN:
                raise
            if what not in self.forbidden:
                self.forbidden.append(what)
            return None


def with_cloud(
    reader: CloudReader, selector: ServerSelector, known: Evidence, release: Release | None = None
) -> Evidence:
    """`known` from files, completed by what the cloud tells of the request and of the hosts.

    Without `release`, neither here nor in a site file, the compute API's newest version tells it.
    What only an administrator is shown is left out for another user, and named in `forbidden`.
    Raises UsageError for a flavor, image or server that does not exist, CloudError.
    """
    conn = reader.conn
    if release is None:
        release = known.release if known.release_known else release_of(conn) or known.release
    server = failed_server(conn, selector.server) if selector.server else None
    evidence = replace(
        known,
        request=request_of(conn, selector, server, known.request),
        release=release,
        refusal=known.refusal or _refusal(server),
    )
    hosts = merged_hosts(known.hosts, _hosts(reader, evidence, selector, server))
    return replace(evidence, hosts=hosts, forbidden=tuple(reader.forbidden))


def with_queries(reader: CloudReader, evidence: Evidence) -> Evidence:
    """The evidence with the candidates queries about each host that Placement knows.

    nova asks about all hosts at once: where one host's cards keep Placement from answering, no
    query about the others would be answered either, so that they are not asked about.
    """
    requested = requested_devices(evidence)
    unanswered: tuple[CandidatesQuery, ...] = ()
    hosts = []
    for host in evidence.hosts:
        if host.provider_tree is None:
            hosts.append(host)
            continue
        ask = partial(queries, evidence=evidence, host=host, requested=requested)
        answered = unanswered or reader.read("Placement's candidates", ask) or ()
        unanswered = tuple(query for query in answered if query.has_candidates is None)
        hosts.append(replace(host, queries=answered))
    return replace(evidence, hosts=tuple(hosts), forbidden=tuple(reader.forbidden))


def release_of(conn: Connection) -> Release | None:
    """The release by the newest version of the compute API, None where it does not tell."""
    with answer_read(conn, "ask for the compute API's version"):
        data = conn.compute.get_endpoint_data()
    newest = tuple(data.max_microversion or ()) if data else ()
    major = max((nova for version, nova in _API.items() if version <= newest), default=None)
    return next((release for release in RELEASES if release.nova == major), None)


def _refusal(server: FailedServer | None) -> Refusal | None:
    if server is None:
        return None
    messages = (failure.message for failure in server.failures if failure.message)
    message = server.fault or next(messages, "")
    return Refusal(message or "no fault is recorded", f"openstack server show {server.id}")


def _hosts(
    reader: CloudReader, evidence: Evidence, selector: ServerSelector, server: FailedServer | None
) -> tuple[HostEvidence, ...]:
    """The hypervisor hosts, or those of them that a person named, with what the APIs tell."""
    name_of = partial(_name, evidence=evidence, selector=selector)
    chosen = [
        hypervisor
        for hypervisor in reader.read("hypervisors", hypervisors) or ()
        if not selector.hosts or name_of(hypervisor) in selector.hosts
    ]
    services = _services(reader)
    groups = reader.read("aggregates", aggregates)
    read_trees = partial(provider_trees, hypervisor_hosts=[row.hostname for row in chosen])
    trees = reader.read("Placement", read_trees) or {}
    requested = requested_devices(evidence)
    answers = server.answers if server else {}
    hosts = []
    for hypervisor in chosen:
        tree = trees.get(hypervisor.hostname)
        host = HostEvidence(
            name_of(hypervisor),
            service=services.get(hypervisor.service_host),
            provider_tree=tree,
            taken=taken(tree) if tree and has_cards(tree, requested) else None,
            refused=answers.get(hypervisor.service_host, ()),
        )
        hosts.append(host if groups is None else _with_aggregates(host, hypervisor, groups))
    return _with_guests(reader, evidence, chosen, tuple(hosts))


def _services(reader: CloudReader) -> dict[str, ComputeServiceState]:
    """The state of each nova-compute by its host."""
    return {
        service.host: ComputeServiceState(
            service.state == "up", service.status == "enabled", service.disabled_reason or ""
        )
        for service in reader.read("services", compute_services) or ()
        if service.binary == "nova-compute"
    }


def _with_aggregates(
    host: HostEvidence, hypervisor: Hypervisor, groups: Iterable[Aggregate]
) -> HostEvidence:
    """The host with its aggregates, and with the zones that they make."""
    joined = [group for group in groups if hypervisor.service_host in group.hosts]
    zones = (group.metadata.get("availability_zone") for group in joined)
    return replace(
        host,
        zones=tuple(dict.fromkeys(zone for zone in zones if zone)) or (_NO_ZONE,),
        aggregates=tuple(HostAggregate(group.name, group.metadata) for group in joined),
    )


def _name(hypervisor: Hypervisor, evidence: Evidence, selector: ServerSelector) -> str:
    """What we call the host: as a person called it, else by the hypervisor's own name."""
    known = {*selector.hosts, *(host.name for host in evidence.hosts)}
    names = (hypervisor.hostname, hypervisor.service_host)
    return next((name for name in names if name in known), hypervisor.hostname)


def _with_guests(
    reader: CloudReader,
    evidence: Evidence,
    chosen: Iterable[Hypervisor],
    hosts: tuple[HostEvidence, ...],
) -> tuple[HostEvidence, ...]:
    """Where Placement has no such cards, the flavors of the servers there tell what is taken."""
    known = all(host.taken is not None for host in hosts)
    if known or EXTRA_SPEC not in evidence.request.extra_specs:
        return hosts
    guests = reader.read("servers of all projects", _guests)
    if guests is None:
        return hosts
    return tuple(
        replace(host, guests=tuple(guests.get(hypervisor.service_host, ())))
        if host.taken is None
        else host
        for host, hypervisor in zip(hosts, chosen, strict=True)
    )


def _guests(conn: Connection) -> dict[str, list[Guest]]:
    """The servers with cards, by nova-compute's host."""
    guests: dict[str, list[Guest]] = {}
    with answer_read(conn, "list the servers"):
        for server in conn.compute.servers(details=True, all_projects=True):
            specs = (server.flavor or {}).get("extra_specs") or {}
            cards = _cards(str(specs.get(EXTRA_SPEC, "")))
            if server.compute_host and cards:
                guests.setdefault(str(server.compute_host), []).append(Guest(str(server.id), cards))
    return guests


def _cards(text: str) -> dict[str, int]:
    """How many of each alias an extra spec requests; what cannot be read is none."""
    counts: dict[str, int] = {}
    for part, name in zip(text.split(","), names_in(text), strict=True):
        count = part.rpartition(":")[2].strip()
        if name and count.isdecimal():
            counts[name] = counts.get(name, 0) + int(count)
    return counts

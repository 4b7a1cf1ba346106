"""Evidence from a running cloud: its flavors, images, services, aggregates and Placement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import Hypervisor, compute_services, hypervisors
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError, api_errors
from wholecard.cloud.client.failed_servers import FailedServer, failed_server
from wholecard.cloud.operations.aggregates import Aggregate as Group
from wholecard.cloud.operations.aggregates import aggregates
from wholecard.core.releases import RELEASES, Release
from wholecard.explain.checks.request import asked as judged
from wholecard.explain.evidence.asked import Asked, names_in
from wholecard.explain.evidence.card_providers import has_cards
from wholecard.explain.evidence.evidence import (
    Aggregate,
    CandidatesQuery,
    ComputeService,
    Evidence,
    Guest,
    HostEvidence,
    Refusal,
    merged_hosts,
)
from wholecard.explain.evidence.placement import ProviderTrees, taken, trees
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC
from wholecard.explain.evidence.server import ServerSelector, request_of

T = TypeVar("T")

# nova/conf/availability_zone.py `default_availability_zone`.
_NO_ZONE = "nova"
# The newest compute API of each release: nova, nova/api/openstack/api_version_request.py. Where two
# releases share one, the older is taken: what it lacks is not asked for by mistake.
_API = {
    (2, 25): 13, (2, 38): 14, (2, 42): 15, (2, 53): 16, (2, 60): 17, (2, 65): 18, (2, 72): 19,
    (2, 79): 20, (2, 87): 21, (2, 88): 23, (2, 90): 24, (2, 93): 26, (2, 95): 27, (2, 96): 29,
    (2, 100): 31, (2, 103): 33, (2, 104): 34,
}  # fmt: skip


def asked(
    cloud: str,
    clouds: Path | None,
    wish: ServerSelector,
    known: Evidence,
    release: Release | None = None,
) -> Evidence:
    """`known` from files, completed by what the cloud of clouds.yaml tells.

    Without `release`, neither here nor in a site file, the compute API's newest version tells it.
    What only an administrator is shown is left out for another user, and named in `forbidden`.
    Raises UsageError for a flavor, image or server that is not there, CloudError.
    """
    conn = connect(cloud, clouds)
    chosen = release or (
        known.release if known.release_known else release_of(conn) or known.release
    )
    server = failed_server(conn, wish.server) if wish.server else None
    evidence = replace(
        known,
        request=request_of(conn, wish, server, known.request),
        release=chosen,
        refusal=known.refusal or _refusal(server),
    )
    wanted = judged(evidence)
    reader = _Reader(conn)
    every, found = _hosts(reader, evidence, wish, wanted, server)
    evidence = replace(evidence, hosts=merged_hosts(known.hosts, every))
    if not wanted.broken:
        evidence = replace(evidence, hosts=tuple(_questioned(reader, evidence, wanted, found)))
    return replace(evidence, forbidden=tuple(dict.fromkeys(reader.forbidden)))


@dataclass(frozen=True)
class _Reader:
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
            self.forbidden.append(what)
            return None


def _questioned(
    reader: _Reader, evidence: Evidence, wanted: Asked, found: ProviderTrees
) -> Iterator[HostEvidence]:
    """The hosts with what Placement answers about them.

    nova asks about all hosts at once: where one host's cards keep Placement from answering, that
    is so for all, and the others are not asked about.
    """
    unanswered: tuple[CandidatesQuery, ...] = ()
    for host in evidence.hosts:
        if host.provider_tree is None:
            yield host
            continue
        question = partial(found.questions, evidence=evidence, host=host, wanted=wanted)
        questions = unanswered or reader.read("Placement's candidates", question) or ()
        unanswered = tuple(each for each in questions if each.found is None)
        yield replace(host, questions=questions)


def release_of(conn: Connection) -> Release | None:
    """The release by the newest version of the compute API, None where it does not tell."""
    with api_errors(conn, "ask for the compute API's version"):
        data = conn.compute.get_endpoint_data()
    newest = tuple(data.max_microversion or ()) if data else ()
    major = max((nova for version, nova in _API.items() if version <= newest), default=None)
    return next((each for each in RELEASES if each.nova == major), None)


def _refusal(server: FailedServer | None) -> Refusal | None:
    if server is None:
        return None
    message = server.fault or next((each.message for each in server.failures if each.message), "")
    return Refusal(message or "no fault is recorded", f"openstack server show {server.id}")


def _hosts(
    reader: _Reader,
    evidence: Evidence,
    wish: ServerSelector,
    wanted: Asked,
    server: FailedServer | None,
) -> tuple[tuple[HostEvidence, ...], ProviderTrees]:
    all_hypervisors = reader.read("hypervisors", hypervisors) or ()
    services = reader.read("services", compute_services)
    groups = reader.read("aggregates", aggregates)
    states = {
        each.host: ComputeService(
            each.state == "up", each.status == "enabled", each.disabled_reason or ""
        )
        for each in services or ()
        if each.binary == "nova-compute"
    }
    names = {each.hostname: _name(each, evidence, wish) for each in all_hypervisors}
    only = set(wish.hosts)
    chosen = [each for each in all_hypervisors if not only or names[each.hostname] in only]
    look = partial(trees, hypervisor_hosts=[each.hostname for each in chosen])
    found = reader.read("Placement", look) or ProviderTrees({})
    said = server.said if server else {}
    hosts = []
    for each in chosen:
        mine = [group for group in groups or () if each.service_host in group.hosts]
        tree = found.by_host.get(each.hostname)
        hosts.append(
            HostEvidence(
                names[each.hostname],
                service=states.get(each.service_host),
                provider_tree=tree,
                taken=taken(tree) if tree and has_cards(tree, wanted.wanted) else None,
                zones=None if groups is None else _zones(mine),
                aggregates=None
                if groups is None
                else tuple(Aggregate(group.name, group.metadata) for group in mine),
                refused=said.get(each.service_host, ()),
            )
        )
    return _with_guests(reader, evidence, chosen, tuple(hosts)), found


def _zones(groups: Iterable[Group]) -> tuple[str, ...]:
    """The zones of a host in these aggregates."""
    named = (group.metadata.get("availability_zone") for group in groups)
    return tuple(dict.fromkeys(zone for zone in named if zone)) or (_NO_ZONE,)


def _name(hypervisor: Hypervisor, evidence: Evidence, wish: ServerSelector) -> str:
    """What we call the host: as a person called it, else by the hypervisor's own name."""
    given = {*wish.hosts, *(host.name for host in evidence.hosts)}
    names = (hypervisor.hostname, hypervisor.service_host)
    return next((name for name in names if name in given), hypervisor.hostname)


def _with_guests(
    reader: _Reader,
    evidence: Evidence,
    chosen: Iterable[Hypervisor],
    hosts: tuple[HostEvidence, ...],
) -> tuple[HostEvidence, ...]:
    """Where Placement has no such cards, the flavors of the servers there tell what is taken."""
    if EXTRA_SPEC not in evidence.request.extra_specs or all(
        host.taken is not None for host in hosts
    ):
        return hosts
    guests = reader.read("servers of all projects", _guests)
    if guests is None:
        return hosts
    return tuple(
        replace(host, guests=tuple(guests.get(each.service_host, ())))
        if host.taken is None
        else host
        for host, each in zip(hosts, chosen, strict=True)
    )


def _guests(conn: Connection) -> dict[str, list[Guest]]:
    """The servers with cards, by nova-compute's host."""
    guests: dict[str, list[Guest]] = {}
    with api_errors(conn, "list the servers"):
        for server in conn.compute.servers(details=True, all_projects=True):
            cards = _cards(dict((server.flavor or {}).get("extra_specs") or {}))
            if server.compute_host and cards:
                guests.setdefault(str(server.compute_host), []).append(Guest(str(server.id), cards))
    return guests


def _cards(specs: Mapping[str, str]) -> dict[str, int]:
    """How many of each alias an extra spec asks for; what cannot be read is none."""
    text = str(specs.get(EXTRA_SPEC, ""))
    found: dict[str, int] = {}
    for part, name in zip(text.split(","), names_in(text), strict=True):
        count = part.rpartition(":")[2].strip()
        if name and count.isdecimal():
            found[name] = found.get(name, 0) + int(count)
    return found

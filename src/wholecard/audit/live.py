"""Evidence from a running cloud: its flavors, images, services, aggregates and Placement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openstack.connection import Connection

from wholecard.audit.evidence import (
    Aggregate,
    Evidence,
    Guest,
    HostEvidence,
    Question,
    Refusal,
    Request,
    Service,
    merged_hosts,
)
from wholecard.audit.request_links import Asked, names_in
from wholecard.audit.request_links import asked as judged
from wholecard.audit.shelves import Shelves, shelves, taken
from wholecard.audit.wanted import EXTRA_SPEC
from wholecard.cloud.aggregates import aggregates
from wholecard.cloud.connection import connect
from wholecard.cloud.errors import api_errors
from wholecard.cloud.faults import FailedServer, failed_server
from wholecard.cloud.images import find_images
from wholecard.cloud.services import Hypervisor, compute_services, hypervisors
from wholecard.core import UsageError
from wholecard.site.releases import RELEASES, Release

# nova/conf/availability_zone.py `default_availability_zone`.
_NO_ZONE = "nova"
# The newest compute API of each release: nova, nova/api/openstack/api_version_request.py. Where two
# releases share one, the older is taken: what it lacks is not asked for by mistake.
_API = {
    (2, 25): 13, (2, 38): 14, (2, 42): 15, (2, 53): 16, (2, 60): 17, (2, 65): 18, (2, 72): 19,
    (2, 79): 20, (2, 87): 21, (2, 88): 23, (2, 90): 24, (2, 93): 26, (2, 95): 27, (2, 96): 29,
    (2, 100): 31, (2, 103): 33, (2, 104): 34,
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What is asked about: a flavor by name or a server by id, an image, and only some hosts."""

    flavor: str = ""
    server: str = ""
    image: str = ""
    hosts: tuple[str, ...] = ()


def asked(
    cloud: str, clouds: Path | None, wish: Wish, known: Evidence, release: Release | None = None
) -> Evidence:
    """`known` from files, completed by what the cloud of clouds.yaml tells.

    Without `release`, neither here nor in a site file, the compute API's newest version tells it.
    Raises UsageError for a flavor, image or server that is not there, CloudError.
    """
    conn = connect(cloud, clouds)
    chosen = release or (
        known.release if known.release_known else release_of(conn) or known.release
    )
    server = failed_server(conn, wish.server) if wish.server else None
    if server is not None and server.status != "ERROR":
        raise UsageError(
            f"the server {server.name} is {server.status}, not ERROR",
            resolution="Name a server that failed, or a flavor: --flavor NAME",
        )
    request = _of_server(conn, server) if server else _of_flavor(conn, wish)
    evidence = replace(
        known, request=request, release=chosen, refusal=known.refusal or _refusal(server)
    )
    every, found = _hosts(conn, evidence, wish, server)
    evidence = replace(evidence, hosts=merged_hosts(known.hosts, every))
    wanted = judged(evidence)
    if wanted.broken:
        return evidence
    return replace(evidence, hosts=tuple(_questioned(conn, evidence, wanted, found)))


def _questioned(
    conn: Connection, evidence: Evidence, wanted: Asked, found: Shelves
) -> Iterator[HostEvidence]:
    """The hosts with what Placement answers about them.

    nova asks about all hosts at once: where one host's cards keep Placement from answering, that
    is so for all, and the others are not asked about.
    """
    unanswered: tuple[Question, ...] = ()
    for host in evidence.hosts:
        if host.shelf is None:
            yield host
            continue
        questions = unanswered or found.questions(conn, evidence, host, wanted)
        unanswered = tuple(each for each in questions if each.found is None)
        yield replace(host, questions=questions)


def release_of(conn: Connection) -> Release | None:
    """The release by the newest version of the compute API, None where it does not tell."""
    with api_errors(conn, "ask for the compute API's version"):
        data = conn.compute.get_endpoint_data()
    newest = tuple(data.max_microversion or ()) if data else ()
    major = max((nova for version, nova in _API.items() if version <= newest), default=None)
    return next((each for each in RELEASES if each.nova == major), None)


def _of_flavor(conn: Connection, wish: Wish) -> Request:
    with api_errors(conn, f"read the flavor {wish.flavor}"):
        flavor = conn.compute.find_flavor(wish.flavor, get_extra_specs=True)
    if flavor is None:
        raise UsageError(
            f"the cloud has no flavor {wish.flavor}",
            resolution="openstack flavor list --all shows those that it has.",
        )
    return Request(
        flavor=str(flavor.name),
        source=f"openstack flavor show {flavor.name}",
        extra_specs={str(key): str(value) for key, value in (flavor.extra_specs or {}).items()},
        vcpus=flavor.vcpus,
        ram_mb=flavor.ram,
        disk_gb=int(flavor.disk or 0) + int(flavor.ephemeral or 0),
        image=wish.image,
        properties=_properties(conn, wish.image) if wish.image else {},
    )


def _of_server(conn: Connection, server: FailedServer) -> Request:
    properties: Mapping[str, str] = {}
    name = ""
    if server.image_id:
        with api_errors(conn, f"read the image {server.image_id}"):
            image = conn.image.find_image(server.image_id)
        name = str(image.name) if image else server.image_id
        properties = _properties(conn, name) if image else {}
    return Request(
        flavor=server.flavor,
        source=f"openstack server show {server.id}",
        extra_specs=server.extra_specs,
        vcpus=server.vcpus,
        ram_mb=server.ram_mb,
        disk_gb=server.disk_gb,
        image=name,
        properties=properties,
        zone=server.zone,
        operation="resize" if _moved(server) else "create",
    )


def _moved(server: FailedServer) -> bool:
    return bool(server.failures) and server.failures[0].action in ("resize", "migrate")


def _properties(conn: Connection, image: str) -> Mapping[str, str]:
    found = find_images(conn, image)
    if not found:
        raise UsageError(
            f"the cloud has no image {image}",
            resolution="openstack image list shows those that it has.",
        )
    return found[0].properties


def _refusal(server: FailedServer | None) -> Refusal | None:
    if server is None:
        return None
    message = server.fault or next((each.message for each in server.failures), "")
    return Refusal(message or "no fault is recorded", f"openstack server show {server.id}")


def _hosts(
    conn: Connection, evidence: Evidence, wish: Wish, server: FailedServer | None
) -> tuple[tuple[HostEvidence, ...], Shelves]:
    services = {
        each.host: Service(each.state == "up", each.status == "enabled", each.disabled_reason or "")
        for each in compute_services(conn)
        if each.binary == "nova-compute"
    }
    groups = aggregates(conn)
    all_hypervisors = hypervisors(conn)
    names = {each.hostname: _name(each, evidence, wish) for each in all_hypervisors}
    only = set(wish.hosts)
    chosen = [each for each in all_hypervisors if not only or names[each.hostname] in only]
    found = shelves(conn, [each.hostname for each in chosen])
    said = _said(server)
    hosts = []
    for each in chosen:
        mine = [group for group in groups if each.service_host in group.hosts]
        zones = tuple(
            dict.fromkeys(
                group.metadata["availability_zone"]
                for group in mine
                if group.metadata.get("availability_zone")
            )
        )
        shelf = found.by_host.get(each.hostname)
        hosts.append(
            HostEvidence(
                names[each.hostname],
                service=services.get(each.service_host),
                shelf=shelf,
                taken=taken(shelf) if shelf and shelf.below else None,
                zones=zones or (_NO_ZONE,),
                aggregates=tuple(Aggregate(group.name, group.metadata) for group in mine),
                refused=said.get(each.service_host, ()),
            )
        )
    return _with_guests(conn, evidence, chosen, tuple(hosts)), found


def _name(hypervisor: Hypervisor, evidence: Evidence, wish: Wish) -> str:
    """What we call the host: as a person called it, else by the hypervisor's own name."""
    given = {*wish.hosts, *(host.name for host in evidence.hosts)}
    names = (hypervisor.hostname, hypervisor.service_host)
    return next((name for name in names if name in given), hypervisor.hostname)


def _said(server: FailedServer | None) -> dict[str, tuple[str, ...]]:
    """What each nova-compute said when it was given the server; "" where nothing is recorded."""
    found: dict[str, tuple[str, ...]] = {}
    for failure in server.failures if server else ():
        # The conductor's and the scheduler's events bear their own hosts' names.
        if failure.event.startswith("compute_") and failure.message:
            found[failure.host] = (*found.get(failure.host, ()), failure.message)
    for host in server.tried if server else ():
        found.setdefault(host, ("",))
    return found


def _with_guests(
    conn: Connection,
    evidence: Evidence,
    chosen: Iterable[Hypervisor],
    hosts: tuple[HostEvidence, ...],
) -> tuple[HostEvidence, ...]:
    """Where Placement has no cards, the flavors of the servers there tell what is taken."""
    if EXTRA_SPEC not in evidence.request.extra_specs or all(
        host.taken is not None for host in hosts
    ):
        return hosts
    guests: dict[str, list[Guest]] = {}
    with api_errors(conn, "list the servers"):
        for server in conn.compute.servers(details=True, all_projects=True):
            cards = _cards(dict((server.flavor or {}).get("extra_specs") or {}))
            if server.compute_host and cards:
                guests.setdefault(str(server.compute_host), []).append(Guest(str(server.id), cards))
    return tuple(
        replace(host, guests=tuple(guests.get(each.service_host, ())))
        if host.taken is None
        else host
        for host, each in zip(hosts, chosen, strict=True)
    )


def _cards(specs: Mapping[str, str]) -> dict[str, int]:
    """How many of each alias an extra spec asks for; what cannot be read is none."""
    text = str(specs.get(EXTRA_SPEC, ""))
    found: dict[str, int] = {}
    for part, name in zip(text.split(","), names_in(text), strict=True):
        count = part.rpartition(":")[2].strip()
        if name and count.isdecimal():
            found[name] = found.get(name, 0) + int(count)
    return found

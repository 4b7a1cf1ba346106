"""The proof on any cloud: a request in, a report out. Nothing is printed.

Servers boot through nova with a config drive and user data, which carry a nonce and the agent.
Their guests report on the serial console, so neither a network nor ssh is needed. Whatever happens,
the run's servers are deleted at the end, unless they are to be kept.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.client.errors import CloudError, answer_read
from wholecard.cloud.client.images import Image, image_to_boot
from wholecard.cloud.operations.flavors import Flavor, flavors
from wholecard.cloud.placement.resource_providers import (
    Allocation,
    allocations,
    listed_providers,
)
from wholecard.cloud.proving import leftovers
from wholecard.cloud.proving.asked_devices import (
    AskedDevices,
    asked_devices,
    assigned,
    known_ids,
    own_ids,
    unknown_notes,
    with_allocations,
)
from wholecard.cloud.proving.board_partition import partition_verdict
from wholecard.cloud.proving.judgement import Required, report_findings, shared_gpus
from wholecard.cloud.proving.record import ProveReport, ServerProof
from wholecard.cloud.proving.requested_host import host_finding, host_notes, require_host
from wholecard.cloud.proving.server_watch import ServerProgress, ServerWatch
from wholecard.core import Finding, Severity, UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.guest.agent.files import AgentRequest, user_data
from wholecard.site.load import SiteFile

DELETE_SECONDS = 300.0
FREE_SECONDS = 60.0


@dataclass(frozen=True)
class ProveRequest:
    """What is to be proved. Times are in seconds.

    `network` is `none` or a network's name or id; `bench` a number of bodies, 0 for no benchmark;
    `driver` whether a card without a driver in the guest is an error. `host` is the one on which
    nova must start the servers, empty where nova chooses; so `availability_zone`. `grace` and
    `interval`: see ServerWatch, and how long to pause between two rounds of questions.
    """

    cloud: str
    flavor: str
    image: str
    count: int = 1
    network: str = "none"
    timeout: float = 900.0
    containers: int = 0
    container_image: str = ""
    bench: int = 0
    driver: bool = False
    keep: bool = False
    site: SiteFile | None = None
    host: str = ""
    availability_zone: str = ""
    grace: float = 20.0
    interval: float = 2.0


class ProveWatcher:
    """Who is told meanwhile; does nothing."""

    def note(self, text: str) -> None:
        """A sentence about what is done now."""

    def server(self, progress: ServerProgress) -> None:
        """A server's state, after each look at it."""


# Says in a sentence why nova refused the server of this id.
Explainer = Callable[[str], str]


def prove(
    conn: Connection,
    request: ProveRequest,
    watcher: ProveWatcher | None = None,
    explain: Explainer | None = None,
) -> ProveReport:
    """Boot the servers, wait for their guests' reports, judge them, delete the servers.

    Raises UsageError before anything boots: a flavor without cards, an unknown or inactive image,
    an unknown network, a host that is unknown, disabled or down. Raises CloudError where an API
    refuses, after what was made is deleted.
    """
    watcher = watcher or ProveWatcher()
    started = time.monotonic()
    flavor, image = _flavor(conn, request.flavor), _active_image(conn, request.image)
    asked = asked_devices(flavor.name, flavor.extra_specs, known_ids(request.site))
    network = _network(conn, request.network)
    require_host(conn, request.host)
    notes = _clean_up(conn, watcher)
    run = _Run(conn, request, watcher, asked, image, secrets.token_hex(4))
    try:
        run.boot(flavor.id, network)
        run.wait()
        found = run.judged(explain)
    finally:
        gone = {} if request.keep else run.delete()
    proofs = _with_shared_gpus(
        gone[proof.id](proof) if proof.id in gone else proof for proof in found
    )
    notes += host_notes((proof.host for proof in proofs if proof.proof), request.host)
    kept = tuple(watch.name for watch in run.watches) if request.keep else ()
    return ProveReport(
        cloud=request.cloud, flavor=flavor.name, image=image.name, run=run.id, asked=run.asked,
        servers=proofs, seconds=time.monotonic() - started, notes=(*notes, *run.notes), kept=kept,
        findings=tuple(unknown_notes(run.asked)), host=request.host,
    )  # fmt: skip


def _with_shared_gpus(proofs: Iterable[ServerProof]) -> tuple[ServerProof, ...]:
    """Each server's proof, with WC435 where another one reports its GPU."""
    proofs = tuple(proofs)
    shared = shared_gpus((proof.name, proof.proof) for proof in proofs)
    return tuple(
        replace(proof, findings=(*proof.findings, *(each for each in shared
                                                    if each.subject == proof.name)))
        for proof in proofs
    )  # fmt: skip


def delete_leftovers(conn: Connection, *, kept: bool = False) -> tuple[str, ...]:
    """Delete what killed runs left behind, and with `kept` what was kept; their names."""
    found = leftovers.proof_servers(conn, time.time())
    doomed = (*found.left, *(found.kept if kept else ()))
    for server in doomed:
        servers.delete_and_wait(conn, server.id, DELETE_SECONDS)
    return tuple(server.name for server in doomed)


def _clean_up(conn: Connection, watcher: ProveWatcher) -> list[str]:
    """Delete what killed runs left behind, for it holds cards; what else is there is said."""
    found = leftovers.proof_servers(conn, time.time())
    notes = []
    if found.left:
        names = ", ".join(server.name for server in found.left)
        watcher.note(f"deleting what an earlier run left behind: {names}")
        for server in found.left:
            servers.delete_and_wait(conn, server.id, DELETE_SECONDS)
        notes.append(f"An earlier run had left servers behind, which were deleted: {names}.")
    for others, what in ((found.running, "of a run that goes on"), (found.kept, "that was kept")):
        if others:
            names = ", ".join(server.name for server in others)
            notes.append(f"There are servers {what} and may hold cards: {names}.")
    return notes


class _Run:
    """One run's servers, from their request to their deletion."""

    def __init__(
        self, conn: Connection, request: ProveRequest, watcher: ProveWatcher,
        asked: tuple[AskedDevices, ...], image: Image, run: str,
    ) -> None:  # fmt: skip
        self.conn, self.request, self.watcher = conn, request, watcher
        self.asked, self.image, self.id = asked, image, run
        self.watches: list[ServerWatch] = []
        self.notes: list[str] = []
        self._may_read_placement = True

    def boot(self, flavor_id: str, network: str) -> None:
        """Ask nova for all servers. Raises CloudError."""
        request = self.request
        windows = self.image.properties.get("os_type") == "windows"
        until = time.time() + request.timeout
        for number in range(1, request.count + 1):
            agent = AgentRequest(secrets.token_hex(8), request.bench, request.containers,
                                 request.container_image)  # fmt: skip
            name = f"wholecard-proof-{self.id}-{number}"
            metadata = {**leftovers.marks(self.id, until, keep=request.keep), **agent.metadata()}
            new = servers.NewServer(
                name, flavor_id, self.image.id, network, metadata,
                user_data("windows" if windows else "linux", agent), config_drive=True,
                host=request.host, availability_zone=request.availability_zone,
            )  # fmt: skip
            self.watcher.note(f"asking nova for {name}")
            server_id = servers.create(self.conn, new)
            watch = ServerWatch(name, server_id, agent.nonce, request.timeout, request.grace)
            self.watches.append(watch)

    def wait(self) -> None:
        """Until each server has reported, failed or run out of time. Raises CloudError."""
        while True:
            for watch in self.watches:
                if not watch.done:
                    watch.poll(self.conn)
                    self.watcher.server(watch.progress)
            if all(watch.done for watch in self.watches):
                return
            time.sleep(self.request.interval)

    def judged(self, explain: Explainer | None) -> list[ServerProof]:
        """What came out of each server, while they still exist."""
        if any(not devices.ids for devices in self.asked):
            for watch in self.watches:
                self.asked = with_allocations(self.asked, self._allocations(watch.id) or ())
        return [self._judged(watch, explain) for watch in self.watches]

    def _judged(self, watch: ServerWatch, explain: Explainer | None) -> ServerProof:
        own = own_ids(self.asked, self.image.properties)
        proof = watch.proof
        ours = proof is not None and proof.nonce == watch.nonce
        devices = assigned(self.asked, proof, own) if proof is not None and ours else ()
        request = self.request
        required = Required(watch.nonce, request.containers, request.bench, request.driver)
        host = watch.state.host if watch.state else None
        if watch.active_at is None:
            findings = [self._refused(watch, explain)]
        else:
            elsewhere = host_finding(watch.name, host, request.host)
            findings = [elsewhere] if elsewhere else []
            findings += report_findings(devices, proof, required, own, watch.error)
            findings += self._no_partition(watch, host)
        return ServerProof(
            name=watch.name, id=watch.id, status=watch.status, host=host,
            fault=watch.state.fault if watch.state else watch.trouble,
            devices=devices, proof=proof, findings=tuple(findings),
            seconds_to_active=watch.seconds_until(watch.active_at),
            seconds_to_report=watch.seconds_until(watch.reported_at),
            console_bytes=len(watch.console), console_end=watch.console_end,
        )  # fmt: skip

    def _no_partition(self, watch: ServerWatch, host: str | None) -> list[Finding]:
        """WC437; that the GPUs are a partition is a note."""
        site = self.request.site.site if self.request.site else None
        if site is None or host not in site.hosts or not site.hosts[host].modules:
            return []
        held = {each.provider_uuid for each in self._allocations(watch.id) or ()}
        try:
            providers = [each for each in listed_providers(self.conn) if each.uuid in held]
        except CloudError as error:
            self.notes.append(f"Placement was not asked: {error.brief}.")
            return []
        verdict = partition_verdict(site, watch.name, host, providers)
        if isinstance(verdict, Finding):
            return [verdict]
        self.notes += [verdict] * bool(verdict)
        return []

    def _refused(self, watch: ServerWatch, explain: Explainer | None) -> Finding:
        """WC409: nova did not start it, with its own words and, where possible, the cause."""
        fix = f"wholecard explain --cloud {self.request.cloud} --server {watch.id}"
        fix = f"Keep the server (--keep) and run:\n{fix}"
        fault = watch.state.fault if watch.state else watch.trouble
        what = f"is in {watch.status}" if watch.status == "ERROR" else (
            f"is not ACTIVE within {watch.timeout:g} s, it is {watch.progress.state}")  # fmt: skip
        message = f"the server {what}" + (f": {fault}" if fault else "")
        if explain is not None and watch.status == "ERROR":
            cause = explain(watch.id)
            message += f". explain says: {cause}" if cause else ""
        return Finding("WC409", watch.name, Severity.ERROR, message, fix)

    def delete(self) -> dict[str, Callable[[ServerProof], ServerProof]]:
        """Delete the run's servers, also one whose creation was not answered, and look for cards.

        By id what becomes of each server's proof. It raises nothing of the cloud's: a server that
        is not deleted is a finding.
        """
        ids = {watch.id: watch.name for watch in self.watches}
        try:
            for server in servers.servers_with(self.conn, leftovers.RUN):
                if server.metadata[leftovers.RUN] == self.id:
                    ids[server.id] = server.name
        except CloudError as error:
            self.notes.append(f"The project's servers could not be listed: {error.brief}.")
        for server_id, name in ids.items():
            self.watcher.note(f"deleting {name}")
            try:
                servers.delete(self.conn, server_id)
            except CloudError as error:
                self.notes.append(f"{name}: {error.brief}.")
        return {server_id: self._deleted(server_id, name) for server_id, name in ids.items()}

    def _deleted(self, server_id: str, name: str) -> Callable[[ServerProof], ServerProof]:
        try:
            servers.delete_and_wait(self.conn, server_id, DELETE_SECONDS)
            freed = self._freed(server_id)
        except CloudError as error:
            said = f"{error.brief}. {error.details}".strip()
            finding = Finding("WC430", name, Severity.ERROR, f"{name} is not deleted: {said}",
                              f"openstack server delete {server_id}")  # fmt: skip
            return lambda proof: replace(proof, findings=(*proof.findings, finding), freed=False)
        if freed is not False:
            return lambda proof: replace(proof, freed=freed)
        finding = Finding(
            "WC430", name, Severity.ERROR,
            f"Placement still has allocations of {name} {FREE_SECONDS:g} s after its deletion",
            "nova-manage placement audit --verbose --delete removes what has no server any more.",
        )  # fmt: skip
        return lambda proof: replace(proof, findings=(*proof.findings, finding), freed=False)

    def _freed(self, server_id: str) -> bool | None:
        """Whether Placement has nothing of the deleted server; None where it may not be asked."""
        deadline = time.monotonic() + FREE_SECONDS
        while (held := self._allocations(server_id)) and time.monotonic() < deadline:
            time.sleep(min(1.0, self.request.interval))
        return None if held is None else not held

    def _allocations(self, server_id: str) -> tuple[Allocation, ...] | None:
        """What Placement has of the server; None where this user may not ask it."""
        if not self._may_read_placement:
            return None
        try:
            return allocations(self.conn, server_id)
        except CloudError as error:
            self._may_read_placement = False
            self.notes.append(f"Placement was not asked: {error.brief}.")
            return None


def _flavor(conn: Connection, name: str) -> Flavor:
    """The flavor of that name or id. Raises UsageError where the cloud has none, CloudError."""
    listed = flavors(conn)
    for flavor in (*(one for one in listed if one.name == name),
                   *(one for one in listed if one.id == name)):  # fmt: skip
        return flavor
    names: Sequence[str] = [flavor.name for flavor in listed]
    raise UsageError(
        f"the cloud has no flavor {name}, or does not show it",
        did_you_mean(name, names),
        "openstack flavor list --all shows its flavors.",
    )


def _active_image(conn: Connection, name: str) -> Image:
    image = image_to_boot(conn, name)
    if image.status != "active":
        raise UsageError(
            f"the image {image.name} is {image.status}: no server boots from it",
            resolution="Wait until its upload is complete, or reactivate it: openstack image set "
            f"--activate {image.id}",
        )
    return image


def _network(conn: Connection, name: str) -> str:
    """`none`, or the id of the network. Raises UsageError where there is none, CloudError."""
    if name == "none":
        return name
    with answer_read(conn, f"look for the network {name}"):
        network = conn.network.find_network(name, ignore_missing=True)
        if network is not None:
            return str(network.id)
    raise UsageError(f"the cloud has no network {name}",
                     resolution="openstack network list shows them; none needs no "
                     "network.")  # fmt: skip

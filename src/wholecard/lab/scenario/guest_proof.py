"""The demo's third act: a guest that works with its cards, proved as `wholecard prove` does it."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.operations.flavors import FlavorSpec
from wholecard.cloud.proving.record import ProveReport, ServerProof
from wholecard.cloud.proving.request import ProveRequest, ProveWatcher, prove
from wholecard.cloud.proving.server_watch import ServerProgress
from wholecard.cloud.proving.text import extra_lines, gpu_text, report_text
from wholecard.core import Severity
from wholecard.guest.proof import hostdev
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.report.record import ServerRecord
from wholecard.lab.scenario import emulated_gpu, prove_cards, views
from wholecard.lab.scenario.prove_cards import Booted
from wholecard.lab.scenario.site_file import host_cards, site_path
from wholecard.site.load import read_site

# numba compiles for a minute where the guest is emulated within an emulated node.
TIMEOUT = 900.0
# Each look at a console takes a second of the one CPU that node and guest share.
INTERVAL = 8.0


class _Watcher(ProveWatcher):
    """Keeps the states of the server, and says when it is ACTIVE or has ended."""

    def __init__(self) -> None:
        self.entered: list[tuple[str, float]] = [("REQUEST", 0.0)]
        self.asked_at = time.monotonic()
        self.decided = Event()

    def server(self, progress: ServerProgress) -> None:
        """See ProveWatcher."""
        if progress.state != self.entered[-1][0]:
            self.entered.append((progress.state, progress.seconds))
        if progress.state.startswith(("ACTIVE", "ERROR")):
            self.decided.set()


class GuestProof:
    """A proof that runs in a thread of its own: `wait_until_active`, then `result`.

    The server is kept: the lab looks at it in libvirt and deletes it.
    """

    def __init__(
        self, lab: Lab, conn: Connection, story: Story, flavor: FlavorSpec, image: str, bench: int
    ) -> None:  # fmt: skip
        self.lab, self.story, self.flavor = lab, story, flavor
        self.watcher = _Watcher()
        request = ProveRequest(
            cloud=service_settings.CLOUD, flavor=flavor.name, image=image, bench=bench, keep=True,
            driver=True, site=read_site(site_path(lab)), timeout=TIMEOUT, interval=INTERVAL,
            grace=2 * INTERVAL,
        )  # fmt: skip
        self._pool = ThreadPoolExecutor(1)
        self._report: Future[ProveReport] = self._pool.submit(prove, conn, request, self.watcher)
        self._report.add_done_callback(lambda _report: self.watcher.decided.set())
        self._pool.shutdown(wait=False)

    def wait_until_active(self, name: str) -> None:
        """Until nova has started the server, or has not."""
        with self.story.step(f"server {name}: {self.flavor.name} through nova's API") as step:
            if not self.watcher.decided.wait(TIMEOUT):
                raise LabError(f"the server {name} is neither ACTIVE nor ERROR")
            states = self.watcher.entered
            step.note = states[-1][0]
            step.saw("states", "\n".join(f"{state:<24} from {at:6.1f} s" for state, at in states))

    def result(self, name: str) -> tuple[Booted, ServerRecord, ProveReport]:
        """What came out, as the demo's record has it; waits for the guest's report."""
        with self.story.step(f"server {name}: the guest's report and its n-body") as step:
            report = self._report.result()
            proof = report.servers[0]
            booted = self._booted(proof)
            xml = views.domain_xml(self.lab.node(proof.host), proof.id) if proof.host else ""
            record = self._record(name, booted, proof, hostdev.parse(xml) if xml else ())
            step.saw(f"wholecard prove --flavor {report.flavor} --image {report.image}",
                     report_text(report))  # fmt: skip
            step.saw("libvirt's XML of the server", xml)
            step.note = prove_cards.verdict(record)
        return booted, record, report

    def _booted(self, proof: ServerProof) -> Booted:
        end = proof.seconds_to_active or self.watcher.entered[-1][1]
        until_active = [(state, at) for state, at in self.watcher.entered if at <= end]
        outcome = servers.ServerOutcome(
            id=proof.id, name=proof.name, status=proof.status, host=proof.host,
            hypervisor_hostname=proof.host, fault=proof.fault,
            states=servers.durations(until_active, end),
        )  # fmt: skip
        return Booted(outcome, self.watcher.asked_at)

    def _record(
        self, name: str, booted: Booted, proof: ServerProof, hostdevs: tuple[hostdev.Hostdev, ...]
    ) -> ServerRecord:
        """The record; the guest's functions are found on the host by libvirt's XML."""
        findings = [each for each in proof.findings if each.severity is not Severity.NOTE]
        record = prove_cards.without_proof(self.flavor, booted, refusal_expected=False)
        record = replace(record, name=name, seconds_to_proof=proof.seconds_to_report)
        if proof.proof is None:
            return replace(record, findings=tuple(findings))
        located = hostdev.locate(hostdevs, proof.proof)
        ids = {host: function.id for host, function in located.items()}
        asked = emulated_gpu.ASKED[self.flavor.name]
        findings += hostdev.same_card(asked, hostdevs, ids, host_cards(self.lab, proof.host or ""))
        counted = [f"{gpu.address} counted by {gpu_text(gpu)}" for gpu in proof.proof.gpus]
        return replace(
            record, findings=tuple(findings), lines=(*counted, *extra_lines(proof)),
            rows=prove_cards.rows(emulated_gpu.EXPECTED[self.flavor.name], located),
        )  # fmt: skip

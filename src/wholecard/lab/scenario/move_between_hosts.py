"""A server with two cards moves to a second host, and an audit looks before, during and after."""

from __future__ import annotations

from collections import Counter

from openstack.connection import Connection

from wholecard.audit.checks.cloud_case import PERIOD
from wholecard.audit.report import AuditReport
from wholecard.cloud.client.compute_services import compute_services
from wholecard.core.report_text import findings_text
from wholecard.lab.base import process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.report.record import MoveMoment
from wholecard.lab.scenario import emulated_gpu, prove_cards, views
from wholecard.lab.scenario.audits import audit_lab
from wholecard.lab.scenario.prove_cards import Booted
from wholecard.lab.scenario.second_node import first_alone
from wholecard.lab.scenario.site_file import kept_facts, write_site
from wholecard.moving.journal import MoveJournal
from wholecard.moving.migrate_request import (
    MigrateRequest,
    Tools,
    migrate,
    plan_migrate,
    unfinished,
)
from wholecard.moving.move import Pace
from wholecard.moving.move_text import plan_text, report_text
from wholecard.moving.planner import MoveOptions
from wholecard.moving.record import End, Method

NAME = "mover"
# Two emulated nodes share the CPUs; nova alone waits 60 s for a guest that ignores ACPI.
MOVE_SECONDS = 1500


def move_between_hosts(lab: Lab, conn: Connection, story: Story) -> list[MoveMoment]:
    """Boot a server on one of two nodes, move it to the other, confirm, delete it.

    Raises LabError where the move or an audit did not end as it should.
    """
    booted = prove_cards.boot(conn, story, emulated_gpu.CARDS_FLAVOR, NAME)
    try:
        if booted.outcome.status != "ACTIVE":
            raise LabError(f"{NAME} is {booted.outcome.status}", booted.outcome.fault)
        target = next(spec.name for spec in lab.nodes if spec.name != booted.outcome.host)
        moments = _moved(lab, conn, story, booted, target)
    finally:
        findings = prove_cards.delete(lab, conn, story, [booted])
    if findings:
        raise LabError("cards are not free again after the move", findings_text(findings))
    return moments


def _moved(
    lab: Lab, conn: Connection, story: Story, booted: Booted, target: str
) -> list[MoveMoment]:
    server = booted.outcome.id
    moments = [_looked(lab, story, "before the move")]
    options = MoveOptions(to=(target,), method=Method.COLD)
    tools = Tools(MoveJournal(lab.folder.run / "move-journal"), pace=Pace(MOVE_SECONDS))
    asked = MigrateRequest(server, options, End.LEAVE, told=True)
    with story.step(f"server {NAME}: wholecard migrate --to {target}") as step:
        plan = plan_migrate(conn, asked)
        step.saw(f"wholecard migrate {NAME} --to {target} --dry-run", plan_text(plan))
        if plan.blocked:
            raise LabError(f"{NAME} cannot be moved", plan.blocked, plan.fix)
        report = migrate(conn, asked, plan, tools)
        step.saw(f"wholecard migrate {NAME} --to {target} --no-confirm", report_text(report))
        step.note = f"VERIFY_RESIZE on {target}"
        _require_good(report.is_good, report.ended, "verify", report_text(report))
    story.say(plan_text(plan), title=f"$ wholecard migrate {NAME} --to {target} --dry-run")
    moments.append(_looked(lab, story, "in VERIFY_RESIZE, before confirm"))
    confirm = MigrateRequest(server, options, End.CONFIRM, told=True, go_on=True)
    with story.step(f"server {NAME}: wholecard migrate --continue --confirm") as step:
        left = unfinished(conn, confirm, tools.journal)
        if left is None:
            raise LabError(f"the move of {NAME} is not known any more")
        report = migrate(conn, confirm, left, tools)
        step.saw(f"wholecard migrate {NAME} --continue --confirm", report_text(report))
        step.note = report.ended
        _require_good(report.is_good, report.ended, "confirmed", report_text(report))
    moments.append(_looked(lab, story, "after confirm"))
    return moments


def _require_good(good: bool, ended: str, expected: str, text: str) -> None:
    if not good or ended != expected:
        raise LabError(f"the move of {NAME} ended as {ended}", text)


def _looked(lab: Lab, story: Story, moment: str) -> MoveMoment:
    """One audit, which has to find nothing, and who holds the cards at this moment."""
    with story.step(f"audit {moment}") as step:
        # The API shows a confirmed server before nova-compute has freed what it left.
        report = audit_lab(lab, wait=PERIOD)
        text = audit_text(report)
        rows = Counter(
            (row.host, row.status) for row in views.device_rows(lab.control) if row.instance
        )
        held = tuple(f"{host}: {count} {status}" for (host, status), count in sorted(rows.items()))
        step.saw("wholecard audit --now", text)
        step.saw("rows of nova.pci_devices that a server has", "\n".join(held) or "none")
        step.note = f"{len(report.findings)} findings"
        if report.exit_status != 0:
            raise LabError(f"the audit {moment} has findings", text)
    story.say(text, title="$ wholecard audit --now")
    return MoveMoment(moment, text, held)


def audit_text(report: AuditReport) -> str:
    """The findings of an audit and what it read, as plain text."""
    found = findings_text(report.findings)
    return f"{found}\n{report.hosts} hosts, {report.devices} devices, read: {report.views_text}"


def retire_second_node(lab: Lab, conn: Connection, story: Story) -> None:
    """Take the second node out of the cloud: power it off and delete its nova-compute's service.

    The site file has the first node alone again, as what was rendered from it.
    nova-api deletes its compute node and its providers in Placement with it (nova,
    api/openstack/compute/services.py).
    """
    name = lab.nodes[1].name
    with story.step(f"node {name}: taken out of the cloud"):
        process.stop(lab.folder.run, [name])
        for service in conn.compute.services(host=name, binary="nova-compute"):
            conn.compute.delete_service(service)
        alone = first_alone(lab)
        write_site(alone, kept_facts(alone))
        left = [row.host for row in compute_services(conn) if row.host == name]
        if left:
            raise LabError(f"nova still has {name}")

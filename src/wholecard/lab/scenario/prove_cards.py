"""A server boots with cards, and its guest's own report is compared with what was asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.operations.flavors import FlavorSpec
from wholecard.core import Finding
from wholecard.core.units import size_text
from wholecard.guest.proof import comparison, hostdev
from wholecard.guest.proof.record import ProofFunction
from wholecard.guest.proof.report import parse
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.report.record import ProofRow, ServerRecord
from wholecard.lab.scenario import emulated_gpu, views
from wholecard.lab.scenario.lint_and_explain import explained
from wholecard.lab.scenario.site_file import host_cards

# Under emulation within emulation; a machine with KVM takes a tenth of it.
ACTIVE_SECONDS = 1200
PROOF_SECONDS = 1200
DELETE_SECONDS = 600
FREE_SECONDS = 300


@dataclass(frozen=True)
class Booted:
    """A server that nova was asked for: its outcome, and when it was asked (monotonic seconds)."""

    outcome: servers.ServerOutcome
    asked_at: float


def boot(conn: Connection, story: Story, flavor: FlavorSpec, name: str) -> Booted:
    """Ask nova for a server of this flavor and wait until it is ACTIVE or ERROR."""
    with story.step(f"server {name}: {flavor.name} through nova's API") as step:
        asked_at = time.monotonic()
        outcome = servers.boot(conn, name, flavor.name, emulated_gpu.IMAGE, ACTIVE_SECONDS)
        step.saw("states", "\n".join(
            f"{state.state:<24} {state.seconds:6.1f} s" for state in outcome.states))  # fmt: skip
        step.note = f"{outcome.status}" + (f" on {outcome.host}" if outcome.host else "")
        if outcome.fault:
            step.saw("fault", outcome.fault)
    return Booted(outcome, asked_at)


def read_proof(
    lab: Lab, conn: Connection, story: Story, flavor: FlavorSpec, booted: Booted
) -> ServerRecord:
    """Wait for the guest's report and compare it, card by card, with what the flavor asks."""
    outcome = booted.outcome
    if outcome.status != "ACTIVE":
        return without_proof(flavor, booted, refusal_expected=False)
    with story.step(f"server {outcome.name}: the guest's own report") as step:
        console = servers.wait_for_console(
            conn, outcome.id, lambda text: parse(text).complete, PROOF_SECONDS
        )
        seconds = time.monotonic() - booted.asked_at
        report = parse(console)
        xml = views.domain_xml(lab.node(outcome.host or ""), outcome.id)
        hostdevs = hostdev.parse(xml)
        located = hostdev.locate(hostdevs, report)
        expected = emulated_gpu.EXPECTED[flavor.name]
        findings = comparison.compare(expected, report)
        ids = {host: function.id for host, function in located.items()}
        cards = host_cards(lab, outcome.host or "")
        findings += hostdev.same_card(emulated_gpu.ASKED[flavor.name], hostdevs, ids, cards)
        step.saw("the guest's report on its console", console)
        step.saw("libvirt's XML of the server", xml)
        server = replace(
            without_proof(flavor, booted, refusal_expected=False), seconds_to_proof=seconds,
            rows=rows(expected, located), findings=tuple(findings),
        )  # fmt: skip
        step.note = verdict(server)
    return server


def without_proof(flavor: FlavorSpec, booted: Booted, *, refusal_expected: bool) -> ServerRecord:
    """The record of a server whose guest has not reported, refused by nova or not."""
    outcome = booted.outcome
    return ServerRecord(
        name=outcome.name, flavor=flavor.name, asked=flavor.extra_specs["pci_passthrough:alias"],
        status=outcome.status, host=outcome.host or "", fault=outcome.fault,
        seconds_to_active=outcome.seconds, seconds_to_proof=None,
        refusal_expected=refusal_expected, rows=(), findings=(),
    )  # fmt: skip


def explain(lab: Lab, story: Story, record: ServerRecord, booted: Booted) -> ServerRecord:
    """Why nova refused a server, in its record and printed."""
    with story.step(f"server {record.name}: explain, why it was refused") as step:
        shown = explained(lab, booted.outcome.id)
        step.saw(f"wholecard explain --server {booted.outcome.id}", shown.text)
        step.note = ", ".join(finding.rule for finding in shown.findings) or "no cause found"
    story.say(shown.text, title=f"$ wholecard explain --server {booted.outcome.id}")
    return replace(record, findings=shown.findings)


def rows(
    expected: Sequence[comparison.ExpectedFunction], located: dict[str, ProofFunction]
) -> tuple[ProofRow, ...]:
    """One row for each function asked for, with the host function that became it."""
    left = dict(sorted(located.items()))
    table = []
    for function in expected:
        host = next((address for address, seen in left.items() if seen.id == function.id), "")
        row = ProofRow(function.name, function.id, host, guest_address="", driver="", bars="")
        if host:
            seen = left.pop(host)
            row = replace(
                row, guest_address=seen.address, driver=seen.driver or "none",
                bars=bars_text(seen.bars),
            )  # fmt: skip
        table.append(row)
    return tuple(table)


def bars_text(sizes: Sequence[int]) -> str:
    """The sizes of the BARs that are in use: `16 MiB, 256 B, 4 KiB`."""
    return ", ".join(size_text(size) for size in sizes if size)


def verdict(record: ServerRecord) -> str:
    """A server's proof in a word or two."""
    if not record.as_it_should_be:
        return f"{len(record.findings)} findings"
    return "proved"


def proof_text(record: ServerRecord) -> str:
    """A server's proof for a terminal: one line for each function, then the verdict."""
    lines = [
        f"{row.name:<6} {row.ids}  host {row.host_address or '-':<12} -> guest "
        f"{row.guest_address or 'not seen':<12} driver {row.driver or '-':<14} {row.bars}"
        for row in record.rows
    ]
    lines += record.lines
    lines += [f"{finding.rule} {finding.subject}: {finding.message}" for finding in record.findings]
    if record.status != "ACTIVE":
        lines.append(f"{record.status}: {record.fault}")
    elif record.as_it_should_be:
        slots = {row.host_address.rpartition(".")[0] for row in record.rows}
        lines.append(f"proved: {len(record.rows)} functions from {len(slots)} card(s)")
    return "\n".join(lines)


def delete(lab: Lab, conn: Connection, story: Story, booted: Sequence[Booted]) -> list[Finding]:
    """Delete servers and check that the cards are free in nova, in Placement and in sysfs."""
    with story.step("servers deleted, cards free again") as step:
        for server in booted:
            servers.delete_and_wait(conn, server.outcome.id, DELETE_SECONDS)
        deadline = time.monotonic() + FREE_SECONDS
        findings, text = views.free_findings(lab, conn)
        # nova frees its rows of pci_devices after the server is gone from the API.
        while findings and time.monotonic() <= deadline:
            time.sleep(0.5)
            findings, text = views.free_findings(lab, conn)
        step.saw("the cards as nova, Placement and sysfs see them", text)
        step.note = "free in nova, Placement and sysfs" if not findings else "NOT free"
    return findings

"""A drain for people: what will happen to each server, how far it came, what is left."""

from __future__ import annotations

from wholecard.core.report_text import WIDTH, findings_text, table, wrapped
from wholecard.core.units import counted
from wholecard.moving.drain_plan import DrainPlan, DrainRow, Fate
from wholecard.moving.drain_request import DrainReport, DrainStatus
from wholecard.moving.move_text import audits_text, short_duration
from wholecard.moving.record import MoveReport
from wholecard.moving.undrain_request import UndrainReport

# Names may be longer than a narrow terminal.
_NAME, _SHORT_NAME, _WIDE = 28, 20, 100
_DOWN = frozenset({"RESIZE/resize_migrating", "RESIZE/resize_migrated", "RESIZE/resize_finish"})


def plan_text(plan: DrainPlan, width: int = WIDTH) -> str:
    """The servers by what will happen to them, then why those that stay stay."""
    if not plan.rows:
        return f"{plan.host} has no server."
    longest = _NAME if width >= _WIDE else _SHORT_NAME
    heads = ("SERVER", "STATUS", "CARDS", "WHAT HAPPENS", "TO", "UP TO")
    lines = [table(heads, (_cells(row, longest) for row in plan.rows))]
    lines += ["", *wrapped(_sum(plan), "  ", "", width)]
    stopping = [row for row in plan.rows if row.fate is Fate.STOP]
    if stopping:
        why = stopping[0].why
        lines += wrapped(f"A stop, for nova does not migrate live: {why}", "  ", "", width)
    lines += [line for note in plan.notes for line in wrapped(note, "  ", "", width)]
    if plan.findings:
        lines += ["", findings_text(plan.findings, width)]
    return "\n".join(lines)


def report_text(report: DrainReport, width: int = WIDTH) -> str:
    """What moved and how long it took beside what was said, and what is left."""
    lines = []
    if report.moved:
        heads = ("SERVER", "ENDED", "HOST", "SAID UP TO", "TOOK", "THE GUEST WAS DOWN")
        lines += [table(heads, map(_moved_cells, report.moved)), ""]
    host, left = report.plan.host, report.left
    if report.stopped:
        lines.append(f"Stopped. The same command goes on; --stop enables {host} again.")
    if left:
        lines += wrapped(f"Still on {host}: {', '.join(left)}.", "  ", "", width)
    else:
        seconds = short_duration(report.seconds)
        lines.append(f"{host} is empty, after {seconds}. Its service is disabled.")
    lines += audits_text(report.before, report.after, width)
    lines += report.notes
    # Those of the servers that stay were shown before.
    findings = report.findings[len(report.plan.findings) :]
    if findings:
        lines += ["", findings_text(findings, width)]
    return "\n".join(lines)


def status_text(status: DrainStatus, width: int = WIDTH) -> str:
    """The service, what was asked, and each server's move."""
    service = status.service
    reason = f" ({service.disabled_reason})" if service.disabled_reason else ""
    lines = [f"{service.host}: nova-compute is {service.state} and {service.status}{reason}"]
    if status.entry is None:
        return "\n".join([*lines, "wholecard did not drain it from this machine."])
    if status.entry.over:
        lines.append("Its last drain is over.")
    elif status.disabled_by_us:
        lines += wrapped(
            f"Drained: {status.entry.reason}. wholecard drain {service.host} goes on, --stop ends "
            "it, undrain gives the host back.", "  ", "", width,
        )  # fmt: skip
    if status.moves:
        rows = [(move.name, move.destination, move.method, move.ended or move.state,
                 short_duration(move.seconds) if move.seconds else "", move.error)
                for move in status.moves]  # fmt: skip
        lines += ["", table(("SERVER", "TO", "METHOD", "STATE", "TOOK", "ERROR"), rows)]
    return "\n".join(lines)


def undrain_text(report: UndrainReport, width: int = WIDTH) -> str:
    """Whether the host gets servers again, and what that rests on."""
    word = "enabled: nova gives it servers again" if report.enabled else "not given back"
    lines = [f"{report.host} is {word}."]
    if report.proof is not None:
        proved = "proved" if report.proof.proved else "not proved"
        lines.append(f"{proved} by {counted(len(report.proof.servers), 'server')} of ours there")
    if report.back:
        heads = ("SERVER", "ENDED", "HOST", "SAID UP TO", "TOOK", "THE GUEST WAS DOWN")
        lines += ["", table(heads, map(_moved_cells, report.back)), ""]
    lines += [line for note in report.notes for line in wrapped(note, "  ", "", width)]
    if report.findings:
        lines += ["", findings_text(report.findings, width)]
    return "\n".join(lines)


def _cells(row: DrainRow, longest: int) -> tuple[str, ...]:
    server = row.plan.server
    cards = sum(row.plan.holdings.card_amounts.values())
    if not cards and server.extra_specs.get("pci_passthrough:alias"):
        count = "?"
    else:
        count = str(cards) if cards else "-"
    to = row.to.host if row.to else ""
    seconds = short_duration(row.seconds) if row.to and row.seconds else ""
    return _short(server.name, longest), server.status, count, row.fate, to, seconds


def _short(name: str, longest: int = _SHORT_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _sum(plan: DrainPlan) -> str:
    parts = []
    for fate in Fate:
        count = sum(row.fate is fate for row in plan.rows)
        if count:
            parts.append(f"{fate}: {count}")
    total = sum(row.seconds for row in plan.rows)
    last = f"; one after the other up to {short_duration(total)}, and nova's own steps" if (
        total) else ""  # fmt: skip
    return f"{counted(len(plan.rows), 'server')} ({', '.join(parts)}){last}."


def _moved_cells(report: MoveReport) -> tuple[str, ...]:
    server = report.server
    return (
        _short(report.plan.server.name), report.ended, (server.host or "") if server else "",
        short_duration(report.plan.estimate.longest), short_duration(report.seconds),
        short_duration(down_seconds(report)) if report.ended == "confirmed" else "",
    )  # fmt: skip


def down_seconds(report: MoveReport) -> float:
    """How long the guest was down, from its shutdown to VERIFY_RESIZE, by the states we saw."""
    return sum(phase.seconds for phase in report.phases if phase.state in _DOWN)

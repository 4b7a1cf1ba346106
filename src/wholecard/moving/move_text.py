"""A move for people: what would happen and how long it takes; what happened, and what is proved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.audit.report import AuditReport
from wholecard.core.report_text import WIDTH, findings_text, table, wrapped
from wholecard.core.units import counted
from wholecard.moving.record import Destination, Estimate, HeldCard, Method, MovePlan, MoveReport

_INDENT = 15
_MOST_HOSTS = 8
_METHODS = {
    Method.COLD: "cold migration",
    Method.LIVE: "live migration",
    Method.EVACUATE: "evacuation",
}
_ENDS = {
    "confirmed": "moved to {to} and confirmed",
    "reverted": "reverted: it is on {source} as before",
    "verify": "moved to {to}, and not confirmed: it holds its cards on both hosts until it is",
    "moved": "moved live to {to}",
    "evacuated": "evacuated to {to}",
    "failed": "not moved",
}


def plan_text(plan: MovePlan, width: int = WIDTH) -> str:
    """The plan, a line or two for each thing that a person has to know before."""
    server = plan.server
    lines = [f"{server.name}  {server.state} on {server.host}, flavor {server.flavor}"]
    lines += _row("cards", cards_text(plan.holdings.cards) or _no_cards(plan), width)
    lines += _row("live", _live(plan), width)
    if not plan.blocked:
        lines += _row("method", _method(plan), width)
        to = plan.destination
        lines += _row("to", _host(to) if to else "no host", width)
        lines += _row("takes", duration_text(plan.estimate), width)
    lines += _others(plan, width)
    lines += [line for note in plan.notes for line in _row("note", note, width)]
    text = "\n".join(lines)
    return f"{text}\n\n{findings_text(plan.findings, width)}" if plan.blocked else text


def _others(plan: MovePlan, width: int) -> Iterator[str]:
    others = [to for to in plan.destinations if to != plan.destination]
    for number, to in enumerate(others[:_MOST_HOSTS]):
        yield from _row("" if number else "other hosts", _host(to), width)
    if len(others) > _MOST_HOSTS:
        yield from _row("", f"and {counted(len(others) - _MOST_HOSTS, 'more host')}", width)


def report_text(report: MoveReport, width: int = WIDTH) -> str:
    """What happened, by phase, beside what was said before; then what is proved and what is not."""
    plan = report.plan
    to, source = plan.destination, plan.server.host
    end = _ENDS[report.ended].format(to=to.host if to else "", source=source)
    lines = [f"{plan.server.name}: {end}, in {report.seconds:.0f} s", ""]
    lines.append(table(("STATE", "SECONDS"), _phases(report)))
    lines += [*_events(report), ""]
    if plan.estimate.longest:
        said = f"before: up to {plan.estimate.longest:.0f} s for shutdown and copy"
        lines += _row("said", said, width)
    if report.ended == "moved":
        lines += _row("pause", _pause(report), width)
    server = report.server
    if server is not None:
        cards = cards_text(report.holdings.cards) or "no card"
        where = f"{server.state} on {server.host}: {cards}"
        lines += _row("now", where, width)
    lines += audits_text(report.before, report.after, width)
    lines += [line for text in report.unproved for line in _row("not proved", text, width)]
    if report.all_findings:
        lines += ["", findings_text(report.all_findings, width)]
    return "\n".join(lines)


def duration_text(needs: Estimate) -> str:
    """`up to 470 s: 60 s for the guest's shutdown (…), 410 s for 40 GiB of disk at 100 MiB/s`."""
    if needs.method is Method.EVACUATE:
        return f"as long as a boot: {needs.shutdown_source}"
    parts = []
    if needs.shutdown:
        parts.append(f"{needs.shutdown} s for the guest's shutdown ({needs.shutdown_source})")
    if needs.disk_gb or needs.memory_mb:
        size = f"{needs.disk_gb} GiB of disk" if needs.used_gb is None else (
            f"{needs.used_gb:g} GiB used of its disk")  # fmt: skip
        if needs.memory_mb:
            size = f"{size} and {needs.memory_mb} MiB of memory"
        assumed = "an assumption, see --bandwidth and --disk-used"
        parts.append(
            f"{needs.copy_seconds:.0f} s for {size} at {needs.bandwidth:g} MiB/s ({assumed})"
        )
    more = "nova's own steps and the guest's boot come on top"
    if needs.pause is not None:
        more = (
            "what the guest writes meanwhile is copied again. At the end the guest pauses for "
            f"about {needs.pause:.1f} s ({needs.pause_source})"
        )
    if not parts:
        return f"seconds: nothing is copied; {more}"
    return f"up to {needs.longest:.0f} s: {', '.join(parts)}; {more}"


def short_duration(seconds: float) -> str:
    """`40 s`, `7 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def cards_text(cards: Iterable[HeldCard]) -> str:
    """`2 CUSTOM_PCI_10DE_2330: 0000:41:00.0, 0000:42:00.0`; empty without cards."""
    by_class: dict[str, list[HeldCard]] = {}
    for card in cards:
        by_class.setdefault(card.resource_class, []).append(card)
    return "; ".join(
        f"{sum(card.amount for card in own)} {name}: "
        + ", ".join(card.address or card.provider for card in own)
        for name, own in by_class.items()
    )


def audits_text(before: AuditReport | None, after: AuditReport | None, width: int) -> list[str]:
    """How many disagreements both audits have, and what they did not read."""
    if before is None or after is None:
        return []
    old, new = len(before.disagreements), len(after.disagreements)
    text = f"before: {counted(old, 'disagreement')}; after: {counted(new, 'disagreement')}"
    unread = ", ".join(f"{view} ({why})" for view, (why, _) in after.unread.items())
    lines = _row("audit", text, width)
    return lines + (_row("not read", unread, width) if unread else [])


def _no_cards(plan: MovePlan) -> str:
    if plan.holdings.card_amounts or not plan.holdings.read:
        return "not known: Placement does not show this user what it holds"
    specs = plan.server.extra_specs.get("pci_passthrough:alias")
    return f"{specs} by the flavor; Placement does not count them" if specs else "none"


def _live(plan: MovePlan) -> str:
    word = {True: "yes", False: "no", None: "not known"}[plan.live.possible]
    source = f" [{plan.live.source}]" if plan.live.source else ""
    return f"{word}: {plan.live.why}{source}"


def _method(plan: MovePlan) -> str:
    what = {
        Method.COLD: "the guest is shut down, its disk is copied, and it boots on the new host",
        Method.LIVE: "the guest runs on; it pauses for a moment at the end",
        Method.EVACUATE: "nova builds the server again from its image, or with its disk where that "
        "is on shared storage; it is left stopped",
    }[plan.method]
    if plan.method is Method.COLD and plan.server.vm_state != "active":
        what = "its disk is copied; it stays stopped"
    return f"{_METHODS[plan.method]}: {what}"


def _host(to: Destination) -> str:
    free = "" if to.free is None else f" ({to.free} free)"
    if to.answer == "no":
        return f"{to.host}{free}  no: {f'{to.rule} ' if to.rule else ''}{to.why}"
    return f"{to.host}{free}" + (f"  {to.why}" if to.why else "")


def _phases(report: MoveReport) -> Iterator[tuple[str, str]]:
    for phase in report.phases:
        if phase.state != "REQUEST" and phase.seconds >= 0.05:
            yield phase.state, f"{phase.seconds:.1f}"


def _events(report: MoveReport) -> list[str]:
    if not report.events:
        return []
    rows = [(event.event, event.host, event.result or "running", _seconds(event.seconds))
            for event in report.events]  # fmt: skip
    return ["", table(("NOVA'S EVENT", "HOST", "RESULT", "SECONDS"), rows)]


def _pause(report: MoveReport) -> str:
    said = report.plan.estimate.pause
    before = "" if said is None else f"about {said:.1f} s were said; "
    if report.pause is None:
        return f"{before}how long the guest paused was not read (--ssh)"
    return f"{before}the guest paused for {report.pause:.1f} s, by libvirt"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def _row(name: str, text: str, width: int) -> list[str]:
    first = f"  {name}".ljust(_INDENT)
    return wrapped(text, " " * _INDENT, first, width)

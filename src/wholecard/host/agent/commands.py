"""The agent's commands but `inspect`: a call each, and how its answer is shown."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wholecard.core import (
    Action,
    Finding,
    Plan,
    Severity,
    UsageError,
    WholecardError,
    exit_status,
)
from wholecard.core.output_format import TEXT_FORMATS, formatted
from wholecard.core.plain_text import plain
from wholecard.core.report_text import (
    findings_text,
    progress_text,
    terminal_width,
    undo_text,
    wrapped,
)
from wholecard.host.agent import desired_options, results_text
from wholecard.host.agent.asking import agreed, is_asked, plan_summary
from wholecard.host.agent.cli import person_command, say
from wholecard.host.agent.health_text import health_text
from wholecard.host.agent.options import ROWS
from wholecard.host.changing import journal
from wholecard.host.changing.access import refuse_without_access
from wholecard.host.changing.apply import apply, finish
from wholecard.host.changing.boot_splits import (
    check_stored,
    is_interrupted,
    last_run,
    run_splits,
)
from wholecard.host.changing.rollback import plan_rollback, rollback
from wholecard.host.changing.status import status
from wholecard.host.changing.verify import verify
from wholecard.host.checks.card_health import check_health, with_links
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import DesiredState, desired_cards, is_left_out, resolve
from wholecard.host.facts.health import read_host_health
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect, read_boot_id
from wholecard.host.facts.kernel_log import read_kernel_log
from wholecard.host.facts.split_state import read_split_state
from wholecard.host.initramfs.claim_script import PARKED, VFIO
from wholecard.host.operations.operation import AS_APPLIED
from wholecard.host.planning.bind_now import with_now
from wholecard.host.planning.containers import refuse_in_image
from wholecard.host.planning.device_bindings import bound_functions
from wholecard.host.planning.image_changes import image_changes
from wholecard.host.planning.plan import plan
from wholecard.host.planning.remaining import remaining
from wholecard.transaction.engine import Outcome


def run_command(arguments: argparse.Namespace) -> int:
    """Run the command of these arguments; its exit status. Raises WholecardError and OSError."""
    return _RUN[arguments.command](arguments)


def _check(arguments: argparse.Namespace) -> int:
    host = desired_options.host(arguments)
    asked = desired_options.asked(arguments)
    named = bool(arguments.card or asked.cards or arguments.all_cards)
    if named or any(not is_left_out(card) for card in host.cards):
        desired = resolve(host, arguments.card, arguments.all_cards or not named, asked)
        findings = check(host, desired_cards(host, desired), desired=desired)
    else:
        # The host itself is worth checking before a card is put in.
        findings = check(host, ())
        print("No GPU for passthrough found; only the host is checked.", file=sys.stderr)
    findings = sorted([*findings, *check_stored(arguments.root, host)], key=lambda row: row.rule)
    findings = _with_fixes(findings, arguments.called)
    data = {"findings": [finding.to_json() for finding in findings], "evidence": []}
    _print(arguments, data, findings_text(findings, terminal_width()))
    return exit_status(findings)


def _with_fixes(findings: Iterable[Finding], called: str) -> list[Finding]:
    """The findings with fixes that name the commands as this person can call them."""
    return [replace(each, fix=person_command(each.fix, called)) for each in findings]


def _plan(arguments: argparse.Namespace) -> int:
    host = desired_options.host(arguments)
    asked = desired_options.asked(arguments)
    desired = resolve(host, arguments.card, arguments.all_cards, asked)
    kind = getattr(arguments, "for_image", None)
    if kind is not None:
        return _plan_of_image(arguments, host, desired, kind)
    host_plan = _host_plan(arguments, host, desired)
    findings = _remaining(arguments, host, desired, host_plan)
    data = {**host_plan.to_json(), **_findings_json(findings)}
    _print(arguments, data, _plan_text(arguments, host_plan, findings))
    return _status_of_plan(findings)


def _plan_text(arguments: argparse.Namespace, host_plan: Plan, findings: list[Finding]) -> str:
    """The plan, what it does not change, and at the end, where it is seen, what it comes to."""
    text = host_plan.text(arguments.full, terminal_width())
    summary = plan_summary(host_plan)
    ending = "\n\n" + "\n".join(wrapped(summary, "", "", terminal_width())) if summary else ""
    return f"{text}{_remaining_text(findings)}{ending}"


def _plan_of_image(
    arguments: argparse.Namespace, host: Host, desired: DesiredState, kind: str
) -> int:
    refuse_in_image(desired)
    text = image_changes(host, desired, kind)
    findings = _remaining(arguments, host, desired, Plan(()))
    _print(arguments, {"actions": [], "for_image": text, **_findings_json(findings)}, text)
    if arguments.format == TEXT_FORMATS[0]:
        # The text is pasted as a whole.
        _tell_remaining(findings)
    return _status_of_plan(findings)


def _remaining(
    arguments: argparse.Namespace, host: Host, desired: DesiredState, host_plan: Plan
) -> list[Finding]:
    """What a person has to know before the plan is applied, and what it does not change."""
    return _with_fixes(remaining(host, desired, host_plan), arguments.called)


def _findings_json(findings: Iterable[Finding]) -> dict[str, Any]:
    return {"findings": [finding.to_json() for finding in findings]}


def _remaining_text(findings: list[Finding]) -> str:
    return f"\n\n{_STAYS}\n{findings_text(findings, terminal_width())}" if findings else ""


def _tell_remaining(findings: list[Finding]) -> None:
    if findings:
        print(plain(_remaining_text(findings).lstrip()), file=sys.stderr, flush=True)


def _status_of_plan(findings: Iterable[Finding]) -> int:
    """1 where an error stays. A warning is no reason to stop: the plan can be applied."""
    return int(any(finding.severity is Severity.ERROR for finding in findings))


def _remaining_summary(findings: Iterable[Finding]) -> str:
    """A line for the end, where the findings themselves may have scrolled away."""
    named = ", ".join(f"{finding.rule} ({finding.subject})" for finding in findings)
    return f"\nNot changed by this, see above: {named}." if named else ""


_STAYS = "The plan does not change this. Read it before you apply:"


def _host_plan(arguments: argparse.Namespace, host: Host, desired: DesiredState) -> Plan:
    state = read_split_state(arguments.root, desired.splits) if desired.splits else None
    host_plan = plan(host, desired, state)
    if not arguments.now:
        return host_plan
    # Another tree may be a copy of a host, whose sysfs is files that bind nothing.
    if host.boot.boot_id != read_boot_id(Path("/")):
        raise UsageError(
            f"--now works only on the running host, not with --root {arguments.root}",
            resolution="Remove --now: the image binds its functions when it boots.",
        )
    bound = bound_functions(host, desired)
    for_guests = [function for function, driver in bound if driver == VFIO]
    parked = [function for function, driver in bound if driver == PARKED]
    return with_now(host_plan, host, for_guests, parked)


def _apply(arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        return _plan(arguments)
    refuse_without_access(arguments.root, "apply")
    asked = desired_options.asked(arguments)
    for_person = arguments.format == TEXT_FORMATS[0]
    asks = is_asked(arguments.yes, for_person)
    if asks and not _finish_is_agreed(arguments.root):
        return _declined()
    # What an interrupted apply has made of a card is lost at a reboot, and made again first.
    if is_interrupted(arguments.root):
        run_splits(arguments.root, progress=_progress)
    finished = finish(arguments.root, _progress)
    host = desired_options.host(arguments)
    desired = resolve(host, arguments.card, arguments.all_cards, asked)
    host_plan = _host_plan(arguments, host, desired)
    findings = _remaining(arguments, host, desired, host_plan)
    if for_person:
        say(_plan_text(arguments, host_plan, findings))
        sys.stdout.flush()
    else:
        # Standard output is one document, at the end.
        _tell_remaining(findings)
    if asks and host_plan.actions and not agreed(f"\nApply this to {_name(arguments.root)}?"):
        return _declined()
    outcome = apply(arguments.root, host, desired, host_plan, _progress)
    if outcome.journal is None and finished is not None:
        outcome = finished
    _show_applied(arguments, outcome, findings)
    # As of `plan`: an error that stays is one after `apply` too.
    return _status_of_plan(findings)


def _show_applied(arguments: argparse.Namespace, outcome: Outcome, findings: list[Finding]) -> None:
    if arguments.format != TEXT_FORMATS[0]:
        _print(arguments, {**outcome.to_json(), **_findings_json(findings)}, "")
    elif outcome.journal is not None:
        then = "Reboot, then run verify." if outcome.reboot_needed else "Run verify."
        print(f"Applied as journal {outcome.journal}. {then}{_remaining_summary(findings)}")


def _verify(arguments: argparse.Namespace) -> int:
    entry = journal.newest(arguments.root)
    if entry is None:
        raise UsageError(
            "nothing is applied on this host",
            resolution="Run apply first, then reboot, then run verify.",
        )
    if entry.state != journal.APPLIED:
        raise WholecardError(
            f"journal {entry.id} is unfinished ({entry.state})",
            resolution="Run apply to finish it or rollback to undo it.",
        )
    log = read_kernel_log(arguments.root)
    host = inspect(arguments.root, log)
    verdict = verify(host, log, entry.read())
    findings = [*verdict.findings, *check_stored(arguments.root, host)]
    findings = _with_fixes(findings, arguments.called)
    data = {
        "findings": [finding.to_json() for finding in findings],
        "evidence": [row.to_json() for row in verdict.evidence],
    }
    evidence = results_text.evidence_text(verdict.evidence)
    _print(arguments, data, f"{evidence}\n\n{findings_text(findings, terminal_width())}")
    return exit_status(findings)


def _split(arguments: argparse.Namespace) -> int:
    run = run_splits(arguments.root, arguments.wait, _progress)
    data = run.to_json()
    _print(arguments, data, "\n".join(results_text.splits_lines(data, run.boot_id)))
    return 0 if all(card.is_right for card in run.cards) else WholecardError.exit_code


def _finish_is_agreed(root: Path) -> bool:
    """Whether an apply that was interrupted is to be finished; yes where there is none."""
    entry = journal.newest(root)
    stopped = entry.unfinished() if entry is not None else None
    if entry is None or stopped is None or entry.state != journal.APPLYING:
        return True
    return agreed(f"Journal {entry.id} stopped at {stopped.name}. Finish it?")


def _declined() -> int:
    """As of a refusal: nothing was changed, and what was requested is not done."""
    print("Nothing was changed.", file=sys.stderr)
    return 1


def _name(root: Path) -> str:
    return "this host" if root == Path("/") else f"the host in {root}"


def _rollback(arguments: argparse.Namespace) -> int:
    if arguments.plan:
        planned = plan_rollback(arguments.root, arguments.to)
        _print(arguments, planned.to_json(), undo_text(planned.to_json()))
        return int(bool(planned.edited))
    refuse_without_access(arguments.root, "rollback")
    if is_asked(arguments.yes, arguments.format == TEXT_FORMATS[0]):
        planned = plan_rollback(arguments.root, arguments.to)
        say(undo_text(planned.to_json()))
        if planned.actions and not agreed(f"\nUndo this on {_name(arguments.root)}?"):
            return _declined()
    outcome = rollback(arguments.root, _progress, arguments.discard_edits, arguments.to)
    _print(arguments, outcome.to_json(), results_text.rollback_text(outcome))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    boot_id = read_boot_id(arguments.root)
    report = {**status(arguments.root, boot_id), "splits": last_run(arguments.root)}
    report["boot_id"] = boot_id
    _print(arguments, report, results_text.status_text(report))
    unfinished = report["state"] in (journal.APPLYING, journal.ROLLING_BACK)
    # A tool's outputs change with every new kernel; files and bindings should not.
    drifted = any(
        difference["state"] != AS_APPLIED and difference["kind"] != "output"
        for difference in report["drift"]
    )
    return int(unfinished or drifted)


def _health(arguments: argparse.Namespace) -> int:
    health = with_links(*read_host_health(arguments.root))
    findings = _with_fixes(check_health(health), arguments.called)
    data = {**health.to_json(), **_findings_json(findings)}
    shown = f"{health_text(health)}\n\n{findings_text(findings, terminal_width())}"
    _print(arguments, data, shown)
    return exit_status(findings)


def _clean_card(arguments: argparse.Namespace) -> int:
    from wholecard.host.cleaning.clean_card import clean_card
    from wholecard.host.cleaning.record import CLEAN

    report = clean_card(arguments.root, arguments.address, arguments.scrub_visible)
    findings = _with_fixes(report.findings, arguments.called)
    data = replace(report, findings=tuple(findings)).to_json()
    text = f"{results_text.cleaning_text(report)}\n\n{findings_text(findings, terminal_width())}"
    _print(arguments, data, text)
    return int(report.verdict != CLEAN)


_RUN = {
    "check": _check,
    "plan": _plan,
    "apply": _apply,
    "verify": _verify,
    "split": _split,
    "rollback": _rollback,
    "status": _status,
    "health": _health,
    "clean-card": _clean_card,
}


def _print(arguments: argparse.Namespace, data: dict[str, Any], shown: str) -> None:
    rows_name = ROWS.get(arguments.command, "")
    say(formatted(arguments.format, arguments.column, shown, data, rows_name))


def _progress(number: int, count: int, action: Action, seconds: float | None) -> None:
    # The connection, and so the reader, may be gone; the run is finished anyway.
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(plain(progress_text(number, count, action, seconds)))
        sys.stderr.flush()

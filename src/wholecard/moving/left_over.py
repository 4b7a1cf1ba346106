"""The card too many that nova leaves in a moved server's allocation, taken out after the move.

It is `MOVE_TAKES_OTHER_CARD` of nova/known_bugs.py; the audit's rule is WC524. The repair room
takes it out, as `wholecard repair apply --rule WC524 --host HOST --server ID` does, with its guards
and its journal: `wholecard repair rollback` gives the card back to the allocation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from wholecard.core import Finding, Severity, WholecardError
from wholecard.moving.proof import RULE as PROOF
from wholecard.moving.record import Holdings, Method, MoveReport
from wholecard.repair.record import RepairReport

RULE = "WC524"
# Repairs that rule on a host, by its hypervisor's name, for a server, by its id.
Repair = Callable[[str, str], RepairReport]


@dataclass(frozen=True)
class LeftOver:
    """Takes out what is left. All repairs of a cloud have one journal: no two at one time."""

    repair: Repair
    lock: Lock = field(default_factory=Lock)

    def take_out(self, node: str, server: str) -> tuple[str, str]:
        """The ids of the repair's journals, and why nothing was changed where there is none."""
        with self.lock:
            try:
                report = self.repair(node, server)
            except WholecardError as error:
                return "", f"{error.brief}. {error.details}".strip()
        outcomes = (outcome for outcome in (report.finished, report.outcome) if outcome)
        journals = ", ".join(name for outcome in outcomes for name in outcome.journals)
        return journals, _why(report)


def _why(report: RepairReport) -> str:
    planned = report.planned
    refused = [f"{row.brief}. {row.details}".strip() for row in planned.refused]
    steps = [step.reason for step in planned.steps]
    missed = (f"the audit does not show it ({RULE})", *planned.notes)
    return "; ".join((*refused, *steps) or missed)


def is_left(report: MoveReport) -> bool:
    """Whether the move is over and left one: the only warning of a move's proof."""
    ended = report.ended in ("confirmed", "evacuated")
    return ended and any(map(_says_so, report.findings))


def _says_so(finding: Finding) -> bool:
    return finding.rule == PROOF and finding.severity is Severity.WARNING


def told(report: MoveReport, journals: str, why: str) -> MoveReport:
    """A report that was made anew after the repair, with what the repair did, or why it did not."""
    if is_left(report):
        findings = tuple(
            replace(each, message=f"{each.message}. It was not taken out: {why}")
            if _says_so(each) else each for each in report.findings
        )  # fmt: skip
        return replace(report, findings=findings)
    if not journals:
        # Somebody else was first.
        return report
    message = (
        "nova left a card too many in its allocation; it was taken out (wholecard repair, journal "
        f"{journals})"
    )
    name = report.plan.server.name
    return replace(report, findings=(*report.findings,
                                     Finding(PROOF, name, Severity.NOTE, message)))  # fmt: skip


def said_before(method: Method, holdings: Holdings, repaired: bool) -> tuple[str, ...]:
    """A note where the move may leave one: what becomes of it."""
    if method is Method.LIVE or not any(card.address for card in holdings.cards):
        return ()
    then = (
        "It is taken out after the move, which takes about a minute; wholecard repair rollback "
        "undoes that." if repaired else
        f"Then a later move to that host can fail. --repair takes it out after each move; or "
        f"wholecard repair plan --rule {RULE}."
    )  # fmt: skip
    return (
        "nova may leave a card too many in a moved server's allocation "
        f"({RULE}, a bug of nova's). {then}",
    )

"""`report.html`: the demo as one page that loads nothing else and has no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core.units import counted
from wholecard.lab.base.steps import LabStep
from wholecard.lab.report.chart import chart, duration
from wholecard.lab.report.record import DemoRecord, ServerRecord
from wholecard.lab.report.split_record import SplitRecord
from wholecard.lab.report.topology import way
from wholecard.pages.page import environment, write_page

TEMPLATES = Path(__file__).parents[1] / "templates"
TEMPLATE = "report.html.j2"
TITLE = "Wholecard: the way of a card"

# Terminal escapes, and control characters that HTML does not allow.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class DemoOutcome:
    """The demo's result: one headline, and a line for each thing that went wrong."""

    good: bool
    headline: str
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepResult:
    """One server's result. `state`: `good`, `refused` (as expected) or `bad`."""

    state: str
    words: str


@dataclass(frozen=True)
class Share:
    """One service's memory, in MiB and as a share of the largest in percent."""

    name: str
    mib: int
    percent: float


def write_report(record: DemoRecord, target: Path) -> None:
    """Write the page to `target`, whole or not at all. Raises OSError."""
    write_page(page(record), target)


def page(record: DemoRecord) -> str:
    """The page's text."""
    return rendered(
        TEMPLATE, record, title=TITLE, outcome=outcome(record), way=way(record),
        servers=[(server, verdict(server)) for server in record.servers],
        memory=shares(record.memory_bytes),
    )  # fmt: skip


def rendered(template: str, record: DemoRecord | SplitRecord, **more: Any) -> str:
    """A page made from `page.html.j2` with the steps of the record's story."""
    templates = environment(TEMPLATES)
    templates.filters |= {"plain": plain, "duration": duration}
    return templates.get_template(template).render(
        record=record, chart=chart(record.steps, record.seconds),
        steps=sorted(record.steps, key=lambda step: step.started), **more,
    )  # fmt: skip


def outcome(record: DemoRecord) -> DemoOutcome:
    """Whether everything was proved, and if not what went wrong."""
    asked = [server for server in record.servers if not server.refusal_expected]
    bad = [server for server in record.servers if not server.as_it_should_be]
    wrong = _failed_steps(record.steps)
    wrong += [f"{server.name}: {verdict(server).words}" for server in bad]
    if not asked and not wrong:
        wrong = ["no server was asked to prove anything"]
    if wrong:
        return DemoOutcome(False, "Not proved", tuple(wrong))
    functions = counted(sum(len(server.rows) for server in asked), "function")
    return DemoOutcome(True, f"All proved: {functions} in {counted(len(asked), 'server')}")


def _failed_steps(steps: Sequence[LabStep]) -> list[str]:
    failed = [f"step failed: {step.title}" for step in steps if step.failed]
    return failed + [
        f"step unfinished: {step.title}"
        for step in steps
        if step.seconds is None and not step.failed
    ]


def verdict(server: ServerRecord) -> StepResult:
    """A server's outcome in words."""
    good = server.as_it_should_be
    if server.refusal_expected:
        if good:
            return StepResult("refused", "Refused, as expected: no card was free")
        return StepResult("bad", f"It should have been refused and is {server.status or 'unknown'}")
    if good and server.findings:
        return StepResult("good", "Proved, but the functions are of different cards (WC403)")
    if good:
        return StepResult("good", f"Proved: the guest has {counted(len(server.rows), 'function')}")
    if server.status != "ACTIVE":
        return StepResult("bad", f"Not proved: it is {server.status or 'unknown'}, not ACTIVE")
    return StepResult("bad", f"Not proved: {counted(len(server.findings), 'finding')}")


def shares(memory_bytes: dict[str, int]) -> list[Share]:
    """Services by the memory they take, the largest first."""
    largest = max([*memory_bytes.values(), 1])
    ordered = sorted(memory_bytes.items(), key=lambda service: -service[1])
    return [Share(name, size >> 20, round(100 * size / largest, 1)) for name, size in ordered]


def plain(text: str) -> str:
    """A console's text as HTML allows it: without terminal escapes and control characters."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))

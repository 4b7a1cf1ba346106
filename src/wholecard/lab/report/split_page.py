"""`split.html`: the demo of slices as one page that loads nothing else and has no script."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from wholecard.core.units import counted
from wholecard.lab.report.report import DemoOutcome, rendered
from wholecard.lab.report.split_record import SplitRecord
from wholecard.pages.page import write_page

TITLE = "Wholecard: a card in slices, moved live"


def write_split_page(record: SplitRecord, slices: int, target: Path) -> None:
    """Write the page to `target`, whole or not at all. `slices` are those of one card."""
    write_page(split_page(record, slices), target)


def split_page(record: SplitRecord, slices: int) -> str:
    """The page's text."""
    pauses = [move.pause for move in record.moves if move.pause is not None]
    return rendered(
        "split.html.j2", record, title=TITLE, outcome=split_outcome(record),
        pause=median(pauses) if pauses else None, slices=counted(slices, "slice"),
    )  # fmt: skip


def split_outcome(record: SplitRecord) -> DemoOutcome:
    """Whether every guest kept its slice, and if not what went wrong."""
    if record.wrong:
        return DemoOutcome(False, "Not as it should be", record.wrong)
    return DemoOutcome(True, f"{counted(len(record.moves), 'live move')}, nothing lost")

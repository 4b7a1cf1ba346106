"""The page of the demo of slices: its outcome, its moves, what went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wholecard.lab.base.steps import LabStep
from wholecard.lab.report.split_page import split_outcome, split_page
from wholecard.lab.report.split_record import LiveMove, SliceServer, SplitRecord

GOT = SliceServer("slice-1", "ACTIVE", "gpu-01", "", False)
REFUSED = SliceServer("slice-3", "ERROR", "", "No valid host was found. <b>", True)
MOVE = LiveMove("slice-1", "gpu-01", "gpu-02", "drain", 61.0, 0.5, 0.735, 41, 78, 0, True)


def record() -> SplitRecord:
    """A demo in which all went well."""
    return SplitRecord(
        "2026-11-30T17:00:00+00:00", "a machine", "tcg", "no KVM", [GOT, REFUSED], [MOVE],
        [("after a live move", ())], [LabStep("server slice-1", 0.0, 3.0)], 300.0,
    )  # fmt: skip


def test_the_page_says_what_was_seen() -> None:
    """Each server, each move with its pause as said and as it was, each audit; nothing as HTML."""
    page = split_page(record(), 2)
    for seen in ("1 live move, nothing lost", "ERROR, as expected", "gpu-02", "0.7 s", "0.5 s",
                 "41 → 78", "same boot, none lost", "2 slices",
                 "No valid host was found. &lt;b&gt;"):  # fmt: skip
        assert seen in page, seen
    assert "failed" not in page.split("</style>")[1]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"servers": [replace(GOT, status="ERROR")]}, "slice-1: it is ERROR"),
        ({"servers": [replace(REFUSED, status="ACTIVE", fault="")]}, "slice-3: it is ACTIVE"),
        ({"moves": [replace(MOVE, lost=2)]}, "slice-1 to gpu-02: its guest lost something"),
        ({"moves": [replace(MOVE, same_boot=False)]}, "slice-1 to gpu-02: its guest lost"),
        ({"moves": [replace(MOVE, after=41)]}, "slice-1 to gpu-02: its guest lost"),
        ({"moves": []}, "no server was moved"),
        ({"audits": [("after a live move", ("WC513",))]}, "audit after a live move: WC513"),
        ({"steps": [LabStep("boot", 0.0, 3.0, failed=True)]}, "step failed: boot"),
    ],
)
def test_what_is_wrong_is_said(changed: dict[str, list[object]], wrong: str) -> None:
    """Anything that is not as it should be is in the headline's list, and the outcome is bad."""
    one = replace(record(), **changed)  # type: ignore[arg-type]
    assert not split_outcome(one).good
    assert wrong in "\n".join(split_outcome(one).wrong)
    assert wrong in split_page(one, 2)

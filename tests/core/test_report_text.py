"""Findings as a person reads them."""

from __future__ import annotations

import io
import sys

import pytest

from wholecard.core import Finding, Severity
from wholecard.core.report_text import findings_text, table, terminal_width, wrapped


def test_findings_text() -> None:
    """Errors come first, prose is wrapped and commands are not; the end names a page and counts.

    What is said of two subjects in the same words is said once.
    """
    command = "  openstack flavor set FLAVOR " + " ".join(f"--property a{n}=b" for n in range(9))
    findings = [
        Finding("WC101", "IOMMU", Severity.NOTE, "Known."),
        Finding("WC105", "IOMMU group 1", Severity.WARNING, "word " * 30, "Do this:\n" + command),
        Finding("WC111", "0000:01:00.0", Severity.ERROR, "Gone.", "Look."),
        Finding("WC111", "0000:02:00.0", Severity.ERROR, "Gone.", "Look."),
    ]
    lines = findings_text(findings).splitlines()
    assert lines[:3] == [
        "WC111 error 0000:01:00.0: Gone.",
        "      the same for: 0000:02:00.0",
        "      fix: Look.",
    ]
    assert lines[3].startswith("WC105 warning IOMMU group 1: word")
    assert all(len(line) <= 100 for line in lines if command.strip() not in line)
    assert lines[5:] == [
        "      fix: Do this:",
        "         " + command,
        "WC101 note IOMMU: Known.",
        "More about a rule: wholecard rule WC111",
        "1 error, 1 warning, 1 note",
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Finding("WC101", "b", Severity.NOTE, "b is slow.", "Look at b."), 1),
        (Finding("WC101", "b", Severity.NOTE, "b is slower.", "Look at b."), 2),
        (Finding("WC101", "b", Severity.NOTE, "b is slow.", "Look at a."), 2),
        (Finding("WC101", "b", Severity.ERROR, "b is slow.", "Look at b."), 2),
        (Finding("WC103", "b", Severity.NOTE, "b is slow.", "Look at b."), 2),
    ],
)
def test_alike(other: Finding, said: int) -> None:
    """Findings are one for a person where nothing but the subject differs."""
    first = Finding("WC101", "a", Severity.NOTE, "a is slow.", "Look at a.")
    text = findings_text([first, other])
    assert text.count("is slow") == said


def test_a_table_in_a_narrow_terminal() -> None:
    """The last cell goes on below itself; the others are never cut."""
    rows = [("0001", "one two three four")]
    assert table(("A", "B"), rows, 16).splitlines() == [
        "A     B", "0001  one two", "      three four",
    ]  # fmt: skip


def test_no_findings() -> None:
    """Where there is nothing to say, that is said."""
    assert findings_text([]) == "No findings: all is well."


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal(width: int) -> None:
    """Prose is broken at the given width, each part under its beginning."""
    finding = Finding("WC105", "group 1", Severity.WARNING, "word " * 30, "look " * 30)
    lines = findings_text([finding], width).splitlines()
    assert width - 5 < max(map(len, lines)) <= width
    assert all(line.startswith(("WC105", "      ")) for line in lines[:-2])


def test_a_numbered_line() -> None:
    """The first line keeps its beginning; a word that is too long is not broken."""
    assert wrapped("install abc defghijklmnop", "     ", "  1. ", 16) == [
        "  1. install abc", "     defghijklmnop",
    ]  # fmt: skip


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "columns", "width"),
    [(True, "60", 60), (True, "80", 80), (True, "200", 100), (True, "9", 40), (False, "60", 100)],
)
def test_terminal_width(
    terminal: bool, columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal's own width, within limits; what goes to a file has one width for everybody."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", _Terminal() if terminal else io.StringIO())
    assert terminal_width() == width

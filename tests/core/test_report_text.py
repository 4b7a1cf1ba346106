"""Findings as a person reads them."""

from __future__ import annotations

from wholecard.core import Finding, Severity
from wholecard.core.report_text import findings_text


def test_findings_text() -> None:
    """Errors come first, prose is wrapped and commands are not; the end names a page and counts."""
    command = "  openstack flavor set FLAVOR " + " ".join(f"--property a{n}=b" for n in range(9))
    findings = [
        Finding("WC101", "IOMMU", Severity.NOTE, "Known."),
        Finding("WC105", "IOMMU group 1", Severity.WARNING, "word " * 30, "Do this:\n" + command),
        Finding("WC111", "0000:01:00.0", Severity.ERROR, "Gone.", "Look."),
        Finding("WC111", "0000:02:00.0", Severity.ERROR, "Gone.", "Look."),
    ]
    lines = findings_text(findings).splitlines()
    assert lines[:4] == [
        "WC111 error 0000:01:00.0: Gone.",
        "      fix: Look.",
        "WC111 error 0000:02:00.0: Gone.",
        "      fix: Look.",
    ]
    assert lines[4].startswith("WC105 warning IOMMU group 1: word")
    assert all(len(line) <= 100 for line in lines if command.strip() not in line)
    assert lines[6:] == [
        "      fix: Do this:",
        "         " + command,
        "WC101 note IOMMU: Known.",
        "More about a rule: wholecard rule WC111",
        "2 errors, 1 warning, 1 note",
    ]


def test_no_findings() -> None:
    """Where there is nothing to say, that is said."""
    assert findings_text([]) == "No findings: all is well."

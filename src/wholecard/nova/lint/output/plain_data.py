"""Diagnostics as plain data, for JSON, YAML and CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from wholecard.core import Severity
from wholecard.core.output_format import formatted
from wholecard.core.plain_text import plain
from wholecard.nova.lint.diagnostic import Diagnostic


def to_text(
    diagnostics: Sequence[Diagnostic], format_name: str, columns: Sequence[str] = ()
) -> str:
    """The diagnostics in a format of `core/output_format.py`. Raises UsageError."""
    answer = to_data(diagnostics)
    return plain(formatted(format_name, columns, "", answer, "findings")) + "\n"


def to_data(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """`{"findings": [...], "counts": {"error": n, "warning": n, "note": n}}`."""
    counts = Counter(diagnostic.finding.severity.value for diagnostic in diagnostics)
    return {
        "findings": [diagnostic.to_json() for diagnostic in diagnostics],
        "counts": {severity.value: counts[severity.value] for severity in Severity},
    }

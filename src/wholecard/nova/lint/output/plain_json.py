"""Diagnostics as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from wholecard.core import Severity
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.output.github import printable


def to_json(diagnostics: Sequence[Diagnostic]) -> str:
    """`{"findings": [...], "counts": {"error": n, "warning": n, "note": n}}`."""
    counts = Counter(each.finding.severity.value for each in diagnostics)
    data = {
        "findings": [each.to_json() for each in diagnostics],
        "counts": {each.value: counts[each.value] for each in Severity},
    }
    return printable(json.dumps(data, indent=2, ensure_ascii=False)) + "\n"

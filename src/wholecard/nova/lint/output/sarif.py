"""Diagnostics as SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from wholecard import __version__
from wholecard.core import Severity
from wholecard.core.plain_text import plain
from wholecard.core.rules import RULES, Rule
from wholecard.nova.lint.diagnostic import Diagnostic

# oasis-tcs/sarif-spec, sarif-2.1/schema.
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def to_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """One run with the rules that were broken and a result for each diagnostic."""
    codes = sorted({each.finding.rule for each in diagnostics})
    rules = [_descriptor(RULES[code]) for code in codes]
    driver = {"name": "wholecard", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, codes.index(each.finding.rule)) for each in diagnostics],
    }
    data = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return plain(json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def _descriptor(rule: Rule) -> dict[str, Any]:
    """A reportingDescriptor (SARIF 2.1.0, 3.49); a page has no public address to link as yet."""
    text = (
        f"{rule.code}: {rule.title}. {rule.meaning} More, with a wrong and a right example: "
        f"wholecard rule {rule.code}, or docs/rules/{rule.code}.md of its documentation"
    )
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.meaning},
        "help": {"text": text},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(diagnostic: Diagnostic, index: int) -> dict[str, Any]:
    finding, position = diagnostic.finding, diagnostic.position
    fix = f" {finding.fix}" if finding.fix else ""
    # `endColumn` is the column behind the last character (SARIF 2.1.0, 3.30).
    end = position.column + diagnostic.length
    region = {"startLine": position.line, "startColumn": position.column, "endColumn": end}
    location = {"artifactLocation": {"uri": _uri(diagnostic.path)}, "region": region}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.subject}: {finding.message}.{fix}"},
        "locations": [{"physicalLocation": location}],
    }


def _uri(path: str) -> str:
    pure = PurePath(path)
    text = quote(pure.as_posix(), safe="/", errors="surrogateescape")
    return f"file://{text}" if pure.is_absolute() else text

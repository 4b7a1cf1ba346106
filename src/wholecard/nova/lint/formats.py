"""Remarks as JSON, as SARIF 2.1.0 and as GitHub's workflow commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from wholecard import __version__
from wholecard.core import Severity
from wholecard.core.rules import RULES
from wholecard.nova.lint.remark import Remark

# oasis-tcs/sarif-spec, sarif-2.1/schema.
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def to_json(remarks: Sequence[Remark]) -> str:
    """`{"findings": [...], "counts": {"error": n, "warning": n, "note": n}}`."""
    counts = Counter(each.finding.severity.value for each in remarks)
    data = {
        "findings": [each.to_json() for each in remarks],
        "counts": {each.value: counts[each.value] for each in Severity},
    }
    return printable(json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def to_sarif(remarks: Sequence[Remark]) -> str:
    """One run with the rules that were broken and a result for each remark."""
    codes = sorted({each.finding.rule for each in remarks})
    rules = [
        {
            "id": code,
            "name": _name(RULES[code]),
            "shortDescription": {"text": RULES[code]},
            "fullDescription": {"text": f"{RULES[code]}."},
            "help": {"text": _help(code)},
        }
        for code in codes
    ]
    driver = {"name": "wholecard", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, codes.index(each.finding.rule)) for each in remarks],
    }
    data = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return printable(json.dumps(data, indent=2, ensure_ascii=False)) + "\n"


def _help(code: str) -> str:
    """What a viewer shows beside a rule: there is no public address of its page as yet."""
    return (
        f"{code}: {RULES[code]}. What it means, why it matters and how to mend it, with a wrong "
        f"and a right example, is on its page in Wholecard's documentation: docs/rules/{code}.md"
    )


def _name(title: str) -> str:
    """A title as SARIF likes names: `AnAliasWithoutIds`."""
    words = "".join(sign if sign.isalnum() else " " for sign in title).split()
    return "".join(word[:1].upper() + word[1:] for word in words)


def _result(remark: Remark, index: int) -> dict[str, Any]:
    finding, place = remark.finding, remark.place
    fix = f" {finding.fix}" if finding.fix else ""
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endColumn": place.column + remark.length,
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.subject}: {finding.message}.{fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(remark.path)},
                    "region": region,
                }
            }
        ],
    }


def _uri(path: str) -> str:
    pure = PurePath(path)
    text = quote(pure.as_posix(), safe="/", errors="surrogateescape")
    return f"file://{text}" if pure.is_absolute() else text


def to_github(remarks: Sequence[Remark]) -> str:
    """`::error file=…,line=…,col=…,title=WC236::…`, a line for each.

    Escaped as GitHub's runner does it: actions/toolkit, packages/core/src/command.ts.
    """
    return "".join(f"{_command(each)}\n" for each in remarks)


def _command(remark: Remark) -> str:
    finding, place = remark.finding, remark.place
    properties = {
        "file": remark.path,
        "line": str(place.line),
        "col": str(place.column),
        "endColumn": str(place.column + remark.length),
        "title": f"{finding.rule} {RULES[finding.rule]}",
    }
    words = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    fix = f"\n{finding.fix}" if finding.fix else ""
    text = _data(f"{finding.subject}: {finding.message}{fix}")
    return f"::{_COMMANDS[finding.severity]} {words}::{text}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def printable(text: str) -> str:
    """The text with what was no UTF-8 in the file, and what a terminal would obey, made visible."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() or sign in "\n\r" else "\ufffd" for sign in clean)

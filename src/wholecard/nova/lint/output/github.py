"""Diagnostics as GitHub's workflow commands."""

from __future__ import annotations

from collections.abc import Sequence

from wholecard.core import Severity
from wholecard.core.plain_text import plain
from wholecard.core.rules import RULES
from wholecard.nova.lint.diagnostic import Diagnostic

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def to_github(diagnostics: Sequence[Diagnostic]) -> str:
    """`::error file=…,line=…,col=…,title=WC236::…`, a line for each.

    Escaped as GitHub's runner does it: actions/toolkit, packages/core/src/command.ts.
    """
    return "".join(f"{_command(each)}\n" for each in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    finding, position = diagnostic.finding, diagnostic.position
    properties = {
        "file": diagnostic.path,
        "line": str(position.line),
        "col": str(position.column),
        "endColumn": str(position.column + diagnostic.length),
        "title": f"{finding.rule} {RULES[finding.rule].title}",
    }
    words = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    fix = f"\n{finding.fix}" if finding.fix else ""
    text = _data(f"{finding.subject}: {finding.message}{fix}")
    return f"::{_COMMANDS[finding.severity]} {words}::{text}"


def _data(text: str) -> str:
    # A carriage return is escaped, as a newline is.
    return plain(text, keep="\n\r\t").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

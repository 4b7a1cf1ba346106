"""What a rule is: its code, its words and how much its findings weigh."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """How much a finding weighs: an error or a warning makes a command exit 1, a note does not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """A rule. `severity` is the usual one, `otherwise` the others and when.

    `name` is for people and tools that prefer words to codes, `meaning` one sentence, `since` the
    version of Wholecard that first had the rule, `fixable` whether `nova lint --fix` fixes some
    of its findings.
    """

    code: str
    name: str
    title: str
    severity: Severity
    meaning: str
    otherwise: str = ""
    fixable: bool = False
    since: str = "0.1"

    @property
    def severity_text(self) -> str:
        """All severities: `error; warning without a driver`."""
        return f"{self.severity.value}; {self.otherwise}" if self.otherwise else self.severity.value

    def to_json(self) -> dict[str, object]:
        """The fields of the record, `severity` and `otherwise` as text."""
        return {
            "code": self.code,
            "name": self.name,
            "title": self.title,
            "severity": self.severity.value,
            "otherwise": self.otherwise,
            "since": self.since,
            "fixable": self.fixable,
            "meaning": self.meaning,
        }

"""What check, verify, lint, explain and audit answer with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core.rules import RULES, Severity

__all__ = ["Finding", "Severity", "exit_status"]

# The exit status of a command that found no cause, and knows too little to say that there is none.
UNDECIDED = 4


@dataclass(frozen=True)
class Finding:
    """One fact that a person should know or act on.

    `rule` is a code of `wholecard.core.rules.RULES` (`WC1xx` host, `WC2xx` nova.conf,
    `WC3xx` cloud, `WC4xx` guest, `WC5xx` audit); `subject` names the thing (a PCI address,
    a file, a server); `fix` says what to do, empty where nothing is to be done.
    """

    rule: str
    subject: str
    severity: Severity
    message: str
    fix: str = ""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"no such rule: {self.rule}")

    def to_json(self) -> dict[str, str]:
        """A plain dictionary with the five fields, in their order."""
        return {**self.__dict__, "severity": self.severity.value}

    @classmethod
    def from_json(cls, data: dict[str, str]) -> Finding:
        """The inverse of `to_json`; raises KeyError or ValueError on anything else."""
        severity = Severity(data["severity"])
        return cls(data["rule"], data["subject"], severity, data["message"], data["fix"])


def exit_status(findings: Iterable[Finding]) -> int:
    """0 when all is well (notes included), 1 when there is an error or a warning."""
    return int(any(finding.severity is not Severity.NOTE for finding in findings))

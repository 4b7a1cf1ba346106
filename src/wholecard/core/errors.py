"""The one family of errors: what happened, the details, and what to do about it."""

from __future__ import annotations

# typing's import costs more than this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.finding import Finding


class WholecardError(Exception):
    """Something broke. `exit_code` is what a command ends with (3).

    `brief` is one line, `details` may be several, `resolution` says what the person can do.
    """

    exit_code = 3

    def __init__(self, brief: str, details: str = "", resolution: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution

    def __str__(self) -> str:
        lines = [self.brief]
        if self.details:
            lines.append(self.details)
        if self.resolution:
            lines.append(f"Resolution: {self.resolution}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str]:
        """`{"brief", "details", "resolution"}`."""
        return {"brief": self.brief, "details": self.details, "resolution": self.resolution}


class UsageError(WholecardError):
    """The command or its input was wrong; nothing was touched (exit code 2)."""

    exit_code = 2


class RefusedError(WholecardError):
    """Nothing was touched, because `findings` forbid it (exit code 1)."""

    exit_code = 1

    def __init__(self, brief: str, findings: tuple[Finding, ...], resolution: str = "") -> None:
        details = "\n".join(f"{finding.rule} {finding.message}" for finding in findings)
        super().__init__(brief, details, resolution)
        self.findings = findings

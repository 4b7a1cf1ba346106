"""What goes wrong, with what to do about it."""

from __future__ import annotations


class BenchError(Exception):
    """`brief` is one line, `details` what was seen, `resolution` what the person can do.

    `exit_code` is what the command ends with: 3, something broke.
    """

    exit_code = 3

    def __init__(self, brief: str, details: str = "", resolution: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution

    def __str__(self) -> str:
        lines = [self.brief, self.details]
        if self.resolution:
            lines.append(f"Resolution: {self.resolution}")
        return "\n".join(line for line in lines if line)

    def to_json(self) -> dict[str, str]:
        """`{"brief", "details", "resolution"}`."""
        return {"brief": self.brief, "details": self.details, "resolution": self.resolution}


class UsageError(BenchError):
    """The command was called wrongly; nothing ran (exit code 2)."""

    exit_code = 2


class NoDeviceError(BenchError):
    """A backend cannot be used here: no library, no driver, or no device (exit code 3)."""

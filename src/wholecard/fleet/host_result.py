"""The result of a command on one host, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wholecard.core import WholecardError
from wholecard.core.input_files import parse_json


@dataclass(frozen=True)
class HostResult:
    """The end of a command on one host.

    `status` is the agent's exit status (0 to 3) with what it printed, or 3 with an `error` where
    the agent did not run to its end. `seconds` are counted from the first connection.
    """

    host: str
    status: int
    stdout: str = ""
    stderr: str = ""
    error: WholecardError | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """`{"status", "output", "error"}`: `output` is the agent's JSON; `error` may be null.

        What is no JSON, or is nested so deeply that it cannot be written again, stays a text.
        """
        try:
            output = parse_json(self.stdout)
            # Within the results of all hosts it is some levels deeper.
            json.dumps([[[[output]]]], indent=2)
        except (ValueError, RecursionError):
            output = self.stdout or None
        error = output.get("error") if isinstance(output, dict) else None
        if self.error is not None:
            error = self.error.to_json()
        return {"status": self.status, "output": output, "error": error}


def worst(results: Iterable[HostResult]) -> int:
    """The highest exit status, which is the whole command's: 3 over 2 over 1 over 0."""
    return max((result.status for result in results), default=0)

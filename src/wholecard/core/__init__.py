"""The shapes that every room shares: `Finding`, `Action`, `Plan`, errors and `run()`.

Standard library only, Python 3.9: this room travels to hosts.
"""

from __future__ import annotations

from wholecard.core.errors import RefusedError, UsageError, WholecardError
from wholecard.core.finding import Finding, Severity, exit_status
from wholecard.core.plan import Action, Operation, Plan
from wholecard.core.run import Programs, Result, RunError, Watch, run

__all__ = [
    "Action",
    "Finding",
    "Operation",
    "Plan",
    "Programs",
    "RefusedError",
    "Result",
    "RunError",
    "Severity",
    "UsageError",
    "Watch",
    "WholecardError",
    "exit_status",
    "run",
]

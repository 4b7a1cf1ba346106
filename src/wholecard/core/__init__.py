"""The shapes that every room shares: `Finding`, `Action`, `Plan`, errors and `run()`.

Standard library only, Python 3.9: this room travels to hosts.
"""

from __future__ import annotations

# A name is imported from its file when it is first asked for (PEP 562): `inspect` needs errors
# alone, and subprocess, logging and enum cost more than the interpreter's own start. No file has
# the name of what it holds: an imported file is an attribute here and would hide it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.errors import RefusedError, UsageError, WholecardError
    from wholecard.core.finding import Finding, Severity, exit_status
    from wholecard.core.plan import Action, Operation, Plan, State, Step
    from wholecard.core.program import Programs, Result, RunError, Watch, run

_FILES = {
    "errors": ("RefusedError", "UsageError", "WholecardError"),
    "finding": ("Finding", "Severity", "exit_status"),
    "plan": ("Action", "Operation", "Plan", "State", "Step"),
    "program": ("Programs", "Result", "RunError", "Watch", "run"),
}

__all__ = [
    "Action", "Finding", "Operation", "Plan", "Programs", "RefusedError", "Result", "RunError",
    "Severity", "State", "Step", "UsageError", "Watch", "WholecardError", "exit_status", "run",
]  # fmt: skip


def __getattr__(name: str) -> object:
    for file, names in _FILES.items():
        if name in names:
            module = __import__(f"{__name__}.{file}", fromlist=[name])
            value: object = getattr(module, name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

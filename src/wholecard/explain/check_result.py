"""The result of one check between a flavor and a card, and how a table of checks is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

State = Literal["ok", "failed", "unknown", "not run"]
Subject = TypeVar("Subject")


@dataclass(frozen=True)
class CheckResult:
    """What a check `says`, and where it was `seen`; `rule` and `fix` where it failed.

    Where it is `unknown`, `fix` says how to let us know. A check behind a failed one is `not run`:
    what it would say could be a consequence of the first failure. So is one that only the running
    service could answer; it `says` that nobody looked. `warning` is what does not stop
    this request, and will stop another. `name` is the check's, in the table that has it.
    """

    state: State
    says: str = ""
    seen: tuple[str, ...] = ()
    rule: str = ""
    fix: str = ""
    warning: str = ""
    name: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields under their names; those that are empty are left out."""
        data = {"name": self.name, **self.__dict__, "seen": list(self.seen)}
        return {key: value for key, value in data.items() if value or key in ("name", "state")}


def ok(says: str, *seen: str, warning: str = "") -> CheckResult:
    """The result of a check that passed."""
    return CheckResult("ok", says, seen, warning=warning)


def failed(rule: str, says: str, fix: str, *seen: str) -> CheckResult:
    """The result of a check that failed: no server comes further than this."""
    return CheckResult("failed", says, seen, rule, fix)


def unknown(says: str, how: str, *seen: str) -> CheckResult:
    """The result of a check without the facts that it needs; `how` a person can give them."""
    return CheckResult("unknown", says, seen, fix=how)


def not_looked(says: str) -> CheckResult:
    """The result of a check that nothing was looked at for, and that no file can tell."""
    return CheckResult("not run", says)


def run_checks(
    checks: Mapping[str, Callable[[Subject], CheckResult]], subject: Subject
) -> tuple[CheckResult, ...]:
    """The results of the checks in their order, run up to the first one that fails."""
    results: list[CheckResult] = []
    for name, check in checks.items():
        result = CheckResult("not run") if first_failed(results) else check(subject)
        results.append(replace(result, name=name))
    return tuple(results)


def first_failed(results: tuple[CheckResult, ...] | list[CheckResult]) -> CheckResult | None:
    """The check that failed, None where all passed or are not known."""
    return next((result for result in results if result.state == "failed"), None)

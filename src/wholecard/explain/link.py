"""The links between a flavor and a card, and what was found of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "broken", "unknown", "later"]

# Names of the links in the order in which they are looked at, with what each asks.
REQUEST_LINKS: dict[str, str] = {
    "extra spec": "Does the flavor ask for cards, in words that nova takes?",
    "alias on the api": "Does nova-api know the alias, and accept all of them?",
    "quota": "Did the project's quota allow it?",
}
HOST_LINKS: dict[str, str] = {
    "alias on the compute": "Does nova-compute accept its aliases, and know this one?",
    "configuration": "Does nova-compute start with its device_spec?",
    "service": "Is nova-compute up and enabled?",
    "device_spec": "Does the host give the cards away?",
    "card": "Has the host enough such cards?",
    "device type": "Are they of the type and kind that the alias asks for?",
    "NUMA": "Does the guest's layout fit, with the cards where the policy wants them?",
    "free": "Are enough of them free?",
    "report": "Does Placement know the host's cards?",
    "resource class": "Are they there under the class that the alias asks for?",
    "traits": "Have they the traits that the alias asks for?",
    "inventory": "Has Placement enough of them left?",
    "machine": "Are CPUs, RAM and disk left, and has the host the traits asked for?",
    "zone": "Is the host in the zone and the aggregates that were asked for?",
    "candidates": "Does Placement find a combination in time?",
    "filters": "Does the scheduler look at cards?",
    "hypervisor": "Could the hypervisor start the server?",
}


@dataclass(frozen=True)
class CheckResult:
    """One link: `says` what was found and `seen` where, `rule` and `fix` where it is broken.

    Where it is `unknown`, `fix` says how to let us know. A link that is `later` stands behind a
    broken one and was not judged: what it would say could be the first one's doing. `warning` is
    what does not stop this request, and will stop another.
    """

    name: str
    state: State
    says: str = ""
    seen: tuple[str, ...] = ()
    rule: str = ""
    fix: str = ""
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields under their names; those that are empty are left out."""
        data = {**self.__dict__, "seen": list(self.seen)}
        return {key: value for key, value in data.items() if value or key in ("name", "state")}


def ok(name: str, says: str, *seen: str, warning: str = "") -> CheckResult:
    """A link that holds."""
    return CheckResult(name, "ok", says, seen, warning=warning)


def broken(name: str, rule: str, says: str, fix: str, *seen: str) -> CheckResult:
    """A link that breaks the chain."""
    return CheckResult(name, "broken", says, seen, rule, fix)


def unknown(name: str, says: str, how: str, *seen: str) -> CheckResult:
    """A link of which we do not know; `how` a person can let us know."""
    return CheckResult(name, "unknown", says, seen, fix=how)


def walked(
    names: dict[str, str], judges: dict[str, Callable[[], CheckResult]]
) -> tuple[CheckResult, ...]:
    """The links of these names in their order, judged up to the first broken one."""
    links: list[CheckResult] = []
    for name in names:
        if any(link.state == "broken" for link in links):
            links.append(CheckResult(name, "later"))
        else:
            links.append(judges[name]())
    return tuple(links)


def first_broken(links: tuple[CheckResult, ...]) -> CheckResult | None:
    """The link at which the chain breaks, None where it does not."""
    return next((link for link in links if link.state == "broken"), None)


def unknown_links(links: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The links of which nothing is known."""
    return tuple(link for link in links if link.state == "unknown")

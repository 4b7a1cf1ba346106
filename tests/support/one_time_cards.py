"""A Placement with one-time-use cards, and a host that cleans them as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.openstack_api import Api
from wholecard.core import WholecardError

CLASS = "CUSTOM_PCI_10DE_2330"


@dataclass
class Card:
    """One provider: `reserved`, `used` and `generation` as Placement has them."""

    host: str = "gpu-01"
    address: str = "0000:88:00.0"
    reserved: int = 1
    used: int = 0
    generation: int = 7
    total: int = 1
    puts: list[dict[str, Any]] = field(default_factory=list)
    # What the next requests for a change are answered with, before one is carried out.
    refusals: list[int] = field(default_factory=list)
    # Called before each change is looked at.
    before_put: Callable[[], object] = lambda: None

    @property
    def uuid(self) -> str:
        return f"uuid-{self.host}-{self.address.replace(':', '').replace('.', '')}"


def placement(api: Api, *cards: Card) -> None:
    """These cards' providers, at the server."""
    rows = [
        {"name": f"{card.host}_{card.address.upper()}", "uuid": card.uuid, "generation": 1}
        for card in cards
    ]
    mdev = {"name": "gpu-01_pci_0000_84_00_0", "uuid": "mdev", "generation": 1}
    api.answers["GET /placement/resource_providers"] = (200, {"resource_providers": [mdev, *rows]})
    for card in cards:
        _offer(api, card)


def _offer(api: Api, card: Card) -> None:
    path = f"/placement/resource_providers/{card.uuid}"

    def inventories() -> tuple[int, Any]:
        row = {"total": card.total, "reserved": card.reserved, "min_unit": 1, "max_unit": 1,
               "step_size": 1, "allocation_ratio": 1.0}  # fmt: skip
        return 200, {"resource_provider_generation": card.generation, "inventories": {CLASS: row}}

    def usages() -> tuple[int, Any]:
        used = {CLASS: card.used}
        return 200, {"resource_provider_generation": card.generation, "usages": used}

    def change() -> tuple[int, Any]:
        body = json.loads(api.sent[-1])
        card.puts.append(body)
        card.before_put()
        if card.refusals:
            status = card.refusals.pop(0)
            if status == 409:
                card.generation += 1
            return status, {"errors": [{"status": status, "detail": "no"}]}
        if body["resource_provider_generation"] != card.generation:
            return 409, {"errors": [{"status": 409, "detail": "generation conflict"}]}
        card.reserved, card.generation = body["reserved"], card.generation + 1
        return 200, body

    api.answers[f"GET {path}/inventories"] = inventories
    api.answers[f"GET {path}/usages"] = usages
    api.answers[f"PUT {path}/inventories/{CLASS}"] = change


def report(verdict: str = "clean", rule: str = "", message: str = "") -> dict[str, Any]:
    """A report of `wholecard-host clean-card --json`."""
    findings = [{"rule": rule, "message": message, "fix": "fix it", "subject": "", "severity": ""}]
    look = {"looked_at_bytes": 4096, "kept": 0, "overwritten_bytes": 0}
    return {"verdict": verdict, "method": "flr", "seconds": 1.5, "memory": [look],
            "findings": findings if rule else []}  # fmt: skip


@dataclass
class Hosts:
    """Hosts that answer with these reports, in order; the last one again and again."""

    reports: list[dict[str, Any] | Exception] = field(default_factory=lambda: [report()])
    asked: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    def reaches(self, host: str) -> bool:
        return host != "elsewhere"

    def clean(self, host: str, address: str) -> dict[str, Any]:
        self.asked.append((host, address))
        self.before()
        answer = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


UNREACHED = WholecardError("gpu-01: no connection", "ssh: connect to host", "Check the network.")

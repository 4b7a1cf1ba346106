"""Cards' health as records: hosts that answered, a cloud that has some of their cards."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from support.fleets import FakeFleet
from wholecard.health.host_answers import judged
from wholecard.health.record import CloudCards, CloudServer, FunctionInventory, HostAnswer
from wholecard.host.agent.zipapp import agent_bytes
from wholecard.host.facts.card_events import CardEvent
from wholecard.host.facts.card_health import (
    CardHealth,
    CardLink,
    Errors,
    FunctionHealth,
    HostHealth,
)

NOW = datetime(2026, 11, 30, 12)
SLOT, GPU = "0000:41:00", "0000:41:00.0"
PORT = "0000:40:01.1"
MODEL = "NVIDIA H100"
SERVER = "0fcd1c4a-1a6e-4a3c-8f1e-4f2f33d3a4b5"
PROJECT = "a-project"


def part(address: str = GPU, errors: Errors | None = None, **fields: Any) -> FunctionHealth:
    """A function, or a port, that answers."""
    values: dict[str, Any] = {"ids": "10de:2330", "driver": "vfio-pci", "config": "alive", **fields}
    return FunctionHealth(address, errors=errors or Errors(0, 0, 0), **values)


def card(slot: str = SLOT, errors: Errors | None = None, **fields: Any) -> CardHealth:
    """An H100 below a root port, with all its lanes."""
    gpu = f"{slot}.0"
    values: dict[str, Any] = {
        "functions": (part(gpu, errors),),
        "ports": (part(PORT, received=Errors(0, 0, 0), driver="pcieport"),),
        "domain": "",
        "link": CardLink(gpu, 16, 16, PORT, 16),
        **fields,
    }
    return CardHealth(slot, MODEL, "10de:2330", **values)


def health(*cards: CardHealth, events: tuple[CardEvent, ...] = (), **fields: Any) -> HostHealth:
    """A host with these cards, or with one that is in order."""
    values: dict[str, Any] = {"hostname": "gpu-01", "boot_id": "boot-1", "taken_at": 1_000_000.0,
                              "log_from": 0.0, **fields}  # fmt: skip
    return HostHealth(cards=cards or (card(),), events=events, **values)


def answer(*cards: CardHealth, host: str = "gpu-01", **fields: Any) -> HostAnswer:
    """Its answer, judged."""
    return judged(host, health(*cards, **{"hostname": host, **fields}), seconds=0.5)


def fleet_of(place: Path, *hosts: str) -> FakeFleet:
    """A fake fleet whose hosts answer what `answers` last wrote for them."""
    fleet = FakeFleet.make(place, *hosts)
    name = f"wholecard-host-{hashlib.sha256(agent_bytes()).hexdigest()[:16]}"
    for host in hosts:
        script = f"cat > read; echo {name}; echo {name} >&2; cat answer"
        (fleet.home(host) / "instead").write_text(script)
        (fleet.home(host) / "answer").write_text("")
    return fleet


def answers(fleet: FakeFleet, host: str, known: HostHealth | str) -> None:
    """Let the host answer so from now on."""
    text = known if isinstance(known, str) else json.dumps(known.to_json())
    (fleet.home(host) / "answer").write_text(text)


def line(kind: str, seconds: float, slot: str = SLOT) -> CardEvent:
    """A line of the kernel's log."""
    return CardEvent(kind, slot, f"{slot}.0", "kernel", f"vfio-pci {slot}.0: {kind}", seconds)


def provider(**fields: Any) -> FunctionInventory:
    """What Placement has of the card: free, unless `fields` say otherwise."""
    values: dict[str, Any] = {"host": "gpu-01", "address": GPU, "total": 1, "reserved": 0,
                              "used": 0, **fields}  # fmt: skip
    return FunctionInventory(**values)


def server(**fields: Any) -> CloudServer:
    """A server with one card, an hour old."""
    values: dict[str, Any] = {
        "id": SERVER, "project": PROJECT, "host": "gpu-01", "domain": "instance-00000007",
        "cards": 1, "launched_at": datetime(2026, 11, 30, 11), **fields,
    }  # fmt: skip
    return CloudServer(**values)


def cloud(
    *providers: FunctionInventory, servers: tuple[CloudServer, ...] = (), **fields: Any
) -> CloudCards:
    """A cloud with these cards and servers."""
    values: dict[str, Any] = {"now": NOW, **fields}
    return CloudCards(providers, {row.id: row for row in servers}, **values)

"""The page of what nova does with a card's rows and allocations, made from the recorded moves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "tests" / "simulator" / "golden" / "moves.json"

_HEAD = """# A card's rows and allocations, step by step

What nova 34.0.0 and Placement 16.0.0 really did, each line after a commit of one of them, as any reader of the databases and of libvirt saw it. Recorded in nova's own functional tests: two hosts with three cards each, 81:00, 81:01 and 81:02, a server that asks for two of them, and with one for one use a server that asks for one. The file is `tests/simulator/golden/moves.json`, which has many more moves; `wholecard audit` is tested with each of its states. (Contributors: this page is renewed with `WHOLECARD_RENEW=1`.)

`row` is nova's `pci_devices`, `Placement` an allocation of a card, `+` what was added and `-` what went. A row goes from available to allocated at once: `claimed` is seen only in a live migration.
"""  # noqa: E501 -- a paragraph is a line

# The move in the file, the section's title, and what there is to see.
_MOVES = (
    ("boot two cards", "A server is created",
     "The allocation comes first. nova-compute takes the cards that Placement allocated."),
    ("migrate", "A cold migration, to VERIFY_RESIZE",
     "Placement allocates 81:01 and 81:02 of gpu-02. nova-compute takes 81:00 and 81:01, and adds "
     "81:00 to the allocation: the server holds three ([WC524](../rules/WC524.md))."),
    ("confirm", "It is confirmed",
     "The migration is `confirmed` first, then the rows of the old host go one by one, then the "
     "server is ACTIVE, and last the migration's allocation goes. An audit in between waits. The "
     "third card stays."),
    ("evacuate", "An evacuation",
     "Of the old host nothing goes until its nova-compute starts again "
     "([WC515](../rules/WC515.md), [WC522](../rules/WC522.md))."),
    ("delete", "A server is deleted", "The row goes before the allocation."),
    ("shelve", "A server is shelved, after it was moved",
     "The allocation goes, and the row stays until nova-compute's next run (60 s)."),
    ("delete held and unlisted", "A server is deleted whose card has left device_spec",
     "The row goes, and the provider stays until nova-compute's next run "
     "([WC525](../rules/WC525.md), [WC526](../rules/WC526.md))."),
    ("migrate one time", "A cold migration of a one-time-use card that fails",
     "nova took another card than Placement had allocated. It reserves a card before it asks for "
     "it, and Placement refuses: `ReshapeFailed`."),
)  # fmt: skip


def moves_page() -> str:
    """The whole page `docs/explanation/a-card-step-by-step.md`."""
    moves = {row["name"]: row for row in json.loads(GOLDEN.read_text())}
    parts = [_HEAD]
    for name, title, text in _MOVES:
        parts += [f"## {title}\n", f"{text}\n", _steps(moves[name]["states"])]
    parts += [
        "## Read only at the start\n",
        "nova-compute reads `device_spec` and the host's devices when it starts, and at no "
        "periodic run (nova/compute/resource_tracker.py, `_setup_pci_tracker`). A card that was "
        "taken out, and a changed `device_spec`, change nothing until then.\n",
    ]
    return "\n".join(parts)


def _steps(states: list[Mapping[str, Any]]) -> str:
    lines = ["|   | what changed |", "| --- | --- |"]
    before = _facts(states[0])
    for state in states[1:]:
        now = _facts(state)
        changed = "; ".join(_changes(before, now))
        if changed:
            lines.append(f"| {len(lines) - 1} | {changed} |")
        before = now
    return "\n".join(lines) + "\n"


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name, value in now.items():
        if before.get(name) != value:
            yield f"+ {name}" if value == "" else f"{name}: {value}"
    for name in before:
        if name not in now:
            yield f"- {name}"


def _facts(state: Mapping[str, Any]) -> dict[str, str]:
    """What is seen of cards, servers and migrations, by its name."""
    facts = {}
    for host, address, status, server in state["rows"]:
        facts[f"row {host} {_short(address)}"] = (
            f"{status} to {_name(server)}" if server else status
        )
    for uuid, vm_state, task, host, _ in state["servers"]:
        facts[_name(uuid)] = f"{vm_state}{f', {task}' if task else ''}, {_where(host)}"
    for uuid, _, status, *_ in state["migrations"]:
        facts[_name(uuid)] = status
    for consumer, name, resource_class, _ in state["allocations"]:
        if resource_class.startswith("CUSTOM_PCI"):
            facts[f"Placement {_short(name)} for {_name(consumer)}"] = ""
    for name, _, _, reserved in state["inventories"]:
        facts[f"provider {_short(name)}"] = f"reserved {reserved}"
    for host, server, running, devices in state["domains"]:
        facts[f"domain of {_name(server)} on {host}"] = (
            f"{running} with {', '.join(map(_short, devices))}"
        )
    return facts


def _short(address: str) -> str:
    """`gpu-01 81:00` of a provider's name, `81:00` of an address."""
    host, _, own = address.rpartition("_")
    return f"{host} {own[5:10]}".strip()


def _name(uuid: str) -> str:
    """`the server` and `the migration`: a move has one of each; a server nova has not listed."""
    kind = uuid.partition("-")[0]
    return f"the {kind}" if kind in ("server", "migration") else "the server"


def _where(host: str | None) -> str:
    return f"on {host}" if host else "on no host"

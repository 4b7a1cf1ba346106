"""What a plan does not change: of the findings of `check` those that stay, once for each cause."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from support.hosts import BOOT, function, host
from wholecard.core import Finding, Plan, Severity
from wholecard.host.checks.registry import check
from wholecard.host.config_files import FileText, Settings
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.host import Host, KernelUse
from wholecard.host.planning.plan import plan
from wholecard.host.planning.remaining import by_cause, remaining

CARDS = ("0000:01:00.0", "0000:02:00.0")
SLOTS = ("0000:01:00", "0000:02:00")
EARLY = FileText("/etc/dracut.conf.d/n.conf", 'add_drivers+=" nouveau "\n')


def ready(**fields: Any) -> Host:
    """Two cards, each in a group of its own, whose native driver is nouveau."""
    cards = [
        function(address, driver="nouveau", modules=("nouveau",), iommu_group=number)
        for number, address in enumerate(CARDS, 1)
    ]
    return host(*cards, **fields)


def left(made: Host) -> list[tuple[str, str]]:
    """Rule and subject of what the plan for all cards leaves."""
    desired = resolve(made, [], all_cards=True)
    return [(f.rule, f.subject) for f in remaining(made, desired, plan(made, desired))]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"uses": (KernelUse(CARDS[0], "data", "nvme0n1 has ext4"),)}, [("WC131", CARDS[0])]),
        (
            {"uses": tuple(KernelUse(card, "data", "nvme0n1 has ext4") for card in CARDS)},
            [("WC131", ", ".join(CARDS))],
        ),
        ({"settings": Settings(foreign=(EARLY,))}, []),
        (
            {"boot": dataclasses.replace(BOOT, builtin=("nouveau",))},
            [("WC108", ", ".join(CARDS))],
        ),
        (
            {"boot": dataclasses.replace(BOOT, next_command_line="ro intel_iommu=off")},
            [],
        ),
    ],
    ids=["nothing", "one disk", "two disks", "softdep", "built in", "next boot"],
)
def test_remaining(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """What the plan writes or switches on is no longer said; what it leaves is, by cause."""
    assert left(ready(**fields)) == expected


def test_other_cards() -> None:
    """Only what concerns the cards that are given is said."""
    made = ready(uses=(KernelUse(CARDS[0], "data", "nvme0n1 has ext4"),))
    desired = DesiredState((SLOTS[1],))
    assert remaining(made, desired, Plan(())) == []


def test_notes() -> None:
    """Notes are for `check`."""
    made = ready()
    one = DesiredState((SLOTS[0],))
    assert "WC113" in {finding.rule for finding in check(made, made.cards[:1], desired=one)}
    assert remaining(made, one, plan(made, one)) == []


def test_by_cause() -> None:
    """Findings that differ in addresses alone are one, which names them all."""
    texts = {CARDS[0]: "slow", CARDS[1]: "slow", "0000:03:00.0": "hot"}
    findings = [
        Finding("WC122", address, Severity.WARNING, f"{address} is {text}.", f"Seat {address}.")
        for address, text in texts.items()
    ]
    first = dataclasses.replace(
        findings[0],
        subject=", ".join(CARDS),
        message=f"{CARDS[0]} is slow. The same is true of {CARDS[1]}.",
    )
    assert by_cause(findings) == [first, findings[2]]
    assert by_cause([]) == []

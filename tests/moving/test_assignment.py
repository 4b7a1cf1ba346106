"""Servers shared out over hosts, so that no card is promised twice."""

from __future__ import annotations

import itertools
import random

import pytest

from wholecard.moving.assignment import Need, assigned

CARD = "CUSTOM_PCI_10DE_2330"


def need(name: str, *hosts: str, cards: int = 1, **more: int) -> Need:
    return Need(name, {CARD: cards, **more}, hosts)


@pytest.mark.parametrize(
    ("needs", "free", "expected"),
    [
        ([need("a", "x")], {"x": 1}, {"a": "x"}),
        ([need("a", "x"), need("b", "x")], {"x": 1}, {"a": "x", "b": None}),
        # The first fit would give x to a, and leave b without a host.
        ([need("a", "x", "y"), need("b", "x")], {"x": 1, "y": 1}, {"a": "y", "b": "x"}),
        ([need("a", "x", "y"), need("b", "x", "y"), need("c", "x", "y", cards=2)],
         {"x": 2, "y": 2}, {"a": "y", "b": "y", "c": "x"}),
        ([need("a")], {}, {"a": None}),
        # A host that Placement does not know takes whatever nova gives it.
        ([need("a", "z"), need("b", "z")], {}, {"a": "z", "b": "z"}),
    ],
)  # fmt: skip
def test_assigned(needs: list[Need], free: dict[str, int], expected: dict[str, str | None]) -> None:
    """Each server gets a host that has room beside the others, where there is one."""
    hosts = {name: {CARD: cards} for name, cards in free.items()}
    assert assigned(needs, hosts) == expected


def test_all_resources_count() -> None:
    """A host with a free card and no memory takes no server."""
    needs = [need("a", "x", MEMORY_MB=8), need("b", "x", MEMORY_MB=8)]
    free = {"x": {CARD: 4, "MEMORY_MB": 12}}
    assert sorted(map(str, assigned(needs, free).values())) == ["None", "x"]


def test_as_many_as_possible() -> None:
    """Of equal servers as many are placed as brute force places, and never more than fit."""
    dice = random.Random(4)
    for _ in range(200):
        hosts = ["x", "y", "z"]
        free = {host: {CARD: dice.randint(0, 2)} for host in hosts}
        needs = [need(str(number), *dice.sample(hosts, dice.randint(1, 3))) for number in range(5)]
        places = assigned(needs, free)
        for host in hosts:
            assert sum(at == host for at in places.values()) <= free[host][CARD]
        best = max(
            sum(at is not None for at in choice)
            for choice in itertools.product(*([*each.hosts, None] for each in needs))
            if all(sum(at == host for at in choice) <= free[host][CARD] for host in hosts)
        )
        assert sum(at is not None for at in places.values()) == best

"""Boards with NVSwitches given in sets: what nova is told, and what its servers can end on."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from support.boards import ADDRESSES, board_host, board_site, server_modules
from wholecard.core.releases import RELEASES, release
from wholecard.nova import match
from wholecard.nova.desired.board_flavors import board_errors, board_warnings
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.nova.match import DeviceSysfs, Spec, rules_for
from wholecard.pci.splitting.nvswitch import BOARDS, partition_of

H100 = BOARDS[0].partitions
SMALL: Any = {"x4": 4, "x2": 2, "x1": {"size": 1, "count": 2}}
HALVES = {"left": 4, "right": 4}
PAIRS = {"a": 2, "b": 2, "c": 2, "d": 2}
ORDERS, EVENTS = 10_000, 30
# By default cards are chosen in Placement from 2024.2 on, where it can be tuned for many of a kind.
IN_PLACEMENT = {"report_in_placement": True, "pci_in_placement": True}
FLAVOR = {"ram": 1024, "vcpus": 1}


def configs(*splits: tuple[int, Any], series: str = "2026.2") -> dict[str, PciConfig]:
    """What nova is told on each host."""
    site, facts = board_site(*splits, nova=IN_PLACEMENT if series != "zed" else {})
    return pci_configs(site, facts, release(series))


def cards_by_class(config: PciConfig, nova: int) -> dict[str, list[str]]:
    """The cards of a host by their class in Placement, as nova-compute reports them."""
    rules = rules_for(nova, report_in_placement=True, pci_in_placement=True)
    devices = match.devices_of(board_host().functions)
    texts = [each.to_json() for each in config.device_specs]
    specs = [spec for text in texts for spec in Spec.parse(text, rules, DeviceSysfs(devices))]
    cards: dict[str, list[str]] = {}
    for provider in match.providers_of("h", devices, specs, rules):
        cards.setdefault(provider.resource_class, []).append(provider.devices[0].address)
    return cards


def test_what_nova_is_told() -> None:
    """Each set's GPUs are named by address, with the class that its alias asks for."""
    config = configs((1, SMALL))["gpu-01"]
    told = [json.loads(each.to_json()) for each in config.device_specs]
    assert {each["address"]: each["resource_class"] for each in told} == dict(
        zip(ADDRESSES, ["CUSTOM_X4"] * 4 + ["CUSTOM_X2"] * 2 + ["CUSTOM_X1"] * 2, strict=True)
    )
    assert [(each.name, each.resource_class) for each in config.aliases] == [
        ("x4", "CUSTOM_X4"), ("x2", "CUSTOM_X2"), ("x1", "CUSTOM_X1"),
    ]  # fmt: skip


@pytest.mark.parametrize("series", [each for each in RELEASES if each.nova >= 27], ids=str)
def test_placement_can_choose_one_set_only(series: Any) -> None:
    """On a host the cards that a flavor's request groups can get are exactly one partition."""
    rules = rules_for(series.nova, report_in_placement=True, pci_in_placement=True)
    for config in configs((1, SMALL), (1, HALVES), (1, PAIRS), series=series.series).values():
        cards = cards_by_class(config, series.nova)
        assert sorted(card for own in cards.values() for card in own) == list(ADDRESSES)
        aliases = match.parse_aliases([each.to_json() for each in config.aliases], rules)
        for alias in aliases:
            size = 1 if alias == "x1" else len(cards.get(f"CUSTOM_{alias.upper()}", ()))
            groups = match.groups_of(match.parse_request(f"{alias}:{size}", aliases), rules)
            assert {group.resource_class for group in groups} <= {f"CUSTOM_{alias.upper()}"}
            if size > 1:
                gpus = server_modules(cards[groups[0].resource_class])
                assert partition_of(H100, gpus) is not None


def test_before_placement() -> None:
    """Without cards in Placement nova cannot tell two sets apart, and it is said; one can be."""
    with pytest.raises(UnsupportedError, match=r"nova cannot distinguish cards\.x4 and cards\.x2"):
        configs((1, SMALL), series="zed")
    (host,) = configs((1, {"half": 4}), series="zed").values()
    assert [json.loads(each.to_json())["address"] for each in host.device_specs] == [*ADDRESSES[:4]]


# Splits of hosts, and what flavors ask for.
FLEETS: dict[str, tuple[tuple[int, Any], ...]] = {
    "one of each size": ((2, SMALL),),
    "halves and pairs": ((1, HALVES), (2, PAIRS)),
    "all sizes": ((1, {"x8": 8}), (2, SMALL), (1, HALVES), (1, PAIRS)),
}


@pytest.mark.parametrize("fleet", FLEETS)
def test_every_order(fleet: str) -> None:
    """In 10,000 orders of boots and deletions every server has a partition.

    One is refused only where as many of its flavor run as there are sets, which no order changes.
    nova's choice of host and cards is any that its classes allow, at random.
    """
    seen = Counter[str]()
    for seed in range(ORDERS // len(FLEETS) + 1):
        seen.update(run(random.Random(f"{fleet} {seed}"), FLEETS[fleet], CONFIGS[fleet]))
    assert seen["no partition"] == seen["in vain"] == 0
    assert seen["refused"] > seen["boots"] // 20
    assert seen["boots"] > 40_000


def test_without_sets() -> None:
    """The same orders of 2 and 4 GPUs of one kind of card do end on GPUs that are no partition."""
    seen = Counter[str]()
    free = {"gpu-01": {"CUSTOM_ALL": list(ADDRESSES)}}
    for seed in range(100):
        seen += run(random.Random(seed), ((1, {}),), free, [("ALL", 2), ("ALL", 4)])
    assert seen["no partition"] > seen["boots"] // 2


CONFIGS = {
    name: {host: cards_by_class(config, 34) for host, config in configs(*splits).items()}
    for name, splits in FLEETS.items()
}


def run(
    order: random.Random, splits: tuple[tuple[int, Any], ...],
    hosts: dict[str, dict[str, list[str]]], asked: list[tuple[str, int]] | None = None,
) -> Counter[str]:  # fmt: skip
    """What became of one order."""
    flavors = asked or [
        (name, each["size"] if isinstance(each, dict) else each)
        for _, sets in splits for name, each in sets.items()
    ]  # fmt: skip
    places = {
        name: sum(len(own.get(f"CUSTOM_{name.upper()}", ())) // count for own in hosts.values())
        for name, count in flavors
    }
    free = {host: {name: [*cards] for name, cards in own.items()} for host, own in hosts.items()}
    servers: list[tuple[str, str, list[str]]] = []
    running, seen = Counter[str](), Counter[str]()
    for _ in range(EVENTS):
        if servers and order.random() < 0.45:
            host, name, cards = servers.pop(order.randrange(len(servers)))
            free[host][f"CUSTOM_{name.upper()}"] += cards
            running[name] -= 1
            continue
        name, count = order.choice(flavors)
        seen["boots"] += 1
        of_class = f"CUSTOM_{name.upper()}"
        able = [host for host, own in free.items() if len(own.get(of_class, ())) >= count]
        if not able:
            seen["refused"] += 1
            seen["in vain"] += running[name] < places[name]
            continue
        host = order.choice(able)
        cards = order.sample(free[host][of_class], count)
        free[host][of_class] = [each for each in free[host][of_class] if each not in cards]
        seen["no partition"] += partition_of(H100, server_modules(cards)) is None
        running[name] += 1
        servers.append((host, name, cards))
    return seen


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({"x4": 4}, ""),
        ({"x1": 1}, ""),
        ({"x4": 2}, "WC608: flavors.f requests 2 of x4, a set of 4 GPUs"),
        ({"x1": 2}, "WC608: flavors.f requests 2 of x1, a set of 1 GPU"),
        ({"x4": 4, "x2": 2}, "WC608: flavors.f requests x4 and x2, and two sets are no partition"),
    ],
)
def test_a_flavor_asks_for_a_set(cards: dict[str, int], said: str) -> None:
    """All of one set, or it is an error."""
    site, facts = board_site((1, SMALL), flavors={"f": {**FLAVOR, "cards": cards}})
    assert [each.what for each in board_errors(site)] == [said] * bool(said)
    assert list(board_warnings(site, facts)) == []


@pytest.mark.parametrize(("count", "warned"), [(1, False), (2, True), (4, True), (8, False)])
def test_any_of_a_board(count: int, warned: bool) -> None:
    """Some of a board's GPUs of a kind that nova gives in any combination are a warning."""
    site, facts = board_site((1, {}), flavors={"f": {**FLAVOR, "cards": {"board0": count}}})
    said = [each.what for each in board_warnings(site, facts)]
    assert said == [f"WC608: flavors.f requests {count} of board0, GPUs of a board with "
                    "NVSwitches, and nova takes any of them"] * warned  # fmt: skip
    assert [each.what for each in board_warnings(site, {})] == said

"""Placement's checks: one card is enough, and a doubt is no cause."""

from __future__ import annotations

from typing import Any

import pytest

from support.placement import provider, tree
from support.small_cloud import ALIAS, api, cloud, host, request, scheduler
from wholecard.explain.explain import explain

NVLINK = ALIAS.replace("}", ', "traits": "CUSTOM_NVLINK"}')
WITH, WITHOUT = provider("0000:41:00.0", traits=["CUSTOM_NVLINK"]), provider("0000:c1:00.0")


def state_of(name: str, cards: tuple[Any, ...], **fields: Any) -> str:
    """The state of a check of the one host, whose Placement has these cards."""
    evidence = cloud(True, hosts=(host(placement=True, provider_tree=tree(cards)),), **fields)
    (answer,) = explain(evidence).hosts
    return next(result.state for result in answer.checks if name in result.name)


USED = provider("0000:41:00.0", used=1, consumers=("5d1f", "1a2b"))
UNNAMED = provider("0000:c1:00.0", used=1)
RESERVED = provider("0000:c1:00.0", reserved=1)
FREE = provider("0000:c1:00.0")


@pytest.mark.parametrize(
    ("cards", "count", "rule", "words"),
    [
        ((FREE,), 2, "WC312", "Placement has 1 CUSTOM_PCI_10DE_2330 of gpu-01, 2 are requested."),
        ((WITH, RESERVED), 2, "WC322", "Cards of gpu-01 are reserved in Placement: 0000:c1:00.0."),
        ((USED, RESERVED), 1, "WC322", "Cards of gpu-01 are reserved in Placement: 0000:c1:00.0."),
        ((USED,), 1, "WC318", "0000:41:00.0 are allocated by 1a2b, 5d1f."),
        ((UNNAMED,), 1, "WC318", "0000:c1:00.0 are allocated."),
        ((USED, FREE), 2, "WC318", "0000:41:00.0 are allocated by 1a2b, 5d1f."),
        ((USED, RESERVED), 2, "WC318", "0000:41:00.0 are allocated by 1a2b, 5d1f."),
    ],
)
def test_why_cards_are_missing(cards: tuple[Any, ...], count: int, rule: str, words: str) -> None:
    """Too few cards in all, reserved ones that would do, and allocated ones are told apart."""
    evidence = cloud(
        True,
        hosts=(host(placement=True, provider_tree=tree(cards)),),
        request=request(f"h100:{count}"),
    )
    (answer,) = explain(evidence).hosts
    (result,) = [result for result in answer.checks if result.state == "failed"]
    assert (result.rule, words in result.says) == (rule, True)
    # A card may be counted for a server that nova moved, and that has another card.
    assert ("WC524" in result.fix) is (rule == "WC318")


@pytest.mark.parametrize("cards", [(WITH, WITHOUT), (WITHOUT, WITH), (WITH,), (WITH, WITH)])
def test_one_card_with_the_traits(cards: tuple[Any, ...]) -> None:
    """The host passes where one card has the alias's traits; the others need not."""
    assert state_of("traits", cards, api=api(NVLINK, True)) == "ok"


def test_no_card_with_the_traits() -> None:
    """Where no card has them it fails."""
    assert state_of("traits", (WITHOUT, WITHOUT), api=api(NVLINK, True)) == "failed"


@pytest.mark.parametrize(
    ("name", "cards", "alias"),
    [
        ("resource", (provider("0000:41:00.0", resource_class="CUSTOM_H100"),), ALIAS),
        ("inventory", (provider("0000:41:00.0", reserved=1),), ALIAS),
    ],
)
def test_doubt_is_no_cause(name: str, cards: tuple[Any, ...], alias: str) -> None:
    """It fails where nova asks Placement for cards, and is not known where that is not known."""
    known = {"api": api(alias, True), "scheduler": scheduler(placement=True)}
    assert state_of(name, cards, **known) == "failed"
    # The alias is nova-compute's then, and what asks Placement is not known.
    assert state_of(name, cards, api=None, scheduler=None) == "unknown"

"""Who counts cards, and since when."""

from __future__ import annotations

from typing import Any

import pytest

from differential import card_limits
from support.sites import FACTS, site
from wholecard.core.releases import release
from wholecard.nova.desired.card_quotas import (
    lacks_unified_limits,
    limited_cards,
    limited_classes,
    quota_driver,
    uncounted,
    why_uncounted,
)

DB, UNIFIED = "nova.quota.DbQuotaDriver", "nova.quota.UnifiedLimitsDriver"
QUOTA = {"quotas": {"p": {"cards": {"h100": 8}}}}
OLD = "nova counts cards since 2026.2, and this is 2026.1."
BY_NOVA = "nova counts cards only in Placement, and pci_in_placement is off."


@pytest.mark.parametrize(
    ("of", "more", "driver", "why"),
    [
        ("2026.2", {}, UNIFIED, ""),
        ("2026.2", {"quota_driver": "unified"}, UNIFIED, ""),
        ("2026.2", {"quota_driver": "db"}, DB,
         "The quota driver db counts only instances, cores and memory."),
        ("2026.2", {"nova": {"pci_in_placement": False}}, None, BY_NOVA),
        ("2026.2", {"nova": {"report_in_placement": False}}, None, BY_NOVA),
        ("2026.2", {"nova": {"pci_in_placement": False}, "quota_driver": "unified"}, UNIFIED,
         BY_NOVA),
        ("2026.1", {}, None, OLD),
        ("2026.1", {"quota_driver": "unified"}, UNIFIED, OLD),
    ],
)  # fmt: skip
def test_cards_are_counted(of: str, more: dict[str, Any], driver: str | None, why: str) -> None:
    """nova counts cards since 2026.2, under unified limits, where Placement chooses them."""
    made = site(**QUOTA, **more)
    assert (quota_driver(made, release(of)), why_uncounted(made, release(of))) == (driver, why)
    assert limited_cards(made, release(of)) == (() if why else ("h100",))
    classes = {} if why else {"h100": "CUSTOM_PCI_10DE_2330"}
    assert limited_classes(made, FACTS, release(of)) == classes
    assert [each.keys for each in uncounted(made, release(of))] == (
        [("quotas", "p", "cards")] if why else []
    )


@pytest.mark.parametrize(("of", "lacks"), [("yoga", True), ("2023.1", True), ("2023.2", False)])
def test_unified_limits_since_2023_2(of: str, lacks: bool) -> None:
    """Before 2023.2 nova's help says not to use unified limits: the driver is not written."""
    made = site(quota_driver="unified")
    assert lacks_unified_limits(made, release(of)) is lacks
    assert quota_driver(made, release(of)) == (None if lacks else UNIFIED)
    assert [each.keys for each in uncounted(made, release(of))] == [("quota_driver",)] * lacks


def test_without_a_limit_nothing_is_written() -> None:
    """A site without limits of cards leaves nova's driver as it is."""
    made = site(quotas={"p": {"cores": 8}})
    assert quota_driver(made, release("2026.2")) is None
    assert limited_classes(made, {}, release("2026.2")) == {}


@pytest.mark.parametrize("case", card_limits.cases(), ids=lambda case: case.name)
def test_real_nova_counts_what_is_limited(case: card_limits.LimitCase) -> None:
    """nova 34, asked just this, counted the class that we limit and refused what it has to."""
    kept = card_limits.recorded()[case.name]
    assert kept["question"] == case.question, "make renew-nova asks nova anew"
    answer = kept["answer"]
    assert (answer["cards"], bool(answer["refused"])) == (case.cards, case.refused)

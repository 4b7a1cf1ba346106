"""Who counts cards, and as what: what the cloud plans and what nova is configured with agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.sites import FACTS, H100_SECOND, eight, site
from wholecard.cloud.operations.quotas import LimitPlace, RegisterLimit, SetLimit
from wholecard.cloud.planning.current import CurrentCloud
from wholecard.cloud.planning.desired import DesiredCloud, desired_cloud
from wholecard.cloud.planning.plan import plan
from wholecard.cloud.planning.unified_limits import RESOURCES
from wholecard.core import UsageError
from wholecard.core.releases import RELEASES, Release, release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.release_support import ignored_requests
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.resource_classes import class_of_ids
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.site.model import Site

PLACE = LimitPlace("nova", None)
NOTHING = CurrentCloud(projects={"p": "1"}, limit_place=PLACE)
DRIVERS = {"nova.quota.DbQuotaDriver": "db", "nova.quota.UnifiedLimitsDriver": "unified"}

GPU = {"match": [{"vendor": "10de", "product": "2330"}]}
TWO_PRODUCTS = {"match": [*GPU["match"], {"vendor": "10de", "product": "2331"}]}
QUOTA = {"p": {"instances": 4, "cards": {"gpu": 2}}}
TWO_MODELS = {"gpu-01": eight(audio=False), "gpu-02": eight(audio=False, ids=H100_SECOND)}
TWINS = {
    name: {"match": [{**GPU["match"][0], "hosts": [host]}]}
    for name, host in (("gpu", "gpu-01"), ("other", "gpu-02"))
}


def registered(asked: DesiredCloud) -> tuple[str, ...]:
    """The classes of cards that the cloud plans a limit of, each registered and set."""
    actions = [action.do for action in plan(asked, NOTHING).plan.actions]
    names = [each.resource for each in actions if isinstance(each, RegisterLimit)]
    limits = [name for each in actions if isinstance(each, SetLimit) for name, _, _ in each.changes]
    cards = [name for name in names if name not in RESOURCES.values()]
    assert sorted(cards) == sorted(name for name in limits if name not in RESOURCES.values())
    return tuple(name.removeprefix("class:") for name in cards)


def asked_for(config: PciConfig) -> dict[str, set[str]]:
    """The class that each alias asks Placement for."""
    classes: dict[str, set[str]] = {}
    for alias in config.aliases:
        made = class_of_ids((str(alias.vendor_id), str(alias.product_id)))
        classes.setdefault(alias.name, set()).add(alias.resource_class or made)
    return classes


def check_agreed(made: Site, facts: Mapping[str, Host], of: Release) -> tuple[str | None, set[str]]:
    """Both sides' driver and classes, once they agree, and agree with nova's aliases.

    Raises UsageError where nova's configuration is refused.
    """
    config = next(iter(pci_configs(made, facts, of).values()))
    asked = desired_cloud(made, facts, of)
    driver = DRIVERS.get(config.quota_driver or "", "auto")
    unknown = made.quota_driver == "unified" and driver == "auto"
    assert asked.driver == ("db" if unknown else driver)
    # A limit is planned only where nova's configuration has the driver that reads it.
    assert driver == "unified" or not any(quota.cards for quota in asked.quotas)
    classes = set(registered(asked))
    assert classes == set(config.limited)
    kinds = {kind for quota in made.quotas.values() for kind in quota.cards}
    aliases = asked_for(config)
    if classes:
        assert classes == {name for kind in kinds for name in aliases[kind]}
    told = {each.keys[1] for each in ignored_requests(made, of) if each.keys[0] == "quotas"}
    assert told == {
        each.subject.removeprefix("quota of ") for each in asked.findings if each.rule == "WC336"
    }
    return config.quota_driver, classes


UNIFIED = "nova.quota.UnifiedLimitsDriver"
Agreed = tuple[str, Mapping[str, Any], Mapping[str, Host], dict[str, Any], str | None, set[str]]
CASES: list[Agreed] = [
    ("yoga", {"gpu": GPU}, FACTS, {"quota_driver": "unified"}, None, set()),
    ("zed", {"gpu": GPU}, FACTS, {"quota_driver": "unified"}, None, set()),
    ("2023.1", {"gpu": GPU}, FACTS, {"quota_driver": "unified"}, None, set()),
    ("2023.2", {"gpu": GPU}, FACTS, {"quota_driver": "unified"}, UNIFIED, set()),
    ("2026.2", {"gpu": GPU}, FACTS, {"nova": {"report_in_placement": False}}, None, set()),
    ("2026.2", {"gpu": GPU}, FACTS, {"nova": {"pci_in_placement": False}}, None, set()),
    ("2026.2", {"gpu": TWO_PRODUCTS}, TWO_MODELS, {}, UNIFIED, {"CUSTOM_GPU"}),
    ("2026.2", TWINS, FACTS, {}, UNIFIED, {"CUSTOM_GPU"}),
    ("2026.2", {"gpu": GPU}, FACTS, {}, UNIFIED, {"CUSTOM_PCI_10DE_2330"}),
    ("2026.2", {"gpu": {"match": [{"vendor": "10de"}]}}, FACTS, {}, UNIFIED,
     {"CUSTOM_PCI_10DE_2330"}),
    ("2026.2", {"gpu": {**GPU, "resource_class": "CUSTOM_H"}}, FACTS, {}, UNIFIED, {"CUSTOM_H"}),
    ("2026.2", {"gpu": GPU}, FACTS, {"quota_driver": "db"}, "nova.quota.DbQuotaDriver", set()),
    ("2026.1", {"gpu": GPU}, FACTS, {}, None, set()),
]  # fmt: skip


@pytest.mark.parametrize(("of", "cards", "facts", "more", "driver", "classes"), CASES)
def test_both_sides_agree(
    of: str, cards: Mapping[str, Any], facts: Mapping[str, Host], more: dict[str, Any],
    driver: str | None, classes: set[str],
) -> None:  # fmt: skip
    """Cards are limited where nova counts them, under the class that their alias asks for."""
    made = site(cards, quotas=QUOTA, **more)
    assert check_agreed(made, facts, release(of)) == (driver, classes)


def test_classes_that_are_not_known() -> None:
    """Where nova cannot be configured for want of facts, WC336 says which facts are missing."""
    made = site({"gpu": {"match": [{"vendor": "10de"}]}}, quotas=QUOTA)
    asked = desired_cloud(made, {}, release("2026.2"))
    (finding,) = asked.findings
    assert (finding.rule, asked.quotas[0].cards) == ("WC336", {})
    assert "which ids its cards have is not known for gpu-01" in finding.message
    with pytest.raises(UsageError, match="which ids"):
        pci_configs(made, {}, release("2026.2"))


ONE_CLASS = {
    "gpu": {**GPU, "resource_class": "CUSTOM_GPU"},
    "other": {"match": [{"vendor": "10de", "product": "2331"}], "resource_class": "CUSTOM_GPU"},
}
OWN_CLASSES = {**ONE_CLASS, "other": {**ONE_CLASS["other"], "resource_class": "CUSTOM_OTHER"}}
BOTH = {"p": {"cards": {"gpu": 2, "other": 4}}}


@pytest.mark.parametrize(
    ("of", "cards", "quotas", "refused"),
    [
        ("2026.2", ONE_CLASS, BOTH, ["p"]),
        # The same number twice is still one limit for both kinds.
        ("2026.2", ONE_CLASS, {"p": {"cards": {"gpu": 2, "other": 2}}}, ["p"]),
        ("2026.2", ONE_CLASS, {**BOTH, "q": BOTH["p"]}, ["p", "q"]),
        ("2026.2", ONE_CLASS, {"p": {"cards": {"gpu": 2}}}, []),
        ("2026.2", ONE_CLASS, {"p": {"cards": {"gpu": 2}}, "q": {"cards": {"other": 4}}}, []),
        ("2026.2", OWN_CLASSES, BOTH, []),
        # Where nova counts no cards, there is no limit that another could replace.
        ("2026.1", ONE_CLASS, BOTH, []),
    ],
)  # fmt: skip
def test_two_limits_of_one_class(
    of: str, cards: Mapping[str, Any], quotas: Mapping[str, Any], refused: list[str]
) -> None:
    """Two limits of a project for kinds with one class are refused by render and by the plan."""
    made = site(cards, quotas=quotas)
    for refusing in (pci_configs, desired_cloud):
        if not refused:
            refusing(made, TWO_MODELS, release(of))
            continue
        with pytest.raises(UnsupportedError) as caught:
            refusing(made, TWO_MODELS, release(of))
        keys = [("quotas", project, "cards", "other") for project in refused]
        assert [request.keys for request in caught.value.requests] == keys


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """A site of two hosts: kinds with common and own ids and classes, limits, wishes of nova."""
    cards: dict[str, Any] = {}
    for name in draw(
        st.lists(st.sampled_from(["gpu", "other", "h100 a"]), min_size=1, unique=True)
    ):
        products = draw(st.lists(st.sampled_from(["2330", "2331"]), min_size=1, unique=True))
        hosts = draw(st.sampled_from([[], ["gpu-01"], ["gpu-02"]]))
        cards[name] = {
            "match": [{"vendor": "10de", "product": each, "hosts": hosts} for each in products],
            "resource_class": draw(st.sampled_from([None, None, "CUSTOM_A", "CUSTOM_B"])),
        }
    limited = st.dictionaries(st.sampled_from(list(cards)), st.integers(-1, 8))
    return site(
        cards,
        nova={
            "report_in_placement": draw(st.sampled_from(["auto", "auto", True, False])),
            "pci_in_placement": draw(st.sampled_from(["auto", "auto", True, False])),
        },
        quota_driver=draw(st.sampled_from(["auto", "db", "unified"])),
        quotas={"p": {"instances": 4, "cards": draw(limited)}},
    )


@settings(max_examples=300, deadline=None)
@given(
    made=sites(),
    facts=st.sampled_from([FACTS, TWO_MODELS]),
    of=st.one_of(st.just(RELEASES[-1]), st.sampled_from(RELEASES)),
)
def test_generated_sites_agree(made: Site, facts: Mapping[str, Host], of: Release) -> None:
    """The limits that the cloud plans are the classes of `unified_limits_resource_list`."""
    try:
        check_agreed(made, facts, of)
    except UsageError:
        return

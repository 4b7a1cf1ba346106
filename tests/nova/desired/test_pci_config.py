"""From a site and its hosts' facts to device_specs and aliases: what is given, what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support.sites import (
    AUDIO,
    BMC,
    FACTS,
    H100,
    H100_SECOND,
    RTX,
    eight,
    function,
    host,
    own,
    site,
)
from wholecard.core import UsageError
from wholecard.core.releases import release
from wholecard.host.facts.host import Host
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.release_support import ignored_requests
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.unsupported import UnsupportedError

GPU = {"match": [{"vendor": "10de", "product": "2330"}]}
RTXS = {"match": [{"vendor": "10de", "product": "2684"}]}
SOUND = {"match": [{"vendor": "10de", "product": "22ba"}], "extra_function": True}
ONE_CARD = host(
    [function("0000:41:00.0", H100, sriov=16), function("0000:41:00.1", AUDIO, "040300")]
)
ONE_OF_TWO = host(
    [
        *own(),
        function("0000:41:00.0", RTX, "030000", boot_vga=True),
        function("0000:42:00.0", RTX, "030000"),
        function("0000:42:00.1", AUDIO, "040300"),
    ]
)


def configs(
    cards: Mapping[str, Any],
    facts: Mapping[str, Host] = FACTS,
    of: str = "34",
    **more: Any,
) -> dict[str, PciConfig]:
    """The hosts' configs of a site with these cards and hosts with these facts."""
    hosts = {name: {"facts": f"{name}.json"} for name in facts}
    return pci_configs(site(cards, **{"hosts": hosts, **more}), facts, release(of))


def specs(config: PciConfig) -> list[dict[str, Any]]:
    """The device_specs as nova parses them."""
    return [json.loads(each.to_json()) for each in config.device_specs]


def aliases(config: PciConfig) -> list[dict[str, Any]]:
    """The aliases as nova parses them."""
    return [json.loads(each.to_json()) for each in config.aliases]


def test_eight_cards_are_one_line_each() -> None:
    """Eight H100 are one device_spec by ids and one alias of type-PF; audio is not listed."""
    made = configs({"h100": GPU})
    for config in made.values():
        assert specs(config) == [{"vendor_id": "10de", "product_id": "2330"}]
        assert aliases(config) == [
            {"name": "h100", "vendor_id": "10de", "product_id": "2330", "device_type": "type-PF"}
        ]
        assert (config.cards_per_host, config.hosts) == (8, 2)


def test_a_card_of_the_hosts_own_makes_addresses() -> None:
    """Where the boot display has the same ids the others are named by address, and it is not."""
    made = configs({"rtx": RTXS}, {"a": ONE_OF_TWO})["a"]
    assert [each["address"] for each in specs(made)] == ["0000:42:00.0"]
    assert [(each.address, each.reason) for each in made.omitted] == [
        ("0000:41:00.0", "it is the host's boot display")
    ]


def test_an_extra_function_is_given_where_a_kind_says_so() -> None:
    """`extra_function: true` lists the audio functions, under an alias of their own."""
    made = configs({"h100": GPU, "sound": SOUND}, {"gpu-01": FACTS["gpu-01"], "one": ONE_CARD})
    assert len(specs(made["gpu-01"])) == 1
    assert specs(made["one"])[1] == {"vendor_id": "10de", "product_id": "22ba"}
    assert aliases(made["gpu-01"])[1]["device_type"] == "type-PCI"
    assert (made["gpu-01"].extra_functions, made["one"].extra_functions) == ((), ("sound",))


@pytest.mark.parametrize(
    ("functions", "problem"),
    [
        pytest.param(("41:00.0", "41:00.1"), "", id="one card"),
        pytest.param(("41:00.0", "42:00.0"), "", id="two cards without extra functions"),
        pytest.param(("41:00.0", "41:00.1", "42:00.0", "42:00.1"), "cards.sound is an extra "
                     "function on a", id="two cards with extra functions"),
        pytest.param(("41:00.0", "41:00.1", "42:00.0"), "cards.sound is an extra function on a",
                     id="an extra function of one of two cards: the other GPU may come with it"),
        pytest.param(("41:00.0", "42:00.1"), "", id="an extra function of no card that is given"),
        pytest.param(("41:00.0", "41:00.2", "42:00.0", "42:00.2"), "cards.h gives several "
                     "functions of one card on a", id="two GPUs in each slot"),
    ],
)  # fmt: skip
def test_functions_that_nova_would_mix(functions: tuple[str, ...], problem: str) -> None:
    """Parts of a card are refused where nova could take those of two cards (measured, nova 34)."""
    facts = {
        "a": host(
            [
                function(f"0000:{name}", AUDIO, "040300")
                if name.endswith(".1")
                else function(f"0000:{name}", H100, sriov=16)
                for name in functions
            ]
        )
    }
    has_sound = any(name.endswith(".1") for name in functions)
    kinds = {"h": GPU, "sound": SOUND} if has_sound else {"h": GPU}
    if not problem:
        configs(kinds, facts)
        return
    with pytest.raises(UnsupportedError, match=problem):
        configs(kinds, facts)


@pytest.mark.parametrize(
    ("counts", "is_refused"),
    [({}, True), ({"h": 1, "sound": 1}, False), ({"h": 4, "sound": 4}, True),
     ({"h": 4, "sound": 1}, True), ({"h": 4, "sound": 0}, False), ({"h": 1}, True)],
)  # fmt: skip
def test_extra_functions_without_facts(counts: dict[str, int], is_refused: bool) -> None:
    """Without facts the site has to say that a host has one card and one extra function."""
    cards = {"h": {**GPU, "device_type": "type-PF"}, "sound": {**SOUND, "device_type": "type-PCI"}}
    hosts = {"a": {"cards": counts}}
    if not is_refused:
        assert len(specs(configs(cards, {}, hosts=hosts)["a"])) == 2
        return
    with pytest.raises(UnsupportedError) as caught:
        configs(cards, {}, hosts=hosts)
    assert all(request.facts_missing for request in caught.value.requests)


def test_a_vendor_alone_gives_its_cards_and_nothing_else() -> None:
    """A match by vendor means cards, not their audio functions."""
    made = configs({"any": {"match": [{"vendor": "10de"}]}})
    assert specs(made["gpu-02"]) == [{"vendor_id": "10de", "product_id": "2330"}]


TWO_PRODUCTS = {
    "match": [{"vendor": "10de", "product": "2331"}, {"vendor": "10de", "product": "2330"}]
}
TWO_HOSTS = {"a": eight(audio=False), "b": eight(audio=False, ids=H100_SECOND)}


def test_several_products_share_a_class_in_placement() -> None:
    """With Placement one alias asks for the resource class that all device_specs report."""
    made = configs({"h100 any": TWO_PRODUCTS}, TWO_HOSTS)
    assert aliases(made["a"]) == [
        {"name": "h100 any", "device_type": "type-PF", "resource_class": "CUSTOM_H100_ANY"}
    ]
    assert specs(made["b"])[0]["resource_class"] == "CUSTOM_H100_ANY"


def test_several_products_are_several_specs_without_placement() -> None:
    """Without Placement one alias has several specs, in the order of the matches."""
    made = configs({"h100": TWO_PRODUCTS}, TWO_HOSTS, of="xena")
    assert [each["product_id"] for each in aliases(made["a"])] == ["2331", "2330"]


def test_the_same_ids_twice_need_classes() -> None:
    """Two kinds of the same ids get a class each; before 2023.1 nova cannot tell them apart."""
    cards = {
        "first": {"match": [{"vendor": "10de", "product": "2330", "hosts": ["gpu-01"]}]},
        "second": {"match": [{"vendor": "10de", "product": "2330", "hosts": ["gpu-02"]}]},
    }
    made = configs(cards)
    assert specs(made["gpu-01"])[0]["resource_class"] == "CUSTOM_FIRST"
    assert {each["resource_class"] for each in aliases(made["gpu-01"])} == {
        "CUSTOM_FIRST", "CUSTOM_SECOND",
    }  # fmt: skip
    with pytest.raises(UsageError, match="cannot distinguish"):
        configs(cards, of="zed")


def test_types_apart_are_told_apart_without_classes() -> None:
    """Cards of one id with SR-IOV on and off are two kinds that any release keeps apart."""
    facts = {"a": eight(audio=False), "b": eight(audio=False, sriov=0)}
    cards = {
        "on": {"match": [{"vendor": "10de", "product": "2330", "hosts": ["a"]}]},
        "off": {"match": [{"vendor": "10de", "product": "2330", "hosts": ["b"]}]},
    }
    made = configs(cards, facts, of="queens")
    assert [each["device_type"] for each in aliases(made["a"])] == ["type-PF", "type-PCI"]


def test_a_host_without_facts_is_given_by_its_matches() -> None:
    """Without facts, ids and device_type have to be written, and then are enough."""
    card = {**GPU, "device_type": "type-PF", "numa_policy": "required"}
    made = configs({"h100": card}, {}, hosts={"a": {"cards": {"h100": 4}}})["a"]
    assert specs(made) == [{"vendor_id": "10de", "product_id": "2330"}]
    assert (made.cards_per_host, made.hosts) == (4, 1)
    assert aliases(made)[0]["numa_policy"] == "required"


def test_a_site_without_hosts_is_one_config() -> None:
    """Without hosts there is one config for all computes, under no name."""
    made = configs({"h100": {**GPU, "device_type": "type-PF"}}, {}, hosts={})
    assert list(made) == [""]


def test_tags_are_written_where_the_release_has_them() -> None:
    """managed, live_migratable and one_time_use are words in device_spec, as nova reads them."""
    card = {**GPU, "managed": False, "live_migratable": True, "one_time_use": True,
            "resource_class": "CUSTOM_H100", "traits": ["CUSTOM_NVLINK", "CUSTOM_SXM"]}  # fmt: skip
    made = configs({"h100": card})["gpu-01"]
    assert specs(made) == [
        {
            "vendor_id": "10de", "product_id": "2330", "resource_class": "CUSTOM_H100",
            "traits": "CUSTOM_NVLINK,CUSTOM_SXM", "managed": "no", "live_migratable": "yes",
            "one_time_use": "yes",
        }
    ]  # fmt: skip
    assert aliases(made)[0]["live_migratable"] == "yes"
    assert aliases(made)[0]["traits"] == "CUSTOM_NVLINK,CUSTOM_SXM"


def test_auto_is_left_out_where_the_release_has_nothing() -> None:
    """`live_migratable: false` needs no word before 2025.1, nor `auto` before Zed."""
    made = configs({"h100": {**GPU, "live_migratable": False}}, of="mitaka")["gpu-01"]
    assert (made.report_in_placement, made.pci_in_placement) == (False, False)
    assert specs(made) == [{"vendor_id": "10de", "product_id": "2330"}]


def test_zed_reports_and_does_not_choose() -> None:
    """In Zed a class goes to Placement, and the alias does without."""
    made = configs({"h100": {**GPU, "resource_class": "CUSTOM_H100"}}, of="zed")["gpu-01"]
    assert (made.report_in_placement, made.pci_in_placement) == (True, False)
    assert "resource_class" in specs(made)[0]
    assert "resource_class" not in aliases(made)[0]


FOUR = host([*own(), *(function(f"0000:4{n}:00.0", H100, sriov=16) for n in range(4))])
THREE = host([*own(), *(function(f"0000:4{n}:00.0", H100, sriov=16) for n in range(3))])


@pytest.mark.parametrize(
    ("facts", "of", "wish", "chosen"),
    [
        (FOUR, "26", "auto", False),
        (FOUR, "27", "auto", False),
        (FOUR, "29", "auto", False),
        (FOUR, "30", "auto", True),
        (THREE, "27", "auto", True),
        (FOUR, "27", True, True),
        (FOUR, "30", False, False),
    ],
)
def test_auto_is_off_where_placement_cannot_be_tuned(
    facts: Host, of: str, wish: bool | str, chosen: bool
) -> None:
    """Before 2024.2 Placement does not answer for many cards: auto leaves them to nova."""
    made = configs({"h100": GPU}, {"a": facts}, of=of, nova={"pci_in_placement": wish})["a"]
    assert (made.report_in_placement, made.pci_in_placement) == (True, chosen)


def test_counted_cards_count_without_facts() -> None:
    """The number of cards that the site gives a host without facts decides as facts do."""
    card = {**GPU, "device_type": "type-PF"}
    for count, chosen in ((3, True), (4, False)):
        hosts = {"a": {"cards": {"h100": count}}}
        assert configs({"h100": card}, {}, of="27", hosts=hosts)["a"].pci_in_placement is chosen


LIMIT = {"p": {"cards": {"h100": 8}}}


def test_limits_of_cards_need_unified_limits() -> None:
    """Limits of cards bring the driver, and the classes whose missing limit is none at all."""
    made = configs({"h100": GPU}, quotas=LIMIT)["gpu-01"]
    assert made.quota_driver == "nova.quota.UnifiedLimitsDriver"
    assert made.limited == ("CUSTOM_PCI_10DE_2330",)


@pytest.mark.parametrize(
    ("of", "more", "driver", "said"),
    [
        ("33", {"quotas": LIMIT}, None,
         ["quotas.p: the limit of h100 has no effect; nova counts cards since 2026.2, and this is "
          "2026.1: it is skipped"]),
        ("33", {"quotas": LIMIT, "quota_driver": "unified"}, "nova.quota.UnifiedLimitsDriver",
         ["quotas.p: the limit of h100 has no effect; nova counts cards since 2026.2, and this is "
          "2026.1: it is skipped"]),
        ("34", {"quotas": LIMIT, "quota_driver": "db"}, "nova.quota.DbQuotaDriver",
         ["quotas.p: the limit of h100 has no effect; the quota driver db counts only instances, "
          "cores and memory: it is skipped"]),
        ("34", {"quotas": LIMIT, "nova": {"pci_in_placement": False}}, None,
         ["quotas.p: the limit of h100 has no effect; nova counts cards only in Placement, "
          "and pci_in_placement is off: it is skipped"]),
        ("27", {"quota_driver": "unified"}, None,
         ["quota_driver: nova of 2023.1 has no unified limits; nova has them since 2023.2 (nova "
         "28): it is skipped"]),
        ("32", {"nova": {"enabled_filters": ["ComputeFilter", "OurOwn"]}}, None,
         ["nova has no filter OurOwn; nova-scheduler does not start unless available_filters names "
          "it"]),
        ("34", {"quotas": LIMIT}, "nova.quota.UnifiedLimitsDriver", []),
    ],
)  # fmt: skip
def test_what_stops_nothing(
    of: str, more: dict[str, Any], driver: str | None, said: list[str]
) -> None:
    """Limits that nova does not count are left out; a filter may be somebody else's: both told."""
    made = configs({"h100": GPU}, of=of, **more)["gpu-01"]
    assert made.quota_driver == driver
    assert bool(made.limited) is not bool(said) or not more.get("quotas")
    wish = site({"h100": GPU}, **more)
    assert [f"{each.what}; {each.hint}" for each in ignored_requests(wish, release(of))] == said


def test_all_that_the_file_tells_is_said_at_once() -> None:
    """Of a site that asks several things too many, each is told with its keys in the site."""
    card = {**GPU, "one_time_use": True, "resource_class": "CUSTOM_X", "numa_policy": "socket"}
    with pytest.raises(UnsupportedError) as caught:
        configs({"h": card}, of="victoria", nova={"report_in_placement": True})
    assert [each.keys for each in caught.value.requests] == [
        ("nova", "report_in_placement"),
        ("cards", "h", "resource_class"),
        ("cards", "h", "one_time_use"),
        ("cards", "h", "numa_policy"),
    ]
    assert len(caught.value.details.splitlines()) == 4


MIXED = {"a": eight(audio=False), "b": eight(audio=False, sriov=0)}
PF_WITH_VFS = host(
    [*own(), function("0000:41:00.0", H100, sriov=16, sriov_vfs=1),
     function("0000:41:00.4", H100, physfn=own()[0].address.parse("0000:41:00.0"))]
)  # fmt: skip
VMD = host([*own(), function("10000:41:00.0", H100)])
ONLY_BMC = host([function("0000:03:00.0", BMC, "030000", boot_vga=True)])
PF_AND_VF = host(
    [*own(), function("0000:41:00.0", H100, sriov=16),
     function("0000:41:00.4", "10de:2342", physfn=own()[0].address.parse("0000:41:00.0"))]
)  # fmt: skip
PARTS = {"match": [{"vendor": "10de", "product": "2342"}], "device_type": "type-VF"}
REFUSED: list[tuple[str, Mapping[str, Any], Mapping[str, Host], str, dict[str, Any], str]] = [
    ("two types", {"h": GPU}, MIXED, "34", {}, "sees its cards as two types"),
    ("a wrong type", {"h": {**GPU, "device_type": "type-PCI"}}, FACTS, "34", {}, "as type-PF, not "
     "type-PCI"),
    ("no facts", {"h": GPU}, {}, "34", {"hosts": {"a": {}}}, "its device_type is not known"),
    ("no ids", {"h": {"match": [{"vendor": "10de"}], "device_type": "type-PF"}}, {}, "34",
     {"hosts": {"a": {}}}, "which ids its cards have is not known for a"),
    ("no subsystem", {"h": {"match": [{"vendor": "10de", "product": "2330",
     "subsystem": "10de:16c1"}], "device_type": "type-PF"}}, {}, "34", {"hosts": {"a": {}}},
     "have that subsystem"),
    ("no addresses", {"h": {**GPU, "device_type": "type-PF", "select": "address"}}, {}, "34",
     {"hosts": {"a": {}}}, "which addresses"),
    ("nothing", {"h": {"match": [{"vendor": "dead"}]}}, FACTS, "34", {}, "gives nothing on any"),
    ("audio alone", {"h": {"match": [{"vendor": "10de", "product": "22ba"}]}}, FACTS, "34", {},
     "is not a display or accelerator"),
    ("an extra function that is none", {"h": {**GPU, "extra_function": True}}, FACTS, "34", {},
     "is the card's main function"),
    ("the BMC", {"h": {"match": [{"vendor": "1a03"}]}}, {"a": ONLY_BMC}, "34", {},
     "stays with the host"),
    ("ids of the boot display", {"h": {**RTXS, "select": "ids"}}, {"a": ONE_OF_TWO}, "34", {},
     "select: ids would give 0000:41:00.0"),
    ("a PF by address before Ocata", {"h": {**GPU, "select": "address"}}, FACTS, "newton", {},
     "cannot give 0000:19:00.0 on gpu-01 by its address"),
    ("a PF with VFs", {"h": GPU}, {"a": PF_WITH_VFS}, "34", {}, "has VFs, so a guest cannot get "
        "it as a whole"),
    ("a PF and its VF", {"h": GPU, "v": PARTS}, {"a": PF_AND_VF}, "34", {}, "and cards.v gives "
     "its VF"),
    ("a wide domain", {"h": GPU}, {"a": VMD}, "34", {}, "nova cannot give 10000:41"),
    ("managed", {"h": {**GPU, "managed": False}}, FACTS, "30", {}, "cards.h.managed: nova of"),
    ("migration", {"h": {**GPU, "live_migratable": True}}, FACTS, "30", {}, "live_migratable"),
    ("one use", {"h": {**GPU, "one_time_use": True}}, FACTS, "31", {}, "one_time_use"),
    ("a class", {"h": {**GPU, "resource_class": "CUSTOM_X"}}, FACTS, "25", {}, "resource_class"),
    ("traits", {"h": {**GPU, "traits": ["CUSTOM_X"]}}, FACTS, "25", {}, "traits"),
    ("a policy", {"h": {**GPU, "numa_policy": "required"}}, FACTS, "16", {}, "numa_policy"),
    ("socket", {"h": {**GPU, "numa_policy": "socket"}}, FACTS, "22", {}, "numa_policy"),
    ("reporting", {"h": GPU}, FACTS, "25", {"nova": {"report_in_placement": True}}, "nova.report"),
    ("choosing", {"h": GPU}, FACTS, "26", {"nova": {"pci_in_placement": True}}, "nova.pci_in"),
    ("choosing unreported", {"h": GPU}, FACTS, "34", {"nova": {"report_in_placement": False,
     "pci_in_placement": True}}, "needs report_in_placement"),
    ("a class unreported", {"h": {**GPU, "resource_class": "CUSTOM_X"}}, FACTS, "34",
     {"nova": {"report_in_placement": False}}, "resource_class needs Placement"),
    ("a filter that is gone", {"h": GPU}, FACTS, "32", {"nova": {"enabled_filters": [
     "ComputeFilter", "RamFilter"]}}, "nova of 2025.2 has no filter RamFilter, it was removed in "
     "train"),
    ("a filter spelled wrong", {"h": GPU}, FACTS, "32", {"nova": {"enabled_filters": [
     "PciPassThroughFilter"]}}, "nova has no filter PciPassThroughFilter"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cards", "facts", "of", "more", "said"),
    [one[1:] for one in REFUSED],
    ids=[one[0] for one in REFUSED],
)
def test_what_cannot_be_is_refused(
    cards: Mapping[str, Any], facts: Mapping[str, Host], of: str, more: dict[str, Any], said: str
) -> None:
    """What the release cannot do or would refuse is an error that says the way out."""
    with pytest.raises(UsageError, match=said) as caught:
        configs(cards, facts, of, **more)
    assert caught.value.resolution

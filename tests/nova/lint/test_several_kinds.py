"""A cloud with several kinds of cards: what is another host's is no fault of this one."""

from __future__ import annotations

import pytest

from support.lint_hosts import function, h100, host, rules, service
from support.nova_conf import parsed
from wholecard.core.releases import release
from wholecard.nova.lint import Diagnostic, Facts, Service, lint
from wholecard.nova.options import Role
from wholecard.site.model import Site

KINDS = {"h100": ("10de", "2330"), "rtx": ("10de", "2684"), "mi300x": ("1002", "74a1")}
PLACEMENT = "[filter_scheduler]\npci_in_placement = true\n[pci]\nreport_in_placement = true\n"


def facts() -> dict[str, Facts]:
    """A host with H100, one with RTX 4090, one with MI300X."""
    return {
        "h100": Facts("h100", host(h100("0000:41:00.0"), h100("0000:42:00.0"))),
        "rtx": Facts("rtx", host(function("0000:21:00.0", "10de:2684", "030000"))),
        "mi300x": Facts("mi300x", host(
            function("0000:19:00.0", "1002:74a1", "120000", sriov_total=8))),
    }  # fmt: skip


def site() -> Site:
    """The site file of this cloud."""
    cards = {
        name: {"match": [{"vendor": vendor, "product": product}]}
        for name, (vendor, product) in KINDS.items()
    }
    hosts = {"h100": {"cards": {"h100": 2}}, "rtx": {"cards": {"rtx": 1}},
             "mi300x": {"cards": {"mi300x": 1}}}  # fmt: skip
    return Site.model_validate(
        {
            "version": 1,
            "release": "2025.2",
            "cards": cards,
            "hosts": hosts,
        }
    )


def alias(name: str, ids: tuple[str, str], **keys: str) -> str:
    """An alias of this kind, on one line."""
    more = "".join(f', "{key}": "{value}"' for key, value in keys.items())
    kind = "type-PCI" if name == "rtx" else "type-PF"
    return (
        f'alias = {{"name": "{name}", "vendor_id": "{ids[0]}", "product_id": "{ids[1]}", '
        f'"device_type": "{kind}"{more}}}\n'
    )


ALIASES = "".join(alias(name, ids) for name, ids in KINDS.items())


def spec(name: str) -> str:
    """The device_spec of a kind, on one line."""
    vendor, product = KINDS[name]
    return f'device_spec = {{"vendor_id": "{vendor}", "product_id": "{product}"}}\n'


def part(role: Role, text: str, *on: Facts, path: str = "") -> Service:
    """A service with Placement, on these hosts."""
    conf = parsed((PLACEMENT + text).encode(), path or f"{role}.conf")
    return Service(conf, release("2025.2"), role, on)


def said(diagnostics: list[Diagnostic]) -> list[tuple[str, str]]:
    """The rules and what they say."""
    return [
        (each.finding.rule, each.finding.message)
        for each in diagnostics
        if each.finding.rule != "WC215"
    ]


def api(text: str = ALIASES) -> Service:
    """nova-api with the aliases of all hosts."""
    return Service(
        parsed(
            f"[filter_scheduler]\npci_in_placement = true\n[pci]\n{text}".encode(), "api.conf"),
        release("2025.2"), "api",
    )  # fmt: skip


@pytest.mark.parametrize("known", [("h100",), (), ("h100", "rtx", "mi300x")])
def test_aliases_of_other_hosts(known: tuple[str, ...]) -> None:
    """With one compute's file the aliases of other hosts' cards are right, whosever facts are."""
    all_ = facts()
    compute = part("compute", spec("h100") + ALIASES, *(all_[name] for name in known))
    assert said(lint([api(), compute])) == []
    assert said(lint([api(), compute], site(), tuple(all_.values()))) == []


def test_each_host_with_its_file() -> None:
    """Each compute's file with its own host's facts: all of a mixed cloud in one call."""
    computes = [
        part("compute", spec(name) + ALIASES, each, path=f"{name}.conf")
        for name, each in facts().items()
    ]
    assert said(lint([api(), *computes])) == []
    assert said(lint([api(), *computes], site())) == []


def test_the_wish_of_hosts_that_the_file_is_not_for() -> None:
    """Of many hosts the wish of those counts on which the one file gives something."""
    compute = part("compute", spec("h100") + ALIASES, *facts().values())
    fewer = site().model_copy(update={"hosts": {
        **site().hosts, "h100": site().hosts["h100"].model_copy(update={"cards": {"h100": 1}}),
    }})  # fmt: skip
    assert [each for each, _ in said(lint([compute], fewer))] == ["WC252"]


@pytest.mark.parametrize(
    ("ids", "whole", "found"),
    [
        (("10de", "26b9"), False, []),
        (("10de", "26b9"), True, ["WC253"]),
        (("10de", "2331"), False, ["WC253"]),
        (("10de", "3230"), False, ["WC253"]),
        (("11de", "2330"), False, ["WC253"]),
        (("10de", "2684"), False, ["WC253"]),
    ],
)
def test_ids_that_no_host_has(ids: tuple[str, str], whole: bool, found: list[str]) -> None:
    """Far ids may be another host's unless all are known; near ones, and those of a card that is

    there and not given, are wrong.
    """
    here = host(h100("0000:41:00.0"), function("0000:21:00.0", "10de:2684", "030000"))
    compute = part("compute", spec("h100") + alias("x", ids), Facts("h100", here))
    one = Site.model_validate(
        {"version": 1, "release": "2025.2", "cards": {}, "hosts": {"h100": {}}}
    )
    diagnostics = lint([compute], one if whole else None)
    assert [rule for rule, _ in said(diagnostics)] == found


def test_two_near_kinds() -> None:
    """Ids near to those of a card for which another alias asks are another host's kind."""
    text = alias("sxm", ("10de", "2330")) + alias("pcie", ("10de", "2331"))
    compute = part("compute", spec("h100") + text, facts()["h100"])
    assert said(lint([api(text), compute])) == []


@pytest.mark.parametrize("on", [(), ("h100",)])
def test_classes_of_other_hosts(on: tuple[str, ...]) -> None:
    """Classes of other hosts' kinds are right; one that the card here has not is not."""
    text = spec("h100").replace("}", ', "resource_class": "CUSTOM_H100"}')
    mine = alias("h100", KINDS["h100"], resource_class="CUSTOM_H100")
    others = alias("rtx", KINDS["rtx"], resource_class="CUSTOM_RTX") + (
        'alias = {"name": "mi", "resource_class": "CUSTOM_MI300X"}\n'
    )
    hosts = [facts()[name] for name in on]
    assert said(lint([api(mine + others), part("compute", text + mine + others, *hosts)])) == []
    wrong = alias("h100", KINDS["h100"], resource_class="CUSTOM_H200")
    found = lint([api(wrong + others), part("compute", text + wrong + others, *hosts)])
    assert {rule for rule, _ in said(found)} == {"WC245"}


def test_computes_are_compared_by_way_of_the_api() -> None:
    """An alias that one of several computes lacks is said once of the api's."""
    all_ = facts()
    first = part("compute", spec("h100") + ALIASES, all_["h100"], path="a.conf")
    second = part("compute", spec("rtx") + alias("rtx", KINDS["rtx"]), all_["rtx"], path="b.conf")
    found = lint([api(), first, second])
    assert [(each.path, each.finding.rule) for each in found] == [("api.conf", "WC240")] * 2


def test_a_role_is_named() -> None:
    """What is said between services names the role whose line it is."""
    text = '[pci]\nalias = {"name": "h100", "vendor_id": "10de", "product_id": "2332"}\n'
    found = lint([service(text, "api", path="api.conf"),
                  part("compute", spec("h100"), facts()["h100"])])  # fmt: skip
    assert [(each.finding.rule, each.roles) for each in found if each.path == "api.conf"] == [
        ("WC240", ("api",)), ("WC253", ("api",)),
    ]  # fmt: skip
    assert rules(service(text, "api")) == []

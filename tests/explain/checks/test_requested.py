"""What a flavor asks for, from all of its sources, and what an alias means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from support import hosts
from support.placement import provider, tree
from support.small_cloud import api, card, cloud, compute, facts, host, request
from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.explain import explain

A30 = ("10de", "20b7")
CLASS = "CUSTOM_PCI_10DE_20B7"
CARD: Mapping[str, str] = {"vendor_id": "10de", "product_id": "20b7", "device_type": "type-PF"}


def one_card(specs: Mapping[str, str], cards: int = 1) -> Evidence:
    """A cloud whose host has A30s in Placement, and a flavor with one by alias and these specs."""
    alias = json.dumps({"name": "gpu", **CARD})
    functions = [card(f"0000:{0x41 + number:02x}:00.0", 0, A30) for number in range(cards)]
    reported = [provider(str(one.address), resource_class=CLASS) for one in functions]
    only = host(
        placement=True, facts=facts(functions), provider_tree=tree(reported),
        conf=compute(json.dumps({"vendor_id": "10de", "product_id": "20b7"}), alias, report=True),
    )  # fmt: skip
    return cloud(True, request=request("gpu:1", specs=specs), hosts=(only,),
                 api=api(alias, placement=True))  # fmt: skip


@pytest.mark.parametrize(
    ("specs", "cards", "rule"),
    [
        ({}, 1, ""),
        ({f"resources:{CLASS}": "1"}, 1, "WC312"),
        ({f"resources1:{CLASS}": "1"}, 1, "WC312"),
        ({f"resources:{CLASS}": "1"}, 2, ""),
        ({"resources:CUSTOM_OTHER": "1"}, 2, "WC324"),
    ],
)
def test_resources_beside_an_alias(specs: Mapping[str, str], cards: int, rule: str) -> None:
    """`resources:` of the card's class counts besides the alias (run on nova 34)."""
    (only,) = explain(one_card(specs, cards)).hosts
    assert (only.failed.rule if only.failed else "") == rule


def test_two_are_allocated_for_one() -> None:
    """Where both fit, Placement allocates two cards for a server that gets one, and it is said."""
    (only,) = explain(one_card({f"resources:{CLASS}": "1"}, 2)).hosts
    (result,) = [one for one in only.checks if one.name == "inventory"]
    assert "Placement allocates both" in result.warning


def test_a_tag_that_replaces_the_type() -> None:
    """A device_spec with a tag `dev_type` is the cause, not the alias (run on nova 34)."""
    spec = json.dumps({"vendor_id": "10de", "product_id": "2330", "dev_type": "type-PCI"})
    (only,) = explain(cloud(hosts=(host(conf=compute(spec)),))).hosts
    assert only.failed is not None
    assert only.failed.rule == "WC314"
    assert 'has a tag "dev_type": "type-PCI"' in only.failed.says
    assert only.failed.fix.startswith("Remove dev_type")


def test_an_alias_by_class_means_the_devices_of_that_class() -> None:
    """Without ids the BMC's display and the boot disk are not counted as cards."""
    functions = (
        hosts.function("0000:03:00.0", "1a03:2000", "030000", driver="ast"),
        *(card(f"0000:{0x41 + number:02x}:00.0") for number in range(2)),
        hosts.function("0000:81:00.0", "144d:a80a", "010802", driver="nvme"),
    )
    spec = json.dumps({"vendor_id": "10de", "product_id": "2330", "resource_class": "CUSTOM_NVL"})
    alias = json.dumps({"name": "nvl", "resource_class": "CUSTOM_NVL", "device_type": "type-PF"})
    reported = [provider(f"0000:{0x41 + n:02x}:00.0", resource_class="CUSTOM_NVL") for n in (0, 1)]
    only = host(placement=True, facts=facts(functions), provider_tree=tree(reported),
                conf=compute(spec, alias, report=True))  # fmt: skip
    (answer,) = explain(cloud(True, request=request("nvl:2"), hosts=(only,),
                              api=api(alias, placement=True))).hosts  # fmt: skip
    says = {one.name: one.says for one in answer.checks}
    assert (says["card"], says["device type"]) == ("2 with these ids", "type-PF")


@pytest.mark.parametrize(
    ("size", "words"),
    [({"ram_mb": 512 << 10}, "has 262144 MiB of RAM"), ({"vcpus": 64}, "has 32 threads"),
     ({"vcpus": 32, "ram_mb": 262144}, "")],
)  # fmt: skip
def test_a_server_larger_than_the_host(size: Mapping[str, Any], words: str) -> None:
    """Without Placement the host's facts tell that a server is larger than the whole host."""
    known = facts()
    whole = replace(known, cpu=replace(known.cpu, threads=32))
    only = host(facts=whole, provider_tree=None)
    (answer,) = explain(cloud(request=request(**size), hosts=(only,))).hosts
    assert (answer.failed.says if answer.failed else "").count(words) >= 1
    assert bool(answer.failed) is bool(words)


def test_an_extra_spec_that_the_api_refuses() -> None:
    """A key that nova's API refuses fails in a file, and is a note on a flavor that exists."""
    specs = {"hw:pcihole64": "1"}
    (finding,) = explain(cloud(request=request(specs=specs))).findings
    assert (finding.rule, finding.fix) == ("WC302", "Remove it: nova does not read it.")
    existing = explain(cloud(request=request(specs=specs, source="openstack flavor show g1")))
    assert "hw:pcihole64" in existing.checks[0].warning
    assert existing.findings == ()


@pytest.mark.parametrize(
    ("key", "words"),
    [("accel:device_profile", "a device of Cyborg's"), ("hw:cpu_policy", "start without a card")],
)
def test_a_flavor_without_an_alias(key: str, words: str) -> None:
    """A flavor for Cyborg is not said to start without a device."""
    explanation = explain(cloud(request=request("", specs={key: "1"})))
    assert [one.rule for one in explanation.findings] == ["WC301"]
    assert words in explanation.findings[0].message

"""One device_spec: what is refused and why, what is matched and why not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.match_hosts import (
    ALL,
    CARD,
    NEW,
    NIC,
    PLAIN,
    REPORTING,
    SYSFS,
    VDPA,
    VF,
    WIDE,
    spec,
    specs,
)
from wholecard.nova.match import Device, DeviceSysfs, Mismatch, Spec, SpecError, assign, rules_for

REFUSED_TEXTS = [
    ("{'vendor_id': '10de'}", "bad-json", ""),
    ("", "bad-json", ""),
    ("[" * 100_000, "bad-json", ""),
    ('{"managed": ' + "[" * 900 + "]" * 900 + "}", "bad-json", ""),
    ('"10de"', "not-an-object", ""),
    ("null", "not-an-object", ""),
    ("[[]]", "item-not-an-object", ""),
    ('{"vendor_id": 4318}', "id-not-text", "vendor_id"),
    ('{"product_id": null}', "id-not-text", "product_id"),
    ('{"vendor_id": "nvidia"}', "bad-id", "vendor_id"),
    ('{"product_id": " *"}', "bad-id", "product_id"),
    ('{"vendor_id": "10de0"}', "id-too-large", "vendor_id"),
    ('{"address": "*:41:", "devname": "eth0"}', "address-and-devname", "devname"),
    ('{"address": 41}', "bad-address", "address"),
    ('{"address": "0000:41:00:0.0"}', "too-many-fields", "address"),
    ('{"address": "*:4?:00.0"}', "field-not-hex", "address"),
    ('{"address": ". "}', "field-not-hex", "address"),
    ('{"address": "10000:01:00.0"}', "field-too-large", "address"),
    ('{"address": "*:01:20.0"}', "field-too-large", "address"),
    ('{"address": "*:01:00.8"}', "field-too-large", "address"),
    ('{"address": {"bus": 41}}', "regex-not-text", "address.bus"),
    ('{"address": {"bus": "("}}', "bad-regex", "address.bus"),
    ('{"address": {"bus": "a{2,1}"}}', "bad-regex", "address.bus"),
    ('{"address": {"domain": "(|){60}"}}', "dangerous-regex", "address.domain"),
    ('{"live_migratable": "maybe"}', "bad-boolean", "live_migratable"),
    ('{"managed": ""}', "bad-boolean", "managed"),
    ('{"one_time_use": "true"}', "one-time-use-needs-placement", "one_time_use"),
    ('{"devname": "eth9", "remote_managed": "true"}', "remote-managed-absent", "devname"),
    ('{"address": "0000:81:00.0", "remote_managed": "1"}', "remote-managed-pf", "remote_managed"),
]


@pytest.mark.parametrize(("text", "kind", "key"), REFUSED_TEXTS)
def test_refused(text: str, kind: str, key: str) -> None:
    """What nova-compute does not start with is refused under a stable kind, with the key."""
    with pytest.raises(SpecError) as caught:
        Spec.parse(text, NEW, SYSFS)
    assert (caught.value.kind, caught.value.key) == (kind, key)
    assert kind in SpecError.kinds


def test_every_kind_has_a_case() -> None:
    """Each kind of refusal is reached by a test."""
    tested = {kind for _, kind, _ in REFUSED_TEXTS}
    assert SpecError.kinds.keys() - tested == {"regex-unsupported"}


MATCHES: list[tuple[Any, list[Device]]] = [
    ({}, [each for each in ALL if each is not WIDE]),
    ({"vendor_id": "10DE"}, [each for each in ALL if each.vendor_id == "10de"]),
    ({"vendor_id": " 0x10de "}, [each for each in ALL if each.vendor_id == "10de"]),
    ({"vendor_id": "2331", "product_id": "10de"}, []),
    ({"address": "0000:41:00.0"}, [CARD]),
    ({"address": "41:00.0"}, [CARD]),
    ({"address": ":41:"}, [CARD]),
    ({"address": "*:42:00.*"}, [PLAIN]),
    ({"address": "0000:81:00.0"}, [NIC, VF, VDPA]),
    ({"address": "0000:81:00.*"}, [NIC, VF, VDPA]),
    ({"address": "0000:81:00.1"}, [VF]),
    ({"address": {"bus": "4[12]"}}, [CARD, PLAIN]),
    # re.match: a prefix is enough.
    ({"address": {"bus": "4"}}, [CARD, PLAIN]),
    ({"address": {"bus": "8", "function": "[1-7]"}}, [VF, VDPA]),
    # Digits alone make even regular expressions a single address, and a PF's has its VFs.
    ({"address": {"domain": "0000", "bus": "81", "slot": "00", "function": "0"}}, [NIC, VF, VDPA]),
    ({"address": {"domain": "0000", "bus": "81", "slot": "00", "func": "1"}}, [NIC, VF, VDPA]),
    ({"devname": "eth0"}, [NIC, VF, VDPA]),
    ({"devname": "eth1"}, [VF]),
    ({"devname": "eth9"}, []),
    ({"vendor_id": "15b3", "product_id": "101e", "remote_managed": "yes"}, [VF, VDPA]),
]


@pytest.mark.parametrize(("conf", "expected"), MATCHES)
def test_matched(conf: Any, expected: list[Device]) -> None:
    """A spec matches these devices of the host, and says of all others why not."""
    found = spec(conf)
    assert [each for each in ALL if found.match(each)] == expected
    assert [each for each in ALL if found.why_not(each) is None] == expected


def test_why_not() -> None:
    """The first key that a device fails is named, with what is asked for and what is there."""
    assert spec({"vendor_id": "10de"}).why_not(VF) == Mismatch("vendor_id", "10de", "15b3")
    assert spec({"address": "*:c1:"}).why_not(CARD) == Mismatch(
        "address", "*:c1:*.*", "0000:41:00.0"
    )
    assert spec({"devname": "eth9"}).why_not(NIC) == Mismatch(
        "devname", "eth9", "no such interface"
    )
    assert spec({}).why_not(WIDE) == Mismatch("domain", "at most ffff", "10000:01:00.0")
    bare = Device("0000:90:00.0", "15b3", "101e", "type-VF", "0000:90:00.7")
    assert spec({"remote_managed": "t"}).why_not(bare) == Mismatch(
        "remote_managed", "a serial number in the VPD", "none"
    )


def test_long_values_are_cut() -> None:
    """A message quotes no more of a value than fits a line."""
    with pytest.raises(SpecError) as caught:
        spec({"vendor_id": "x" * 1_000_000})
    assert len(caught.value.reason) < 200


def test_list_of_specs() -> None:
    """One value may hold a list, and an empty list gives nothing."""
    assert len(Spec.parse('[{"vendor_id": "10de"}, {}]', NEW, SYSFS)) == 2
    assert Spec.parse("[]", NEW, SYSFS) == ()


def test_first_match_wins() -> None:
    """A device is given under the first spec that matches, whatever comes later."""
    broad, narrow = specs({"vendor_id": "10de"}, {"address": CARD.address})
    assert assign(CARD, (broad, narrow)) is broad
    assert assign(CARD, (narrow, broad)) is narrow
    assert assign(VF, (broad, narrow)) is None


def test_tags() -> None:
    """Keys nova does not know are tags; truth values are words in releases that know them."""
    conf = {"vendor_id": "10de", "adress": "41", "managed": 0, "live_migratable": True}
    assert spec(conf).tags == {"adress": "41", "managed": "false", "live_migratable": "true"}
    old = Spec.parse(json.dumps(conf), rules_for(30), SYSFS)[0]
    assert old.tags == {"adress": "41", "managed": 0, "live_migratable": True}
    assert old.conf == conf


def test_one_time_use() -> None:
    """one_time_use needs report_in_placement, and is a bare tag before 2025.2."""
    assert spec({"one_time_use": "yes"}, REPORTING).tags == {"one_time_use": "true"}
    assert spec({"one_time_use": "yes"}, rules_for(31)).tags == {"one_time_use": "yes"}


def test_unknown_host() -> None:
    """On a host of which nothing is known a PF's address matches the PF alone."""
    (only,) = Spec.parse(json.dumps({"address": NIC.address}), NEW, DeviceSysfs(()))
    assert [each for each in ALL if only.match(each)] == [NIC]


def test_mitaka() -> None:
    """Before Ocata there are no regular expressions, and a PF's address gives its VFs alone."""
    old = rules_for(13)
    with pytest.raises(SpecError) as caught:
        spec({"address": {"bus": "41"}}, old)
    assert caught.value.kind == "regex-unsupported"
    assert [each for each in ALL if spec({"address": NIC.address}, old).match(each)] == [VF, VDPA]

"""Whether a host can take a server's devices, and which stage says no."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from support.match_hosts import (
    ALL,
    CARD,
    FAR_CARD,
    NEW,
    NIC,
    PLAIN,
    REPORTING,
    VDPA,
    VF,
    spec,
    specs,
)
from wholecard.nova.match import (
    STAGES,
    Device,
    HostCell,
    PciRequest,
    Pools,
    Rules,
    Verdict,
    free_devices,
    parse_aliases,
    parse_request,
    rules_for,
)

CELLS = (HostCell(0, 0), HostCell(1, 1))
PF = {"vendor_id": "10de", "product_id": "2331", "dev_type": "type-PF"}
VFS = {"vendor_id": "15b3", "product_id": "101e", "dev_type": "type-VF"}


def asked(
    *requests: PciRequest,
    confs: Any = ({},),
    devices: tuple[Device, ...] = ALL,
    rules: Rules = NEW,
    host_cells: tuple[HostCell, ...] | None = CELLS,
    providers: dict[str, str] | None = None,
    cells: tuple[int, ...] = (),
    mapping: dict[str, list[str]] | None = None,
) -> Verdict:
    """The verdict on a host of these devices, given by these specs."""
    pools = Pools.of(
        devices, specs(*confs, rules=rules), rules, host_cells=host_cells, providers=providers
    )
    return pools.supports(requests, cells, mapping)


def want(
    spec: dict[str, str], count: int = 1, policy: str = "legacy", name: str = "r0"
) -> PciRequest:
    return PciRequest("gpu", count, (spec,), policy, name)


def stage(verdict: Verdict) -> str:
    """The name of the stage that broke, "" where all is well."""
    trail = verdict.broken
    return "" if trail is None or trail.broken is None else trail.broken.name


def test_alias_without_device_type() -> None:
    """An alias that leaves device_type out does not get a card with an SR-IOV capability."""
    text = json.dumps({"name": "gpu", "vendor_id": "10de", "product_id": "2331"})
    aliases = parse_aliases([text], NEW)
    verdict = asked(*parse_request("gpu:1", aliases))
    trail = verdict.broken
    assert trail is not None
    assert trail.broken is not None
    assert (trail.broken.name, trail.broken.came, trail.broken.left) == ("pf", 2, 0)
    assert trail.broken.dropped == (CARD.address, FAR_CARD.address)
    assert "device_type" in trail.broken.reason


def test_wrong_device_type() -> None:
    """An alias that asks for type-PCI of such a card fails on what it asks for, and is told so."""
    verdict = asked(want({**PF, "dev_type": "type-PCI"}), devices=(CARD,))
    trail = verdict.broken
    assert trail is not None
    assert trail.broken is not None
    assert trail.broken.name == "spec"
    assert trail.broken.reason == "dev_type is type-PF, not type-PCI"


NUMA = [
    # policy, devices, the guest's cells, host cells, fits
    ("legacy", (FAR_CARD,), (0,), CELLS, False),
    ("legacy", (Device("0000:01:00.0", "10de", "2331", "type-PF"),), (0,), CELLS, True),
    ("required", (Device("0000:01:00.0", "10de", "2331", "type-PF"),), (0,), CELLS, False),
    ("required", (CARD,), (0,), CELLS, True),
    ("required", (CARD, FAR_CARD), (0, 1), CELLS, True),
    ("preferred", (FAR_CARD,), (0,), CELLS, True),
    ("socket", (FAR_CARD,), (0,), CELLS, False),
    ("socket", (FAR_CARD,), (0,), (HostCell(0, 0), HostCell(1, 0)), True),
    ("socket", (FAR_CARD,), (0,), (HostCell(0), HostCell(1, 0)), False),
    ("socket", (CARD,), (0,), None, True),
    ("socket", (FAR_CARD,), (0,), None, False),
    ("required", (FAR_CARD,), (), CELLS, True),
]


@pytest.mark.parametrize(("policy", "devices", "cells", "host_cells", "fits"), NUMA)
def test_numa(
    policy: str,
    devices: tuple[Device, ...],
    cells: tuple[int, ...],
    host_cells: tuple[HostCell, ...] | None,
    fits: bool,
) -> None:
    """Each NUMA policy lets these devices through, and it is the NUMA stage that keeps others."""
    verdict = asked(want(PF, policy=policy), devices=devices, cells=cells, host_cells=host_cells)
    assert bool(verdict) is fits
    assert stage(verdict) == ("" if fits else "numa")


def test_preferred_takes_near_first() -> None:
    """With `preferred` the near device goes first, so that a second server gets the far one."""
    first = want(PF, policy="preferred")
    second = want(PF, policy="required", name="r1")
    assert stage(asked(first, second, devices=(FAR_CARD, CARD), cells=(0,))) == "numa"
    assert asked(first, second, devices=(FAR_CARD, CARD), cells=(0, 1))


def test_requests_share() -> None:
    """Two requests of a server do not get one device, but from Wallaby to Yoga nova thought so."""
    two = (want(PF), want(PF, name="r1"))
    assert stage(asked(*two, devices=(CARD,))) == "spec"
    assert asked(*two, devices=(CARD,), rules=rules_for(24))
    assert not asked(*two, devices=(CARD,), rules=rules_for(22))


def test_vdpa() -> None:
    """An alias by ids alone gets a VF, never the VF of a vDPA device."""
    ids = {"vendor_id": "15b3", "product_id": "101e"}
    assert asked(want(ids), devices=(NIC, VF))
    assert stage(asked(want(ids), devices=(NIC, VDPA))) == "vdpa"


def test_remote_managed() -> None:
    """Devices tagged remote_managed are for ports, not for aliases."""
    confs = ({"product_id": "101e", "remote_managed": "true"},)
    assert stage(asked(want(VFS), confs=confs)) == "remote-managed"


def test_live_migratable() -> None:
    """An alias that says live_migratable gets only devices whose spec says the same."""
    wish = want({**PF, "live_migratable": "true"})
    assert asked(wish, confs=({"live_migratable": "yes"},))
    for conf in ({}, {"live_migratable": "no"}):
        assert stage(asked(wish, confs=(conf,))) == "spec"


def test_both_kinds_of_live_migratable() -> None:
    """An alias of which one spec says yes and one says no gets devices of either kind."""
    specs_of_both = tuple({**PF, "live_migratable": word} for word in ("true", "false"))
    wish = PciRequest("gpu", 1, specs_of_both, "legacy", "r0")
    for word in ("yes", "no"):
        assert asked(wish, confs=({"live_migratable": word},))


def test_case() -> None:
    """Upper-case ids in an alias are fine from Rocky on; before, nothing answers."""
    wish = want({**PF, "vendor_id": "10DE"})
    assert asked(wish)
    assert stage(asked(wish, rules=rules_for(17))) == "spec"


PROVIDERS = {CARD.address: "p0", FAR_CARD.address: "p1"}


def test_placement() -> None:
    """With Placement's choice only its providers' devices are taken."""
    wish = want(PF)

    def verdict(wish: PciRequest, mapping: dict[str, list[str]]) -> str:
        return stage(asked(wish, rules=REPORTING, providers=PROVIDERS, mapping=mapping))

    assert verdict(wish, {"r0-0": ["p1"]}) == ""
    assert verdict(wish, {"r0-0": ["other"]}) == "placement"
    assert verdict(want(PF, 2), {"r0-0": ["p0"], "r0-1": ["p1"]}) == ""
    assert verdict(want(PF, 2), {"r0-0": ["p0"], "r0-1": ["p0"]}) == "placement"
    # Groups of another request say nothing about this one.
    assert verdict(wish, {"r1-0": ["other"]}) == ""


def test_placement_stored() -> None:
    """After scheduling nova keeps the choice in the request itself."""
    stored = want({**PF, "rp_uuids": "p1"})
    assert asked(stored, rules=REPORTING, providers=PROVIDERS)
    gone = want({**PF, "rp_uuids": "p7"})
    assert stage(asked(gone, rules=REPORTING, providers=PROVIDERS)) == "placement"


def test_split_provider() -> None:
    """VFs of one PF under two specs are two pools of one provider, which newer novas refuse."""
    other = Device("0000:81:00.3", "15b3", "101e", "type-VF", "0000:81:00.0", 0, "MT1")
    mapping = {"r0-0": ["p"]}
    for major, expected in ((27, ""), (30, "consume"), (34, "consume")):
        verdict = asked(
            want(VFS),
            devices=(VF, other),
            rules=rules_for(major, report_in_placement=True),
            providers={"0000:81:00.0": "p"},
            mapping=mapping,
        )
        assert stage(verdict) == expected


def test_count_of_none() -> None:
    """A request for no devices still needs one that answers; nova has it so."""
    assert asked(want(PF, 0))
    assert not asked(want(PF, 0), devices=(PLAIN,))


def test_unknown_key_makes_pools() -> None:
    """A misspelt key is a tag: the device is still given to an alias by ids."""
    assert asked(want(PF), confs=({"vendor_id": "10de", "adress": "0000:99:00.0"},))


def test_tag_in_the_place_of_a_fact() -> None:
    """A key named like what nova keeps of a device takes its place."""
    assert stage(asked(want(PF), confs=({"dev_type": "type-PCI"},))) == "spec"


def test_trail() -> None:
    """A request that is met has passed all stages of its release, in nova's order."""
    (trail,) = asked(want(PF)).trails
    assert [each.name for each in trail.stages] == list(STAGES)
    (old,) = asked(want(PF), rules=rules_for(20)).trails
    assert [each.name for each in old.stages] == ["spec", "numa", "pf", "consume"]
    assert trail.stages[0].came == len(ALL) - 1
    assert trail.stages[0].left == 2
    assert [each.left for each in trail.stages][-1] == 1


def test_pools() -> None:
    """Devices that differ in nothing are counted together, per PF from 2023.1 on."""
    cards = (CARD, Device("0000:43:00.0", "10de", "2331", "type-PF", numa_node=0))
    one = (spec({}),)
    assert [pool.count for pool in Pools.of(cards, one, rules_for(26)).pools] == [2]
    assert [pool.count for pool in Pools.of(cards, one, NEW).pools] == [1, 1]


def test_free_devices() -> None:
    """A PF in use takes its VFs along, a VF its PF and no other VF."""
    family = (NIC, VF, VDPA, CARD)
    assert free_devices(family, {NIC.address}) == (CARD,)
    assert free_devices(family, {VF.address}) == (VDPA, CARD)
    assert free_devices(family, {CARD.address}) == (NIC, VF, VDPA)
    assert free_devices(family, ()) == family


@pytest.mark.parametrize("tag", ["count", "devices"])
@pytest.mark.parametrize("first", [True, False])
def test_a_tag_that_nova_overwrites(tag: str, first: bool) -> None:
    """A device with a tag `count` makes a pool, and later ones without the tag come into it."""
    one = {"address": "0000:41:00.0", tag: "7"}
    other = {"vendor_id": "10de"}
    devices = (CARD, FAR_CARD) if first else (FAR_CARD, CARD)
    near = [replace(device, numa_node=0) for device in devices]
    # Since 2023.1 each address has a pool of its own.
    rules = rules_for(26)
    pools = Pools.of(near, specs(one, other, rules=rules), rules, host_cells=CELLS).pools
    assert [pool.count for pool in pools] == ([2] if first else [1, 1])
    assert all(tag not in pool.keys for pool in pools)


def test_emptied_pool_goes() -> None:
    """A pool whose last device was taken is gone: a request for none does not find it."""
    taken, none = want(PF), want(PF, 0, name="r1")
    assert stage(asked(taken, none, devices=(CARD,))) == "spec"
    assert asked(taken, none, devices=(CARD, FAR_CARD))


def test_placement_counts() -> None:
    """A provider that Placement takes two of must have two, however many the others have."""
    devices = (
        Device("0000:81:00.2", "15b3", "101e", "type-VF", "0000:81:00.0", 0),
        Device("0000:82:00.2", "15b3", "101e", "type-VF", "0000:82:00.0", 0),
        Device("0000:82:00.3", "15b3", "101e", "type-VF", "0000:82:00.0", 0),
    )
    providers = {"0000:81:00.0": "p", "0000:82:00.0": "q"}
    for chosen, expected in (("ppq", "placement"), ("pqq", "")):
        mapping = {f"r0-{number}": [name] for number, name in enumerate(chosen)}
        verdict = asked(
            want(VFS, 3), devices=devices, rules=REPORTING, providers=providers, mapping=mapping
        )
        assert stage(verdict) == expected


def test_a_provider_gives_a_device_once() -> None:
    """What one request took of a provider is gone for the next, also where Placement says more."""
    two = (want(PF), want(PF, name="r1"))

    def verdict(second: str) -> str:
        mapping = {"r0-0": ["p0"], "r1-0": [second]}
        return stage(asked(*two, rules=REPORTING, providers=PROVIDERS, mapping=mapping))

    assert verdict("p1") == ""
    assert verdict("p0") == "placement"


def test_preferred_stays_with_devices_without_a_node() -> None:
    """With `preferred` far devices are not looked at where those without a node are enough.

    nova/pci/stats.py, `_filter_pools_for_numa_cells`: it returns the first list that is long
    enough, and a later filter may then drop what is in it.
    """
    ids = {"vendor_id": "10de", "product_id": "2331"}
    nowhere = Device("0000:01:00.0", "10de", "2331", "type-PF")
    far = Device("0000:02:00.0", "10de", "2331", "type-PCI", numa_node=1)
    request = want(ids, policy="preferred")
    assert stage(asked(request, devices=(nowhere, far), cells=(0,))) == "pf"
    assert asked(request, devices=(far,), cells=(0,))

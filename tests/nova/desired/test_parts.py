"""Cards given in parts: what nova is told of them, in each release and by each deployment tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.golden import compare
from support.lint_hosts import service
from support.parts import A40, GRID, KINDS, L40S, M60, MI300X, facts, kind, parts, with_vfs
from support.sites import NVME, host
from wholecard.cloud.planning.desired import desired_cloud
from wholecard.core import UsageError
from wholecard.core.releases import RELEASES, release
from wholecard.nova.desired.mdev_types import MdevType
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.required_options import PciConfig
from wholecard.nova.desired.slice_classes import slice_classes
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.nova.lint import lint
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.layouts import layout
from wholecard.nova.render.layouts.cloud import Cloud, cloud_of

GOLDEN = Path(__file__).parents[1] / "golden"
NEWEST = release("2026.2")
CX7, CX7_VF = "15b3:1021", "15b3:101e"
TTY = {"match": [{"parent": "mtty"}], "give": {"policy": "mdev", "types": {"mtty-1": 2}}}


def config(on: str, cards: dict[str, Any], series: str = "2026.2", **more: Any) -> PciConfig:
    """What nova-compute of one host is told."""
    return pci_configs(parts(cards, on, **more), facts(on), release(series))[on]


def refused(on: str, cards: dict[str, Any], series: str = "2026.2", **more: Any) -> str:
    with pytest.raises(UnsupportedError) as caught:
        config(on, cards, series, **more)
    return str(caught.value)


def test_a_card_is_the_parent() -> None:
    """One type, all its cards: the class is VGPU."""
    assert config("m60", {"grid": GRID}).mdev_types == (
        MdevType("nvidia-35", ("0000:84:00.0", "0000:8a:00.0")),
    )


def test_vfs_are_the_parents() -> None:
    """Of a card with SR-IOV as many VFs are named as the site counts, for each is one device."""
    (made,) = config("a40", {"a40": KINDS["a40"]}).mdev_types
    assert made.parents == tuple(f"0000:41:04.{number}" for number in range(4))


def test_several_kinds_have_classes_of_their_own() -> None:
    """Two kinds of mediated devices in one cloud are told apart; VFs always have a class."""
    assert slice_classes(parts(), NEWEST) == {
        "grid": "CUSTOM_GRID", "a40": "CUSTOM_A40", "l40s": "CUSTOM_L40S",
        "mi300x": "CUSTOM_MI300X",
    }  # fmt: skip
    assert slice_classes(parts({"grid": GRID}), NEWEST) == {"grid": "VGPU"}


def test_typed_vfs_keep_their_driver() -> None:
    """A VF with a vendor's type is not managed, and named by address: its card has the same ids."""
    made = config("l40s", {"l40s": KINDS["l40s"]})
    specs = [json.loads(spec.to_json()) for spec in made.device_specs]
    assert [spec["address"] for spec in specs] == [
        f"0000:{bus}:04.{number}" for bus in ("51", "52") for number in range(4)
    ]
    assert {(spec["managed"], spec["resource_class"]) for spec in specs} == {("no", "CUSTOM_L40S")}
    (alias,) = made.aliases
    assert (alias.device_type, alias.resource_class) == ("type-VF", "CUSTOM_L40S")


def test_plain_vfs_are_given_by_ids() -> None:
    """AMD's VFs have ids of their own, and libvirt binds vfio-pci."""
    (spec,) = config("mi300x", {"mi300x": KINDS["mi300x"]}).device_specs
    assert json.loads(spec.to_json()) == {
        "vendor_id": "1002", "product_id": "74b5", "resource_class": "CUSTOM_MI300X",
    }  # fmt: skip


def test_vfs_of_a_function_that_is_no_gpu() -> None:
    """A network card's VFs have ids of their own; those of a drive the drive's, so addresses."""
    extra = {"extra_function": True}
    nic = {**kind(CX7, policy="vfs", count=4), **extra}
    drive = {**kind(NVME, policy="vfs", count=2), **extra}
    known = {"nics": host([*with_vfs("41", CX7, CX7_VF, 4, "mlx5_core", "020000"),
                           *with_vfs("82", NVME, NVME, 2, "nvme", "010802")])}  # fmt: skip
    made = pci_configs(parts({"nic": nic, "drive": drive}, "nics"), known, NEWEST)["nics"]
    assert [json.loads(spec.to_json()) for spec in made.device_specs] == [
        {"vendor_id": "15b3", "product_id": "101e", "resource_class": "CUSTOM_NIC"},
        *({"vendor_id": "144d", "product_id": "a80a", "address": f"0000:82:04.{number}",
           "resource_class": "CUSTOM_DRIVE"} for number in range(2)),
    ]  # fmt: skip
    assert {alias.device_type for alias in made.aliases} == {"type-VF"}


def test_a_parent_that_is_no_pci_function() -> None:
    """mtty's parent has libvirt's name, and nova takes it since 2026.2."""
    made = config("m60", {"tty": TTY})
    assert made.mdev_types == (MdevType("mtty-1", ("mtty_mtty",)),)
    assert "takes no parent of mediated devices" in refused("m60", {"tty": TTY}, "2026.1")


REFUSED = [
    ("m60", {"grid": kind(M60, policy="mdev", types={
        "a-1": {"count": 4, "name": "one"}, "a-2": {"count": 2, "name": "two"}})},
     "2026.2", "nova gives devices of one type from a parent"),
    ("l40s", {"l40s": kind(L40S, policy="vfs", mixed_sizes=True, types={
        "A": {"count": 2, "name": "one"}, "B": {"count": 1, "name": "two"}})},
     "2026.2", "nova cannot tell the VFs of one card apart"),
    ("l40s", {"l40s": KINDS["l40s"]}, "2024.2", "takes a VF from its driver"),
    ("m60", {"grid": GRID}, "pike", "has no mediated devices"),
    ("m60", {"grid": kind(M60, policy="mdev", types={"a-1": {
        "count": 4, "resource_class": "CUSTOM_A"}})}, "2023.2", "reads no resource class"),
    ("m60", {"grid": kind(M60, policy="mdev", types={"a-1": {
        "count": 4, "resource_class": "CUSTOM_A"}})}, "wallaby", "has one class"),
    ("m60", {"a40": kind(A40, policy="vfs", count=4), "grid": GRID}, "2026.2", "no facts of a"),
    ("mi300x", {"mi300x": kind(MI300X, policy="vfs", count=9)}, "2026.2", "has no VFs"),
    ("m60", {"drive": kind(NVME, policy="vfs", count=2), "grid": GRID}, "2026.2",
     "is not a display or accelerator"),
    ("m60", {"drive": kind(NVME, policy="vfs", count=2), "grid": GRID}, "2026.2",
     "for VFs of this function write extra_function: true."),
    ("m60", {"nic": {**kind(M60, policy="vfs", count=2), "extra_function": True}}, "2026.2",
     "remove extra_function: true."),
]  # fmt: skip


@pytest.mark.parametrize(("on", "cards", "series", "reason"), REFUSED)
def test_what_nova_cannot_do(on: str, cards: dict[str, Any], series: str, reason: str) -> None:
    """What a release of nova does not do is refused with the reason, before anything is written."""
    assert reason in refused(on, cards, series)


@pytest.mark.parametrize("series", ["queens", "ussuri", "xena", "2024.1", "2026.2"])
def test_a_single_type_in_each_release(series: str) -> None:
    """What is rendered for one type has no finding of lint in that release."""
    of = release(series)
    configs = pci_configs(parts({"grid": GRID}, "m60"), facts("m60"), of)
    cloud = cloud_of(configs, of, ())
    written = text("compute", cloud.compute("m60"), of)
    assert [one.finding for one in lint([service(written, "compute", series)])] == []
    assert ("device_addresses" in written) is (of.nova >= 29)


@pytest.mark.parametrize("of", [each for each in RELEASES if each.nova >= 31], ids=str)
def test_all_ways_at_once(of: Any) -> None:
    """Four hosts, four ways: lint finds nothing in the files of any of them."""
    configs = pci_configs(parts(), facts(), of)
    cloud = cloud_of(configs, of, ("ComputeFilter",))
    for name in configs:
        written = text("compute", cloud.compute(name), of)
        found = lint([service(written, "compute", str(of.nova))])
        assert [one.finding for one in found if one.finding.rule not in ("WC215",)] == []


def cloud_for(tool: str, series: str, cards: dict[str, Any], *on: str) -> Cloud:
    chosen, of = layout(tool), release(series)
    wish = chosen.fitted(parts(cards, *on))
    return cloud_of(pci_configs(wish, facts(*on), of), of, chosen.filters(of), filters_known=True)


@pytest.mark.parametrize(
    ("tool", "series", "cards", "on"),
    [
        ("drop-in", "2026.2", KINDS, ()),
        ("kolla", "2026.2", KINDS, ("m60", "l40s")),
        ("openstack-ansible", "2026.1", KINDS, ()),
        ("openstack-ansible", "wallaby", {"grid": GRID}, ("m60",)),
        ("charms", "2024.1", {"grid": GRID}, ("m60",)),
        ("rhoso", "2025.1", KINDS, ("m60", "mi300x")),
    ],
)
def test_files(tool: str, series: str, cards: dict[str, Any], on: tuple[str, ...]) -> None:
    """Every file of the layout, word for word."""
    if on and len(cards) > 1:
        cards = {name: cards[{"m60": "grid"}.get(name, name)] for name in on}
    files = layout(tool).files(cloud_for(tool, series, cards, *on))
    whole = "\n".join(f"==> {path} <==\n{content}" for path, content in files.items()
                      if "compute" in path or "host" in path or len(files) < 3
                      or "user_" in path or "nova-" in path)  # fmt: skip
    compare(f"parts-{tool}-{series}.txt", whole, GOLDEN)


def test_tools_that_cannot() -> None:
    """The charms have no option for a class, an old OpenStack-Ansible none for types."""
    own = {"grid": {**GRID, "resource_class": "CUSTOM_M60"}}
    with pytest.raises(UsageError, match="no option for mdev_class"):
        layout("charms").files(cloud_for("charms", "2024.1", own, "m60"))
    with pytest.raises(UsageError, match="no variable for mediated devices"):
        layout("openstack-ansible").files(
            cloud_for("openstack-ansible", "train", {"grid": GRID}, "m60")
        )


FLAVOR = {"ram": 1024, "vcpus": 1}


@pytest.mark.parametrize(
    ("cards", "series", "expected"),
    [
        ({"grid": 1}, "2026.2", {"resources:CUSTOM_GRID": "1"}),
        ({"grid": 2}, "2026.2", {"resources1:CUSTOM_GRID": "1", "resources2:CUSTOM_GRID": "1",
                                 "group_policy": "isolate"}),
        ({"l40s": 1, "mi300x": 2}, "2026.2",
         {"pci_passthrough:alias": "l40s:1,mi300x:2"}),
        ({"tty": 2}, "2026.2", {"resources:CUSTOM_TTY": "2"}),
        ({"h100": 1, "l40s": 1, "grid": 1}, "2026.2",
         {"pci_passthrough:alias": "h100:1,l40s:1", "resources:CUSTOM_GRID": "1"}),
    ],
)  # fmt: skip
def test_flavors(cards: dict[str, int], series: str, expected: dict[str, str]) -> None:
    """A flavor asks for VFs by alias, for mediated devices by class, several in groups."""
    whole = {"match": [{"vendor": "10de", "product": "2330"}], "device_type": "type-PF"}
    made = parts({**KINDS, "tty": TTY, "h100": whole}, flavors={"f": {**FLAVOR, "cards": cards}})
    (flavor,) = desired_cloud(made, facts(), release(series)).flavors
    specs = {key: value for key, value in flavor.extra_specs.items() if not key.startswith("hw:")}
    assert specs == expected


def test_several_devices_before_2026_1() -> None:
    """A flavor that asks for two devices is refused where nova makes the first group's alone."""
    two = {"f": {**FLAVOR, "cards": {"grid": 2}}}
    assert "bug 1758086" in refused("m60", {"grid": GRID}, "2025.2", flavors=two)
    config("m60", {"grid": GRID}, "2026.1", flavors=two)


@pytest.mark.parametrize(
    ("series", "driver", "counted"),
    [
        ("2026.2", "auto", {"grid", "l40s"}), ("2026.2", "db", set()),
        ("2024.1", "unified", {"grid"}), ("2024.1", "auto", set()), ("xena", "unified", set()),
    ],
)  # fmt: skip
def test_quotas(series: str, driver: str, counted: set[str]) -> None:
    """Unified limits count mediated devices since they exist, VFs since they count aliases."""
    cards = {"grid": GRID, **({"l40s": KINDS["l40s"]} if series == "2026.2" else {})}
    limits = {"p": {"cards": dict.fromkeys(cards, 2)}}
    made = parts(cards, "m60", "l40s", quotas=limits, quota_driver=driver)
    desired = desired_cloud(made, facts("m60", "l40s"), release(series))
    classes = {"grid": "VGPU", "l40s": "CUSTOM_L40S"}
    assert desired.quotas[0].cards == {classes[name]: 2 for name in counted}

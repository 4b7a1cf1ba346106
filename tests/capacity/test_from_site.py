"""What the hosts of a site file have, alone and beside today's cloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import small_cloud
from support.capacity_stock import CLASS, H100, cards, host, machine, stock
from support.hosts import function
from support.hosts import host as facts_of
from wholecard.capacity.counting import count
from wholecard.capacity.from_site import site_stock
from wholecard.capacity.record import CardUnits, HostStock, Stock
from wholecard.core.record import replace
from wholecard.host.facts.host import Host
from wholecard.host.facts.offered_slices import MdevType, OfferedSlices
from wholecard.site.load import SiteError, read_site

SITE = """
release: "2026.2"
cards:
  h100:
    match: [{{vendor: "10de", product: "2330"}}]
    device_type: type-PF
hosts:
{hosts}
flavors:
  g1: {{ram: 65536, vcpus: 8, cards: {{h100: 1}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the facts of a host of two H100."""
    (tmp_path / "gpu-01.json").write_text(json.dumps(small_cloud.facts().to_json()))
    return tmp_path


def site(folder: Path, *hosts: str, today: Stock | None = None) -> Stock:
    """The stock of a site file with these hosts, each in a line of its own."""
    path = folder / "site.yaml"
    path.write_text(SITE.format(hosts="\n".join(f"  {line}" for line in hosts)))
    return site_stock(read_site(path), today)


def test_by_facts(folder: Path) -> None:
    """With facts the cards have their addresses and NUMA nodes, CPUs and RAM are the machine's."""
    (own,) = site(folder, "gpu-01: {facts: gpu-01.json}").hosts
    assert {(card.kind.resource_class, card.free) for card in own.cards} == {(CLASS, 1)}
    assert [(card.name, card.numa_node) for card in own.cards] == [
        ("0000:41:00.0", 0), ("0000:c1:00.0", 1),
    ]  # fmt: skip
    assert [(row.resource_class, row.total, row.reserved) for row in own.machine or ()] == [
        ("VCPU", 32, 0), ("PCPU", 32, 0), ("MEMORY_MB", 262144, 512),
    ]  # fmt: skip
    assert own.nodes is not None


def test_by_count(folder: Path) -> None:
    """Without facts there are as many cards as the site file says, and the machine is not known."""
    whole = site(folder, "gpu-02: {cards: {h100: 3}}")
    (own,) = whole.hosts
    assert [(card.name, card.kind.resource_class) for card in own.cards] == [
        ("h100 1", CLASS), ("h100 2", CLASS), ("h100 3", CLASS),
    ]  # fmt: skip
    assert own.machine is None
    assert [row.fits for row in count(whole, {}).flavors] == [3]


def test_new_host_beside_today(folder: Path) -> None:
    """What servers have today stays given, on the same card, and a new host is free."""
    old = (CardUnits("0000:41:00.0", H100, 1), CardUnits("0000:c1:00.0", H100, 1, 1))
    today = stock(host(cards=old, machine=machine(used=100)))
    plan = site(folder, "gpu-01: {facts: gpu-01.json}", "gpu-02: {cards: {h100: 2}}", today=today)
    assert [[card.given for card in own.cards] for own in plan.hosts] == [[0, 1], [0, 0]]
    assert plan.hosts[0].machine == today.hosts[0].machine
    assert plan.displaced == 0
    # Of 28 free CPUs the one free card's server takes 8.
    assert [row.fits for row in count(plan, {}).flavors] == [3]


def test_fewer_cards_than_today(folder: Path) -> None:
    """Servers whose card is not planned, and those of a host that is not, have no card."""
    today = stock(host(cards=cards(given=5)), host("gpu-09", cards=cards(given=2)))
    plan = site(folder, "gpu-01: {cards: {h100: 4}}", today=today)
    assert plan.hosts[0].cards[0].given == 1
    assert sum(card.given for card in plan.hosts[0].cards) == 4
    assert plan.displaced == 3


def test_closed_host_stays_closed(folder: Path) -> None:
    """A host that gives nothing today gives nothing in the plan."""
    today = stock(host(closed="nova-compute is down"))
    plan = site(folder, "gpu-01: {facts: gpu-01.json}", today=today)
    assert count(plan, {}).flavors[0].fits == 0


L40S = """
release: "2026.2"
cards:
  l40s:
    match: [{{vendor: "10de", product: "26b9"}}]
    give: {give}
  h100:
    match: [{{vendor: "10de", product: "2330"}}]
    device_type: type-PF
hosts:
  gpu-01: {{facts: gpu-01.json}}
{more}
flavors:
  s1: {{ram: 16384, vcpus: 4, cards: {{{part}: 1}}}}
  g1: {{ram: 65536, vcpus: 8, cards: {{h100: 1}}}}
"""
VFS = "{policy: vfs, types: {NVIDIA L40S-12Q: 4}}"
MDEVS = "{policy: mdev, types: {nvidia-1145: 4}}"
MIXED = (
    "{policy: mdev, types: {nvidia-1145: {count: 2, name: q12}, "
    "nvidia-1147: {count: 1, name: q24}}}"
)


def unsplit(vfs: int = 0) -> Host:
    """A host of two L40S, one on each NUMA node, and an H100; with so many VFs of the first."""
    made = (function(f"0000:41:01.{number}", "10de:26b9", physfn="0000:41:00.0", numa_node=0)
            for number in range(vfs))  # fmt: skip
    return facts_of(
        function("0000:41:00.0", "10de:26b9", sriov_total=32, sriov_vfs=vfs, numa_node=0),
        *made,
        function("0000:42:00.0", "10de:2330", sriov_total=16, numa_node=0),
        function("0000:c1:00.0", "10de:26b9", sriov_total=32, numa_node=1),
    )


def split_plan(
    folder: Path, give: str, facts: Host, today: Stock | None = None, part: str = "l40s",
    more: str = "",
) -> Stock:  # fmt: skip
    """The stock of a site whose L40S are given so."""
    (folder / "gpu-01.json").write_text(json.dumps(facts.to_json()))
    path = folder / "site2.yaml"
    path.write_text(L40S.format(give=give, part=part, more=more))
    return site_stock(read_site(path), today)


def units(own: HostStock) -> list[tuple[str, str, int, int | None]]:
    """Of each provider its name, class, number and NUMA node."""
    return sorted((card.name, card.kind.resource_class, card.total, card.numa_node)
                  for card in own.cards)  # fmt: skip


@pytest.mark.parametrize("vfs", [0, 2, 6])
def test_vfs_that_are_not_made_yet(folder: Path, vfs: int) -> None:
    """A card has as many VFs as the site says, whatever it has now; they are its own provider."""
    plan = split_plan(folder, VFS, unsplit(vfs))
    assert units(plan.hosts[0]) == [
        ("0000:41:00.0", "CUSTOM_L40S", 4, 0), ("0000:42:00.0", CLASS, 1, 0),
        ("0000:c1:00.0", "CUSTOM_L40S", 4, 1),
    ]  # fmt: skip
    assert [(row.flavor, row.fits) for row in count(plan, {}).flavors] == [("g1", 1), ("s1", 8)]


@pytest.mark.parametrize(
    ("give", "part", "expected"),
    [
        (MDEVS, "l40s", {"VGPU": 8}),
        (MIXED, "q12", {"CUSTOM_Q12": 4, "CUSTOM_Q24": 2}),
    ],
)
def test_mediated_devices_of_vfs(
    folder: Path, give: str, part: str, expected: dict[str, int]
) -> None:
    """On a card with SR-IOV each VF is the parent of one device; types have VFs of their own."""
    plan = split_plan(folder, give, unsplit(), part=part)
    answer = count(plan, {})
    totals = {row.resource_class: row.total for row in answer.types}
    assert totals == {CLASS: 1, **expected}
    (first, *_) = [card for card in plan.hosts[0].cards if card.kind.resource_class != CLASS]
    assert first.name.startswith("gpu-01_pci_0000_41_00_")


@pytest.mark.parametrize(("text", "total"), [("max_instance=16", 16), ("", 4)])
def test_mediated_devices_of_a_card(folder: Path, text: str, total: int) -> None:
    """A card that is a parent itself gives all that its driver says; else what the site says."""
    offered = tuple(MdevType(f"0000:{bus}:00.0", "nvidia-1145", "", 0, text)
                    for bus in ("41", "c1"))  # fmt: skip
    plan = split_plan(folder, MDEVS, replace(unsplit(), slices=OfferedSlices(offered)))
    assert units(plan.hosts[0])[1:] == [
        ("gpu-01_pci_0000_41_00_0", "VGPU", total, 0),
        ("gpu-01_pci_0000_c1_00_0", "VGPU", total, 1),
    ]


def test_by_count_in_parts(folder: Path) -> None:
    """A host of which only the number of cards is known has their parts."""
    more = "  gpu-02: {cards: {l40s: 2, h100: 1}}"
    for give, name in ((VFS, "CUSTOM_L40S"), (MDEVS, "VGPU")):
        plan = split_plan(folder, give, unsplit(), more=more)
        assert units(plan.hosts[1]) == [
            ("h100 1", CLASS, 1, None), ("l40s 1", name, 4, None), ("l40s 2", name, 4, None),
        ]  # fmt: skip


def test_split_of_cards_in_use(folder: Path) -> None:
    """A whole card that a server has today is no slice: it has no place in the plan."""
    own = (CardUnits("0000:41:00.0", H100, 1, 1), CardUnits("0000:42:00.0", H100, 1, 1))
    plan = split_plan(folder, VFS, unsplit(), today=stock(host(cards=own)))
    given = {card.name: card.given for card in plan.hosts[0].cards}
    assert given == {"0000:41:00.0": 0, "0000:42:00.0": 1, "0000:c1:00.0": 0}
    assert plan.displaced == 1


def test_what_a_mix_strands(folder: Path) -> None:
    """With a mix, slices that its flavors cannot use are stranded, by type and NUMA node."""
    answer = count(split_plan(folder, VFS, unsplit()), {"g1": 1})
    assert answer.mix == {"g1": (1, 1)}
    assert [(row.resource_class, row.numa_node, row.free, row.stranded)
            for row in answer.hosts[0].units] == [
        ("CUSTOM_L40S", 0, 4, 4), (CLASS, 0, 1, 0), ("CUSTOM_L40S", 1, 4, 4),
    ]  # fmt: skip
    assert {row.resource_class: row.stranded for row in answer.types} == {
        "CUSTOM_L40S": 8,
        CLASS: 0,
    }


def test_more_vfs_than_the_card_has(folder: Path) -> None:
    """A plan that no host can have is refused with its place in the file."""
    with pytest.raises(SiteError, match="WC605"):
        split_plan(folder, "{policy: vfs, count: 33}", unsplit())

"""What the hosts of a site file have, alone and beside today's cloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import small_cloud
from support.capacity_stock import CLASS, H100, cards, host, machine, stock
from wholecard.capacity.counting import count
from wholecard.capacity.from_site import site_stock
from wholecard.capacity.record import CardUnits, Stock
from wholecard.site.load import read_site

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

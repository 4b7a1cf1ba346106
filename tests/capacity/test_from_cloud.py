"""What a running cloud has: from its databases, and from its APIs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from support import small_cloud
from support.fleet_database import Fleet, sqlite_fleet
from support.moving_cloud import COMPUTE, MovingCloud, moving_cloud
from support.openstack_api import serving
from wholecard.audit.request import AuditWatcher
from wholecard.audit.views.open_views import AuditSources
from wholecard.capacity.from_cloud import cloud_stock, free_nodes
from wholecard.core.releases import LATEST
from wholecard.host.facts.host import HugePagePool


class Heard(AuditWatcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def look(self, hosts: int, again: bool) -> None:
        """A look begins."""
        self.told.append(hosts)

    def host(self, name: str) -> None:
        """A host was read."""
        self.told.append(name)


def test_databases(tmp_path: Path) -> None:
    """Cards with their NUMA nodes, what is given of them, and who is told of each host."""
    heard = Heard()
    found = cloud_stock(AuditSources(databases=sqlite_fleet(tmp_path, Fleet(2))), None, heard)
    assert heard.told == [2, "gpu-00000", "gpu-00001"]
    assert [(card.numa_node, card.given) for card in found.hosts[0].cards] == [
        (0, 1), (0, 1), (0, 1), (0, 1), (1, 0), (1, 0), (1, 0), (1, 0),
    ]  # fmt: skip
    used = {row.resource_class: row.used for row in found.hosts[0].machine or ()}
    assert used["VCPU"] > 0
    assert found.flavors == ()


def test_databases_without_cards_in_placement(tmp_path: Path) -> None:
    """Where nova does not report cards, its own rows tell what is given."""
    file = sqlite_fleet(tmp_path, Fleet(1))
    engine = create_engine(f"sqlite:///{tmp_path}/placement.db")
    with engine.begin() as connection:
        for table in ("allocations", "inventories", "resource_provider_traits"):
            connection.execute(text(
                f"DELETE FROM {table} WHERE resource_provider_id IN (SELECT id FROM "
                "resource_providers WHERE parent_provider_id IS NOT NULL)"
            ))  # fmt: skip
    engine.dispose()
    (own,) = cloud_stock(AuditSources(databases=file), None, AuditWatcher()).hosts
    assert {card.kind.resource_class for card in own.cards} == {"CUSTOM_PCI_10DE_2330"}
    assert [card.given for card in own.cards] == [1, 1, 1, 1, 0, 0, 0, 0]


def test_disabled_service(tmp_path: Path) -> None:
    """A host whose nova-compute is disabled gives nothing."""
    file = sqlite_fleet(tmp_path, Fleet(2))
    engine = create_engine(f"sqlite:///{tmp_path}/nova.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE services SET disabled = 1 WHERE host = 'gpu-00000'"))
    engine.dispose()
    hosts = cloud_stock(AuditSources(databases=file), None, AuditWatcher()).hosts
    assert hosts[0].closed == "nova-compute is disabled"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MovingCloud]:
    """Two hosts with two cards each, one without, and a flavor."""
    with serving(tmp_path) as api:
        flavor = {"id": "1", "name": "g1", "vcpus": 8, "ram": 16384, "disk": 20, "swap": 1500,
                  "OS-FLV-EXT-DATA:ephemeral": 5, "os-flavor-access:is_public": True,
                  "extra_specs": {"pci_passthrough:alias": "h100:1"}}  # fmt: skip
        kept = {**flavor, "name": "reservation:1"}
        moving = moving_cloud(api)
        api.answers[f"GET {COMPUTE}/flavors/detail"] = (200, {"flavors": [flavor, kept]})
        yield moving


def sources(cloud: MovingCloud) -> AuditSources:
    """The cloud's APIs."""
    return AuditSources("test", cloud.api.clouds)


def test_apis(cloud: MovingCloud) -> None:
    """Hosts with cards, flavors with all their disks, and not those of Blazar's reservations."""
    cloud.add("train", "gpu-01")
    found = cloud_stock(sources(cloud), LATEST, AuditWatcher())
    assert [(own.name, sum(card.given for card in own.cards)) for own in found.hosts] == [
        ("gpu-01", 1), ("gpu-02", 0),
    ]  # fmt: skip
    assert [(row.flavor, row.disk_gb) for row in found.flavors] == [("g1", 27)]
    assert found.not_known == (
        "NUMA nodes and free huge pages of some hosts (--databases, --facts)",
    )


def test_service_that_is_down(cloud: MovingCloud) -> None:
    """A host whose nova-compute does not report gives nothing."""
    cloud.services["gpu-02"]["state"] = "down"
    hosts = cloud_stock(sources(cloud), LATEST, AuditWatcher()).hosts
    assert [own.closed for own in hosts] == ["", "nova-compute is down"]


def test_free_huge_pages() -> None:
    """Huge pages that are in use are no RAM of the node any more; the rest of it stays."""
    pools = (HugePagePool(1 << 30, 64, 16, 0), HugePagePool(1 << 30, 64, 64, 1))
    nodes = free_nodes(small_cloud.facts(pages=pools))
    assert nodes is not None
    assert [(node.ram_mb, node.pages) for node in nodes.nodes] == [
        (80 << 10, ((1 << 20, 16),)), (128 << 10, ((1 << 20, 64),)),
    ]  # fmt: skip
    assert [node.small_kib for node in nodes.nodes] == [64 << 20, 64 << 20]
    assert free_nodes(None) is None

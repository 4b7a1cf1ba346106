"""Placement's database as records."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.views.conftest import FLEET, Sql
from support.fleet_database import CARD_CLASS, CARD_TRAITS, PROJECT, ROOT_TRAITS, USER, known_uuid
from wholecard.audit.record import ConsumerAllocation
from wholecard.audit.views.databases_file import read_databases
from wholecard.audit.views.placement_database import PlacementDatabase
from wholecard.audit.views.placement_view import Holdings, HostTree
from wholecard.audit.views.read_only_database import ReadOnlyDatabase
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.core import WholecardError

HOSTS = tuple(FLEET.host(number) for number in range(3))


def opened(file: Path) -> PlacementDatabase:
    database = read_databases(file).placement
    assert database is not None
    return PlacementDatabase(ReadOnlyDatabase(database))


def tree(file: Path, host: str = "gpu-00001") -> HostTree:
    placement = opened(file)
    try:
        return placement.trees([host])[host]
    finally:
        placement.close()


def test_tree(file: Path) -> None:
    """A host's tree has its providers by name, with inventories, usages and traits."""
    found = tree(file).tree
    assert (found.root.name, found.root.uuid) == ("gpu-00001", known_uuid("node 1"))
    assert found.root.parent_uuid is None
    assert found.root.traits == frozenset(ROOT_TRAITS)
    assert found.root.inventory("VCPU") == Inventory("VCPU", 128, 0, 32, 1.0, 128)
    names = [provider.name for provider in found.below]
    assert names == [f"gpu-00001_{FLEET.address(card).upper()}" for card in range(4)]
    card = found.below[0]
    assert (card.uuid, card.parent_uuid, card.root_uuid, card.generation) == (
        known_uuid("card 1 0"), found.root.uuid, found.root.uuid, 3,
    )  # fmt: skip
    assert card.traits == frozenset(CARD_TRAITS)
    assert [row.inventories for row in found.below] == [
        (Inventory(CARD_CLASS, 1, 0, used, 1.0, 1),) for used in (1, 1, 0, 0)
    ]


def test_allocations(file: Path) -> None:
    """What each consumer holds of the tree, with its project, user and generation."""
    held = tree(file).allocations
    server = FLEET.server(1, 0)
    card = ConsumerAllocation(server, known_uuid("card 1 0"), CARD_CLASS, 1, PROJECT, USER, 1)
    assert card in held
    assert sorted(row.resource_class for row in held if row.consumer == server) == [
        CARD_CLASS, "DISK_GB", "MEMORY_MB", "VCPU",
    ]  # fmt: skip
    assert len(held) == 8


def test_odd_rows(file: Path, sql: Sql) -> None:
    """Reserved cards, consumers without a row, wrong parents come as they are."""
    sql(
        "placement",
        "UPDATE inventories SET reserved = 1 WHERE resource_provider_id = 7",
        "DELETE FROM consumers",
        "UPDATE resource_providers SET parent_provider_id = 7 WHERE id = 8",
        "DELETE FROM inventories WHERE resource_provider_id = 9",
        "DELETE FROM resource_provider_traits WHERE resource_provider_id = 9",
    )
    found = tree(file)
    below = {provider.name[-12:]: provider for provider in found.tree.below}
    first, second, third = (below[FLEET.address(card).upper()] for card in range(3))
    assert first.inventories == (Inventory(CARD_CLASS, 1, 1, 1, 1.0, 1),)
    assert second.parent_uuid == first.uuid
    assert (third.inventories, third.traits) == ((), frozenset())
    assert {(row.project_id, row.consumer_generation) for row in found.allocations} == {("", None)}


def test_holdings(file: Path, sql: Sql) -> None:
    """Consumers that hold something on two hosts are known, with these hosts."""
    wide, consumers = FLEET.server(0, 0), {FLEET.server(h, s) for h in range(3) for s in range(2)}
    sql(
        "placement",
        f"UPDATE allocations SET consumer_id = '{wide}' WHERE resource_provider_id = 7",
        # A share of disks is a root provider too, and no host.
        "INSERT INTO resource_providers (id, uuid, name, generation, root_provider_id)"
        " VALUES (99, 'share', 'share', 1, 99)",
        "INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used)"
        f" VALUES (99, '{FLEET.server(2, 0)}', 5002, 1)",
    )
    two = {wide: frozenset(HOSTS[:2])}
    placement = opened(file)
    assert placement.holdings(HOSTS, HOSTS) == Holdings(consumers, two)
    assert placement.holdings(HOSTS[:1], HOSTS) == Holdings({wide, FLEET.server(0, 1)}, two)
    assert placement.holdings(HOSTS[2:], HOSTS).hosts == {}
    placement.close()


def test_managed_hosts(file: Path, sql: Sql) -> None:
    """Hosts with devices of nova's are known by the traits that nova sets."""
    sql("placement", "DELETE FROM resource_provider_traits WHERE resource_provider_id > 5")
    placement = opened(file)
    assert placement.managed_hosts() == {"gpu-00000"}
    assert placement.trees(["gpu-00000", "unknown"]).keys() == {"gpu-00000"}
    placement.close()


def test_older_schema(file: Path, sql: Sql) -> None:
    """Before Rocky consumers had no generation, and standard classes are not in the table."""
    sql("placement", "ALTER TABLE consumers DROP COLUMN generation",
        "UPDATE inventories SET resource_class_id = 0 WHERE resource_class_id = 5000",
        "DELETE FROM resource_classes WHERE id = 5000")  # fmt: skip
    found = tree(file)
    assert {row.consumer_generation for row in found.allocations} == {None}
    assert found.tree.root.inventory("VCPU") is not None


def test_not_placement(file: Path) -> None:
    """The connection of another database is refused."""
    file.write_text(f"[placement]\nconnection = sqlite:///{file.parent}/nova.db\n")
    with pytest.raises(WholecardError, match="is not Placement's database"):
        opened(file).managed_hosts()

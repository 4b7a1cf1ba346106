"""Faults in the tables of real nova and real Placement, and on faked hosts, with their rules.

Each is what a person, a crash or a lost message leaves: raw SQL, which does not touch `updated_at`.
The counterparts in memory are in `support/audit_faults.py`, under the same names; there alone are
those of what this world does not have: mediated devices, cards of several functions, and the files
with device_spec.
"""

from __future__ import annotations

import copy
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = ("cell1", "placement")
GHOST = "99999999-0000-0000-0000-000000000000"


@dataclass
class Card:
    """A card of a host: its row's id, its provider's, and who has it; `other` is another server of
    the host, `away` one that lives on another host, `gone` a deleted one."""

    host: str
    address: str
    row: int
    provider: int
    root: int
    holder: str | None
    other: str
    away: str
    gone: str


@dataclass
class Tables:
    """The files of a world and what its hypervisors say; both are changed by faults."""

    folder: Path
    told: dict[str, Any]
    kept: dict[str, bytes] = field(default_factory=dict)
    kept_told: str = ""

    def keep(self) -> None:
        """Remember everything as it is now."""
        for name in FILES:
            with closing(self._open(name)) as file:
                self.kept[name] = file.serialize()
        self.kept_told = json.dumps(self.told)

    def restore(self) -> None:
        """Everything as it was kept."""
        for name, content in self.kept.items():
            with closing(sqlite3.connect(":memory:")) as former, closing(self._open(name)) as file:
                former.deserialize(content)
                former.backup(file)
        self.told = json.loads(self.kept_told)

    def rows(self, name: str, statement: str, *values: Any) -> list[Any]:
        """The rows of a SELECT."""
        with closing(self._open(name)) as file:
            return file.execute(statement, values).fetchall()

    def sql(self, name: str, *statements: str) -> None:
        """Raw SQL."""
        with closing(self._open(name)) as file, file:
            for statement in statements:
                file.execute(statement)

    def _open(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.folder}/{name}.sqlite", timeout=30)

    def now(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a repair could change, without ids, times and generations: nova's, Placement's.

        A database gives rows that its ORDER BY calls equal in any order, so they are sorted here.
        """
        cell = self.rows(
            "cell1",
            "SELECT compute_node_id, address, status, instance_uuid, numa_node, product_id, deleted"
            " FROM pci_devices WHERE deleted = 0 OR deleted_at IS NULL",
        )
        held = self.rows(
            "placement",
            "SELECT p.name, a.consumer_id, a.used FROM allocations a JOIN resource_providers p"
            " ON p.id = a.resource_provider_id",
        )
        inventories = self.rows(
            "placement",
            "SELECT p.name, q.name, c.name, i.total, i.reserved,"
            " (SELECT COUNT(*) FROM resource_provider_traits t WHERE t.resource_provider_id = p.id)"
            " FROM resource_providers p LEFT JOIN inventories i ON p.id = i.resource_provider_id"
            " LEFT JOIN resource_providers q ON q.id = p.parent_provider_id"
            " LEFT JOIN resource_classes c ON c.id = i.resource_class_id",
        )
        kept = {"held": sorted(held, key=repr), "inventories": sorted(inventories, key=repr)}
        return {"rows": sorted(cell, key=repr)}, kept

    def cards(self, host: str) -> list[Card]:
        """The cards of a host, in order of address."""
        node = self.rows("cell1", "SELECT id FROM compute_nodes WHERE host = ?", host)[0][0]
        servers = self.rows("cell1", "SELECT uuid, host, deleted FROM instances ORDER BY id")
        gone = next(uuid for uuid, _, deleted in servers if deleted)
        away = next(uuid for uuid, at, deleted in servers if not deleted and at != host)
        here = [uuid for uuid, at, deleted in servers if not deleted and at == host]
        root = self.rows("placement", "SELECT id FROM resource_providers WHERE name = ?", host)
        rows = self.rows(
            "cell1",
            "SELECT id, address, instance_uuid FROM pci_devices"
            " WHERE compute_node_id = ? AND deleted = 0 ORDER BY address", node,
        )  # fmt: skip
        # The last server of the host, by its card.
        last = [holder for _, _, holder in rows if holder in here][-1]
        found = []
        for number, address, holder in rows:
            provider = self.rows(
                "placement", "SELECT id FROM resource_providers WHERE name = ?",
                f"{host}_{address.upper()}",
            )  # fmt: skip
            found.append(
                Card(host, address, number, provider[0][0], root[0][0], holder, last, away, gone)
            )
        return found


Inject = Callable[[Tables, Card], None]


# Left to a person: a guest would be touched, or nova's row has nothing to be made from.
A_PERSONS = frozenset(
    {
        "device detached", "second domain", "guest unknown to nova",
        "row of a device in use is deleted", "host driver",
    }
)  # fmt: skip
# Repaired, but not into the state before: the device is gone.
GONE = frozenset({"device of a row gone", "provider of a device that is gone"})


@dataclass(frozen=True)
class WorldFault:
    """`on` is `given` for a card that a server has, `free` for one that nobody has."""

    inject: Inject
    on: str
    rules: frozenset[str]


def _cell(statement: str) -> Inject:
    return lambda tables, card: tables.sql("cell1", statement.format(**vars(card), ghost=GHOST))


def _placement(*statements: str) -> Inject:
    return lambda tables, card: tables.sql(
        "placement", *(each.format(**vars(card), ghost=GHOST) for each in statements)
    )


def _held_by(consumer: str) -> tuple[str, str]:
    """An allocation of one card, with its consumer."""
    return (
        "INSERT OR IGNORE INTO consumers (uuid, project_id, user_id, generation)"
        f" SELECT '{consumer}', project_id, user_id, 1 FROM consumers LIMIT 1",
        # Placement compares the times of a consumer's rows, and fails where one has none.
        "INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used,"
        " created_at)"
        f" SELECT {{provider}}, '{consumer}', resource_class_id, 1, CURRENT_TIMESTAMP"
        " FROM inventories"
        " WHERE resource_provider_id = {provider}",
    )


def _on_two_hosts(tables: Tables, card: Card) -> None:
    _placement(*_held_by("{away}"))(tables, card)


def _dead_migration(tables: Tables, card: Card) -> None:
    """An aborted live migration to this host; a repair leaves its row, and it may come again."""
    uuid = f"88888888-0000-0000-0000-{card.row:012}"
    tables.sql(
        "cell1",
        "INSERT OR REPLACE INTO migrations (uuid, instance_uuid, status, migration_type,"
        " source_compute, dest_compute, source_node, dest_node, created_at, updated_at, deleted,"
        " cross_cell_move)"
        f" VALUES ('{uuid}', '{card.away}', 'error', 'live-migration', 'gpu-99', '{card.host}',"
        f" 'gpu-99', '{card.host}', '2026-11-01 00:00:00', '2026-11-01 00:00:00', 0, 0)",
    )
    _placement(*_held_by(uuid))(tables, card)


def _half_deleted(tables: Tables, card: Card) -> None:
    columns = (
        "compute_node_id, address, vendor_id, product_id, dev_type, dev_id, label, status,"
        " extra_info, numa_node, created_at"
    )
    tables.sql(
        "cell1",
        f"INSERT OR REPLACE INTO pci_devices (id, uuid, deleted, {columns})"
        f" SELECT id + 5000, '77777777-0000-0000-0000-{card.row:012}', id + 5000, {columns}"
        f" FROM pci_devices WHERE id = {card.row}",
    )


def _provider_deleted(tables: Tables, card: Card) -> None:
    _placement(
        "DELETE FROM inventories WHERE resource_provider_id = {provider}",
        "DELETE FROM resource_provider_traits WHERE resource_provider_id = {provider}",
        "DELETE FROM resource_providers WHERE id = {provider}",
    )(tables, card)


def _domain(change: Callable[[dict[str, Any], Card], None]) -> Inject:
    def inject(tables: Tables, card: Card) -> None:
        told = copy.deepcopy(tables.told)
        change(told[card.host], card)
        tables.told = told

    return inject


def _detach(host: dict[str, Any], card: Card) -> None:
    host["domains"][card.holder]["hostdevs"].remove(card.address)


def _second_domain(host: dict[str, Any], card: Card) -> None:
    host["domains"][card.other]["hostdevs"].append(card.address)


def _unknown_guest(host: dict[str, Any], card: Card) -> None:
    uuid = f"66666666-0000-0000-0000-{card.row:012}"
    host["domains"][uuid] = {"state": "running", "hostdevs": [card.address]}


def _device_gone(host: dict[str, Any], card: Card) -> None:
    del host["devices"][card.address]


def _provider_of_nothing(tables: Tables, card: Card) -> None:
    _domain(_device_gone)(tables, card)
    _cell("DELETE FROM pci_devices WHERE id = {row}")(tables, card)


def _host_driver(host: dict[str, Any], card: Card) -> None:
    host.setdefault("drivers", {})[card.address] = "nvidia"


def _claimed(tables: Tables, card: Card) -> None:
    tables.sql("cell1", f"UPDATE pci_devices SET status = 'claimed' WHERE id = {card.row}")
    tables.told = copy.deepcopy(tables.told)
    tables.told[card.host]["domains"][card.holder]["state"] = "shut off"


def _fault(on: str, rules: str, inject: Inject) -> WorldFault:
    return WorldFault(inject, on, frozenset(rules.split()))


_ROW = "UPDATE pci_devices SET {} WHERE id = {{row}}"

WORLD_FAULTS: Mapping[str, WorldFault] = {
    "device of a row gone": _fault("free", "WC510", _domain(_device_gone)),
    "row of a deleted server": _fault(
        "free", "WC511", _cell(_ROW.format("status = 'allocated', instance_uuid = '{gone}'"))),
    "row of an unknown server": _fault(
        "free", "WC511", _cell(_ROW.format("status = 'allocated', instance_uuid = '{ghost}'"))),
    "device detached": _fault("given", "WC512", _domain(_detach)),
    "row of a device in use is available": _fault(
        "given", "WC513", _cell(_ROW.format("status = 'available', instance_uuid = NULL"))),
    "row of a device in use is deleted": _fault(
        "given", "WC513", _cell("DELETE FROM pci_devices WHERE id = {row}")),
    "second domain": _fault("given", "WC514", _domain(_second_domain)),
    "given away in Placement": _fault(
        "given", "WC514", _placement(
            "UPDATE allocations SET consumer_id = '{other}' WHERE resource_provider_id = "
            "{provider}")),
    "row on the old host": _fault(
        "free", "WC515", _cell(_ROW.format("status = 'allocated', instance_uuid = '{away}'"))),
    "half-deleted row": _fault("free", "WC516", _half_deleted),
    "available with an owner": _fault(
        "free", "WC516", _cell(_ROW.format("instance_uuid = '{ghost}'"))),
    "claimed for ever": _fault("given", "WC519", _claimed),
    "allocation of nobody": _fault("free", "WC520", _placement(*_held_by("{ghost}"))),
    "dead migration": _fault("free", "WC521", _dead_migration),
    "allocation on two hosts": _fault("free", "WC522", _on_two_hosts),
    "allocation deleted": _fault(
        "given", "WC523", _placement("DELETE FROM allocations WHERE resource_provider_id = "
                                     "{provider}")),
    "allocated without a row": _fault("free", "WC524", _placement(*_held_by("{other}"))),
    "provider of a device that is gone": _fault("free", "WC525", _provider_of_nothing),
    "row of a free device is deleted": _fault(
        "free", "WC526", _cell("DELETE FROM pci_devices WHERE id = {row}")),
    "provider deleted": _fault("free", "WC527", _provider_deleted),
    "wrong parent": _fault(
        "free", "WC528", _placement(
            "UPDATE resource_providers SET parent_provider_id = (SELECT MIN(id) FROM "
            "resource_providers WHERE root_provider_id = {root} AND id NOT IN ({root}, "
            "{provider})) WHERE id = {provider}")),
    "wrong class": _fault(
        "free", "WC529", _placement(
            "INSERT OR IGNORE INTO resource_classes (name) VALUES ('CUSTOM_PCI_10DE_1EB8')",
            "UPDATE inventories SET resource_class_id = (SELECT id FROM resource_classes WHERE "
            "name = 'CUSTOM_PCI_10DE_1EB8') WHERE resource_provider_id = {provider}")),
    "wrong total": _fault(
        "free", "WC529", _placement(
            "UPDATE inventories SET total = 2 WHERE resource_provider_id = {provider}")),
    "wrong trait": _fault(
        "free", "WC530", _placement(
            "DELETE FROM resource_provider_traits WHERE resource_provider_id = {provider} AND "
            "trait_id = (SELECT id FROM traits WHERE name = 'OWNER_NOVA')")),
    "wrong NUMA node": _fault("free", "WC531", _cell(_ROW.format("numa_node = 7"))),
    "reserved": _fault(
        "free", "WC532", _placement(
            "UPDATE inventories SET reserved = 1 WHERE resource_provider_id = {provider}")),
    "another model": _fault("free", "WC529 WC533", _cell(_ROW.format("product_id = '2331'"))),
    "host driver": _fault("free", "WC540", _domain(_host_driver)),
    "guest unknown to nova": _fault("free", "WC542", _domain(_unknown_guest)),
}  # fmt: skip

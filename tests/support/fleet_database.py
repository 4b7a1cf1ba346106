"""A generated cloud in nova's and Placement's databases: sound, so that an audit finds nothing.

Each host has so many cards of one kind and two servers, which have half of the cards together, a
root provider with the traits of a real host and a provider for each card. The same size gives the
same cloud. The tables exist already: real ones in a benchmark, `schemas/*.sql` in SQLite here.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, create_engine, insert
from sqlalchemy.engine import Connection

SCHEMAS = Path(__file__).parent / "schemas"
CARD_CLASS = "CUSTOM_PCI_10DE_2330"
MACHINE = {"VCPU": 128, "MEMORY_MB": 2097152, "DISK_GB": 20000}
CARD_TRAITS = ("COMPUTE_MANAGED_PCI_DEVICE", "OWNER_NOVA")
# As many as nova 34's libvirt driver reports of a host of today.
ROOT_TRAITS = ("OWNER_NOVA", *(f"HW_CPU_X86_{number:02d}" for number in range(58)))
PROJECT, USER = "5f" * 16, "7a" * 16
TIME = datetime(2026, 11, 29, 12)
_NAMESPACE = uuid.UUID("6a1f6a0e-7a55-4f0e-8d6b-6f1c2f3b4a5d")
_ROWS = 5000


@dataclass(frozen=True)
class Fleet:
    """So many hosts of so many cards; half of the cards are given, to two servers a host."""

    hosts: int
    cards: int = 8

    def host(self, number: int) -> str:
        """A host's name, nova-compute's and the hypervisor's."""
        return f"gpu-{number:05d}"

    def address(self, card: int) -> str:
        """A card's address, the same on every host."""
        return f"0000:{0x10 + 8 * card:02x}:00.0"

    def server(self, host: int, server: int) -> str:
        """The id of a host's server 0 or 1."""
        return known_uuid(f"server {host} {server}")

    def cards_of(self, server: int) -> list[int]:
        """The numbers of the cards that a host's server 0 or 1 has."""
        given = list(range(self.cards // 2))
        return given[server::2]


def known_uuid(text: str) -> str:
    """A uuid that is the same in every run."""
    return str(uuid.uuid5(_NAMESPACE, text))


def sqlite_fleet(folder: Path, fleet: Fleet) -> Path:
    """The databases `nova.db`, `placement.db` and `api.db` in the folder, and the file that names
    them, which is returned."""
    for name, schema in (("nova", "nova"), ("placement", "placement"), ("api", "nova_api")):
        with closing(sqlite3.connect(folder / f"{name}.db")) as empty:
            empty.executescript((SCHEMAS / f"{schema}.sql").read_text())
    for name, fill in (("nova", fill_nova), ("placement", fill_placement)):
        engine = create_engine(f"sqlite:///{folder / name}.db")
        with engine.begin() as connection:
            fill(connection, fleet)
        engine.dispose()
    return databases_file(folder)


def databases_file(folder: Path, api: bool = False) -> Path:
    """An INI file for the databases in the folder."""
    file = folder / "databases.ini"
    text = f"[cell cell1]\nconnection = sqlite:///{folder}/nova.db\n"
    text += f"[placement]\nconnection = sqlite:///{folder}/placement.db\n"
    if api:
        text += f"[api]\nconnection = sqlite:///{folder}/api.db\n"
    file.write_text(text)
    file.chmod(0o600)
    return file


def fill_nova(connection: Connection, fleet: Fleet) -> None:
    """The rows of one cell."""
    times = {"created_at": TIME, "updated_at": TIME}
    for table, rows in (
        ("compute_nodes", _compute_nodes(fleet)),
        ("services", _services(fleet)),
        ("instances", _instances(fleet)),
        ("instance_extra", _instance_extra(fleet)),
        ("pci_devices", _pci_devices(fleet)),
    ):
        _insert(connection, table, ({**times, "deleted": 0, **row} for row in rows))
    # A host in twenty has moved a server away once.
    moved = (
        {**times, "deleted": 0, "uuid": known_uuid(f"migration {host}"), "status": "confirmed",
         "migration_type": "migration", "instance_uuid": fleet.server(host, 0),
         "source_compute": fleet.host(host - 1), "source_node": fleet.host(host - 1),
         "dest_compute": fleet.host(host), "dest_node": fleet.host(host)}
        for host in range(20, fleet.hosts, 20)
    )  # fmt: skip
    _insert(connection, "migrations", moved)


def fill_placement(connection: Connection, fleet: Fleet) -> None:
    """The rows of Placement."""
    # Not Placement's own numbers: MariaDB's AUTO_INCREMENT takes an id of 0 for none.
    classes = {name: number for number, name in enumerate((*MACHINE, CARD_CLASS), 5000)}
    _empty(connection, "resource_classes", "traits")
    named = ({"id": number, "name": name} for name, number in classes.items())
    _insert(connection, "resource_classes", named)
    traits = {name: number for number, name in enumerate({*ROOT_TRAITS, *CARD_TRAITS}, 1)}
    _insert(connection, "traits", ({"id": each, "name": name} for name, each in traits.items()))
    _insert(connection, "projects", [{"id": 1, "external_id": PROJECT}])
    _insert(connection, "users", [{"id": 1, "external_id": USER}])
    _insert(connection, "resource_providers", _providers(fleet))
    _insert(connection, "inventories", _inventories(fleet, classes))
    _insert(connection, "consumers", _consumers(fleet))
    _insert(connection, "allocations", _allocations(fleet, classes))
    _insert(connection, "resource_provider_traits", _provider_traits(fleet, traits))


def _insert(connection: Connection, name: str, rows: Iterable[dict[str, Any]]) -> None:
    table = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
    rest = iter(rows)
    while some := list(itertools.islice(rest, _ROWS)):
        connection.execute(insert(table), some)


def _empty(connection: Connection, *tables: str) -> None:
    for name in tables:
        connection.exec_driver_sql(f"DELETE FROM {name}")


def _compute_nodes(fleet: Fleet) -> Iterator[dict[str, Any]]:
    for number in range(fleet.hosts):
        name = fleet.host(number)
        yield {
            "id": number + 1, "uuid": known_uuid(f"node {number}"), "host": name,
            "hypervisor_hostname": name, "vcpus": 128, "memory_mb": 2097152, "local_gb": 20000,
            "vcpus_used": 32, "memory_mb_used": 524288, "local_gb_used": 100,
            "hypervisor_type": "QEMU", "hypervisor_version": 10000000, "cpu_info": "{}",
        }  # fmt: skip


def _services(fleet: Fleet) -> Iterator[dict[str, Any]]:
    for number in range(fleet.hosts):
        yield {"host": fleet.host(number), "binary": "nova-compute", "topic": "compute",
               "report_count": 9, "disabled": False, "forced_down": False,
               "uuid": known_uuid(f"service {number}")}  # fmt: skip


def _servers(fleet: Fleet) -> Iterator[tuple[int, int, str]]:
    for host, server in itertools.product(range(fleet.hosts), range(2)):
        yield host, server, fleet.server(host, server)


def _instances(fleet: Fleet) -> Iterator[dict[str, Any]]:
    for host, server, each in _servers(fleet):
        yield {
            "uuid": each, "host": fleet.host(host), "node": fleet.host(host), "vm_state": "active",
            "power_state": 1, "project_id": PROJECT, "user_id": USER,
            "display_name": f"training-{host}-{server}", "user_data": "dXNlcg==" * 50,
            "hostname": f"training-{host}-{server}", "vcpus": 16, "memory_mb": 262144,
        }  # fmt: skip


def _instance_extra(fleet: Fleet) -> Iterator[dict[str, Any]]:
    specs = {"pci_passthrough:alias": f"h100:{fleet.cards // 4}", "hw:cpu_policy": "dedicated"}
    flavor = {
        "nova_object.name": "Flavor", "nova_object.namespace": "nova",
        "nova_object.version": "1.2", "nova_object.data": {
            "id": 7, "name": "gpu.h100", "memory_mb": 262144, "vcpus": 16, "root_gb": 50,
            "ephemeral_gb": 0, "flavorid": known_uuid("flavor"), "swap": 0, "rxtx_factor": 1.0,
            "vcpu_weight": 0, "disabled": False, "is_public": True, "extra_specs": specs,
            "description": "whole GPUs " * 20, "created_at": None, "updated_at": None,
            "deleted_at": None, "deleted": False,
        },
    }  # fmt: skip
    text = json.dumps({"cur": flavor, "old": None, "new": None})
    for host, server, each in _servers(fleet):
        request = {
            "count": len(fleet.cards_of(server)),
            "spec": [{"vendor_id": "10de", "product_id": "2330", "dev_type": "type-PCI"}],
            "alias_name": "h100", "is_new": False, "numa_policy": "legacy",
            "request_id": known_uuid(f"request {host} {server}"), "requester_id": None,
        }  # fmt: skip
        yield {"instance_uuid": each, "flavor": text, "pci_requests": json.dumps([request])}


def _pci_devices(fleet: Fleet) -> Iterator[dict[str, Any]]:
    owner = {card: server for server in range(2) for card in fleet.cards_of(server)}
    for host, card in itertools.product(range(fleet.hosts), range(fleet.cards)):
        server = owner.get(card)
        extra = {"capabilities": "{}", "managed": "true",
                 "rp_uuid": known_uuid(f"card {host} {card}")}  # fmt: skip
        yield {
            "compute_node_id": host + 1, "address": fleet.address(card), "vendor_id": "10de",
            "product_id": "2330", "dev_type": "type-PCI", "dev_id": f"pci_{card:04d}",
            "label": "label_10de_2330", "numa_node": card * 2 // fleet.cards,
            "status": "available" if server is None else "allocated",
            "instance_uuid": None if server is None else fleet.server(host, server),
            "request_id": None if server is None else known_uuid(f"request {host} {server}"),
            "extra_info": json.dumps(extra), "uuid": known_uuid(f"row {host} {card}"),
        }  # fmt: skip


def _provider_ids(fleet: Fleet) -> Iterator[tuple[int, int | None, int, int]]:
    """Host, card (None for the root), the provider's id and its root's."""
    each = fleet.cards + 1
    for host in range(fleet.hosts):
        root = host * each + 1
        yield host, None, root, root
        for card in range(fleet.cards):
            yield host, card, root + card + 1, root


def _providers(fleet: Fleet) -> Iterator[dict[str, Any]]:
    for host, card, number, root in _provider_ids(fleet):
        name = fleet.host(host)
        own = known_uuid(f"node {host}" if card is None else f"card {host} {card}")
        yield {
            "id": number, "uuid": own, "generation": 3, "root_provider_id": root,
            "name": name if card is None else f"{name}_{fleet.address(card).upper()}",
            "parent_provider_id": None if card is None else root,
        }  # fmt: skip


def _inventories(fleet: Fleet, classes: dict[str, int]) -> Iterator[dict[str, Any]]:
    for _, card, number, _ in _provider_ids(fleet):
        for name, total in (MACHINE if card is None else {CARD_CLASS: 1}).items():
            yield {
                "resource_provider_id": number, "resource_class_id": classes[name],
                "total": total, "reserved": 0, "min_unit": 1, "max_unit": total, "step_size": 1,
                "allocation_ratio": 1.0,
            }  # fmt: skip


def _consumers(fleet: Fleet) -> Iterator[dict[str, Any]]:
    for _, _, each in _servers(fleet):
        yield {"uuid": each, "project_id": 1, "user_id": 1, "generation": 1}


def _allocations(fleet: Fleet, classes: dict[str, int]) -> Iterator[dict[str, Any]]:
    machine = {"VCPU": 16, "MEMORY_MB": 262144, "DISK_GB": 50}
    owner = {card: server for server in range(2) for card in fleet.cards_of(server)}
    for host, card, number, _ in _provider_ids(fleet):
        servers = range(2) if card is None else [owner[card]] if card in owner else []
        for server in servers:
            for name, used in (machine if card is None else {CARD_CLASS: 1}).items():
                yield {
                    "resource_provider_id": number, "consumer_id": fleet.server(host, server),
                    "resource_class_id": classes[name], "used": used,
                }  # fmt: skip


def _provider_traits(fleet: Fleet, traits: dict[str, int]) -> Iterator[dict[str, Any]]:
    for _, card, number, _ in _provider_ids(fleet):
        for name in ROOT_TRAITS if card is None else CARD_TRAITS:
            yield {"trait_id": traits[name], "resource_provider_id": number}

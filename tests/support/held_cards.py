"""What a server holds of the lab's cards, by host: nova's rows and Placement's allocations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.placement.resource_providers import allocations, providers
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu, views

# Two emulated nodes share two cores with whatever else runs: tests wait for states, and these
# seconds only end a test that hangs.
SECONDS = 2000

CARDS = {"VCPU": 1, "MEMORY_MB": emulated_gpu.GUEST_MEMORY_MIB, emulated_gpu.GPU_CLASS: 2}
# What a server is while nova moves it; ERROR is none of them.
ON_THE_WAY = ("ACTIVE", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE")
# The first microversion whose migrations have a uuid (nova: rest_api_version_history.rst, 2.59).
MIGRATIONS = "2.59"


@dataclass(frozen=True)
class Migration:
    """One of nova's migrations of a server."""

    uuid: str
    kind: str
    status: str
    source: str
    target: str


@dataclass(frozen=True)
class Held:
    """What a server holds, by host.

    `rows` are nova's rows with the server's id, by their status; `server` and `migration` what
    Placement has for the server and for its last migration, by class.
    """

    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    server: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    migration: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def at_rest(host: str) -> Held:
    """What a server with two cards holds while nothing is done with it."""
    return Held(rows={host: {"allocated": 2}}, server={host: CARDS})


def migrations(conn: Connection, server_id: str) -> tuple[Migration, ...]:
    """A server's migrations, the newest last."""
    answer = conn.compute.get(
        "/os-migrations", params={"instance_uuid": server_id}, microversion=MIGRATIONS
    )
    rows = sorted(answer.json()["migrations"], key=lambda row: int(row["id"]))
    return tuple(
        Migration(row["uuid"], row["migration_type"], row["status"], row["source_compute"],
                  row["dest_compute"])
        for row in rows
    )  # fmt: skip


def held(lab: Lab, conn: Connection, server_id: str) -> Held:
    """What a server holds now."""
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in views.device_rows(lab.control):
        if row.instance == server_id:
            rows[row.host][row.status] += 1
    moves = migrations(conn, server_id)
    by_migration = _allocated(conn, moves[-1].uuid) if moves else {}
    return Held(
        {host: dict(counts) for host, counts in rows.items()}, _allocated(conn, server_id),
        by_migration,
    )  # fmt: skip


def _allocated(conn: Connection, consumer: str) -> dict[str, dict[str, int]]:
    """What a consumer holds, by host: a card's provider is `HOST_ADDRESS` below the host's."""
    hosts = {each.uuid: each.name.partition("_")[0] for each in providers(conn)}
    amounts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in allocations(conn, consumer):
        amounts[hosts[row.provider_uuid]][row.resource_class] += row.amount
    return {host: dict(counts) for host, counts in amounts.items()}


def wait_for_status(conn: Connection, server_id: str, status: str) -> servers.ServerState:
    """Wait until nova has done with a server and it has this status; no other end is waited for."""

    def probe() -> servers.ServerState | None:
        state = servers.state(conn, server_id)
        assert state is not None, f"the server {server_id} is gone"
        assert state.status in (status, *ON_THE_WAY), f"{state.status}: {state.fault}"
        if state.task is not None:
            return None
        # nova-api sets the task before it answers: without one it has given up.
        assert status == "ACTIVE" or state.status != "ACTIVE", migrations(conn, server_id)[-1]
        return state if state.status == status else None

    return wait_until(f"the server {server_id} {status}", probe, SECONDS, interval=2.0)


def wait_until_held(lab: Lab, conn: Connection, server_id: str, expected: Held) -> Held:
    """Wait until a server holds what is expected; nova frees rows after the API has answered."""
    seen = Held()

    def probe() -> Held | None:
        nonlocal seen
        seen = held(lab, conn, server_id)
        return seen if seen == expected else None

    return wait_until("what the server holds", probe, SECONDS, interval=2.0, last=lambda: str(seen))

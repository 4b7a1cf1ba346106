"""Slices through nova, and servers that move live with their device: two nodes, the kernel's mtty.

The guest proves it: it counts, and at each step its slice has to answer (support/script_guests.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from openstack.connection import Connection
from rich.console import Console

from support.commands import wholecard
from support.held_cards import SECONDS, migrations
from support.lab_repairs import repair_of
from support.lab_splits import reboot
from support.lab_ssh import ssh_config
from support.two_nodes import FIRST, SECOND, by_rule, force_down, other_than, shown, start
from wholecard.audit.checks.cloud_case import PERIOD
from wholecard.cloud.client import servers
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.placement.resource_providers import allocations, providers
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.parts.script_image import MOVING_GUEST
from wholecard.lab.scenario import emulated_gpu
from wholecard.lab.scenario.audits import audit_lab
from wholecard.lab.scenario.live_cards import give_live_cards
from wholecard.lab.scenario.moving_guest import GuestStep, offer_image, steps, wait_for_steps
from wholecard.lab.scenario.restart import compute_queue, wait_for_consumers
from wholecard.lab.scenario.second_node import kill_node, start_killed_node
from wholecard.lab.scenario.slices import CLASS, SLICES_OF_A_NODE, offer_slices
from wholecard.repair import request as repairs

COUNTED = 3
# Two emulated nodes, minutes for each move.
pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Cloud:
    """The lab with slices on both nodes, their flavor's name and the guest's image."""

    lab: Lab
    conn: Connection
    flavor: str
    image: str

    def boot(self, name: str, flavor: str = "") -> servers.ServerOutcome:
        """A server on the first node: ACTIVE or ERROR; by default it has a slice."""
        return servers.boot(self.conn, name, flavor or self.flavor, self.image, SECONDS, host=FIRST)

    def holder(self, server: str) -> list[tuple[str, int]]:
        """Which providers of slices and cards a server holds something of, and how many."""
        names = {each.uuid: each.name for each in providers(self.conn)}
        rows = allocations(self.conn, server)
        return [(names[row.provider_uuid], row.amount) for row in rows
                if row.resource_class in (CLASS, emulated_gpu.GPU_CLASS)]  # fmt: skip


@pytest.fixture(scope="module")
def cloud(lab_folder: LabFolder) -> Iterator[Cloud]:
    ran = wholecard("lab", "up", "--nodes", "2", timeout=3600)
    assert ran.status == 0, ran.stdout + ran.stderr
    lab = labs.require_up(lab_folder)
    conn = connect(service_settings.CLOUD, lab.folder.clouds_yaml)
    flavor = offer_slices(lab, conn, Story(Console(width=110)))
    yield Cloud(lab, conn, flavor.name, offer_image(lab, conn, MOVING_GUEST))
    labs.down(lab_folder)


@contextmanager
def counting(cloud: Cloud, name: str, flavor: str = "") -> Iterator[str]:
    """A server whose guest says that it uses its device, deleted at the end; its id."""
    booted = cloud.boot(name, flavor)
    try:
        assert booted.status == "ACTIVE", booted.fault
        last = wait_for_steps(cloud.conn, booted.id)[-1]
        assert last.slice or last.card, last
        assert last.is_well, last
        yield booted.id
    finally:
        servers.delete_and_wait(cloud.conn, booted.id, SECONDS)


@pytest.fixture(scope="module")
def sliced(cloud: Cloud) -> Iterator[str]:
    """A server with a slice."""
    with counting(cloud, "sliced") as server:
        yield server


def test_slices_run_out(cloud: Cloud, sliced: str) -> None:
    """A node gives as many slices as it has; the server after the last one finds no valid host."""
    booted = [cloud.boot(f"other-{number}") for number in range(1, SLICES_OF_A_NODE + 1)]
    for one in booted:
        servers.delete_and_wait(cloud.conn, one.id, SECONDS)
    *others, refused = booted
    assert {one.status for one in others} == {"ACTIVE"}
    assert refused.status == "ERROR"
    assert "No valid host" in refused.fault


@dataclass(frozen=True)
class Moved:
    """One live move: the pause that was said before it, and libvirt's figure, in seconds."""

    said: float
    pause: float
    seconds: float


def move_live(cloud: Cloud, server: str, folder: Path, site: Path | None = None) -> Moved:
    """Move a server live to the other host by our command; its guest must not notice."""
    before = wait_for_steps(cloud.conn, server)[-1]
    state = servers.state(cloud.conn, server)
    assert state is not None
    target = SECOND if state.host == FIRST else FIRST
    ran = wholecard(
        *("migrate", server, "--live", "--to", target, "--no-audit", "--json"),
        *("--cloud", service_settings.CLOUD, "--clouds-file", str(cloud.lab.folder.clouds_yaml)),
        *("--ssh", "--ssh-config", str(ssh_config(cloud.lab, folder))),
        *(("--site", str(site)) if site else ()),
        timeout=SECONDS,
    )
    assert ran.status == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    moved = Moved(told["plan"]["estimate"]["pause_seconds"], told["pause_seconds"], told["seconds"])
    print(f"{state.host} to {target}: {moved}", flush=True)
    after = wait_for_steps(cloud.conn, server, before.step)
    assert {each.boot for each in after} == {before.boot}
    assert [each.step for each in after] == list(range(after[0].step, after[-1].step + 1))
    assert all(each.is_well for each in after), after
    ((provider, amount),) = cloud.holder(server)
    assert (provider.startswith(f"{target}_"), amount) == (True, 1)
    return moved


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.timeout(5 * 3600))])
def test_live_migration(cloud: Cloud, sliced: str, tmp_path: Path, count: int) -> None:
    """A server with a slice moves to and fro: same boot, no step lost, each answered; no leak."""
    moves = [move_live(cloud, sliced, tmp_path) for _ in range(count)]
    report = audit_lab(cloud.lab, wait=PERIOD)
    assert [finding.rule for finding in report.findings] == []
    if count > 2:
        # The first moves have nothing that was measured before them.
        off = [abs(move.said - move.pause) / move.pause for move in moves[3:]]
        assert median(off) <= 0.25, moves


def start_again(cloud: Cloud, server: str, before: GuestStep) -> None:
    """Start a server whose node was off; its guest counts anew, and its slice answers."""
    # nova leaves servers off after a host's reboot (resume_guests_state_on_host_boot), and says so
    # only some time later.
    cloud.conn.compute.reboot_server(server, "HARD")
    start(cloud.conn, server)

    def counts(console: str) -> bool:
        return any(each.boot != before.boot and each.step >= COUNTED for each in steps(console))

    # The console is kept over a reboot.
    console = servers.wait_for_console(cloud.conn, server, counts, SECONDS)
    after = [each for each in steps(console) if each.boot != before.boot]
    assert after[-1].slice, after
    assert all(each.is_well for each in after), after


def test_slice_over_a_reboot(cloud: Cloud, sliced: str) -> None:
    """After a reboot of its node a server is started and has its slice; the audit finds nothing."""
    before = wait_for_steps(cloud.conn, sliced)[-1]
    state = servers.state(cloud.conn, sliced)
    assert state is not None
    node = cloud.lab.node(state.host or "")
    reboot(node)
    wait_for_consumers(cloud.lab, compute_queue(node.spec.name), some=True, timeout=SECONDS)
    start_again(cloud, sliced, before)
    assert shown(audit_lab(cloud.lab, wait=PERIOD)) == []


def move(cloud: Cloud, server: str, target: str) -> int:
    """Begin a live migration; the number of it, once it runs. One that fails ends the test."""
    before = len(migrations(cloud.conn, server))
    body = {"os-migrateLive": {"host": target, "block_migration": "auto"}}
    asked = cloud.conn.compute.post(f"/servers/{server}/action", json=body, microversion="2.30")
    assert asked.status_code == 202, asked.text

    def runs() -> int | None:
        answer = cloud.conn.compute.get(f"/servers/{server}/migrations", microversion="2.30")
        running = [row for row in answer.json()["migrations"] if row["status"] == "running"]
        began = [each.status for each in migrations(cloud.conn, server)[before:]]
        assert not {"failed", "error"} & {*began}, began
        return int(running[0]["id"]) if running else None

    return wait_until("nova's migration runs", runs, SECONDS, interval=0.5)


@contextmanager
def killed_in_a_move(cloud: Cloud, server: str, dead: str, target: str) -> Iterator[None]:
    """A node is killed while a server moves live to the target; powered on again at the end."""
    move(cloud, server, target)
    kill_node(cloud.lab, dead)
    force_down(cloud.conn, dead, True)
    try:
        yield
    finally:
        start_killed_node(cloud.lab, dead)
        force_down(cloud.conn, dead, False)


def test_target_dies_in_a_live_migration(cloud: Cloud) -> None:
    """Where the target dies nova says ERROR, and the guest goes on; nothing of the move is left."""
    with counting(cloud, "target-dies") as server:
        before = wait_for_steps(cloud.conn, server)[-1]

        def rolled_back() -> str | None:
            state = servers.state(cloud.conn, server)
            assert state is not None
            return state.host if state.status == "ERROR" and state.task is None else None

        with killed_in_a_move(cloud, server, SECOND, SECOND):
            assert wait_until("nova gives the move up", rolled_back, SECONDS) == FIRST
            after = wait_for_steps(cloud.conn, server, before.step)
            assert {each.boot for each in after} == {before.boot}
            assert all(each.is_well for each in after), after
            assert migrations(cloud.conn, server)[-1].status == "error"
            assert by_rule(audit_lab(cloud.lab, wait=PERIOD)) == Counter()
            cloud.conn.compute.reset_server_state(server, "active")
            assert start(cloud.conn, server) == FIRST
        assert shown(audit_lab(cloud.lab, wait=PERIOD)) == []
        ((provider, amount),) = cloud.holder(server)
        assert (provider.startswith(f"{FIRST}_"), amount) == (True, 1)


def test_source_dies_in_a_live_migration(cloud: Cloud, tmp_path: Path) -> None:
    """Where the source dies nova swaps no allocation back: the audit finds it, a repair does it."""

    def given_up() -> bool | None:
        return migrations(cloud.conn, server)[-1].status == "error" or None

    with counting(cloud, "source-dies") as server:
        before = wait_for_steps(cloud.conn, server)[-1]
        with killed_in_a_move(cloud, server, FIRST, SECOND):
            assert migrations(cloud.conn, server)[-1].status == "running"
        wait_until("nova gives the move up", given_up, SECONDS)
        found = audit_lab(cloud.lab, wait=PERIOD)
        assert by_rule(found) == {(FIRST, "WC521"): 1, (SECOND, "WC522"): 1}
        # First the server gets what is its own, then it gives up the other host's.
        for _ in range(2):
            repairs.apply(repair_of(cloud.lab, cloud.conn, tmp_path / "state"))
        ((provider, amount),) = cloud.holder(server)
        assert (provider.startswith(f"{FIRST}_"), amount) == (True, 1)
        start_again(cloud, server, before)
        assert shown(audit_lab(cloud.lab, wait=PERIOD)) == []


@pytest.fixture(scope="module")
def carded(cloud: Cloud) -> Iterator[tuple[str, Path]]:
    """A server with a whole card that can move live; and the site file that says so."""
    site = give_live_cards(cloud.lab, cloud.conn, Story(Console(width=110)))
    with counting(cloud, "carded", emulated_gpu.CARD_FLAVOR.name) as server:
        yield server, site


def test_live_migration_of_a_whole_card(
    cloud: Cloud, carded: tuple[str, Path], tmp_path: Path
) -> None:
    """A server moves to and fro with its whole card, whose memory keeps what the guest wrote."""
    server, site = carded
    for _ in range(2):
        move_live(cloud, server, tmp_path, site)
    report = audit_lab(cloud.lab, wait=PERIOD)
    assert [finding.rule for finding in report.findings] == []


def test_aborted_live_migration(cloud: Cloud, carded: tuple[str, Path], tmp_path: Path) -> None:
    """A live move that is aborted leaves the server where it was; what else is left is repaired."""
    server, _ = carded
    before = wait_for_steps(cloud.conn, server)[-1]
    state = servers.state(cloud.conn, server)
    assert state is not None
    source = state.host or ""
    migration = move(cloud, server, other_than(source))
    aborted = cloud.conn.compute.delete(
        f"/servers/{server}/migrations/{migration}", microversion="2.65"
    )
    assert aborted.status_code == 202, aborted.text
    assert start(cloud.conn, server) == source
    print(migrations(cloud.conn, server)[-1], audit_lab(cloud.lab, wait=PERIOD))
    repairs.apply(repair_of(cloud.lab, cloud.conn, tmp_path / "state"))
    assert shown(audit_lab(cloud.lab, wait=PERIOD)) == []
    ((provider, amount),) = cloud.holder(server)
    assert (provider.startswith(f"{source}_"), amount) == (True, 1)
    after = wait_for_steps(cloud.conn, server, before.step)
    assert {each.boot for each in after} == {before.boot}
    assert all(each.is_well for each in after), after

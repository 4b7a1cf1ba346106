"""`lab up`, `down`, `clean`: woken from a saved state, killed half-way, ports taken, no trace."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from support.commands import NAME, wholecard
from wholecard.cloud.client.connection import connect
from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.base.ports import LOOPBACK, PREFERRED
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.lab import Lab
from wholecard.lab.scenario import emulated_gpu, prove_cards, views

pytestmark = pytest.mark.usefixtures("lab_folder")


def lab_up(log: Path) -> subprocess.Popen[bytes]:
    """A `wholecard lab up` that is on its way; what it says goes to `log`."""
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "wholecard.cli.main", "lab", "up"],
            env=os.environ | {"WHOLECARD_LAB_NAME": NAME},
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.fixture
def lab_is_up(lab_folder: LabFolder) -> Lab:
    """The lab, up; it takes seconds where a test before has left it so."""
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    return labs.require_up(lab_folder)


def test_a_port_that_is_taken(lab_folder: LabFolder) -> None:
    """Where other programs have usual ports the lab takes others and is up all the same.

    Keystone's among them: the catalog of the databases has the port that it had when they were
    made.
    """
    labs.down(lab_folder)
    names = ("keystone", "glance")
    with ExitStack() as held:
        for name in names:
            taken = held.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # One that somebody else has already is taken as well.
            with suppress(OSError):
                taken.bind((LOOPBACK, PREFERRED[name]))
                taken.listen()
        ran = wholecard("lab", "up")
        assert ran.status == 0, ran.stdout + ran.stderr
        ports = labs.require_up(lab_folder).settings.ports
        assert [name for name in names if ports[name] == PREFERRED[name]] == []
    assert any(lab_folder.cache.glob("saved-apart-*"))


def test_killed_and_taken_up_again(lab_is_up: Lab, lab_folder: LabFolder, tmp_path: Path) -> None:
    """A `lab up` that was killed half-way is taken up by the next one, by the saved node."""
    wholecard("lab", "down", timeout=600)
    log = tmp_path / "up.log"
    half = lab_up(log)
    process.wait_until(
        lambda: "keystone" in process.running(lab_folder.run),
        timeout=600, what="keystone starts", service=half, log=log,
    )  # fmt: skip
    half.send_signal(signal.SIGKILL)
    half.wait(timeout=600)
    ran = wholecard("lab", "up")
    assert ran.status == 0, ran.stdout + ran.stderr
    assert "restore from its saved state" in ran.stdout


def test_a_woken_lab_gives_cards(lab_is_up: Lab, lab_folder: LabFolder) -> None:
    """In a lab woken from its saved state a card reaches a server, and its guest proves it."""
    lab = lab_is_up
    story = Story(Console(width=110))
    conn = connect(service_settings.CLOUD, lab_folder.clouds_yaml)
    booted = prove_cards.boot(conn, story, emulated_gpu.CARD_FLAVOR, "woken")
    record = prove_cards.read_proof(lab, conn, story, emulated_gpu.CARD_FLAVOR, booted)
    assert record.as_it_should_be, prove_cards.proof_text(record)
    assert prove_cards.delete(lab, conn, story, [booted]) == []
    assert views.free_findings(lab, conn)[0] == []


def test_up_twice_starts_nothing(lab_is_up: Lab, lab_folder: LabFolder) -> None:
    """`lab up` on a lab that is up leaves every process as it is."""
    before = {name: s.processes[0].pid for name, s in process.running(lab_folder.run).items()}
    assert wholecard("lab", "up", timeout=600).status == 0
    assert {
        name: s.processes[0].pid for name, s in process.running(lab_folder.run).items()
    } == before


@pytest.mark.parametrize("service", ["nova-scheduler", "placement"])
def test_up_mends_a_dead_service(lab_is_up: Lab, lab_folder: LabFolder, service: str) -> None:
    """`lab up` starts again what died, and leaves alone what lives."""
    before = process.running(lab_folder.run)
    process.stop(lab_folder.run, [service])
    assert wholecard("lab", "status", timeout=600).status == 1
    ran = wholecard("lab", "up", timeout=300)
    assert ran.status == 0, ran.stdout + ran.stderr
    after = process.running(lab_folder.run)
    assert after[service].processes[0].pid != before[service].processes[0].pid
    same = [name for name in before if name != service]
    assert [after[n].processes[0].pid for n in same] == [before[n].processes[0].pid for n in same]


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_cleans_up(lab_folder: LabFolder, tmp_path: Path) -> None:
    """Ctrl-C during `lab up` ends it soon, with status 130 and no process left."""
    wholecard("lab", "down", timeout=600)
    log = tmp_path / "up.log"
    started = lab_up(log)
    process.wait_until(
        lambda: {"rabbitmq", GPU_NODE.name} <= set(process.running(lab_folder.run)),
        timeout=600, what="the lab starts", service=started, log=log,
    )  # fmt: skip
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=600) == 130
    assert process.running(lab_folder.run) == {}


def test_a_node_that_died(lab_is_up: Lab, lab_folder: LabFolder) -> None:
    """With the node gone `lab status` and `lab shell` say so, and `lab up` brings it back."""
    process.stop(lab_folder.run, [GPU_NODE.name])
    shell = wholecard("lab", "shell", "--", "true", timeout=600)
    assert shell.status == 3
    assert f"{GPU_NODE.name} died" in shell.stderr
    assert "lab up" in shell.stderr
    assert wholecard("lab", "up").status == 0
    assert wholecard("lab", "shell", "--", "true", timeout=600).status == 0


def test_down_leaves_no_process(lab_folder: LabFolder) -> None:
    """After `lab down` no process has the lab's folder in its arguments, files or environment."""
    assert wholecard("lab", "down", timeout=600).status == 0
    mine = str(lab_folder.run)
    left = []
    for one in psutil.process_iter():
        try:
            if mine in " ".join(one.cmdline()) or mine in one.environ().values():
                left.append(one)
        except psutil.Error:
            continue
    assert left == []
    assert wholecard("lab", "down", timeout=600).stdout == "nothing was running\n"


def test_clean_leaves_no_file(lab_folder: LabFolder, tmp_path: Path) -> None:
    """`lab clean` removes everything; with --keep-cache what was slow to build stays."""
    assert wholecard("lab", "clean", "--keep-cache", timeout=600).status == 0
    assert not lab_folder.run.exists()
    assert any(cache.is_whole(each) for each in lab_folder.cache.glob("root-*"))
    other = tmp_path / "wholecard"
    (other / "cache/root-1").mkdir(parents=True)
    (other / "lab/log").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "wholecard.cli.main", "lab", "clean"],
        env=os.environ | {"WHOLECARD_LAB": str(other)},
        capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert not other.exists()

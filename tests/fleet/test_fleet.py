"""Many hosts side by side: one's failure is its own, and the exit status tells."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from support.fleets import FakeFleet
from support.nodes import APART, GROUPS_APART, bare, reboot
from support.tree import grow
from wholecard.fleet import HostResult, worst

PLAN = ("host", "plan", "--all-cards", "--root", "root")
CHECK = ("check", "--all-cards", "--root", "root")
# A host whose agent can be found ends so before the agent starts, or after it.
INSTEAD = {
    "no connection": ("exit 255", "does not reach it"),
    "no sudo": ("echo 'sudo: a password is required' >&2; exit 92", "sudo needs a password"),
    "no room": ("echo 'No space left on device' >&2; exit 93", "cannot be stored"),
    "no shell": ("echo 'This account is currently not available.'; exit 1", "its shell did not"),
    "never there": ("exit 90", "its file is missing or changed"),
}


def prepared(fleet: FakeFleet, *hosts: str) -> None:
    """Give hosts a tree with two cards in their homes."""
    for host in hosts:
        grow(fleet.home(host) / "root", bare(APART))


@pytest.mark.parametrize(
    ("statuses", "status"), [([], 0), ([0, 0], 0), ([0, 1], 1), ([1, 2, 0], 2), ([3, 2, 1], 3)]
)
def test_worst(statuses: list[int], status: int) -> None:
    """The exit status is the worst of all hosts'."""
    assert worst(HostResult("h", each) for each in statuses) == status


def test_others_go_on(fleet: FakeFleet) -> None:
    """A host that is not there leaves the others' answers alone; all are shown in order."""
    prepared(fleet, "gpu-01")
    ran = fleet.run("--on", "gone,gpu-01,gpu-02", *CHECK)
    assert ran.status == 3
    heads = re.findall(r"^(\S+): (.*), \d+\.\d s -", ran.stdout, re.M)
    assert heads == [("gone", "no answer"), ("gpu-01", "findings"), ("gpu-02", "called wrongly")]
    assert "Could not resolve hostname gone" in ran.stdout
    assert "WC101" in ran.stdout
    # How many findings a bare host has is the checks' own matter.
    table = re.sub(r"\d+: WC101.*", "n: WC101", ran.stdout[ran.stdout.rindex("host  ") :])
    assert [line.rstrip() for line in table.splitlines()] == [
        "host    status            what",
        "gone    3 no answer       ssh does not reach it",
        "gpu-01  1 findings        n: WC101",
        "gpu-02  2 called wrongly  root does not exist",
    ]


def test_plain_lines(fleet: FakeFleet) -> None:
    """Without a terminal each step of each host is a line on standard error."""
    prepared(fleet, "gpu-01")
    ran = fleet.run("--on", "gpu-01,gone", "host", "apply", "--all-cards", "--root", "root")
    lines = [line for line in ran.stderr.splitlines() if line.startswith("gpu-01: ")]
    assert lines[:3] == [
        "gpu-01: connecting", "gpu-01: sending the agent", "gpu-01: running apply",
    ]  # fmt: skip
    assert "gpu-01: [7/8] run-tool update-initramfs" in lines
    assert re.fullmatch(r"gpu-01: status 0, \d+\.\d s", lines[-1])
    assert "Applied as journal 0001" in ran.stdout


def test_json(fleet: FakeFleet) -> None:
    """Several hosts are one object: each has its status, the agent's own JSON and its error."""
    prepared(fleet, "gpu-01")
    ran = fleet.run("--on", "gpu-01,gone", "--on", "gpu-02", "host", "plan", "--all-cards",
                    "--root", "root", "--json")  # fmt: skip
    hosts = json.loads(ran.stdout)["hosts"]
    assert list(hosts) == ["gpu-01", "gone", "gpu-02"]
    assert [each["status"] for each in hosts.values()] == [0, 3, 2]
    assert len(hosts["gpu-01"]["output"]["actions"]) == 8
    assert hosts["gpu-01"]["error"] is None
    assert hosts["gone"]["output"] is None
    assert hosts["gone"]["error"]["brief"] == "gone: ssh does not reach it"
    assert hosts["gpu-02"]["error"]["brief"] == "root does not exist"


@pytest.mark.parametrize("name", sorted(INSTEAD))
@pytest.mark.parametrize("as_json", [True, False])
def test_no_answer(fleet: FakeFleet, name: str, as_json: bool) -> None:
    """Whatever keeps the agent from starting is one clear error with its resolution, status 3."""
    script, brief = INSTEAD[name]
    (fleet.home("gpu-01") / "instead").write_text(script)
    ran = fleet.run("--on", "gpu-01", *CHECK, *(["--json"] if as_json else []))
    assert ran.status == 3
    assert brief in ran.stderr
    assert "Resolution: " in ran.stderr
    assert (brief in ran.stdout) is as_json


def test_no_python(fleet: FakeFleet) -> None:
    """A host whose Pythons are all too old is told what to install, and nothing is sent."""
    old = {f"path/{name}": ("#!/bin/sh\nexit 1\n", 0o755) for name in ("python3", "python3.9")}
    grow(fleet.home("gpu-01"), old)
    ran = fleet.run("--on", "gpu-01", "inspect")
    assert (ran.status, fleet.sent()) == (3, [])
    assert "gpu-01: no Python 3.9 or newer there" in ran.stderr


def test_other_python(fleet: FakeFleet) -> None:
    """Where python3 is too old a newer one is found by its name."""
    real = (fleet.place / "there/python3").read_text()
    grow(fleet.home("gpu-01"), {
        "path/python3": ("#!/bin/sh\nexit 1\n", 0o755), "path/python3.11": (real, 0o755),
    })  # fmt: skip
    prepared(fleet, "gpu-01")
    assert fleet.run("--on", "gpu-01", "inspect", "--root", "root").status == 0


def test_no_room(fleet: FakeFleet) -> None:
    """An agent that cannot be stored leaves nothing behind and says so."""
    (fleet.home("gpu-01") / ".cache").write_text("a file in the way")
    ran = fleet.run("--on", "gpu-01", "inspect")
    assert ran.status == 3
    assert "the agent cannot be stored in ~/.cache/wholecard" in ran.stderr


def test_torn_upload(fleet: FakeFleet) -> None:
    """An upload that arrived in part is not kept."""
    grow(fleet.home("gpu-01"), {"path/cat": ("#!/bin/sh\nhead -c 100\n", 0o755)})
    (fleet.home("gpu-01") / "path/python3").symlink_to(fleet.place / "there/python3")
    (fleet.home("gpu-01") / "path/head").symlink_to("/usr/bin/head")
    assert fleet.run("--on", "gpu-01", "inspect").status == 3
    assert fleet.agents("gpu-01") == []


@pytest.mark.parametrize("sudo_status", [0, 1])
def test_sudo(fleet: FakeFleet, sudo_status: int) -> None:
    """--sudo runs the agent under sudo -n, and says so where sudo wants a password."""
    prepared(fleet, "gpu-01")
    grow(fleet.home("gpu-01"), {
        "path/id": ("#!/bin/sh\necho 1000\n", 0o755),
        "path/sudo": (f'#!/bin/sh\necho "$1 $2" >> "$HOME/sudo"\n[ {sudo_status} = 0 ] || exit 1\n'
                      'shift 2\nexec "$@"\n', 0o755),
    })  # fmt: skip
    (fleet.home("gpu-01") / "path/python3").symlink_to(fleet.place / "there/python3")
    ran = fleet.run("--sudo", "--on", "gpu-01", "inspect", "--root", "root")
    assert ran.status == (3 if sudo_status else 0)
    lines = (fleet.home("gpu-01") / "sudo").read_text().splitlines()
    # A probe; a second connection's, for the agent was missing; and the agent's own.
    assert lines == ["-n --"] * (1 if sudo_status else 3)


@pytest.mark.parametrize(
    ("words", "resolution"),
    [(PLAN, "Nothing was changed; run it again."),
     (("host", "apply", "--all-cards", "--root", "root"), "wholecard --on gpu-01 host status")],
)  # fmt: skip
def test_connection_lost(fleet: FakeFleet, words: tuple[str, ...], resolution: str) -> None:
    """A connection that is lost on the way is told apart, with how to see where the host stands."""
    prepared(fleet, "gpu-01")
    (fleet.home("gpu-01") / "after").write_text("[ $? = 90 ] && exit 90; exit 255")
    ran = fleet.run("--on", "gpu-01", *words)
    assert ran.status == 3
    assert f"the connection was lost during {words[1]}" in ran.stderr
    assert resolution in ran.stderr
    if words[1] == "apply":
        assert "last output: [8/8] run-tool update-grub ... " in ran.stderr


def test_too_long(fleet: FakeFleet) -> None:
    """A host that does not answer in time is given up, and the others are not."""
    prepared(fleet, "gpu-02")
    (fleet.home("gpu-01") / "instead").write_text("sleep 600")
    ran = fleet.run("--timeout", "20", "--on", "gpu-02", *PLAN)
    assert ran.status == 0
    ran = fleet.run("--timeout", "1", "--on", "gpu-01", *PLAN)
    assert ran.status == 3
    assert "gpu-01: no answer within 1 s" in ran.stderr


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(fleet: FakeFleet, number: int) -> None:
    """Ctrl-C ends every ssh with all it started; hosts that had not begun are not begun."""
    for host in ("gpu-01", "gpu-02"):
        # The fifo is opened for reading here once the host is at work; it ends when all of it has.
        (fleet.home(host) / "instead").write_text('exec 3> "$HOME/fifo"; sleep 600')
    fifo = fleet.home("gpu-01") / "fifo"
    os.mkfifo(fifo)
    words = ("--jobs", "1", "--on", "gpu-01,gpu-02", "host", "apply", "--all-cards")
    with fleet.start(*words) as process, fifo.open() as ended:
        process.send_signal(number)
        assert ended.read() == ""
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "gpu-01: interrupted" in out
    assert "To see its progress: wholecard --on gpu-01 host status" in out
    assert "gpu-02: not started" in out
    assert len(fleet.calls()) == 1


@pytest.mark.parametrize(
    ("words", "brief"),
    [
        (("--on", "-oProxyCommand=id", "inspect"), "is not a host's name"),
        (("--on", "gpu-01", "inspect", "--no-such"), "unrecognized arguments"),
        (("--on", "gpu-01", "lab", "status"), "cannot be combined with --on"),
        (("--on", "gpu-01", "host", "agent", "x"), "agent writes a file on this machine"),
        (("--on", "gpu-01", "--ssh-config", "/no/such", "inspect"), "file not found"),
        (("--sudo", "inspect"), "work only with --on"),
        (("--on", "gpu-01", "inspect", "--save", "x"), "--save"),
    ],
)
def test_called_wrongly(fleet: FakeFleet, words: tuple[str, ...], brief: str) -> None:
    """What is wrong is said before any ssh is started, with status 2."""
    ran = fleet.run(*words)
    assert (ran.status, fleet.calls()) == (2, [])
    assert brief in ran.stderr


def test_verify(fleet: FakeFleet) -> None:
    """verify after the reboot answers from afar."""
    prepared(fleet, "gpu-01")
    root = fleet.home("gpu-01") / "root"
    fleet.run("--on", "gpu-01", "host", "apply", "--all-cards", "--root", "root")
    reboot(root, APART, GROUPS_APART, [*GROUPS_APART[10], *GROUPS_APART[11]])
    ran = fleet.run("--on", "gpu-01", "host", "verify", "--root", "root")
    assert (ran.status, "No findings: all is well." in ran.stdout) == (0, True)

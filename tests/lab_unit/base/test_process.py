"""The lab's processes are known by their marks, and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.marked import DAEMONISING, STUBBORN, Marked
from support.tree import grow
from wholecard.guest.image.sandbox import Sandbox
from wholecard.lab.base import process
from wholecard.lab.base.errors import LabError, log_tail

FAKE_BWRAP = """#!/bin/sh
# Records its arguments and its environment, then stays.
printf '%s\\n' "$@" > "$RECORD.argv"
env > "$RECORD.env.part"
mv "$RECORD.env.part" "$RECORD.env"
exec sleep 600
"""


def ids(run_folder: Path, name: str) -> list[int]:
    return [each.pid for each in process.running(run_folder)[name].processes]


def test_marked_process_is_found(tmp_path: Path, marked: Marked) -> None:
    """A process with a lab's marks is found under its service's name, and holds memory."""
    started = marked.start(tmp_path, "keystone")
    running = process.running(tmp_path)
    assert {
        name: [each.pid for each in service.processes] for name, service in running.items()
    } == {"keystone": [started.pid]}
    assert running["keystone"].memory() > 0


def test_nothing_is_found_where_nothing_runs(tmp_path: Path) -> None:
    """A folder in which no lab runs has no services, and ending them ends nothing."""
    assert process.running(tmp_path) == {}
    assert process.stop(tmp_path) == []


def test_outermost_process_stands_first(tmp_path: Path, marked: Marked) -> None:
    """A service's processes are in the order of their start."""
    marked.start_python(tmp_path, "node", DAEMONISING, tmp_path / "ready")
    parent, daemon = ids(tmp_path, "node")
    assert daemon == int((tmp_path / "ready").read_text())
    assert parent != daemon


def test_stop_ends_what_ignores_sigterm(tmp_path: Path, marked: Marked) -> None:
    """A process that ignores SIGTERM, and its child that does so too, are ended."""
    marked.start_python(tmp_path, "nova-api", STUBBORN, tmp_path / "ready")
    members = process.running(tmp_path)["nova-api"].processes
    assert len(members) == 2
    assert process.stop(tmp_path) == ["nova-api"]
    assert not any(is_alive(each) for each in members)


def test_stop_ends_daemons(tmp_path: Path, marked: Marked) -> None:
    """A process that left its parent, session and group by a double fork is ended too."""
    marked.start_python(tmp_path, "node", DAEMONISING, tmp_path / "ready")
    daemon = psutil.Process(int((tmp_path / "ready").read_text()))
    assert os.getsid(daemon.pid) != os.getsid(ids(tmp_path, "node")[0])
    assert process.stop(tmp_path) == ["node"]
    assert not is_alive(daemon)
    assert process.running(tmp_path) == {}


def is_alive(member: psutil.Process) -> bool:
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_other_labs_are_left_alone(tmp_path: Path, marked: Marked) -> None:
    """Ending a lab touches no other lab's process, though its folder's name begins the same, and
    none that has no mark.
    """
    marked.start(tmp_path / "lab", "keystone")
    other = marked.start(tmp_path / "lab2", "keystone")
    stranger = subprocess.Popen(["sleep", "600"], env={"PATH": "/usr/bin:/bin"})
    try:
        assert process.stop(tmp_path / "lab") == ["keystone"]
        assert other.poll() is None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_stop_of_some(tmp_path: Path, marked: Marked) -> None:
    """Only the services that are named are ended."""
    for name in ("glance", "keystone", "neutron"):
        marked.start(tmp_path, name)
    assert process.stop(tmp_path, ["keystone", "mariadb"]) == ["keystone"]
    assert list(process.running(tmp_path)) == ["glance", "neutron"]


def test_stop_says_what_stays(tmp_path: Path, marked: Marked) -> None:
    """Where the time is up, the error names the services that are left."""
    marked.start(tmp_path, "keystone")
    with pytest.raises(LabError, match="did not end: keystone"):
        process.stop(tmp_path, timeout=-1)


def test_dead_child_does_not_count(tmp_path: Path, marked: Marked) -> None:
    """A process that has ended but was not waited for is not running."""
    started = marked.start(tmp_path, "keystone")
    started.kill()
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    assert process.running(tmp_path) == {}


def test_started_service_has_the_marks_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marked: Marked
) -> None:
    """A service has the lab's marks, the sandbox's environment and nothing of the person's; it
    is in a session of its own.
    """
    monkeypatch.setenv("OS_PASSWORD", "the person's own")
    programs = grow(tmp_path / "programs", {"bwrap": (FAKE_BWRAP, 0o755)})
    record = tmp_path / "record"
    inside = Sandbox(
        tmp_path / "root", environment={"PATH": f"{programs}:/usr/bin:/bin", "RECORD": str(record)}
    )
    run_folder = tmp_path / "lab"
    with process.start(
        inside, run_folder, "glance", ["serve"], run_folder / "log/g.out"
    ) as service:
        try:
            written = record.with_suffix(".env")
            process.wait_until(written.exists, timeout=20, what="it starts", service=service)
            lines = dict(line.split("=", 1) for line in written.read_text().splitlines())
            assert os.getsid(service.pid) == service.pid
        finally:
            service.kill()
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    expected = {*inside.env(), process.MARK_LAB, process.MARK_NAME}
    assert set(lines) - shells_own == expected
    assert lines[process.MARK_LAB] == str(run_folder)
    assert lines[process.MARK_NAME] == "glance"
    assert record.with_suffix(".argv").read_text().splitlines() == inside.argv(["serve"])[1:]


def test_what_a_service_prints_is_added_to_its_log(tmp_path: Path) -> None:
    """A service's log keeps what an earlier start printed, and takes both streams."""
    script = "#!/bin/sh\necho out\necho err >&2\n"
    programs = grow(tmp_path / "programs", {"bwrap": (script, 0o755)})
    inside = Sandbox(tmp_path, environment={"PATH": f"{programs}:/usr/bin:/bin"})
    log = tmp_path / "log/glance.out"
    for _ in range(2):
        assert process.start(inside, tmp_path, "glance", ["serve"], log).wait(20) == 0
    assert log.read_text() == "out\nerr\n" * 2


def test_wait_ends_with_the_condition() -> None:
    """Waiting ends as soon as the condition holds, also where no time is left for it."""
    asked = iter([False, False, True])
    process.wait_until(lambda: next(asked), timeout=20, what="it", every=0)
    process.wait_until(lambda: True, timeout=-1, what="it")


def test_wait_raises_at_once_when_the_process_died(tmp_path: Path) -> None:
    """A service that ends while it is waited for is an error with its status and its log's end."""
    log = tmp_path / "keystone.out"
    script = "import sys\nprint('no such option'); sys.exit(7)"
    with (
        log.open("w") as out,
        subprocess.Popen([sys.executable, "-c", script], stdout=out) as dies,
        pytest.raises(LabError) as caught,
    ):
        process.wait_until(lambda: False, timeout=60, what="keystone answers", service=dies,
                           log=log, every=0.01)  # fmt: skip
    assert caught.value.brief == "keystone answers: the process ended with status 7"
    assert caught.value.details == f"log: {log}\n  no such option"


def test_condition_counts_though_the_process_ended() -> None:
    """A service that did what it was to do and ended is no error."""
    with subprocess.Popen(["true"]) as done:
        done.wait()
        process.wait_until(lambda: True, timeout=1, what="it", service=done)


def test_wait_raises_when_the_time_is_up(tmp_path: Path, marked: Marked) -> None:
    """A service that lives but never answers is an error with its log's end."""
    lives = marked.start(tmp_path, "glance")
    log = grow(tmp_path, {"glance.out": "still starting\n"}) / "glance.out"
    with pytest.raises(LabError) as caught:
        process.wait_until(lambda: False, timeout=0, what="glance answers", service=lives,
                           log=log, every=0)  # fmt: skip
    assert caught.value.brief == "glance answers: not within 0 s"
    assert caught.value.details == f"log: {log}\n  still starting"


@pytest.mark.parametrize(
    ("text", "tail"),
    [(None, " (not written)"), (b"", " (empty)"), (b"one\ntwo\n", "\n  one\n  two"),
     (b"\xff\n", "\n  \ufffd"),
     (b"".join(b"%d\n" % n for n in range(99)), "".join(f"\n  {n}" for n in range(84, 99)))],
)  # fmt: skip
def test_end_of_a_log(tmp_path: Path, text: bytes | None, tail: str) -> None:
    """An error shows a log's last 15 lines, or that it is empty or was never written."""
    log = tmp_path / "log"
    if text is not None:
        log.write_bytes(text)
    assert log_tail(log) == f"log: {log}{tail}"

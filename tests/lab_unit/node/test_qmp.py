"""QEMU's machine protocol, against a socket that speaks it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.tree import grow
from wholecard.lab.base.errors import LabError
from wholecard.lab.node import qmp

GREETING: dict[str, Any] = {"QMP": {"version": {}, "capabilities": ["oob"]}}
EVENT: dict[str, Any] = {"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}
CLOSE: dict[str, Any] = {}


def bind(listener: socket.socket, path: Path) -> None:
    """Bind to a path of any length."""
    folder = os.open(path.parent, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


class Qemu:
    """Serves one session on a unix socket: for each command the next messages of its list."""

    def __init__(self, path: Path, answers: dict[str, list[list[dict[str, Any]]]]) -> None:
        self.answers = {"qmp_capabilities": [[{"return": {}}]], **answers}
        self.commands: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bind(self._listener, path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            file = connection.makefile("rw")
            self._send(file, GREETING)
            for line in file:
                command = json.loads(line)
                self.commands.append(command)
                for message in self.answers[command["execute"]].pop(0):
                    if message is CLOSE:
                        connection.shutdown(socket.SHUT_RDWR)
                    else:
                        self._send(file, message)
        self.ended.set()

    def _send(self, file: Any, message: dict[str, Any]) -> None:
        file.write(json.dumps(message) + "\r\n")
        file.flush()


@contextmanager
def session(path: Path, **answers: list[list[dict[str, Any]]]) -> Iterator[tuple[qmp.Qmp, Qemu]]:
    """A session with a QEMU that gives these answers; `_` in a command's name is `-`."""
    server = Qemu(path, {name.replace("_", "-"): list_ for name, list_ in answers.items()})
    with qmp.session(path, timeout=10) as control:
        yield control, server


def returns(value: object) -> list[dict[str, Any]]:
    return [{"return": value}]


def test_command_and_arguments(tmp_path: Path) -> None:
    """A session negotiates first; a command is sent with its arguments, its answer comes back."""
    with session(tmp_path / "q", query_status=[returns({"status": "running"})]) as (control, qemu):
        assert control.command("query-status", detail=True) == {"status": "running"}
    assert qemu.commands == [
        {"execute": "qmp_capabilities", "arguments": {}},
        {"execute": "query-status", "arguments": {"detail": True}},
    ]


def test_events_are_passed_over(tmp_path: Path) -> None:
    """Events before an answer, also before that to the negotiation, are not taken for it."""
    answers = {"qmp_capabilities": [[EVENT, *returns({})]], "stop": [[EVENT, EVENT, *returns(1)]]}
    Qemu(tmp_path / "q", answers)
    with qmp.session(tmp_path / "q", timeout=10) as control:
        assert control.command("stop") == 1


def test_refusal_is_in_qemus_words(tmp_path: Path) -> None:
    """A command that QEMU refuses is an error with QEMU's own words; the session goes on."""
    desc = "Device 'gpu1' not found"
    refusal = {"error": {"class": "DeviceNotFound", "desc": desc}}
    with session(tmp_path / "q", device_del=[[EVENT, refusal]], stop=[returns({})]) as (control, _):
        with pytest.raises(LabError) as caught:
            control.command("device-del", id="gpu1")
        assert caught.value.brief == "QEMU refused device-del"
        assert caught.value.details == desc
        assert control.command("stop") == {}


def test_long_path(tmp_path: Path) -> None:
    """A socket below a folder whose path is longer than a socket's address is reached."""
    folder = grow(tmp_path / "/".join(["a long folder's name"] * 12), {"./": ""})
    assert len(str(folder)) > 220
    with session(folder / "qmp.sock", stop=[returns(7)]) as (control, _):
        assert control.command("stop") == 7


def test_closed_socket(tmp_path: Path) -> None:
    """A QEMU that goes away in the middle of a command is an error of the lab."""
    with (
        pytest.raises(LabError, match="QEMU closed its control socket"),
        session(tmp_path / "q", quit=[[CLOSE]]) as (control, _),
    ):
        control.command("quit")


def test_command_after_the_end(tmp_path: Path) -> None:
    """A command to a QEMU that is gone is an error of the lab too."""

    def command_twice() -> None:
        with session(tmp_path / "q", quit=[[CLOSE]]) as (control, qemu):
            with pytest.raises(LabError):
                control.command("quit")
            assert qemu.ended.wait(20)
            control.command("stop")

    with pytest.raises(LabError):
        command_twice()


def test_nobody_listens(tmp_path: Path) -> None:
    """A socket that nobody made, that nobody listens on, or whose folder is gone, is an error
    that names it.
    """
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as listener:
        bind(listener, stale)
    for path in (tmp_path / "none", stale, tmp_path / "gone/q"):
        with pytest.raises(LabError, match="QEMU does not answer") as caught, qmp.session(path):
            pytest.fail("nobody was there")
        assert str(path) in caught.value.details


def test_garbage_is_an_error(tmp_path: Path) -> None:
    """Something that does not speak JSON is not QEMU."""
    with socket.socket(socket.AF_UNIX) as listener:
        bind(listener, tmp_path / "q")
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(LabError, match="QEMU does not answer"), qmp.session(tmp_path / "q"):
            pytest.fail("this was no QEMU")
        server.join(20)


def test_silence_is_an_error(tmp_path: Path) -> None:
    """A QEMU that does not greet within the time-out is an error."""
    with socket.socket(socket.AF_UNIX) as listener:
        bind(listener, tmp_path / "q")
        listener.listen()
        with pytest.raises(LabError, match="does not answer"), qmp.session(tmp_path / "q", 0.05):
            pytest.fail("nobody greeted")


def test_session_ends_with_its_block(tmp_path: Path) -> None:
    """The connection is closed at the block's end, though somebody still holds the session: QEMU
    serves one at a time, and the next would wait for ever.
    """
    with session(tmp_path / "q") as (held, qemu):
        assert not qemu.ended.is_set()
    assert qemu.ended.wait(20)
    assert isinstance(held, qmp.Qmp)


def test_state_is_saved(tmp_path: Path) -> None:
    """Saving ends when QEMU says that the migration is complete."""
    with session(
        tmp_path / "q",
        migrate_set_parameters=[returns({})],
        migrate=[returns({})],
        query_migrate=[returns({}), returns({"status": "active"}),
                       [EVENT, *returns({"status": "completed"})]],
    ) as (control, qemu):  # fmt: skip
        control.save_state("file:/lab/node.state", timeout=20)
    assert {"execute": "migrate", "arguments": {"uri": "file:/lab/node.state"}} in qemu.commands


@pytest.mark.parametrize(
    ("status", "timeout", "brief", "details"),
    [({"status": "failed", "error-desc": "No space left"}, 20,
      "the machine's state could not be saved", "No space left"),
     ({"status": "cancelled"}, 20, "the machine's state could not be saved", ""),
     ({"status": "active"}, -1, "the machine's state saved: not within -1 s", "")],
)  # fmt: skip
def test_state_that_is_not_saved(
    tmp_path: Path, status: dict[str, str], timeout: float, brief: str, details: str
) -> None:
    """A migration that fails, is cancelled or takes too long is an error with QEMU's words."""
    with (
        pytest.raises(LabError) as caught,
        session(
            tmp_path / "q", migrate_set_parameters=[returns({})], migrate=[returns({})],
            query_migrate=[returns(status)],
        ) as (control, _),
    ):  # fmt: skip
        control.save_state("file:/lab/node.state", timeout)
    assert (caught.value.brief, caught.value.details) == (brief, details)

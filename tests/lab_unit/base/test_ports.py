"""The lab's ports: free, distinct, on loopback, and kept."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wholecard.lab.base import ports
from wholecard.lab.base.folder import LabFolder


@contextlib.contextmanager
def listening(address: str, port: int = 0) -> Iterator[int]:
    """Somebody else's listener; where the port is taken already, that one is as good."""
    with socket.socket() as listener:
        # As servers do it: connections of a lab that has just ended may still linger on the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind((address, port))
            listener.listen()
            port = listener.getsockname()[1]
        yield port


def test_every_service_has_a_port_of_its_own() -> None:
    """Each name gets a port, no two the same, none that needs privilege."""
    chosen = ports.choose()
    assert list(chosen) == list(ports.PREFERRED)
    assert len(set(chosen.values())) == len(chosen)
    assert min(chosen.values()) >= 1024


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("name", ["keystone", "ssh"])
def test_taken_port_gives_another_one(address: str, name: str) -> None:
    """A preferred port on which somebody listens, on loopback or everywhere, is not chosen."""
    with listening(address, ports.PREFERRED[name]) as taken:
        assert ports.choose()[name] != taken


def test_free_port_is_the_preferred_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual port is chosen where it is free; a listener on another address does not matter."""
    with listening("127.0.0.1") as free:
        pass
    monkeypatch.setattr(ports, "PREFERRED", {"ssh": free})
    with listening("127.0.0.2", free):
        assert ports.choose() == {"ssh": free}


def test_nothing_listens_afterwards() -> None:
    """Choosing leaves every port to its service: it can be listened on at once, on loopback."""
    for port in ports.choose().values():
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((ports.LOOPBACK, port))
            listener.listen()
    assert ports.LOOPBACK == "127.0.0.1"


def test_two_labs_have_different_ports(tmp_path: Path) -> None:
    """A lab leaves alone what another one beside it has chosen and does not listen on yet."""
    chosen = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        chosen.append(ports.load_or_choose(LabFolder(tmp_path, name)))
    assert not set(chosen[0].values()) & set(chosen[1].values())
    assert all(port in ports.OTHERS for port in chosen[1].values())


def test_ports_are_kept(tmp_path: Path) -> None:
    """A lab keeps its ports, also while its own services listen on them."""
    lab_folder = LabFolder(tmp_path)
    lab_folder.run.mkdir()
    first = ports.load_or_choose(lab_folder)
    with listening(ports.LOOPBACK, first["keystone"]):
        assert ports.load_or_choose(lab_folder) == first


GOOD = dict.fromkeys(ports.PREFERRED, 1)


@pytest.mark.parametrize(
    "garbage",
    ["", "{", "7", "null", "[]", json.dumps(list(GOOD)), "{}", '{"keystone": 35000}',
     json.dumps(GOOD | {"ssh": "22"}), json.dumps(GOOD | {"telnet": 23}), "\udcff"],
)  # fmt: skip
def test_garbage_is_chosen_anew(tmp_path: Path, garbage: str) -> None:
    """A file that does not hold a number for each name is written anew with ports that are free."""
    lab_folder = LabFolder(tmp_path)
    lab_folder.run.mkdir()
    path = lab_folder.run / ports.FILE
    path.write_text(garbage, errors="surrogateescape")
    chosen = ports.load_or_choose(lab_folder)
    assert list(chosen) == list(ports.PREFERRED)
    assert json.loads(path.read_text()) == chosen


def test_answers_where_somebody_listens() -> None:
    """A port answers while somebody listens on it, and no longer."""
    with listening(ports.LOOPBACK) as port:
        assert ports.answers(port)
    assert not ports.answers(port)

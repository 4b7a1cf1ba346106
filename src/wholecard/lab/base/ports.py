"""The lab's ports, all on 127.0.0.1: the usual ones where they are free, else others that are."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

from wholecard.lab.base import cache
from wholecard.lab.base.folder import LabFolder

LOOPBACK = "127.0.0.1"
FILE = "ports.json"

# As the node sees them, whatever they are outside; below the ports that Linux gives to clients.
OUTER_ADDRESS = "10.0.2.100"
INNER = {
    "keystone": 15000, "glance": 19292, "nova-api": 18774, "placement": 18778,
    "neutron": 19696, "rabbitmq": 15682,
}  # fmt: skip
PREFERRED = INNER | {
    "rabbitmq-dist": 15683, "epmd": 14369, "mariadb": 13306, "ssh": 12222, "ssh-gpu-02": 12223,
}  # fmt: skip
# Others come from here: Linux gives clients the ports from 32768 on, and a connection of somebody's
# could hold one of those when the service wants it.
OTHERS = range(20000, 32000)


def choose(others: Collection[int] = ()) -> dict[str, int]:
    """A free port for each name of PREFERRED, none of `others`, which other labs have."""
    ports: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name, preferred in PREFERRED.items():
            held.append(_first_free(preferred, others))
            ports[name] = held[-1].getsockname()[1]
    finally:
        for listener in held:
            listener.close()
    return ports


def load_or_choose(folder: LabFolder) -> dict[str, int]:
    """The ports that this lab has, kept in its folder as JSON; chosen where there are none yet.

    Labs of other names in the same folder have different ones, also while their services do not
    listen yet.
    """
    path = folder.run / FILE
    kept = _load(path)
    if kept:
        return kept
    with cache.locked(folder.cache / "ports.lock", "another lab chooses its ports"):
        others = [_load(file) for file in folder.top.glob(f"*/{FILE}")]
        ports = choose([port for ports in others for port in ports.values()])
        path.write_text(json.dumps(ports, indent=1))
    return ports


def _load(path: Path) -> dict[str, int]:
    try:
        ports = json.loads(path.read_text())
        if set(ports) == set(PREFERRED) and all(isinstance(port, int) for port in ports.values()):
            return dict(ports)
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    return {}


def answers(port: int, timeout: float = 1) -> bool:
    """Whether something accepts a connection on this port of the loopback address."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout):
            return True
    except OSError:
        return False


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        # Bound alone is not free: with SO_REUSEADDR only listening shows another listener.
        listener.listen(1)
    except OSError:
        listener.close()
        return None
    return listener


def _candidates(preferred: int) -> Iterator[int]:
    yield preferred
    # Twelve thousand numbers are shuffled only where the usual port is taken.
    yield from random.sample(OTHERS, len(OTHERS))


def _first_free(preferred: int, others: Collection[int]) -> socket.socket:
    for port in _candidates(preferred):
        listener = None if port in others else _bind(port)
        if listener is not None:
            return listener
    raise OSError("no free port on the loopback address")

"""The lab's ports, all on 127.0.0.1: the usual ones where they are free, else any that is."""

from __future__ import annotations

import json
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"

# As the node sees them, whatever they are outside; below the ports that Linux gives to clients.
OUTER_ADDRESS = "10.0.2.100"
INNER = {
    "keystone": 15000,
    "glance": 19292,
    "nova-api": 18774,
    "placement": 18778,
    "neutron": 19696,
    "rabbitmq": 15682,
}
PREFERRED = INNER | {"rabbitmq-dist": 15683, "epmd": 14369, "ssh": 12222}


def choose() -> dict[str, int]:
    """A free port for each name of PREFERRED."""
    ports: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name, preferred in PREFERRED.items():
            held.append(_bind(preferred) or _bind_any())
            ports[name] = held[-1].getsockname()[1]
    finally:
        for listener in held:
            listener.close()
    return ports


def load_or_choose(path: Path) -> dict[str, int]:
    """The ports that this lab has, kept at `path` as JSON; chosen where there are none yet."""
    try:
        ports = json.loads(path.read_text())
        if set(ports) == set(PREFERRED) and all(isinstance(port, int) for port in ports.values()):
            return dict(ports)
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    ports = choose()
    path.write_text(json.dumps(ports, indent=1))
    return ports


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


def _bind_any() -> socket.socket:
    listener = _bind(0)
    if listener is None:
        raise OSError("no free port on the loopback address")
    return listener

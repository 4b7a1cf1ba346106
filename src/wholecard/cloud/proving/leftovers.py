"""Servers of proofs in the cloud: their marks, and those that a killed run left behind.

A server of a proof holds cards. Its metadata has the run, the process that made it and the time
until which that process waits for it. A server whose process is gone, or whose time is over, is
left behind; one that was kept on purpose has no such time.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.client.servers import ServerState

RUN = "wholecard_proof"
UNTIL = "wholecard_until"
OWNER = "wholecard_owner"
# For the deletion after the time is over, and clocks that differ.
_MARGIN = 600
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ProofServers:
    """Servers of other runs: those left behind, those that still run, those kept on purpose."""

    left: tuple[ServerState, ...] = ()
    running: tuple[ServerState, ...] = ()
    kept: tuple[ServerState, ...] = ()


def marks(run: str, until: float, *, keep: bool) -> dict[str, str]:
    """The metadata of a run's servers. `until` is in seconds since 1970."""
    values = {RUN: run, OWNER: f"{_machine()}:{os.getpid()}"}
    return values if keep else {**values, UNTIL: str(int(until))}


def proof_servers(conn: Connection, now: float) -> ProofServers:
    """The project's servers of proofs. Raises CloudError."""
    return sorted_out(servers.servers_with(conn, RUN), now, _alive)


def sorted_out(
    found: tuple[ServerState, ...], now: float, alive: Callable[[Mapping[str, str]], bool | None]
) -> ProofServers:
    """`alive` tells of a server's metadata whether its process runs, None: not known here."""
    sorts: dict[str, list[ServerState]] = {"left": [], "running": [], "kept": []}
    for server in found:
        until = server.metadata.get(UNTIL, "")
        if not until:
            sorts["kept"].append(server)
            continue
        late = not until.isdecimal() or now > int(until) + _MARGIN
        gone = alive(server.metadata) is False
        sorts["left" if late or gone else "running"].append(server)
    return ProofServers(*(tuple(sorts[kind]) for kind in ("left", "running", "kept")))


def _alive(metadata: Mapping[str, str]) -> bool | None:
    """Whether the process that made it runs; None for one of another machine, or another boot."""
    machine, _, pid = metadata.get(OWNER, "").partition(":")
    if machine != _machine() or not pid.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _machine() -> str:
    """This machine in this boot, without its name: a project's other members read metadata."""
    boot = _BOOT_ID.read_text() if _BOOT_ID.exists() else ""
    return hashlib.sha256(f"{socket.gethostname()} {boot}".encode()).hexdigest()[:12]

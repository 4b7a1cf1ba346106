"""What keeps nova from moving a server, or should keep us from it: its state, a lock, its group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from wholecard.cloud.client.server_details import ServerDetails, ServerGroup
from wholecard.moving.record import Method

# nova/compute/api.py, `check_instance_state` of resize, live_migrate and evacuate.
_STATES: Mapping[Method, frozenset[str]] = {
    Method.COLD: frozenset({"active", "stopped"}),
    Method.LIVE: frozenset({"active", "paused"}),
    Method.EVACUATE: frozenset({"active", "stopped", "error"}),
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a server cannot be moved now, and what a person can do about it."""

    why: str
    fix: str = ""


def obstacle(server: ServerDetails, method: Method, *, unlocked: bool = False) -> Obstacle | None:
    """Why the server's own state forbids the move, None where it does not.

    nova lets an administrator move a locked server; we do not, unless `unlocked` says so: somebody
    locked it for a reason.
    """
    if server.host is None:
        what = "it has no host" if server.status != "SHELVED_OFFLOADED" else "it is shelved"
        return Obstacle(what, "A server without a host holds no card: there is nothing to move.")
    if server.task_state and method is not Method.EVACUATE:
        return Obstacle(
            f"nova changes it now: {server.task_state}",
            "Wait until that has ended, and try again. One that never ends: see nova-compute's log "
            "on its host.",
        )
    if server.vm_state == "resized" and method is not Method.EVACUATE:
        return Obstacle(
            "an earlier migration waits for a decision (VERIFY_RESIZE)",
            f"Confirm or revert it first:\nopenstack server migrate confirm {server.id}\n"
            f"openstack server migrate revert {server.id}",
        )
    if server.vm_state not in _STATES[method]:
        return Obstacle(_of_state(server, method), fix_of_state(server))
    if server.locked and not unlocked:
        return Obstacle(
            "it is locked",
            "Ask its owner, then unlock it; or move it with its lock (--locked):\n"
            f"openstack server unlock {server.id}",
        )
    return None


def _of_state(server: ServerDetails, method: Method) -> str:
    fault = f": {server.fault}" if server.fault else ""
    allowed = " and ".join(sorted(_STATES[method]))
    return f"it is {server.status}{fault}; nova moves only servers that are {allowed}"


def fix_of_state(server: ServerDetails) -> str:
    """What brings a server into a state in which nova moves it."""
    if server.vm_state == "error":
        return (
            "Find out why, and set its state only where its guest is intact:\n"
            f"openstack server event list {server.id}\n"
            f"openstack server set --state active {server.id}"
        )
    words = {"paused": "unpause", "suspended": "resume", "rescued": "unrescue"}
    command = words.get(server.vm_state)
    if command is None:
        return "Start or stop it first."
    return f"Do this first:\nopenstack server {command} {server.id}"


@dataclass(frozen=True, slots=True)
class Grouping:
    """What a server's groups demand: hosts that it must not go to, or a reason to stay.

    `most` is how many servers of its group a host may have, None for any number; `used` are those
    that hosts have.
    """

    forbidden: frozenset[str] = frozenset()
    stays: Obstacle | None = None
    group: str = ""
    most: int | None = None
    used: Mapping[str, int] = field(default_factory=dict)

    def room_on(self, host: str) -> int:
        """How many more of the group the host may have."""
        return max(0, (self.most or 0) - self.used.get(host, 0))


def grouping(
    server: ServerDetails, groups: Iterable[ServerGroup], host_of: Callable[[str], str | None]
) -> Grouping:
    """What the groups of the server demand; `host_of` tells the host of another server by its id.

    Soft policies forbid nothing (nova/scheduler/filters/affinity_filter.py).
    """
    for group in groups:
        if server.id not in group.members:
            continue
        hosts = [host_of(member) for member in group.members if member != server.id]
        used = [host for host in hosts if host]
        if group.policy == "affinity" and server.host in used:
            what = f"its server group {group.name} (affinity) keeps it with others on {server.host}"
            fix = "Take it out of the group, or move the others after it was taken out."
            return Grouping(frozenset(), Obstacle(what, fix), group.name)
        if group.policy == "anti-affinity":
            count = Counter(used)
            full = frozenset(host for host in count if count[host] >= group.most)
            return Grouping(full, None, group.name, group.most, count)
    return Grouping()

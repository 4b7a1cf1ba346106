"""What keeps a server from being moved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wholecard.cloud.client.server_details import ServerDetails, ServerGroup
from wholecard.moving.obstacles import grouping, obstacle
from wholecard.moving.record import Method

SERVER = ServerDetails("s", "train", "ACTIVE", "active", None, "gpu-01", "gpu-01")
COLD, LIVE, EVACUATE = Method.COLD, Method.LIVE, Method.EVACUATE


@pytest.mark.parametrize(
    ("fields", "method", "why"),
    [
        ({}, COLD, ""),
        ({"vm_state": "stopped", "status": "SHUTOFF"}, COLD, ""),
        ({"vm_state": "stopped", "status": "SHUTOFF"}, LIVE, "it is SHUTOFF"),
        ({"vm_state": "paused", "status": "PAUSED"}, LIVE, ""),
        ({"vm_state": "paused", "status": "PAUSED"}, COLD, "it is PAUSED"),
        ({"vm_state": "suspended", "status": "SUSPENDED"}, COLD, "it is SUSPENDED"),
        ({"vm_state": "error", "status": "ERROR", "fault": "Boom"}, COLD, "it is ERROR: Boom"),
        ({"vm_state": "error", "status": "ERROR"}, EVACUATE, ""),
        ({"vm_state": "resized", "status": "VERIFY_RESIZE"}, COLD, "waits for a decision"),
        ({"task_state": "rebooting"}, COLD, "nova changes it now: rebooting"),
        ({"task_state": "rebooting"}, EVACUATE, ""),
        ({"locked": True}, COLD, "it is locked"),
        ({"host": None}, COLD, "it has no host"),
        ({"host": None, "status": "SHELVED_OFFLOADED"}, COLD, "it is shelved"),
    ],
)
def test_state(fields: dict[str, object], method: Method, why: str) -> None:
    """nova moves a server cold, live or by evacuation in these states, and not while it works."""
    found = obstacle(replace(SERVER, **fields), method)  # type: ignore[arg-type]
    assert (found is None) == (why == "")
    assert why in (found.why if found else "")


def test_locked_on_purpose() -> None:
    """A locked server moves where that is asked for, as nova lets an administrator."""
    assert obstacle(replace(SERVER, locked=True), COLD, unlocked=True) is None


HOSTS = {"a": "gpu-01", "b": "gpu-02", "c": "gpu-02", "gone": None}


@pytest.mark.parametrize(
    ("policy", "members", "most", "forbidden", "stays"),
    [
        ("anti-affinity", "s b", 1, {"gpu-02"}, False),
        ("anti-affinity", "s b", 2, set(), False),
        ("anti-affinity", "s b c gone", 2, {"gpu-02"}, False),
        ("affinity", "s a", 1, set(), True),
        ("affinity", "s b", 1, set(), False),
        ("soft-anti-affinity", "s b", 1, set(), False),
        ("anti-affinity", "a b", 1, set(), False),
    ],
)
def test_groups(policy: str, members: str, most: int, forbidden: set[str], stays: bool) -> None:
    """Hard policies forbid hosts or moving at all; soft ones and others' groups forbid nothing."""
    group = ServerGroup("g", "apart", policy, tuple(members.split()), most)
    found = grouping(SERVER, [group], HOSTS.get)
    assert (set(found.forbidden), found.stays is not None) == (forbidden, stays)

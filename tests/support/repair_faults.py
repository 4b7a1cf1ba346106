"""Every point at which a repair can be stopped: system calls, SQL statements, API calls.

A statement and a commit are stopped before they are sent, a changing call of an API before the
service has it and after the service has done it. What changes nothing is no point of its own: a
kill before it is a kill before what comes next.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from support import faults
from support.faults import CALLS
from support.repair_cloud import FakeCloud
from wholecard.transaction import syscalls

# A killed process's writes stay in the kernel; only a power cut needs fsync.
_NOT_A_CHANGE = ("fsync", "open_lock")

# Called at each point with its name.
Point = Callable[[str], None]


@contextmanager
def at_each_point(cloud: FakeCloud, point: Point) -> Iterator[None]:
    """Call `point` at every point of what runs inside."""

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            point(name)
            return real(*arguments)

        return call

    def statement(_c: Any, _cursor: Any, sql: str, *_: Any) -> None:
        point(f"SQL {sql.split(maxsplit=1)[0]}")

    def commit(_connection: Any) -> None:
        point("SQL COMMIT")

    def request(when: str, method: str, path: str) -> None:
        if method != "GET":
            point(f"{when} {method} {path}")

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in set(CALLS) - set(_NOT_A_CHANGE):
            monkeypatch.setattr(syscalls, name, wrapped(name, getattr(syscalls, name)))
        monkeypatch.setattr(cloud, "fault", request)
        event.listen(Engine, "before_cursor_execute", statement)
        event.listen(Engine, "commit", commit)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", statement)
            event.remove(Engine, "commit", commit)


def points_of(cloud: FakeCloud, run: Callable[[], Any]) -> list[str]:
    """The names of all points of a whole run, in order."""
    names: list[str] = []
    with at_each_point(cloud, names.append):
        run()
    return names


def killed(cloud: FakeCloud, run: Callable[[], Any], at: int) -> bool:
    """Whether a run in a process of its own was killed at its point `at`, from 1."""
    count = 0

    def die(_: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_run() -> None:
        with at_each_point(cloud, die):
            run()

    return faults.killed(counted_run)


def refused(cloud: FakeCloud, run: Callable[[], Any], at: int, error: Exception) -> bool:
    """Whether a run met this error at its point `at`: the disk, the database or the network."""
    count = 0

    def fail(_: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise error

    with at_each_point(cloud, fail):
        try:
            run()
        except Exception:
            return True
    return count >= at

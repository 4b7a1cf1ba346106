"""Faults at every point: a run killed before its Nth changing call, in half of it, or refused it.

All changing calls of the host's room go through `wholecard.transaction.syscalls`; here its
functions are replaced by ones that count.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import pytest

from wholecard.transaction import syscalls

CALLS = tuple(
    name
    for name, value in vars(syscalls).items()
    if isinstance(value, FunctionType)
    and inspect.getmodule(value) is syscalls
    and not name.startswith("_")
)
WRITES = ("write", "write_at_start")

# What happens at a point: called with the name of the call, the call, and its arguments.
Fault = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]


@contextmanager
def counted(at: int, fault: Fault, lasting: bool = False) -> Iterator[list[str]]:
    """Yields the names of the calls so far; the one at `at`, from 1, meets the fault.

    A `lasting` fault stays: all later calls meet it as well.
    """
    names: list[str] = []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            names.append(name)
            if len(names) == at or (lasting and len(names) > at > 0):
                return fault(name, real, arguments)
            return real(*arguments)

        return call

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in CALLS:
            monkeypatch.setattr(syscalls, name, wrapped(name, getattr(syscalls, name)))
        yield names


def points_of(run: Callable[[], Any]) -> list[str]:
    """The names of all changing calls of a whole run, in order."""
    with counted(0, refuse(0)) as names:
        run()
    return names


def die(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """kill -9 before the call."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_half_way(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """kill -9 when half of the bytes are written."""
    descriptor, data = arguments
    real(descriptor, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number: int) -> Fault:
    """The operating system refuses the call with this error."""

    def fault(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        raise OSError(number, os.strerror(number))

    return fault


# Under load a run against the real APIs takes some ten seconds.
CHILD_SECONDS = 300


def killed(run: Callable[[], Any], at: int = 0, fault: Fault = die) -> bool:
    """Whether a run in a process of its own was killed; with 0 by somebody else, if at all."""
    child = os.fork()
    if child == 0:
        try:
            # One that hangs ends by itself, and the test says so.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(CHILD_SECONDS)
            with counted(at, fault):
                run()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False

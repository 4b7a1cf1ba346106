"""A long list of small tasks, shared with child processes.

Reading attributes is half system calls, and Python does one thing at a time: with two processes
thousands of functions are read in two thirds of the time. Only for a process without threads,
because it forks.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    Task = TypeVar("Task")

# Below this many a child costs more than it reads.
LEAST = 250
_MOST = 4


def workers(count: int) -> int:
    """How many processes `count` functions are worth, with the processors that we may use."""
    return max(1, min(_MOST, count // LEAST, len(os.sched_getaffinity(0))))


def in_children(
    parts: Sequence[Sequence[Task]], work: Callable[[Sequence[Task]], list[Any]]
) -> list[tuple[int, int]]:
    """Begin `work` of each part in a child; process and pipe of each, in their order.

    What `work` returns is plain data, such as marshal writes.
    """
    return [_begin(part, work) for part in parts]


def collected(child: tuple[int, int]) -> list[Any] | None:
    """What a child returned; None where it failed."""
    process, pipe = child
    with open(pipe, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(process, 0)
    if status != 0:
        return None
    rows: list[Any] = marshal.loads(data)  # noqa: S302 - our own child wrote it
    return rows


def _begin(part: Sequence[Task], work: Callable[[Sequence[Task]], list[Any]]) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    # The child: whatever happens, it never returns into its parent's program.
    status = 1
    try:
        with open(writing, "wb") as stream:
            stream.write(marshal.dumps(work(part)))
        status = 0
    finally:
        os._exit(status)

"""What is shown while an audit reads: a bar by hosts, and the wait before the second look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from wholecard.audit.request import AuditWatcher
from wholecard.cli.say import say
from wholecard.cli.terminal import PlainConsole
from wholecard.core.units import counted


@contextmanager
def progress() -> Iterator[AuditWatcher]:
    """Progress on standard error: a bar on a terminal, elsewhere a line for the wait alone."""
    console = PlainConsole(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainLines()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(30),
               MofNCompleteColumn(), TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bars(bars)


class PlainLines(AuditWatcher):
    """Who reads a log wants to know why nothing happens for a minute."""

    def wait(self, seconds: float, hosts: int) -> None:
        """Print why."""
        say(_waits(seconds, hosts), err=True)


class _Bars(AuditWatcher):
    """A bar for each look."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def look(self, hosts: int, again: bool) -> None:
        """A bar as long as so many hosts."""
        self._new("hosts looked at again" if again else "hosts compared", hosts)

    def host(self, name: str) -> None:  # noqa: ARG002 - a bar shows how many
        """One host more."""
        if self._task is not None:
            self._bars.advance(self._task)

    def wait(self, seconds: float, hosts: int) -> None:
        """Instead of a bar, why there is none."""
        self._new(_waits(seconds, hosts), None)

    def _new(self, text: str, total: int | None) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(text, total=total)


def _waits(seconds: float, hosts: int) -> str:
    return (
        f"Something is in progress on {counted(hosts, 'host')}: the audit looks there again in "
        f"{seconds:.0f} s (--now does not wait)."
    )

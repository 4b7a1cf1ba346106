"""What is shown while servers move: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import live
from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from wholecard.cli.terminal import PlainConsole
from wholecard.core.plain_text import plain
from wholecard.moving.move import MoveWatcher


@contextmanager
def progress(total: int = 1) -> Iterator[MoveWatcher]:
    """Who is told, on standard error, of a run that moves `total` servers."""
    console = PlainConsole(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainLines()
        return
    lines = LiveLines(console, total)
    with live.Live(
        get_renderable=lines.table, console=console, transient=True, refresh_per_second=4
    ):
        yield lines


class PlainLines(MoveWatcher):
    """A line for whatever is new: a server's state, and how its move ended."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def server(self, name: str, state: str, seconds: float) -> None:
        """Print a state when it changes."""
        with self._lock:
            if self._last.get(name) == state:
                return
            self._last[name] = state
        self._print(f"{seconds:6.1f} s  {name}: {state}")

    def done(self, name: str, ended: str, seconds: float) -> None:
        """Print how it ended."""
        self._print(f"{seconds:6.1f} s  {name}: {ended}")

    def _print(self, text: str) -> None:
        print(plain(text), file=sys.stderr, flush=True)


class LiveLines(MoveWatcher):
    """A line for each server that moves, and a bar of how many have; gone at the end."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._lock = threading.Lock()
        self._note, self._done = "", 0
        self._rows: dict[str, tuple[str, float, float]] = {}
        self._spinner = Spinner("dots")

    def note(self, text: str) -> None:
        """Show it below the servers."""
        self._note = text

    def server(self, name: str, state: str, seconds: float) -> None:
        """Show the server's line."""
        with self._lock:
            self._note = ""
            self._rows[name] = (state, seconds, time.monotonic())

    def done(self, name: str, ended: str, seconds: float) -> None:
        """Take the server's line away, and count it."""
        with self._lock:
            self._rows.pop(name, None)
            self._done += 1
            self._note = f"{name}: {ended} in {seconds:.0f} s"

    def table(self) -> Group:
        """The lines as they are now, as many as the screen has."""
        grid = Table.grid(padding=(0, 2), expand=False)
        for _ in range(3):
            grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        height = max(1, self._console.size.height - 4)
        with self._lock:
            for name, (state, seconds, seen) in list(self._rows.items())[:height]:
                now = seconds + time.monotonic() - seen
                grid.add_row(self._spinner, Text(name), Text(f"{now:.0f} s"), Text(state))
        parts: list[Table | Text | ProgressBar] = [grid]
        if self._total > 1:
            bar = Table.grid(padding=(0, 2))
            words = Text(f"{self._done} of {self._total} moved")
            bar.add_row(ProgressBar(self._total, self._done, width=40), words)
            parts.append(bar)
        if self._note:
            parts.append(Text(self._note))
        return Group(*parts)

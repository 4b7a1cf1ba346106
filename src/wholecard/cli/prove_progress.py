"""What is shown while servers boot: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import live
from rich.console import Console, Group
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from wholecard.cli.terminal import PlainConsole
from wholecard.cloud.proving.request import ProveWatcher
from wholecard.cloud.proving.server_watch import ServerProgress
from wholecard.core.plain_text import plain
from wholecard.core.units import counted, size_text


@contextmanager
def progress() -> Iterator[ProveWatcher]:
    """Who is told: on standard error, in the way that fits it."""
    console = PlainConsole(stderr=True, highlight=False)
    if not console.is_terminal:
        yield PlainLines()
        return
    lines = LiveLines(console)
    with live.Live(
        get_renderable=lines.table, console=console, transient=True, refresh_per_second=4
    ):
        yield lines


class PlainLines(ProveWatcher):
    """A line for whatever is new: a server's state, and how much of its report has come."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def note(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def server(self, progress: ServerProgress) -> None:
        """Print what has changed."""
        now = (progress.state, progress.records)
        if self._last.get(progress.name) != now:
            self._last[progress.name] = now
            self._print(f"{progress.seconds:6.1f} s  {progress.name}: {server_words(progress)}")

    def _print(self, text: str) -> None:
        print(plain(text), file=sys.stderr, flush=True)


class LiveLines(ProveWatcher):
    """A line for each server with what it does and since when; gone at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._note = ""
        self._rows: dict[str, tuple[ServerProgress, float]] = {}
        self._spinner = Spinner("dots")

    def note(self, text: str) -> None:
        """Show it below the servers."""
        self._note = text

    def server(self, progress: ServerProgress) -> None:
        """Show the server's line."""
        self._note = ""
        self._rows[progress.name] = (progress, time.monotonic())

    def table(self) -> Group:
        """The lines as they are now, as many as the screen has."""
        grid = Table.grid(padding=(0, 2), expand=False)
        for _ in range(3):
            grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        height = max(1, self._console.size.height - 3)
        for name, (progress, seen) in list(self._rows.items())[:height]:
            seconds = progress.seconds + time.monotonic() - seen
            grid.add_row(self._spinner, Text(name), Text(f"{seconds:.0f} s"),
                         Text(server_words(progress)))  # fmt: skip
        return Group(grid, Text(self._note)) if self._note else Group(grid)


def server_words(progress: ServerProgress) -> str:
    """`ACTIVE, console 12 KiB, 17 records`."""
    words = [progress.state]
    if progress.console_bytes:
        words.append(f"console {size_text(progress.console_bytes)}")
    if progress.records:
        words.append(counted(progress.records, "record"))
    return ", ".join(words)

"""What is shown while hosts are at work: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich import live
from rich.console import Console
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from wholecard.core.plain_text import plain
from wholecard.fleet import HostResult, Watcher

# The agent's `[3/7] run-tool update-initramfs ... `
_ACTION = re.compile(r"(\[\d+/\d+\] .*?) \.\.\. ")
_ENDS = {
    0: ("✓", "green", "done"),
    1: ("!", "yellow", "done, with findings"),
    2: ("✗", "red", "called wrongly"),
    3: ("✗", "red", "broke"),
}


def _doing(line: str) -> str:
    action = _ACTION.match(line)
    return plain(action.group(1) if action else line.strip())


class Through(Watcher):
    """One host without a terminal: its standard error as it comes, as if the command ran here."""

    def line(self, host: str, text: str) -> None:  # noqa: ARG002 - there is one host
        """Print a line when it has ended."""
        if text.endswith("\n"):
            sys.stderr.write(plain(text))
            sys.stderr.flush()


class Lines(Watcher):
    """Many hosts without a terminal: a line for whatever begins or ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}

    def state(self, host: str, text: str) -> None:
        """Print what begins."""
        self._print(host, text)

    def line(self, host: str, text: str) -> None:
        """Print an action that begins; the rest of its output is in the host's block."""
        if _ACTION.match(text):
            self._print(host, _doing(text))

    def answer(self, answer: HostResult) -> None:
        """Print how it ended."""
        text = f"status {answer.status}, {answer.seconds:.1f} s"
        self._print(answer.host, f"no answer: {text}" if answer.error else text)

    def _print(self, host: str, text: str) -> None:
        with self._lock:
            # An action's line comes when it begins and again when it ends.
            if text and self._last.get(host) != text:
                self._last[host] = text
                print(f"{host}: {text}", file=sys.stderr, flush=True)


@dataclass
class _Row:
    """A host's line; `began` and `ended` on the monotonic clock."""

    text: str = "waiting"
    began: float | None = None
    ended: float | None = None
    status: int | None = None

    def seconds(self) -> str:
        if self.began is None:
            return ""
        return f"{(self.ended or time.monotonic()) - self.began:.1f} s"


class Live(Watcher):
    """On a terminal: a line for each host, with what it does and since when; gone at the end."""

    def __init__(self, console: Console, hosts: Sequence[str]) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows = {host: _Row() for host in hosts}
        self._spinner = Spinner("dots")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the lines while the body runs."""
        with live.Live(
            get_renderable=self._table, console=self._console, transient=True, refresh_per_second=8
        ):
            yield

    def state(self, host: str, text: str) -> None:
        """Show what begins; the seconds count from the first."""
        with self._lock:
            row = self._rows[host]
            row.text, row.began = text, row.began or time.monotonic()

    def line(self, host: str, text: str) -> None:
        """Show what the agent does now."""
        doing = _doing(text)
        with self._lock:
            self._rows[host].text = doing or self._rows[host].text

    def answer(self, answer: HostResult) -> None:
        """Show how it ended."""
        with self._lock:
            row = self._rows[answer.host]
            row.ended, row.status = time.monotonic(), answer.status
            row.text = "no answer" if answer.error else _ENDS[answer.status][2]

    def _table(self) -> Table:
        with self._lock:
            rows = list(self._rows.items())
            # Where a screen is too small for all, those at work are seen first, then the waiting.
            height = max(1, self._console.size.height - 2)
            if len(rows) > height:
                rows.sort(key=lambda item: (item[1].ended is not None, item[1].began is None))
            grid = Table.grid(padding=(0, 2), expand=False)
            for _ in range(3):
                grid.add_column(no_wrap=True)
            grid.add_column(no_wrap=True, overflow="ellipsis")
            for host, row in rows[:height]:
                grid.add_row(self._sign(row), Text(host), Text(row.seconds()), Text(row.text))
            if len(rows) > height:
                done = sum(row.ended is not None for _, row in rows)
                grid.add_row("", Text(f"{done} of {len(rows)} done"))
            return grid

    def _sign(self, row: _Row) -> Text | Spinner:
        if row.status is not None:
            sign, colour, _ = _ENDS[row.status]
            return Text(sign, colour)
        return Text("·", "dim") if row.began is None else self._spinner

"""The steps of a lab with their times: shown while they run, kept for the report."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

# Without a terminal there is no spinner: after each of these seconds a step prints that it runs.
REMIND_SECONDS = 15.0


@dataclass
class LabStep:
    """One step: what, its start (seconds after the story's), how long, and what was seen."""

    title: str
    started: float
    seconds: float | None = None
    failed: bool = False
    note: str = ""
    evidence: list[tuple[str, str]] = field(default_factory=list)

    def saw(self, title: str, text: str) -> None:
        """Keep evidence for the report, as it is."""
        self.evidence.append((title, text))


class Story:
    """Steps that may run in parallel, printed when they end, with a spinner while they run."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[LabStep] = []
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._reminded: dict[int, float] = {}

    def elapsed(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._began

    @contextmanager
    def step(self, title: str) -> Iterator[LabStep]:
        """One step; it ends with the block, and has failed where an exception leaves the block."""
        step = LabStep(title, self.elapsed())
        with self._lock:
            self.steps.append(step)
        try:
            yield step
        except BaseException:
            step.failed = True
            raise
        finally:
            step.seconds = self.elapsed() - step.started
            self._print_ended(step)

    def say(self, text: str, *, title: str = "") -> None:
        """Print something above the running steps."""
        with self._lock:
            if title:
                self.console.print(f"\n[bold]{escape(title)}[/bold]")
            self.console.print(Text(text), soft_wrap=True)

    def _print_ended(self, step: LabStep) -> None:
        mark = "[red]✗[/red]" if step.failed else "[green]✓[/green]"
        note = f"  [dim]{escape(step.note)}[/dim]" if step.note else ""
        line = f"{mark} {escape(f'{step.title:<58}')} {step.seconds:6.1f} s{note}"
        with self._lock:
            self.console.print(line, soft_wrap=True)

    @contextmanager
    def shown(self) -> Iterator[Story]:
        """Show what runs: live on a terminal, elsewhere by a line from time to time."""
        if self.console.is_terminal:
            with Live(get_renderable=self._running_table, console=self.console,
                      refresh_per_second=8, transient=True):  # fmt: skip
                yield self
            return
        stop = threading.Event()
        reminder = threading.Thread(target=self._remind, args=(stop,), daemon=True)
        reminder.start()
        try:
            yield self
        finally:
            stop.set()
            reminder.join(timeout=5)

    def _running_table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        frame = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(self.elapsed() * 8) % 10]
        for step in list(self.steps):
            if step.seconds is None:
                seconds = f"{self.elapsed() - step.started:6.1f} s"
                table.add_row(
                    f"[cyan]{frame}[/cyan]", Text(f"{step.title:<58}"), seconds, Text(step.note)
                )
        return table

    def _remind(self, stop: threading.Event) -> None:
        while not stop.wait(1):
            for step in list(self.steps):
                running = self.elapsed() - step.started
                last = self._reminded.get(id(step), 0.0)
                if step.seconds is None and running - last >= REMIND_SECONDS:
                    self._reminded[id(step)] = running
                    with self._lock:
                        line = Text(f"… {step.title:<58} {running:6.1f} s")
                        self.console.print(line, soft_wrap=True)

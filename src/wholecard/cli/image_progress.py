"""What is shown while an image is built: a line for each stage, a bar while bytes arrive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from wholecard.cli.say import say
from wholecard.cli.terminal import PlainConsole
from wholecard.guest.image.build import Watcher


@contextmanager
def watching() -> Iterator[Watcher]:
    """Progress on standard error: live lines on a terminal, a line when a stage begins elsewhere.

    On a terminal the stage that was at work when the build failed keeps its line, without a tick.
    """
    console = PlainConsole(stderr=True)
    if not console.is_terminal:
        yield Watcher(lambda text: say(text, err=True))
        return
    stage = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(finished_text="[green]✓"), stage, TimeElapsedColumn(), _Transfer())
    with Progress(*columns, console=console) as progress:
        stages = _Stages(progress)
        yield Watcher(stages.begin, stages.fetched)
        stages.end()


class _Stages:
    """The stages of one build; one is at work, those before it are done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, text: str) -> None:
        """The next stage begins."""
        self.end()
        self._task = self._progress.add_task(text, total=None)

    def fetched(self, here: int, size: int) -> None:
        """Bytes of a download arrived."""
        if self._task is not None:
            self._progress.update(self._task, completed=here, total=size or None, is_transfer=True)

    def end(self) -> None:
        """The stage at work is done."""
        if self._task is not None:
            self._progress.update(self._task, total=1, completed=1, is_transfer=False)


class _Transfer(ProgressColumn):
    """Bar, bytes and speed, for a stage in which bytes arrive; nothing for others."""

    def __init__(self) -> None:
        super().__init__()
        self._parts = (BarColumn(30), DownloadColumn(binary_units=True), TransferSpeedColumn())

    def render(self, task: Task) -> RenderableType:
        """The row's end."""
        if not task.fields.get("is_transfer"):
            return Text("")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(*(part(task) for part in self._parts))
        return grid

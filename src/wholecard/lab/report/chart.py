"""The steps of a story as bars over time. Pure; lengths are pixels of a canvas of `WIDTH`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wholecard.lab.base.steps import LabStep

WIDTH = 1000
LABELS = 396
RIGHT = 76
ROW = 24
BAR = 14
TOP = 30
BOTTOM = 10
# A step shorter than this can still be seen.
THINNEST = 2.0
LABEL_CHARACTERS = 54
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
MOST_TICKS = 8
SIDES = ("node", "cloud", "server")


@dataclass(frozen=True)
class Bar:
    """One step. `side` is one of SIDES or empty; `value` is its time for a person to read."""

    y: float
    x: float
    width: float
    label: str
    value: str
    side: str
    failed: bool
    unfinished: bool

    @property
    def text_y(self) -> float:
        """The baseline of its label and value."""
        return self.y + BAR - 3

    @property
    def value_x(self) -> float:
        """Where its value begins."""
        return self.x + self.width + 6


@dataclass(frozen=True)
class Tick:
    """A line across the chart with its time."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Bars in the order of their start, below each other."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that occur, for the legend."""
        return tuple(side for side in SIDES if any(bar.side == side for bar in self.bars))


def chart(steps: Sequence[LabStep], total: float) -> Chart:
    """The chart of a story of `total` seconds; a step without an end is drawn to the story's."""
    ordered = sorted(steps, key=lambda step: step.started)
    end = max([total, *(step.started + (step.seconds or 0.0) for step in ordered), 1.0])
    scale = (WIDTH - LABELS - RIGHT) / end
    bars = tuple(_bar(step, number, scale, end) for number, step in enumerate(ordered))
    # The smallest round time with which there are few ticks.
    distance = next((seconds for seconds in TICKS if end / seconds <= MOST_TICKS), TICKS[-1])
    ticks = tuple(
        Tick(LABELS + seconds * scale, duration(seconds))
        for seconds in range(0, int(end) + 1, distance)
    )
    return Chart(WIDTH, TOP + len(bars) * ROW + BOTTOM, bars, ticks)


def duration(seconds: float) -> str:
    """Whole seconds below two minutes, else `3 min` or `3 min 20 s`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def side_of(step: LabStep) -> str:
    """Whose step it is: its title begins with `node:`, `cloud:` or `server NAME:`."""
    head, colon, _ = step.title.partition(":")
    side = head.partition(" ")[0]
    return side if colon and side in SIDES else ""


def _bar(step: LabStep, number: int, scale: float, end: float) -> Bar:
    seconds = end - step.started if step.seconds is None else step.seconds
    label = step.title
    if len(label) > LABEL_CHARACTERS:
        label = label[: LABEL_CHARACTERS - 1] + "…"
    return Bar(
        y=TOP + number * ROW + (ROW - BAR) / 2,
        x=round(LABELS + step.started * scale, 1),
        width=round(max(seconds * scale, THINNEST), 1),
        label=label,
        value="unfinished" if step.seconds is None else f"{seconds:.1f} s",
        side=side_of(step),
        failed=step.failed,
        unfinished=step.seconds is None,
    )

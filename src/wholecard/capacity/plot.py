"""The answer as a picture: bars of what is given, free, stranded and reserved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wholecard.capacity.answer import Capacity, HostRow, UnitsRow
from wholecard.capacity.request import CapacityAnswer
from wholecard.core import UsageError

SUFFIXES = (".png", ".svg")
_MOST_HOSTS = 40
# Of today and of a plan, and of several types on a host.
_MOST_BARS = 80
# Okabe and Ito's colours, which differ for the colour-blind too, and in grey.
_PARTS = {"given": "#0072b2", "free": "#009e73", "stranded": "#e69f00", "reserved": "#999999"}


def check_plot(path: Path) -> None:
    """Raises UsageError for another suffix, and where matplotlib is not installed."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path} ends neither in .png nor in .svg")
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 -- it takes a second
    except ImportError as error:
        raise UsageError(
            "--plot needs matplotlib", str(error), "Install it: pip install 'wholecard[plot]'"
        ) from error


def draw(answer: CapacityAnswer, path: Path) -> None:
    """Write the picture. Raises UsageError where it cannot be written."""
    from matplotlib.figure import Figure  # noqa: PLC0415 -- as above
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 -- as above

    bars = bars_of(answer)
    figure = Figure(figsize=(9, 1.7 + 0.32 * max(3, len(bars))), layout="constrained")
    axes = figure.add_subplot()
    left = [0] * len(bars)
    for part, colour in _PARTS.items():
        widths = [amounts[part] for _, amounts in bars]
        axes.barh(range(len(bars)), widths, left=left, color=colour, label=part, height=0.7)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("cards and slices")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(_PARTS), frameon=False)
    figure.suptitle(f"What can be given: {answer.today.source}")
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UsageError(f"cannot write {path}", str(error)) from error


def bars_of(answer: CapacityAnswer) -> list[tuple[str, dict[str, int]]]:
    """A bar for each host and type there, or for each type where hosts are many, with its parts.

    Where no host has more than one type, a bar has the host's name alone.
    """
    pairs = [(answer.today, "")]
    if answer.planned is not None:
        pairs.append((answer.planned, ", planned"))
    bars = [bar for capacity, word in pairs for bar in _of_hosts(capacity, word)]
    most = max(len(capacity.hosts) for capacity, _ in pairs)
    if most > _MOST_HOSTS or len(bars) > _MOST_BARS:
        bars = [(f"{row.resource_class}{word}", _parts([row]))
                for capacity, word in pairs for row in capacity.types]  # fmt: skip
    return sorted(bars, key=lambda bar: bar[0])


def _of_hosts(capacity: Capacity, word: str) -> Iterator[tuple[str, dict[str, int]]]:
    several = any(len(_classes(row)) > 1 for row in capacity.hosts)
    for row in capacity.hosts:
        for name, units in _classes(row).items():
            yield f"{row.host}{f' {name}' if several else ''}{word}", _parts(units)


def _classes(row: HostRow) -> dict[str, list[UnitsRow]]:
    """A host's rows by resource class."""
    classes: dict[str, list[UnitsRow]] = {}
    for units in row.units:
        classes.setdefault(units.resource_class, []).append(units)
    return classes


def _parts(rows: Sequence[UnitsRow]) -> dict[str, int]:
    parts = ("given", "free", "reserved", "stranded")
    sums = {part: sum(getattr(row, part) or 0 for row in rows) for part in parts}
    return sums | {"free": sums["free"] - sums["stranded"]}

"""What no servers could use is taken off a host's amounts, so that hosts become equal.

Of ten thousand hosts no two have the same RAM left, but what counts of it is how many servers it is
enough for. Servers of the flavors take certain sums of a class: an amount between two of them does
what the lower one does, in whatever order servers come. This changes no answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from wholecard.capacity.demand import Demand
from wholecard.capacity.room import Room

# Sums of one class that are worth knowing; with more of them hosts are seldom alike anyway.
_MOST_SUMS = 2_000
_TOO_LITTLE = -1


@dataclass
class Trimmer:
    """Trims rooms for servers of these flavors; flavors that cannot be counted take nothing."""

    demands: Iterable[Demand]
    _steps: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    _sums: dict[tuple[str, int], list[int] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for demand in self.demands:
            for name, amount in (*demand.amounts.items(), *(demand.second or {}).items()):
                if demand.units:
                    self._steps.setdefault(name, set()).add((demand.units, amount))

    def trimmed(self, room: Room) -> Room:
        """The room with the lower amounts; classes that no flavor asks for are left out."""
        if room.amounts is None:
            return room
        units = room.units()
        amounts = tuple(
            (name, self._useful(name, free, units), largest)
            for name, free, largest in room.amounts
            if name in self._steps
        )
        return room._replace(amounts=amounts)

    def _useful(self, name: str, free: int, units: int) -> int:
        """The largest sum of servers with so many cards or slices together that `free` has."""
        key = name, units
        if key not in self._sums:
            self._sums[key] = _sums(self._steps[name], units)
        sums = self._sums[key]
        if sums is None:
            most = max(amount / step for step, amount in self._steps[name])
            return min(free, ceil(units * most))
        index = bisect_right(sums, free)
        return sums[index - 1] if index else _TOO_LITTLE


def _sums(steps: set[tuple[int, int]], units: int) -> list[int] | None:
    """What any servers with so many units together take; `steps` are units and amount of each.

    None where there are too many sums.
    """
    of_units = [{0}]
    every = {0}
    for number in range(1, units + 1):
        reached = {
            before + amount
            for step, amount in steps
            if step <= number
            for before in of_units[number - step]
        }
        every |= reached
        of_units.append(reached)
        if len(every) > _MOST_SUMS:
            return None
    return sorted(every)

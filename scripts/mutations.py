"""How many small faults in the source its own tests notice: the mutation score.

Each mutation changes one thing in a copy of the source and runs the tests that call the changed
function: those of the module of the same name first, then the others of its room, the quickest
first. Named mutations are faults that once went unnoticed, or must never; the others are made from
the syntax: a comparison turned around, a condition negated, a statement left out, a number one
more. Which of them are taken is decided by a seed, so that two runs compare. What changes nothing
that anybody could notice is listed in `mutation/equivalent.py`, with the reason.

    python scripts/mutations.py                 # all named ones and 12 of each room
    python scripts/mutations.py --room nova/match --count 40 --seed 7
    python scripts/mutations.py --named H01 N09
    python scripts/mutations.py --unentered     # functions that no test of their room enters

The first run also asks which test calls which function: all tests once, half as fast as usual.
This, and what was noticed, is kept in `.mutations/`: a run that was interrupted goes on there, and
after a change only what the change may concern is run again.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutation.mutations_made import equivalent, made
from mutation.mutations_named import NAMED, Mutation
from mutation.running import ROOMS, SOURCE, STATE, Tests, room_of, tests_of_room


class Row(NamedTuple):
    """What became of a mutation: the test that noticed it, or empty; the seconds it took."""

    room: str
    mutation: Mutation
    by: str
    seconds: float


def main() -> int:
    """Run the mutations and print the score; 1 where it is below the goal."""
    parser = argparse.ArgumentParser(description="the mutation score of the source")
    parser.add_argument("--room", action="append", choices=ROOMS, help="only these rooms")
    parser.add_argument("--count", type=int, default=12, help="made mutations for each room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--named", nargs="*", help="named mutations alone; without names all")
    parser.add_argument("--goal", type=float, default=0.0, help="per cent below which it fails")
    parser.add_argument("--unentered", action="store_true",
                        help="list the functions that no test of their room enters")  # fmt: skip
    options = parser.parse_args()
    chosen = [] if options.unentered else list(_chosen(options))
    rooms = {room for room, _ in chosen} | set(options.room or (ROOMS if not chosen else ()))
    STATE.mkdir(exist_ok=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder, "src/wholecard")
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        tests = Tests(copy, {path for room in rooms for path in tests_of_room(room)})
        if options.unentered:
            print("\n".join(tests.unentered(rooms)))
            return 0
        for number, (room, mutation) in enumerate(chosen, 1):
            start = time.monotonic()
            by = tests.noticing(mutation, room)
            rows.append(Row(room, mutation, by, time.monotonic() - start))
            print(f"{number} of {len(chosen)}, {rows[-1].seconds:.0f} s: {mutation.name} "
                  f"{by or 'SURVIVED'}: {mutation.what}", flush=True)  # fmt: skip
        tests.end()
    score = _report(rows, options.seed)
    return int(score < options.goal)


def _report(rows: list[Row], seed: int) -> float:
    """Print survivors and a table of the rooms; the score of all."""
    print("\nNot noticed")
    for row in rows:
        if not row.by:
            print(f"  {row.mutation.name} {row.mutation.file}: {row.mutation.what}")
    print(f"\n{'room':<12} {'noticed':>9} {'score':>6}  95 % interval   (seed {seed})")
    named = {mutation.name for mutation in NAMED}
    kinds = {"named": [row for row in rows if row.mutation.name in named]}
    unnamed = [row for row in rows if row.mutation.name not in named]
    kinds |= {room: [row for row in unnamed if row.room == room] for room in ROOMS}
    kinds |= {"all made": unnamed, "all": rows}
    score = 100.0
    for name, some in kinds.items():
        if some:
            noticed = sum(row.by != "" for row in some)
            score = 100 * noticed / len(some)
            low, high = interval(noticed, len(some))
            print(f"{name:<12} {noticed:>4} of {len(some):<3}{score:>4.0f} %  "
                  f"{100 * low:.0f} to {100 * high:.0f} %")  # fmt: skip
    return score


def interval(noticed: int, count: int) -> tuple[float, float]:
    """Where the share lies that a larger sample would show: Wilson's interval of 95 %.

    Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    z, share = 1.96, noticed / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return (middle - half) / whole, (middle + half) / whole


def _chosen(options: argparse.Namespace) -> Iterator[tuple[str, Mutation]]:
    if options.named is not None or not options.room:
        names = options.named or [mutation.name for mutation in NAMED]
        yield from ((room_of(m.file), m) for m in NAMED if m.name in names)
    if options.named is None:
        for room in options.room or list(ROOMS):
            candidates = [
                mutation
                for path in sorted((SOURCE / room).rglob("*.py"))
                for mutation in made(path, SOURCE)
                if equivalent(mutation) is None
            ]
            # Seeded for each room, so that one room alone has the same ones.
            generator = random.Random(f"{options.seed} {room}")  # noqa: S311 -- a sample
            yield from (
                (room, m) for m in generator.sample(candidates, min(options.count, len(candidates)))
            )


if __name__ == "__main__":
    sys.exit(main())

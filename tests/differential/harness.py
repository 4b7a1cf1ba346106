"""The comparison: cases out, nova's answers in, and what came of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from differential.cases import Case, make
from differential.compare import Difference, differences
from differential.environments import python_of
from differential.known import known_for
from differential.ourside import answer

__all__ = ["SEED", "SEEDS", "Outcome", "compared", "nova_answers"]

# The golden answers are of the first; a seed of its own proves its cases and not the claim.
SEED = 4
SEEDS = (SEED, 1003, 1004)
NOVASIDE = Path(__file__).parent / "novaside.py"


@dataclass
class Outcome:
    """How many cases were compared with a release, what differed, and what the cases were like.

    `unknown` are differences that no entry of `known` explains, with their cases; `known` counts
    those explained by name; `seen` counts what nova answered, so that a comparison of empty
    answers with empty answers is noticed. `seconds` is the time nova took, with its start.
    """

    major: int
    cases: int = 0
    seconds: float = 0.0
    unknown: list[tuple[int, Difference]] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """One line for a report."""
        known = ", ".join(f"{count} {name}" for name, count in sorted(self.known.items()))
        return (
            f"nova {self.major}: {self.cases} cases, {len(self.unknown)} unknown differences, "
            f"known: {known or 'none'}; {self.seconds:.0f} s"
        )


def cases(count: int, seed: int = SEED) -> Iterator[Case]:
    """The first `count` cases."""
    return (make(seed, number) for number in range(count))


def nova_answers(
    major: int, count: int, folder: Path, seed: int = SEED, timeout: float = 3600
) -> Iterator[Any]:
    """nova's own answers to the first `count` cases; `folder` is for the files between.

    Raises CalledProcessError with nova's traceback where its side of the comparison breaks.
    """
    questions, answers = folder / f"cases-{major}.jsonl", folder / f"answers-{major}.jsonl"
    with questions.open("w") as file:
        file.writelines(json.dumps(case) + "\n" for case in cases(count, seed))
    with questions.open() as asked, answers.open("w") as answered:
        ended = subprocess.run(
            [str(python_of(major)), "-W", "ignore", str(NOVASIDE)],
            stdin=asked,
            stdout=answered,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=timeout,
        )
    if ended.returncode:
        raise subprocess.CalledProcessError(ended.returncode, ended.args, stderr=ended.stderr)
    with answers.open() as file:
        yield from map(json.loads, file)


def compared(major: int, answers: Iterable[Any], count: int, seed: int = SEED) -> Outcome:
    """Our answers to the first `count` cases held against nova's."""
    outcome = Outcome(major)
    started = time.monotonic()
    for case, nova in zip(cases(count, seed), answers, strict=True):
        if not outcome.cases:
            outcome.seconds = time.monotonic() - started
        outcome.cases += 1
        # As JSON on both sides: what is no text as a key or no list in nova's is not here either.
        ours = json.loads(json.dumps(answer(case, major)))
        for difference in differences(ours, nova):
            known = known_for(difference, case, ours, nova)
            if known is None:
                outcome.unknown.append((case["number"], difference))
            else:
                outcome.known[known.name] += 1
        outcome.seen.update(_kinds(nova))
    return outcome


def _kinds(nova: Any) -> Iterator[str]:
    """What an answer of nova's has in it."""
    for spec in nova["specs"]:
        if isinstance(spec, dict):
            yield f"spec {spec['refused']}"
        else:
            yield from (f"match {each}" for row in spec for each in row)
    for key in ("aliases", "requests", "providers", "groups", "supports"):
        value = nova.get(key)
        if isinstance(value, dict) and "refused" in value:
            yield f"{key} {value['refused']}"
        elif isinstance(value, bool):
            yield f"{key} {value}"
        elif value:
            yield key

"""Random work on real nova and real Placement, from a seed: no false alarm, and nothing missed."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from simulator.simulator import Simulator, found

# The first start makes the environment of nova, which may have to be fetched.
pytestmark = [pytest.mark.timeout(900)]
SEED = int(os.environ.get("WHOLECARD_SEED", "1"))
OPERATIONS = int(os.environ.get("WHOLECARD_OPERATIONS", "100"))
# A world's tables grow, and with them each statement's time.
WORLD = 500


def _judge(simulator: Simulator, wait: bool) -> None:
    """An audit: what it finds is there; after a wait, all that is there is found."""
    report = simulator.audit() if wait else simulator.audit(wait=None)
    says, is_there = found(report), simulator.expected()
    false, missed = says - is_there, (is_there - says if wait else frozenset())
    if false or missed:
        messages = "\n".join(f"  {row.rule} {row.subject} {row.message}"
                             for row in report.disagreements)  # fmt: skip
        raise AssertionError(
            f"false alarms {sorted(false)}, missed {sorted(missed)}\n{messages}\n"
            f"begun: {simulator.begun}, away: {simulator.away}"
        )


def _work(folder: Path, seed: int, operations: int) -> Simulator:
    with Simulator(folder, seed) as simulator:
        try:
            for number in range(1, operations + 1):
                simulator.operate()
                if number % 5 == 0:
                    _judge(simulator, wait=False)
                if number % 25 == 0:
                    _judge(simulator, wait=True)
            simulator.settle()
            _judge(simulator, wait=True)
        except Exception as error:
            last = "\n".join(f"  {line}" for line in simulator.log[-25:])
            raise AssertionError(
                f"seed {seed}, in operation {simulator.operations}: {error}\n{last}\n"
                f"again: WHOLECARD_SEED={seed} WHOLECARD_OPERATIONS={simulator.operations}"
            ) from error
    return simulator


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    """A cloud after its work, all of which was judged."""
    return _work(tmp_path_factory.mktemp("world"), SEED, OPERATIONS)


def test_random_work(worked: Simulator) -> None:
    """Audits between any two statements of nova find what is wrong, and nothing else."""
    assert worked.statements > worked.operations
    assert worked.audits >= OPERATIONS // 5


def test_a_seed_gives_the_same_work(worked: Simulator, tmp_path: Path) -> None:
    """A failure is seen again from its seed: ids, moves and answers are the same."""
    with Simulator(tmp_path, SEED) as again:
        for _ in range(10):
            again.operate()
    assert again.log == worked.log[: len(again.log)]


def test_placement_answers_as_remembered(tmp_path: Path) -> None:
    """An answer of Placement's that is given again is what Placement would answer: each is asked
    for once more, and one that differs ends the operation."""
    with Simulator(tmp_path, SEED) as doubtful:
        doubtful.nova.tell("doubt")
        for _ in range(20):
            doubtful.operate()
        assert doubtful.nova.tell("doubt")["compared"] > 20


def _world(folder: Path, seed: int, operations: int) -> Counter[str]:
    folder.mkdir()
    done = _work(folder, seed, operations).done
    shutil.rmtree(folder)
    return done


@pytest.mark.long
@pytest.mark.timeout(86400)
def test_long_random_work(tmp_path: Path) -> None:
    """The same for as many operations as `WHOLECARD_LONG_OPERATIONS` says, on all cores: killed
    nova-computes, faults that are repaired and cards that are handed over are among them."""
    left = int(os.environ.get("WHOLECARD_LONG_OPERATIONS", "100000"))
    first = int(os.environ.get("WHOLECARD_SEED", "1000"))
    sizes = [min(WORLD, left - begin) for begin in range(0, left, WORLD)]
    seeds = range(first, first + len(sizes))
    with ProcessPoolExecutor(os.cpu_count()) as cores:
        worlds = cores.map(_world, [tmp_path / str(seed) for seed in seeds], seeds, sizes)
        done = sum(worlds, Counter[str]())
    print(dict(done))
    assert {"killed", "fault", "hand-over"} <= set(done)

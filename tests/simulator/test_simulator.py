"""Random work on real nova and real Placement, from a seed: no false alarm, and nothing missed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulator.judged_work import work
from simulator.simulator import Simulator

# The first start makes the environment of nova, which may have to be fetched.
pytestmark = [pytest.mark.timeout(2400)]
SEED = int(os.environ.get("WHOLECARD_SEED", "1"))
OPERATIONS = int(os.environ.get("WHOLECARD_OPERATIONS", "2000"))


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    """A cloud after its work, all of which was judged."""
    return work(tmp_path_factory.mktemp("world"), SEED, OPERATIONS)


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

"""Random work on many clouds of real nova, 100,000 operations in all: `make test-long`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from simulator.judged_work import work

WORLD = 2000
SEEDS = range(1000, 1000 + int(os.environ.get("WHOLECARD_LONG_OPERATIONS", "100000")) // WORLD)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", SEEDS)
def test_long_random_work(seed: int, tmp_path: Path) -> None:
    """All audits of a seed's work are right: killed nova-computes, faults that are repaired and
    cards that are handed over are among it."""
    folder = tmp_path / "world"
    folder.mkdir()
    done = work(folder, seed, WORLD).done
    # pytest keeps a test's folder, and these are large.
    shutil.rmtree(folder)
    print(dict(done))
    assert done["killed"]
    assert done["fault"]

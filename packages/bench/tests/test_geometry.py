"""The launch geometry, by arithmetic."""

from __future__ import annotations

import pytest

from wholecard_bench.nbody.geometry import Launch, plan_launch

# (threads, bodies a thread, groups that a multiprocessor holds), as compiled for sm_90: 56 and 64
# registers a thread of 65,536.
SHAPES = [(128, 4, 9), (256, 4, 4)]


def _best(bodies: int, own: int, multiprocessors: int) -> Launch:
    launches = [
        plan_launch(bodies, own, multiprocessors * groups, threads, each)
        for threads, each, groups in SHAPES
    ]
    return max(launches, key=lambda launch: launch.speed)


@pytest.mark.parametrize("multiprocessors", [108, 132, 148], ids=["A100", "H100", "B200"])
def test_balance_at_the_usual_size(multiprocessors: int) -> None:
    """At 65,536 bodies at most 3 % of a card waits for its last groups.

    NVIDIA's sample launches 256 groups: 0.79 on an A100, 0.97 on an H100, 0.86 on a B200.
    """
    assert _best(65536, 65536, multiprocessors).balance >= 0.97


@pytest.mark.parametrize("multiprocessors", [40, 108, 132, 142, 148])
@pytest.mark.parametrize("bodies", [2, 100, 1024, 5001, 65536, 262144])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_every_pair_is_in_one_group(multiprocessors: int, bodies: int, parts: int) -> None:
    """Rows cover a device's own bodies, slices cover all bodies, and none is empty."""
    own = -(-bodies // parts)
    launch = _best(bodies, own, multiprocessors)
    assert launch.rows * launch.threads * launch.bodies_a_thread >= own
    assert launch.slices * launch.slice_bodies >= bodies
    assert (launch.slices - 1) * launch.slice_bodies < bodies
    assert launch.slice_bodies % launch.threads == 0
    assert 0 < launch.speed <= launch.balance <= 1


def test_few_bodies_use_many_groups() -> None:
    """16,384 bodies, 16 rows, still give most of a large card something to do."""
    assert _best(16384, 16384, 132).balance > 0.95

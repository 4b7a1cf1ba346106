"""What every room's tests share: the helpers `tree`, `nodes` and `golden` can be imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

LAB = "tests/lab/"
# Two labs take about the same time, each on a worker of its own and with a name of its own
# (support/commands.py). What walks from a bare node to two nodes is one, all other files the other.
TWO_NODES = ("tests/lab/test_1_demo.py", "tests/lab/test_6_two_nodes.py")
# Its tests share nothing: each seed is a cloud of its own.
EACH_ALONE = "tests/simulator/test_long_work.py"
BESIDE_THE_LAB = 10  # nice(2)

# Trees are made on disk, and how long that takes is not ours to say. A run has the examples of the
# run before it, so that what fails for one person fails for all; `make test-long` looks for others.
SLOW = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=SLOW)
settings.register_profile("search", deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("WHOLECARD_HYPOTHESIS", "same"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out of a run that does not name them: `pytest -m long` does.

    On several workers the lab's tests come first, for they take longest, and then the files with
    tests that may take longer than usual (a `timeout` of their own).
    """
    if "long" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: (not item.nodeid.startswith(LAB),
                                     not item.get_closest_marker("lab"),
                                     -_most_seconds(item)))  # fmt: skip


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """A lab's files stay on one worker, in their order; all others are given out one at a time."""
    return _TwoLabs(config, log)


class _TwoLabs(LoadScopeScheduling):  # type: ignore[misc]
    # xdist's own loadgroup (3.8) writes groups into the names of tests where pytest 9.2 no longer
    # reads them, and both workers started a lab.
    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        if path in TWO_NODES:
            return "two nodes"
        if path == EACH_ALONE:
            return nodeid
        return LAB if path.startswith(LAB) else path


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A worker that has done with its lab leaves the processor to the other's.

    The labs are the longest pieces of a run: on two cores the demo took 794 s beside tests of the
    same priority, and 426 s alone. Kernels that share the processor by session (sched_autogroup)
    do not look at nice between the labs' own sessions and this one.
    """
    if os.environ.get("PYTEST_XDIST_WORKER") and not item.get_closest_marker("lab"):
        os.nice(max(0, BESIDE_THE_LAB - os.nice(0)))


def _most_seconds(item: pytest.Item) -> float:
    """The time-out that a test names; 0 where it has the usual one."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Programs that a test starts are ended by SIGINT, also where the tests run in the background.

    A shell without job control starts background jobs with SIGINT ignored, and what is ignored is
    inherited through exec; a handler is not (POSIX, "Signals and Error Handling" of the shell;
    signal(7)).
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

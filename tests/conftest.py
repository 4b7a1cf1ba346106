"""What every room's tests share: the helpers `tree`, `nodes` and `golden` can be imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Trees are made on disk, and how long that takes is not ours to say. A run has the examples of the
# run before it, so that what fails for one person fails for all; `make test-long` looks for others.
SLOW = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=SLOW)
settings.register_profile("search", deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("WHOLECARD_HYPOTHESIS", "same"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out of a run that does not name them: `pytest -m long` does.

    With `--dist loadgroup` one worker runs the tests of the lab in their order, from the start,
    for they take longest; the others run the other files meanwhile, each file on one worker, and
    first those with tests that may take longer than usual (a `timeout` of their own).
    """
    if "long" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    # In a worker xdist puts it so; `dist` is "no" there (xdist/remote.py, setup_config).
    if getattr(config.option, "loadgroup", False):
        items.sort(key=lambda item: (not item.get_closest_marker("lab"), -_most_seconds(item)))
        for item in items:
            group = "lab" if item.get_closest_marker("lab") else item.path.stem
            item.add_marker(pytest.mark.xdist_group(group))


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

"""The lab for the tests: a name of its own, so that nobody's running lab is ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import NAME, Demo, wholecard
from wholecard.lab import lab as labs
from wholecard.lab.place import Place, default_place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs the lab, and time for it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.timeout(1500))


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """The folder of the tests' lab; ended and removed at the end, the cache stays.

    Where a test failed the logs stay too.
    """
    top = default_place().top
    place = Place(top, NAME)
    labs.clean(place, keep_cache=True)
    yield place
    kept = top / "failed-test-lab"
    shutil.rmtree(kept, ignore_errors=True)
    if place.logs.is_dir():
        shutil.copytree(place.logs, kept / "log")
        for log in (place.run / "node").glob("*.log"):
            shutil.copy2(log, kept)
    labs.clean(place, keep_cache=True)


@pytest.fixture(scope="session")
def demo(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, run once as a person runs it; afterwards its lab stays up."""
    folder = tmp_path_factory.mktemp("demo")
    ran = wholecard("lab", "demo", "--report", str(folder / "report.html"))
    assert ran.status == 0, ran.stdout + ran.stderr
    numbers = json.loads((folder / "demo.json").read_text())
    return Demo(ran, (folder / "report.html").read_text(), numbers)

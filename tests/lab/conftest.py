"""The lab for the tests: a name of its own, so that nobody's running lab is ended.

Where a test fails, what the lab's services and its node said stays in `failed-TEST` beside the
lab's folder until the next run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import NAME, Demo, wholecard
from support.kept import keep_logs
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder, default_folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs the lab, and time for it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            # The demo's own time-out, and what a fixture needs besides.
            item.add_marker(pytest.mark.timeout(4200))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep the lab's logs of the moment in which a test failed, before anything is taken down."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and report.when in ("setup", "call"):
        keep_logs(item.name)


@pytest.fixture(scope="session")
def lab_folder() -> Iterator[LabFolder]:
    """The folder of the tests' lab; ended and removed at the end, the cache stays."""
    lab_folder = LabFolder(default_folder().top, NAME)
    for stale in lab_folder.top.glob("failed-*"):
        shutil.rmtree(stale, ignore_errors=True)
    labs.clean(lab_folder, keep_cache=True)
    yield lab_folder
    labs.clean(lab_folder, keep_cache=True)


@pytest.fixture(scope="session")
def demo(lab_folder: LabFolder, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, run once as a person runs it; afterwards its lab stays up."""
    folder = tmp_path_factory.mktemp("demo")
    ran = wholecard("lab", "demo", "-o", str(folder / "report.html"), timeout=3600)
    assert ran.status == 0, ran.stdout + ran.stderr
    numbers = json.loads((folder / "demo.json").read_text())
    return Demo(ran, (folder / "report.html").read_text(), numbers)

"""pytest's side of `mutations.py`, chosen by the environment.

`MUTATION_CALLS=FOLDER` records which functions of the package each test enters, its seconds and
whether it passed. `MUTATION_TESTS=FILE` runs only the tests of a selection. `MUTATION_PIPES=IN,OUT`
collects once and then runs one selection after the other, each in a fork whose functions are
changed: to start and to collect takes longer than most mutations live.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from changed_functions import Changed, LoadedFunctions
from mutation_calls import Calls, Recorder, places, write

# Bytes: a mutation may fill the memory instead of failing.
MEMORY = 6 << 30
# Seconds, and how many times its usual time a test gets: others use the machine too.
LEAST_TIMEOUT, TIMES_LONGER = 20, 8


class Selection(NamedTuple):
    """All tests of the module `own`, and those of which the seconds are given, without some."""

    own: str
    seconds: dict[str, float]
    unsound: list[str]

    def of(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """The tests in an order in which a failure comes soon, each with a time-out that fits."""
        # Whole modules, so that their fixtures are made once.
        modules: dict[str, list[pytest.Item]] = {}
        for item in items:
            module = item.nodeid.partition("::")[0]
            if item.nodeid in self.unsound:
                continue
            if module == self.own or item.nodeid in self.seconds:
                modules.setdefault(module, []).append(item)
                timeout = max(LEAST_TIMEOUT, TIMES_LONGER * self._usual(item))
                item.add_marker(pytest.mark.timeout(timeout), append=False)
        order = sorted(
            modules, key=lambda name: (name != self.own, sum(map(self._usual, modules[name])))
        )
        return [item for name in order for item in sorted(modules[name], key=self._usual)]

    def _usual(self, item: pytest.Item) -> float:
        return self.seconds.get(item.nodeid, 0.0)


def pytest_configure(config: pytest.Config) -> None:
    """Become one of the three."""
    if folder := os.environ.get("MUTATION_CALLS"):
        config.pluginmanager.register(_Calls(folder))
    if path := os.environ.get("MUTATION_TESTS"):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        config.pluginmanager.register(_Tests(Selection(*json.loads(Path(path).read_text()))))
    if pipes := os.environ.pop("MUTATION_PIPES", ""):
        config.pluginmanager.register(_Server(*map(int, pipes.split(","))))


class _Calls:
    """Records the calls of each test."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._recorder = Recorder()
        self._of_fixtures: dict[object, Calls] = {}
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Iterator[None]:
        self._recorder.swap({})
        self._recorder.start()
        start = time.perf_counter()
        result = yield
        self._recorder.stop()
        calls = self._recorder.swap({})
        # A fixture of a module runs in its first test, and its faults show in all of them.
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            for definition in definitions:
                calls |= self._of_fixtures.get(definition, {})
        write(self._folder, {
            "test": item.nodeid, "seconds": round(time.perf_counter() - start, 3),
            "passed": item.nodeid not in self._failed, "calls": places(calls),
        })  # fmt: skip
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before = self._recorder.swap({})
        result = yield
        own = self._recorder.swap(before)
        before |= own
        if fixturedef.scope != "function":
            self._of_fixtures[fixturedef] = own
        return result


class _Tests:
    """Runs a selection alone."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = self._selection.of(items)


class _Server:
    """Runs selections in forks: `collected`; then a line of JSON comes, a line is the answer.

    The answer is the first test that failed, `-` where all passed, `?` where the change cannot be
    made in a running Python, and else how the fork ended.
    """

    def __init__(self, requests: int, answers: int) -> None:
        self._requests, self._answers = requests, answers
        # What the collection enters has had its effect before any fork.
        self._collecting = Recorder()
        self._collecting.start(seconds=3600)
        self._failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._failed:
            self._failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._collecting.stop()
        functions = LoadedFunctions(places(self._collecting.calls))
        base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        with open(self._requests) as requests, open(self._answers, "w") as answers:  # noqa: PTH123
            answers.write("collected\n")
            answers.flush()
            for line in requests:
                answers.write(self._answer(session, functions, base, json.loads(line)) + "\n")
                answers.flush()
        return True

    def _answer(
        self, session: pytest.Session, functions: LoadedFunctions, base: Path,
        request: dict[str, Any],
    ) -> str:  # fmt: skip
        temporary, result = base / "mutation", base / "result"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        result.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            try:
                os.setpgid(0, 0)
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
                session.config._tmp_path_factory._basetemp = temporary  # type: ignore[attr-defined]
                changed = functions.change(request["path"], request["old"], request["new"])
                answer = "?"
                if changed is not Changed.NOT:
                    answer = self._run(session, Selection(*request["selection"]))
                passed_in_part = answer == "-" and changed is Changed.FROM_NOW
                result.write_text("?" if passed_in_part else answer)
            finally:
                os._exit(0)
        end = time.monotonic() + request["timeout"]
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "out of time"
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        return result.read_text() if result.exists() else "killed"

    def _run(self, session: pytest.Session, selection: Selection) -> str:
        items = selection.of(session.items)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                with contextlib.suppress(BaseException):
                    session._setupstate.teardown_exact(None)
                return self._failed
        return "-"

"""The project's tests, run with a copy of the source in which one thing is changed."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mutation.mutations_made import function_of
from mutation.mutations_named import Mutation

HELPERS = Path(__file__).parent
ROOT = HELPERS.parents[1]
SOURCE = ROOT / "src/wholecard"
STATE = ROOT / ".mutations"
# Seconds of a test, of which `mutation_calls.SECONDS` are recorded.
LONG = 5.0

# Room -> its tests, for what survives the tests of the same folder.
ROOMS = {
    "transaction": ("tests/transaction", "tests/host/changing", "tests/cloud/changing"),
    "host": ("tests/host", "tests/fleet"),
    "nova/match": ("tests/nova",),
    "explain": ("tests/explain", "tests/cli/test_explain.py"),
    "cloud": ("tests/cloud", "tests/explain"),
    "audit/checks": ("tests/audit", "tests/cli/test_audit.py"),
}


def room_of(file: str) -> str:
    """The room that a file below the package is in."""
    return next((room for room in ROOMS if file.startswith(f"{room}/")), file.partition("/")[0])


def tests_of_room(room: str) -> tuple[str, ...]:
    """The tests that have to notice what is changed in a room."""
    return ROOMS.get(room, (f"tests/{room}",))


class Callers:
    """Which test enters which function, and how many seconds it takes; kept by test module."""

    def __init__(self, copy: Path, tests: set[str]) -> None:
        self._path = STATE / "calls.json"
        modules = json.loads(self._path.read_text()) if self._path.exists() else {}
        files = {
            str(path.relative_to(ROOT)): _digest(path)
            for folder in tests
            for path in (sorted((ROOT / folder).rglob("test_*.py")) or [ROOT / folder])
        }
        changed = [file for file in files if modules.get(file, {}).get("digest") != files[file]]
        if changed:
            print(f"who calls what: {len(changed)} test modules are run once", flush=True)
            modules |= {file: {"digest": files[file], "tests": {}} for file in changed}
            _record(copy, changed, modules)
            self._path.write_text(json.dumps(modules))
        self._modules = {file: modules[file]["tests"] for file in files}

    def of(self, file: str, function: str, room: tuple[str, ...]) -> dict[str, float]:
        """The tests of a room that enter a function of a file, or any of it, with their seconds."""
        return {
            test: row["seconds"]
            for module, tests in self._modules.items()
            if module.startswith(room)
            for test, row in tests.items()
            # Of a test that takes long only its beginning is recorded.
            if any(
                call == f"{file}:{function}"
                if function and row["seconds"] < LONG
                else call.startswith(f"{file}:")
                for call in row["calls"]
            )
        }

    def all(self, room: tuple[str, ...]) -> dict[str, float]:
        """All tests of a room with their seconds."""
        return {
            test: row["seconds"]
            for module, tests in self._modules.items()
            if module.startswith(room)
            for test, row in tests.items()
        }


def _record(copy: Path, files: list[str], modules: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="calls-") as folder:
        done = _pytest(copy, files, ("--timeout=1200",), {"MUTATION_CALLS": folder}, 4 * 3600)
        rows = [
            json.loads(line)
            for path in Path(folder).iterdir()
            for line in path.read_text().splitlines()
        ]
    failed = {row["test"] for row in rows if row.get("passed") is False}
    if len(failed) * 20 > len(rows) or not rows:
        raise SystemExit(f"fail without any mutation: {sorted(failed) or done[-2000:]}")
    for test in sorted(failed):
        print(f"{test} fails without any mutation: left out", flush=True)
    for row in rows:
        if row["test"] in failed:
            continue
        tests = modules[row["test"].partition("::")[0]]["tests"]
        kept = tests.setdefault(row["test"], {"seconds": 0.0, "calls": []})
        kept["seconds"] = max(kept["seconds"], row.get("seconds", 0.0))
        kept["calls"] = sorted({*kept["calls"], *row["calls"]})


class Change(NamedTuple):
    """A file of the copy, its text before and after."""

    path: Path
    old: str
    new: str


class Server:
    """A pytest that has collected the tests and runs some of them for each change, in a fork."""

    def __init__(self, copy: Path, tests: set[str]) -> None:
        self._copy, self._tests = copy, tests
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, change: Change, selection: tuple[Any, ...], timeout: float) -> str:
        """The first test that fails, `-` where none does, `?` where it has to be run anew."""
        if self._process is None:
            # It imports what is not changed.
            change.path.write_text(change.old)
            self._start()
            change.path.write_text(change.new)
        request = {**change._asdict(), "path": str(change.path), "selection": selection,
                   "timeout": timeout}  # fmt: skip
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        answer = self._answers.readline().strip()
        if not answer:
            raise SystemExit("the pytest that runs the mutations has ended")
        return answer

    def _start(self) -> None:
        theirs, requests = os.pipe()
        answers, also_theirs = os.pipe()
        argv, environment = _command(self._copy, sorted(self._tests), ())
        self._process = subprocess.Popen(
            argv, cwd=ROOT, env=environment | {"MUTATION_PIPES": f"{theirs},{also_theirs}"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(theirs, also_theirs),
        )  # fmt: skip
        os.close(theirs)
        os.close(also_theirs)
        self._requests = os.fdopen(requests, "w")
        self._answers = os.fdopen(answers)
        if self._answers.readline() != "collected\n":
            raise SystemExit("pytest could not collect the tests")

    def end(self) -> None:
        """It ends once it has no more requests."""
        if self._process is not None:
            self._requests.close()
            self._process.wait()


class Tests:
    """The project's tests, with a copy of the source as the package."""

    def __init__(self, copy: Path, tests: set[str]) -> None:
        self._copy = copy
        self._callers = Callers(copy, tests)
        self._server = Server(copy, tests)
        self._sound: dict[str, bool] = {}
        self._path = STATE / "noticed.json"
        self._known: dict[str, str] = (
            json.loads(self._path.read_text()) if self._path.exists() else {}
        )
        # A survivor is tried again once any test is another.
        self._tests = _digest(*sorted((ROOT / "tests").rglob("*.py")))

    def end(self) -> None:
        """No more mutations come."""
        self._server.end()

    def unentered(self, rooms: Iterable[str]) -> list[str]:
        """`file:line: name` of the functions that no test of their room enters."""
        return [
            f"{name}:{node.lineno}: {node.name}"
            for room in sorted(rooms)
            for path in sorted((SOURCE / room).rglob("*.py"))
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)
            for name in [str(path.relative_to(SOURCE))]
            if not self._callers.of(name, node.name, tests_of_room(room))
        ]

    def noticing(self, mutation: Mutation, room: str) -> str:
        """Which test notices it, empty where none does."""
        path = self._copy / mutation.file
        text = path.read_text()
        if text.count(mutation.old) != 1:
            raise SystemExit(f"{mutation.name}: {mutation.file} has not its text, or has it twice")
        key = hashlib.sha256("\0".join((text, mutation.old, mutation.new)).encode()).hexdigest()
        if by := self._known.get(key):
            return by
        if f"{key} {self._tests}" in self._known:
            return ""
        path.write_text(text.replace(mutation.old, mutation.new))
        try:
            change = Change(path, text, path.read_text())
            by = self._failing(mutation, function_of(text, mutation), tests_of_room(room), change)
        finally:
            path.write_text(text)
        self._known[key if by else f"{key} {self._tests}"] = by
        self._path.write_text(json.dumps(self._known))
        return by

    def _failing(
        self, mutation: Mutation, function: str, room: tuple[str, ...], change: Change
    ) -> str:
        own = str(Path("tests", mutation.file).with_name(f"test_{Path(mutation.file).name}"))
        folder = (str(Path(own).parent), *room) if Path(own).parent != Path("tests") else room
        calling = self._callers.of(mutation.file, function, room)
        rounds = [calling]
        if not function or not calling:
            # What is done on import, and what no test enters where it was looked.
            rounds.append({t: s for t, s in self._callers.all(folder).items() if t not in calling})
        for seconds in rounds:
            while by := self._first_failure(own, seconds, change):
                if self._is_sound(by, change):
                    return by
                seconds.pop(by, None)
        return ""

    def _first_failure(self, own: str, seconds: dict[str, float], change: Change) -> str:
        unsound = [test for test, sound in self._sound.items() if not sound]
        selection = (own, seconds, unsound)
        timeout = 8 * sum(seconds.values()) + 300
        answer = self._server.ask(change, selection, timeout)
        if answer != "?":
            return "" if answer == "-" else answer
        files = sorted({test.partition("::")[0] for test in seconds})
        if (ROOT / own).exists() and own not in files:
            files.append(own)
        if not files:
            return ""
        path = self._copy.parent / "selected.json"
        path.write_text(json.dumps(selection))
        output = _pytest(self._copy, files, (), {"MUTATION_TESTS": str(path)}, timeout)
        if output.startswith("passed"):
            return ""
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.M)
        return failed.group(1) if failed else output.partition("\n")[0]

    def _is_sound(self, test: str, change: Change) -> bool:
        """Whether the test passes without the mutation; else it would notice anything."""
        if "::" not in test:
            return True
        if test not in self._sound:
            change.path.write_text(change.old)
            same = Change(change.path, change.old, change.old)
            self._sound[test] = self._server.ask(same, ("", {test: 60.0}, []), 600) == "-"
            change.path.write_text(change.new)
            if not self._sound[test]:
                print(f"{test} fails without any mutation: left out", flush=True)
        return self._sound[test]


def _command(
    copy: Path, tests: Iterable[str], options: tuple[str, ...]
) -> tuple[list[str], dict[str, str]]:
    argv = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no",
            "-p", "no:cacheprovider", "-p", "mutation_plugin", "-m", "not lab and not long",
            *options, *tests]  # fmt: skip
    path = {"PYTHONPATH": f"{copy.parent}:{HELPERS}", "PYTHONDONTWRITEBYTECODE": "1"}
    return argv, {**os.environ, **path}


def _pytest(
    copy: Path, tests: Iterable[str], options: tuple[str, ...], variables: dict[str, str],
    timeout: float,
) -> str:  # fmt: skip
    """Run tests with the copy of the source: `passed`, or another word and what pytest printed."""
    argv, environment = _command(copy, tests, options)
    if "MUTATION_CALLS" not in variables:
        argv.insert(3, "-x")
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=environment | variables, capture_output=True,
            timeout=timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "out of time"
    output = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    if done.returncode not in (0, 1, 2, 5) and done.returncode > 0:
        raise SystemExit(f"pytest ended with {done.returncode}: {output[-2000:]}")
    # 5: no test was selected, which notices nothing.
    word = {0: "passed", 5: "passed"}.get(
        done.returncode, "killed" if done.returncode < 0 else "failed"
    )
    return f"{word}\n{output}"


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()

"""How many small faults in the source its own tests notice: the mutation score.

Each mutation changes one thing in a copy of the source and runs the tests that call the changed
function: those of the module of the same name first, then the others of its room, the quickest
first. Named mutations are faults that once went unnoticed, or must never; the others are made from
the syntax: a comparison turned around, a condition negated, a statement left out, a number one
more. Which of them are taken is decided by a seed, so that two runs compare. What changes nothing
that anybody could notice is listed in `mutation/equivalent.py`, with the reason.

    python scripts/mutations.py                 # all named ones and 12 of each room
    python scripts/mutations.py --room nova/match --count 40 --seed 7
    python scripts/mutations.py --named H01 N09
    python scripts/mutations.py --unentered     # functions that no test of their room enters

The first run also asks which test calls which function: all tests once, half as fast as usual.
This, and what was noticed, is kept in `.mutations/`: a run that was interrupted goes on there, and
after a change only what the change may concern is run again.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mutation.equivalent import EQUIVALENT

ROOT = Path(__file__).parents[1]
HELPERS = ROOT / "scripts/mutation"
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
}


class Mutation(NamedTuple):
    """One change: in the file below `src/wholecard`, `old` becomes `new`; what it breaks."""

    name: str
    file: str
    old: str
    new: str
    what: str


NAMED = (
    Mutation("H01", "transaction/atomic_files.py",
             "                yield descriptor\n                syscalls.fsync(descriptor)\n",
             "                yield descriptor\n", "a file takes its name and was not synced"),
    Mutation("H11", "host/operations/run_tool.py",
             "        start(context, self.again or self.argv, self.timeout)\n",
             "        syscalls.start(('chroot', str(context.root), *(self.again or self.argv)), "
             "self.timeout, ())\n", "the tool of a rollback does not hold the lock"),
    Mutation("H14", "transaction/atomic_files.py",
             "    if (traits.uid, traits.gid) != (fresh.uid, fresh.gid):\n",
             "    if traits.mode != fresh.mode:\n        syscalls.chmod(descriptor, traits.mode)\n"
             "    if (traits.uid, traits.gid) != (fresh.uid, fresh.gid):\n",
             "mode before owner"),
    Mutation("H15", "transaction/atomic_files.py",
             "        data = data[syscalls.write(descriptor, data) :]",
             "        syscalls.write(descriptor, data)\n        break",
             "a short write counts as a whole one"),
    Mutation("H19", "transaction/syscalls.py",
             "os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC",
             "os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC", "a scratch file is somebody's link"),
    Mutation("H20", "transaction/syscalls.py", "_APPEND = _NEW & ~os.O_EXCL |",
             "_APPEND = _NEW & ~os.O_EXCL & ~os.O_NOFOLLOW |", "the log is written through a link"),
    Mutation("H29", "transaction/backup.py", "syscalls.mkdir(store, 0o700)",
             "syscalls.mkdir(store, 0o755)", "the store of former files is open to all"),
    Mutation("H40", "host/bootloaders/grub_defaults.py", "return words[BOTH] + words[DEFAULT]",
             "return words[DEFAULT] + words[BOTH]", "the order of GRUB's two variables"),
    Mutation("H47", "host/bootloaders/grub_defaults.py", r'not re.search(r"[$`\\]", rest)',
             'not re.search(r"[$`]", rest)', "a backslash in a GRUB value is plain"),
    Mutation("H61", "host/facts/snapshot_archive.py", '        or ".." in steps[up:]\n', "",
             "a link of a snapshot may say a/../.."),
    Mutation("H63", "host/facts/snapshot_archive.py", "if self._left < 0:",
             "if self._left < -(1 << 62):", "no limit for an archive"),
    Mutation("H65", "host/facts/snapshot_archive.py",
             "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW", "os.O_WRONLY | os.O_CREAT",
             "a member is written through a link"),
    Mutation("N01", "nova/match/pools.py", "        if pool.count > count:",
             "        if pool.count >= count:", "an emptied pool stays"),
    Mutation("N03", "nova/match/stages.py",
             "if pool.provider in taken and pool.count >= taken[pool.provider]]",
             "if pool.provider in taken]", "Placement's choice without its count"),
    Mutation("N09", "nova/match/stages.py",
             'if policy == "legacy" or count_of(near_or_nowhere) >= demand.request.count:',
             'if policy == "legacy":', "`preferred` never stays near"),
    Mutation("N21", "nova/render/drop_in_file.py",
             'tuple(value.replace("$", "$$") for value in values)', "tuple(values)",
             "a dollar is not escaped"),
    Mutation("N26", "nova/conf/conf_file.py", "LARGEST = 4 << 20", "LARGEST = 400 << 20",
             "a nova.conf of 400 MB is read"),
    Mutation("C07", "transaction/engine.py",
             "    with system.journal.lock() as descriptor, explained():\n"
             "        entries = _to_undo(system.journal, to)\n",
             "    descriptor = 0\n    with explained():\n"
             "        entries = _to_undo(system.journal, to)\n", "rollback takes no lock"),
    Mutation("C09", "cloud/operations/quotas.py",
             "if limit.resource_name == self.resource and limit.description == MADE:",
             "if limit.resource_name == self.resource:", "another's registered limit is deleted"),
    Mutation("A02", "explain/checks/placement.py",
             "if any(required <= card.traits for card in cards):",
             "if all(required <= card.traits for card in cards):", "every card needs the traits"),
    Mutation("A10", "explain/checks/placement.py",
             "    if case.asks_placement:\n        return result\n", "    return result\n",
             "a doubt becomes a cause"),
    Mutation("F02", "transaction/atomic_files.py",
             "        return Path(inside(root, path, follow))",
             "        return root / path.lstrip('/')", "links lead out of an image"),
    Mutation("F04", "cloud/operations/traits.py", "if answer.status_code != _CREATED:",
             "if False:", "a trait that others made counts as ours"),
    Mutation("F13", "host/operations/run_tool.py",
             "        sync_files(root, self.targets(root))\n", "",
             "a tool's outputs are not synced before `done`"),
)  # fmt: skip

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Row(NamedTuple):
    """What became of a mutation: the test that noticed it, or empty; the seconds it took."""

    room: str
    mutation: Mutation
    by: str
    seconds: float


def main() -> int:
    """Run the mutations and print the score; 1 where it is below the goal."""
    parser = argparse.ArgumentParser(description="the mutation score of the source")
    parser.add_argument("--room", action="append", choices=ROOMS, help="only these rooms")
    parser.add_argument("--count", type=int, default=12, help="made mutations for each room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--named", nargs="*", help="named mutations alone; without names all")
    parser.add_argument("--goal", type=float, default=0.0, help="per cent below which it fails")
    parser.add_argument("--unentered", action="store_true",
                        help="list the functions that no test of their room enters")  # fmt: skip
    options = parser.parse_args()
    chosen = [] if options.unentered else list(_chosen(options))
    rooms = {room for room, _ in chosen} | set(options.room or (ROOMS if not chosen else ()))
    STATE.mkdir(exist_ok=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder, "src/wholecard")
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        tests = Tests(copy, {path for room in rooms for path in _tests_of_room(room)})
        if options.unentered:
            print("\n".join(tests.unentered(rooms)))
            return 0
        for number, (room, mutation) in enumerate(chosen, 1):
            start = time.monotonic()
            by = tests.noticing(mutation, room)
            rows.append(Row(room, mutation, by, time.monotonic() - start))
            print(f"{number} of {len(chosen)}, {rows[-1].seconds:.0f} s: {mutation.name} "
                  f"{by or 'SURVIVED'}: {mutation.what}", flush=True)  # fmt: skip
        tests.end()
    score = _report(rows, options.seed)
    return int(score < options.goal)


def _report(rows: list[Row], seed: int) -> float:
    """Print survivors and a table of the rooms; the score of all."""
    print("\nNot noticed")
    for row in rows:
        if not row.by:
            print(f"  {row.mutation.name} {row.mutation.file}: {row.mutation.what}")
    print(f"\n{'room':<12} {'noticed':>9} {'score':>6}  95 % interval   (seed {seed})")
    named = {mutation.name for mutation in NAMED}
    kinds = {"named": [row for row in rows if row.mutation.name in named]}
    made = [row for row in rows if row.mutation.name not in named]
    kinds |= {room: [row for row in made if row.room == room] for room in ROOMS}
    kinds |= {"all made": made, "all": rows}
    score = 100.0
    for name, some in kinds.items():
        if some:
            noticed = sum(row.by != "" for row in some)
            score = 100 * noticed / len(some)
            low, high = interval(noticed, len(some))
            print(f"{name:<12} {noticed:>4} of {len(some):<3}{score:>4.0f} %  "
                  f"{100 * low:.0f} to {100 * high:.0f} %")  # fmt: skip
    return score


def interval(noticed: int, count: int) -> tuple[float, float]:
    """Where the share lies that a larger sample would show: Wilson's interval of 95 %.

    Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    z, share = 1.96, noticed / count
    middle = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return (middle - half) / whole, (middle + half) / whole


def _chosen(options: argparse.Namespace) -> Iterator[tuple[str, Mutation]]:
    if options.named is not None or not options.room:
        names = options.named or [mutation.name for mutation in NAMED]
        yield from ((_room(m.file), m) for m in NAMED if m.name in names)
    if options.named is None:
        for room in options.room or list(ROOMS):
            made = [
                mutation
                for path in sorted((SOURCE / room).rglob("*.py"))
                for mutation in _made(path)
                if equivalent(mutation) is None
            ]
            # Seeded for each room, so that one room alone has the same ones.
            generator = random.Random(f"{options.seed} {room}")  # noqa: S311 -- a sample
            yield from ((room, m) for m in generator.sample(made, min(options.count, len(made))))


def equivalent(mutation: Mutation) -> str | None:
    """Why nobody could notice a mutation; None where somebody could."""
    line = mutation.old.strip().partition("\n")[0]
    reasons = [
        reason
        for first, what, reason in EQUIVALENT.get(mutation.file, ())
        if (first, what) == (line, mutation.what)
    ]
    return reasons[0] if reasons else None


def _room(file: str) -> str:
    return next((room for room in ROOMS if file.startswith(f"{room}/")), file.partition("/")[0])


def _tests_of_room(room: str) -> tuple[str, ...]:
    return ROOMS.get(room, (f"tests/{room}",))


def _made(path: Path) -> Iterator[Mutation]:
    """What can be changed in a file by its syntax; a line with the same text twice is left out."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    name = str(path.relative_to(SOURCE))
    for node in ast.walk(ast.parse(text)):
        for what, old, new in _changes(lines, node):
            first, last = node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
            block = "".join(lines[first - 1 : last])
            if text.count(block) == 1 and block.count(old) == 1 and old != new:
                yield Mutation(f"{name}:{first}", name, block, block.replace(old, new), what)


def _changes(lines: list[str], node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """What would change, the node's text, and the text in its place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _TURNED:
        turned = ast.Compare(node.left, [_TURNED[type(node.ops[0])]()], node.comparators)
        old = _text(lines, node)
        yield f"`{old[:60]}` turned around", old, f"({ast.unparse(turned)})"
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        old, test = _text(lines, node), _text(lines, node.test)
        yield f"`{test[:60]}` negated", old, old.replace(test, f"(not ({test}))", 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        old = _text(lines, node)
        yield f"`{old[:60]}` left out", old, "pass"
    elif isinstance(node, ast.BoolOp):
        operation = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        old = _text(lines, node)
        yield f"`{old[:60]}`: and, or", old, f"({ast.unparse(ast.BoolOp(operation, node.values))})"
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        old = _text(lines, node)
        yield f"{old} is one more", old, str(node.value + 1)
    elif isinstance(node, ast.Return) and not isinstance(node.value, (ast.Constant, type(None))):
        old = _text(lines, node)
        yield f"`{old[:60]}` is None", old, "return None"


def _text(lines: list[str], node: ast.expr | ast.stmt) -> str:
    """A node's text; `ast.get_source_segment` cuts the whole file into lines for each node."""
    last = node.end_lineno or node.lineno
    rows = [line.encode() for line in lines[node.lineno - 1 : last]]
    rows[-1] = rows[-1][: node.end_col_offset]
    rows[0] = rows[0][node.col_offset :]
    return b"".join(rows).decode()


def _function(text: str, mutation: Mutation) -> str:
    """The name of the innermost function that is changed; empty outside of all."""
    letters = zip(mutation.old, mutation.new, strict=False)
    same = next((at for at, (one, other) in enumerate(letters) if one != other), 0)
    line = text[: text.index(mutation.old) + same].count("\n") + 1
    around = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno).name if around else ""


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
    failed = [row["test"] for row in rows if row.get("passed") is False]
    if failed or not rows:
        raise SystemExit(f"fail without any mutation: {failed or done[-2000:]}")
    for row in rows:
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
            if not self._callers.of(name, node.name, _tests_of_room(room))
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
            by = self._failing(mutation, _function(text, mutation), _tests_of_room(room), change)
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


if __name__ == "__main__":
    sys.exit(main())

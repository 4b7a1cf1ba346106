"""How many small faults in the source its own tests notice: the mutation score.

Each mutation changes one thing in a copy of the source and runs the tests of its folder, then those
of its room. Named mutations are faults that once went unnoticed, or must never; the others are made
from the syntax: a comparison turned around, a condition negated, a statement left out, a number one
more. Which of them are taken is decided by a seed, so that two runs compare.

    python scripts/mutations.py                 # all named ones and 12 of each room
    python scripts/mutations.py --room nova/match --count 40 --seed 7
    python scripts/mutations.py --named H01 N09
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/wholecard"

# Room -> its tests, for what survives the tests of the same folder.
ROOMS = {
    "transaction": ("tests/transaction", "tests/host/changing", "tests/cloud/changing"),
    "host": ("tests/host", "tests/fleet"),
    "nova/match": ("tests/nova",),
    "explain": ("tests/explain", "tests/cli/test_explain.py"),
    "cloud": ("tests/cloud", "tests/explain"),
}
# Tests of a folder that are in another one.
FOLDERS = {"host/operations": "tests/host/changing"}
# Seconds; a mutation that makes the tests hang is noticed.
TIMEOUT = 1200
# Each test ends by itself long before.
TEST_TIMEOUT = 120


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


def main() -> int:
    """Run the mutations and print the score; 1 where it is below the goal."""
    parser = argparse.ArgumentParser(description="the mutation score of the source")
    parser.add_argument("--room", action="append", choices=ROOMS, help="only these rooms")
    parser.add_argument("--count", type=int, default=12, help="made mutations for each room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--named", nargs="*", help="named mutations alone; without names all")
    parser.add_argument("--goal", type=float, default=0.0, help="per cent below which it fails")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder, "src/wholecard")
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        tests = Tests(copy)
        rows = [(mutation, tests.noticing(mutation)) for mutation in _chosen(options)]
    noticed = sum(by != "" for _, by in rows)
    score = 100 * noticed / max(len(rows), 1)
    for mutation, by in rows:
        if not by:
            print(f"SURVIVED {mutation.name} {mutation.file}: {mutation.what}")
    print(f"{noticed} of {len(rows)} mutations noticed: {score:.0f} % (seed {options.seed})")
    return int(score < options.goal)


def _chosen(options: argparse.Namespace) -> Iterator[Mutation]:
    rooms = options.room or list(ROOMS)
    if options.named is not None or not options.room:
        names = options.named or [mutation.name for mutation in NAMED]
        yield from (mutation for mutation in NAMED if mutation.name in names)
    if options.named is None:
        for room in rooms:
            made = [
                mutation
                for path in sorted((SOURCE / room).rglob("*.py"))
                for mutation in _made(path)
            ]
            # Seeded for each room, so that one room alone has the same ones.
            generator = random.Random(f"{options.seed} {room}")  # noqa: S311 -- a sample
            yield from generator.sample(made, min(options.count, len(made)))


def _made(path: Path) -> Iterator[Mutation]:
    """What can be changed in a file by its syntax; a line with the same text twice is left out."""
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    name = str(path.relative_to(SOURCE))
    for node in ast.walk(ast.parse(text)):
        for what, old, new in _changes(text, node):
            first, last = node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
            block = "".join(lines[first - 1 : last])
            if text.count(block) == 1 and block.count(old) == 1 and old != new:
                yield Mutation(f"{name}:{first}", name, block, block.replace(old, new), what)


def _changes(text: str, node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """What would change, the node's text, and the text in its place."""
    old = ast.get_source_segment(text, node) if isinstance(node, (ast.expr, ast.stmt)) else None
    if old is None:
        return
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _TURNED:
        turned = ast.Compare(node.left, [_TURNED[type(node.ops[0])]()], node.comparators)
        yield f"`{old[:60]}` turned around", old, f"({ast.unparse(turned)})"
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        test = ast.get_source_segment(text, node.test) or ""
        if test:
            yield f"`{test[:60]}` negated", old, old.replace(test, f"(not ({test}))", 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"`{old[:60]}` left out", old, "pass"
    elif isinstance(node, ast.BoolOp):
        operation = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"`{old[:60]}`: and, or", old, f"({ast.unparse(ast.BoolOp(operation, node.values))})"
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{old} is one more", old, str(node.value + 1)
    elif isinstance(node, ast.Return) and not isinstance(node.value, (ast.Constant, type(None))):
        yield f"`{old[:60]}` is None", old, "return None"


def _tests_of(file: str) -> Iterator[tuple[str, ...]]:
    """The tests of the same name, those of the same folder, and those of the room."""
    own = Path("tests", file).with_name(f"test_{Path(file).name}")
    if (ROOT / own).exists():
        yield (str(own),)
    folder = str(Path(file).parent)
    if folder in FOLDERS:
        yield (FOLDERS[folder],)
    elif (ROOT / own.parent).is_dir() and own.parent != Path("tests"):
        yield (str(own.parent),)
    room = next((tests for room, tests in ROOMS.items() if file.startswith(f"{room}/")), None)
    yield room or (str(Path("tests", *Path(file).parts[:1])),)


class Tests:
    """The project's tests, with a copy of the source as the package."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._sound: set[tuple[str, ...]] = set()

    def noticing(self, mutation: Mutation) -> str:
        """Which tests notice it, empty where none do."""
        path = self._copy / mutation.file
        text = path.read_text()
        if text.count(mutation.old) != 1:
            raise SystemExit(f"{mutation.name}: {mutation.file} has not its text, or has it twice")
        for tests in _tests_of(mutation.file):
            path.write_text(text.replace(mutation.old, mutation.new))
            passed = self._pass(tests)
            path.write_text(text)
            if not passed:
                self._require_sound(tests)
                print(f"noticed  {mutation.name} by {' '.join(tests)}: {mutation.what}", flush=True)
                return tests[0]
        return ""

    def _require_sound(self, tests: tuple[str, ...]) -> None:
        # Else they would notice whatever is changed, and nothing.
        if tests not in self._sound and not self._pass(tests):
            raise SystemExit(f"{' '.join(tests)} fail without any mutation")
        self._sound.add(tests)

    def _pass(self, tests: tuple[str, ...]) -> bool:
        argv = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider",
                f"--timeout={TEST_TIMEOUT}", "-m", "not lab and not long", *tests]  # fmt: skip
        path = {"PYTHONPATH": str(self._copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                argv, cwd=ROOT, env=os.environ | path, capture_output=True, timeout=TIMEOUT,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        if done.returncode not in (0, 1, 2):
            raise SystemExit(f"pytest ended with {done.returncode}: {done.stdout.decode()[-2000:]}")
        return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

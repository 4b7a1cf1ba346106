"""What a person at a terminal is told, and asked, before a host is changed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.nodes import APART, GROUPS_APART, bare, with_groups
from support.tree import grow, snapshot
from wholecard.host.agent.asking import plan_summary
from wholecard.host.agent.cli import main
from wholecard.host.desired_state import resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.plan import plan

END = "\x04"  # what Ctrl-D sends


def at_terminal(answer: str, *words: str, columns: int = 80) -> tuple[int, str]:
    """Run the agent at a terminal of its own; its status and what the terminal showed."""
    ours, theirs = pty.openpty()
    code = "import sys; from wholecard.host.agent.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=theirs, stdout=theirs, stderr=theirs,
        env=os.environ | {"COLUMNS": str(columns), "NO_COLOR": "1"},
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = b""
        try:
            while more := os.read(ours, 4096):
                shown += more
        except OSError:
            pass  # Linux says EIO when the last one that has the terminal is gone.
        process.wait()
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("answer", "options", "status", "applied"),
    [
        ("y\n", [], 0, True),
        ("YES\n", [], 0, True),
        ("n\n", [], 1, False),
        ("\n", [], 1, False),
        (END, [], 1, False),
        ("", ["--yes"], 0, True),
    ],
)
def test_apply_asks(
    apart: Path, answer: str, options: list[str], status: int, applied: bool
) -> None:
    """At a terminal apply shows the plan and what it comes to, and asks; --yes is not asked."""
    before = snapshot(apart)
    ended, shown = at_terminal(answer, "apply", "--root", str(apart), "--all-cards", *options)
    assert "8 changes: 6 files (6 new, 0 changed), 2 tools (update-initramfs, update-grub)" in shown
    assert ("[y/N]" in shown) is (not options)
    assert (ended, snapshot(apart) != before) == (status, applied)
    assert ("Nothing was changed." in shown) is not applied


def test_nobody_is_asked_without_a_terminal(
    apart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script, and ssh without a terminal, go on as they always did."""
    assert main(["apply", "--root", str(apart), "--all-cards"]) == 0
    assert "[y/N]" not in capsys.readouterr().err
    assert main(["rollback", "--root", str(apart)]) == 0


@pytest.mark.parametrize(("answer", "status", "undone"), [("y\n", 0, True), ("n\n", 1, False)])
def test_rollback_asks(apart: Path, answer: str, status: int, undone: bool) -> None:
    """At a terminal rollback shows what it will undo, and asks."""
    before = snapshot(apart)
    main(["apply", "--root", str(apart), "--all-cards"])
    ended, shown = at_terminal(answer, "rollback", "--root", str(apart))
    assert "journal 0001: run-tool update-grub" in shown
    assert (ended, snapshot(apart) == before) == (status, undone)


def test_an_unfinished_apply_is_asked_for(apart: Path, calls: Path) -> None:
    """What an interrupted apply left is finished by apply, if the person agrees."""
    (calls.parent / "calls.fail").touch()
    main(["apply", "--root", str(apart), "--all-cards"])
    (calls.parent / "calls.fail").unlink()
    before = snapshot(apart)
    status, shown = at_terminal("n\n", "apply", "--root", str(apart), "--all-cards")
    assert "Journal 0001 stopped at run-tool update-initramfs. Finish it? [y/N]" in shown
    assert (status, snapshot(apart) == before) == (1, True)


def test_rollback_plan(apart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """rollback --plan lists what is undone in the order in which rollback does it."""
    main(["apply", "--root", str(apart), "--all-cards"])
    after = snapshot(apart, without="-")
    capsys.readouterr()
    assert main(["rollback", "--root", str(apart), "--plan", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert snapshot(apart, without="-") == after
    assert main(["rollback", "--root", str(apart)]) == 0
    done = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    named = [f"{action['kind']} {action['subject']}" for action in planned["actions"]]
    assert [line.split(" ... ")[0] for line in done] == named
    assert planned["edited"] == []


def test_rollback_plan_of_edited_files(apart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All files that were edited since are named, not only the first, and the status is 1."""
    main(["apply", "--root", str(apart), "--all-cards"])
    for name in ("etc/wholecard/bind", "etc/modprobe.d/wholecard.conf"):
        (apart / name).write_text("mine\n")
    capsys.readouterr()
    assert main(["rollback", "--root", str(apart), "--plan"]) == 1
    out = capsys.readouterr().out
    assert out.count("was changed since it was applied") == 2
    assert "+mine" in out
    assert "--discard-edits" in out


def test_nothing_to_roll_back(apart: Path) -> None:
    """rollback --plan of a host where nothing is applied is called wrongly, as rollback is."""
    assert main(["rollback", "--root", str(apart), "--plan"]) == 2


def test_full(apart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script of ours is one line, and its text is shown by --full; data are always shown."""
    words = ["plan", "--root", str(apart), "--all-cards"]
    assert main(words) == 0
    short = capsys.readouterr().out
    assert main([*words, "--full"]) == 0
    full = capsys.readouterr().out
    assert "Wholecard's own script, " in short
    assert "driver_override" in full
    assert "driver_override" not in short
    assert "0000:00/02.0/00.0 0000:01:00.0" in short
    assert short.count("\n") < full.count("\n") / 2


def test_plan_summary(apart: Path) -> None:
    """The last line counts files by what happens to them, and names the tools."""
    host = inspect(apart)
    summary = plan_summary(plan(host, resolve(host, ["0000:01:00.0"])))
    assert summary.endswith("A reboot is needed. rollback undoes everything.")


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(
    "words", [["inspect"], ["check"], ["plan", "--all-cards"], ["status"]], ids=" ".join
)
def test_fits(tmp_path: Path, words: list[str], columns: int) -> None:
    """At a narrow terminal no line is longer, but for commands, texts of files and their paths."""
    root = grow(tmp_path / "root", with_groups(bare(APART), GROUPS_APART))
    main(["apply", "--root", str(root), "--card", "0000:01:00.0", "--dry-run"])
    _, shown = at_terminal("", *words, "--root", str(root), columns=columns)
    long = [line for line in shown.splitlines() if len(line) > columns]
    allowed = re.compile(r"   [+$]|         |\d+\. write-file ")
    assert [line for line in long if not allowed.match(line)] == []

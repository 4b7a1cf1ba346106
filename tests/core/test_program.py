"""`run()` watched, and ended from another thread."""

from __future__ import annotations

import sys
import threading

import pytest

from wholecard.core import Programs, RunError, run


def test_watch_lines() -> None:
    """Whole lines are told with their newline, and all of standard error is kept."""
    lines: list[str] = []
    result = run(
        ["sh", "-c", "printf 'a\\nb\\n\\nc' >&2; echo out"], timeout=30, watch=lines.append
    )
    assert [line for line in lines if line.endswith("\n")] == ["a\n", "b\n", "\n"]
    assert (lines[-1], result.stdout, result.stderr) == ("c", "out\n", "a\nb\n\nc")


def test_watch_both() -> None:
    """Each output has a watch of its own, and both are kept."""
    out: list[str] = []
    err: list[str] = []
    result = run(["sh", "-c", "echo a; echo b >&2"], timeout=30, watch=err.append,
                 watch_output=out.append)  # fmt: skip
    assert (out, err, result.stdout, result.stderr) == (["a\n"], ["b\n"], "a\n", "b\n")


def test_watch_unfinished() -> None:
    """A line that goes on is told as far as it has come, while the program still runs."""
    lines: list[str] = []
    with pytest.raises(RunError, match="did not end within"):
        run(["sh", "-c", "printf '[1/2] begun ... ' >&2; exec sleep 60"], timeout=1,
            watch=lines.append)  # fmt: skip
    assert lines == ["[1/2] begun ... "]


def test_watch_large() -> None:
    """Both outputs may be far larger than a pipe, and so may the input."""
    code = "import sys; t = sys.stdin.read(); sys.stderr.write(t); sys.stdout.write(t)"
    text = "x" * 99 + "\n"
    count: list[str] = []
    result = run([sys.executable, "-c", code], timeout=60, stdin=text * 9000, watch=count.append)
    assert result.stdout == result.stderr == text * 9000
    assert sum(line.endswith("\n") for line in count) == 9000


def test_watch_bytes() -> None:
    """Input may be bytes; output that is no UTF-8 is told with replacements."""
    lines: list[str] = []
    result = run(["sh", "-c", "cat >&2"], timeout=30, stdin=b"\xff\n", watch=lines.append)
    assert (lines, result.stderr) == (["\ufffd\n"], "\ufffd\n")


def test_watch_raises() -> None:
    """What the watch raises ends the program and comes out of run()."""

    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="stop"):
        run(["sh", "-c", "echo stop >&2; exec sleep 60"], timeout=50, watch=refuse)


def test_programs_end() -> None:
    """Another thread ends what runs, with its children, and what is started later."""
    programs = Programs()
    seen = threading.Event()

    def end() -> None:
        seen.wait(50)
        programs.end()

    ender = threading.Thread(target=end)
    ender.start()
    result = run(["sh", "-c", "echo up >&2; sleep 60; :"], timeout=50, check=False,
                 watch=lambda _: seen.set(), programs=programs)  # fmt: skip
    ender.join()
    assert (result.status, programs.ended) == (-9, True)
    assert run(["sleep", "60"], timeout=50, check=False, programs=programs).status == -9

"""What a host prints that no agent prints: it is that host's answer, and no other's."""

from __future__ import annotations

import json
import sys

import pytest

from wholecard.core import run
from wholecard.core.program import RunError, TooMuchOutputError
from wholecard.fleet.host_result import HostResult

DEEP = ["[" * 200_000, "[" * 900 + "]" * 900, "1" * 10_000, "NaN", "{"]


@pytest.mark.parametrize("output", DEEP)
def test_json(output: str) -> None:
    """What cannot be read as JSON, or not be written again, is given as text beside the others'."""
    results = [HostResult("a", 0, output), HostResult("b", 0, '{"x": [1]}')]
    data = json.loads(json.dumps({"hosts": {row.host: row.to_json() for row in results}}, indent=2))
    assert data["hosts"]["b"]["output"] == {"x": [1]}
    assert data["hosts"]["a"]["output"] == output or output.endswith("]")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("watched", [False, True])
def test_endless(stream: str, watched: bool) -> None:
    """A program that prints without end is ended and named, with little of it kept."""
    script = f"import sys\nwhile True: sys.{stream}.write('y' * 65536)"
    heard: list[str] = []
    with pytest.raises(TooMuchOutputError, match="printed more than 1 MiB"):
        run([sys.executable, "-c", script], timeout=60, limit=1 << 20,
            watch=heard.append if watched else None)  # fmt: skip


def test_within() -> None:
    """What is as long as the limit is kept whole, of both outputs, and input still gets through."""
    script = (
        "import sys; data = sys.stdin.read(); sys.stdout.write(data); sys.stderr.write(data[::-1])"
    )
    text = "ab" * 500_000
    result = run([sys.executable, "-c", script], timeout=60, stdin=text, limit=len(text))
    assert (result.stdout, result.stderr) == (text, text[::-1])
    with pytest.raises(RunError):
        run([sys.executable, "-c", script], timeout=60, stdin=text, limit=len(text) - 1)

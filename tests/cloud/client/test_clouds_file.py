"""clouds.yaml before the SDK reads it: what no clouds.yaml is like is refused, without a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wholecard.cloud.client.clouds_file import refuse_odd_files
from wholecard.cloud.client.connection import connect
from wholecard.core import UsageError

SECRET = "s3cret"
# Each line has the one before it ten times: 10^8 values.
ALIASES = f"a0: &a0 [{SECRET}]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)
DEEP = "a: " + "[" * 40 + "]" * 40 + "\n"
ODD = {
    "aliases": (ALIASES, "more than 100000 values"),
    "many": ("a:\n" + "- 1\n" * 100_001, "more than 100000 values"),
    "deep": (DEEP, "nested deeper than 32 levels"),
    "large": ("# " + "x" * (1 << 20), "1"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd(tmp_path: Path, name: str) -> None:
    """Too many values, with aliases expanded, too many levels or bytes; no line is quoted."""
    text, words = ODD[name]
    file = tmp_path / "clouds.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match="cannot read") as caught:
        refuse_odd_files([file])
    assert words in caught.value.brief
    assert SECRET not in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to is refused at once."""
    os.mkfifo(tmp_path / "clouds.yaml")
    with pytest.raises(UsageError, match="cannot read"):
        refuse_odd_files([tmp_path / "clouds.yaml"])


@pytest.mark.parametrize("text", [None, "", "clouds: {}\n", "a: [\n", "a: " + "[" * 30 + "]" * 30])
def test_left_to_the_reader(tmp_path: Path, text: str | None) -> None:
    """No file, an ordinary one and broken YAML pass."""
    file = tmp_path / "clouds.yaml"
    if text is not None:
        file.write_text(text)
    refuse_odd_files([file])


def test_before_the_sdk_reads_it(tmp_path: Path) -> None:
    """A connection is refused before the SDK copies what the aliases name."""
    file = tmp_path / "clouds.yaml"
    file.write_text(ALIASES)
    with pytest.raises(UsageError, match="more than 100000 values"):
        connect("test", file)

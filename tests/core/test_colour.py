"""Colours for a person at a terminal."""

from __future__ import annotations

import io
import re

import pytest

from wholecard.core.colour import coloured, wants_colour


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_wants_colour(
    terminal: bool, environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal gets colours unless NO_COLOR is set or it can show none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(_Terminal() if terminal else io.StringIO()) is wanted


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("WC101 error host: off", "<1;31>WC101 error<0> host: off"),
        ("WC101 note host: off", "<36>WC101 note<0> host: off"),
        ("      fix: do it", "<1>      fix:<0> do it"),
        ("   +softdep nouveau", "<32>   +softdep nouveau<0>"),
        ("   -quiet", "<1;31>   -quiet<0>"),
        ("   --- /dev/null", "<2>   --- /dev/null<0>"),
        ("1. write-file /etc/x", "<1>1. write-file /etc/x<0>"),
        ("card 0000:41:00 (NUMA node 0)", "<1>card 0000:41:00 (NUMA node 0)<0>"),
        ("arguments:  quiet", "<1>arguments:<0>  quiet"),
        ("a sentence about an error: none", "a sentence about an error: none"),
    ],
)
def test_coloured(line: str, shown: str) -> None:
    """How a line begins says what it is; its text stays."""
    assert re.sub(r"\x1b\[([0-9;]+)m", r"<\1>", coloured(line)) == shown

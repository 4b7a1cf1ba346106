"""The page of the benchmarks says what the command has."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from wholecard_bench.cli import parser
from wholecard_bench.nbody.kernel import Precision

PAGE = Path(__file__).parents[3] / "docs/reference/benchmarks.md"


def _commands() -> dict[str, argparse.ArgumentParser]:
    actions = parser()._subparsers._group_actions  # type: ignore[union-attr]
    choices = actions[0].choices
    assert isinstance(choices, dict)
    return choices


@pytest.mark.parametrize("name", ["nbody", "bandwidth"])
def test_every_option_is_on_the_page(name: str) -> None:
    """Long options, those of the sample too."""
    text = PAGE.read_text()
    options = [
        word
        for action in _commands()[name]._actions
        for word in action.option_strings
        if len(word) > 2 and word != "--help"
    ]
    assert [word for word in options if not re.search(rf"`[^`]*{word}\b", text)] == []


def test_no_option_is_invented() -> None:
    """What the page writes as an option exists."""
    words = set(re.findall(r"`(--[a-z0-9-]+)", PAGE.read_text()))
    known = {
        word
        for command in _commands().values()
        for action in command._actions
        for word in action.option_strings
    }
    assert words - known == set()


@pytest.mark.parametrize("precision", Precision)
def test_bounds_are_on_the_page(precision: Precision) -> None:
    """The bounds that a result must keep."""
    assert f"{precision.bound:.0e}".replace("e-0", "e-") in PAGE.read_text()

"""The commands in the pages' examples are commands that the program accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_page import command_tree

from wholecard.nova.conf.file_options import conf_files

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
GROUPS = (
    "audit", "capacity", "card", "cloud", "drain", "explain", "exporter", "guest", "handover",
    "health", "image", "lab", "migrate", "nova", "prove", "repair", "rule", "site", "split",
    "undrain",
)  # fmt: skip


def _examples() -> Iterator[tuple[str, list[str]]]:
    """The page and the words of each indented or fenced `wholecard GROUP …` of an example."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^(?: {4}|\$ |)wholecard (\S.*)", text, re.MULTILINE):
            words = shlex.split(line, comments=True)
            words = words[: next((n for n, word in enumerate(words) if word in "><|"), None)]
            unfinished = any("[" in word or word.endswith("...") for word in words)
            if words[0] in GROUPS and not unfinished:
                yield f"{page.name}: {' '.join(words)}", words


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in _examples()])
def test_example_is_accepted(words: list[str]) -> None:
    """Its options exist, and the files of `nova diff` are those of its role."""
    command, rest = command_tree(), list(words)
    # `wholecard handover --once` is a group that does something itself.
    while hasattr(command, "commands") and not rest[0].startswith("-"):
        command = command.commands[rest.pop(0)]
    parsed = command.make_context(command.name, rest).params
    if command.name == "diff":
        assert {role for role, _ in conf_files(parsed["conf"])} == {parsed["role"]}
    if command.name == "prove":
        assert parsed["clean"] or (parsed["flavor"] and parsed["image"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_facts_are_not_overwritten(page: Path) -> None:
    """The shell empties a file before the command reads it: only inspect writes a facts file."""
    text = page.read_text()
    facts = set(re.findall(r"facts: ([\w./-]+\.json)", text))
    for command, target in re.findall(r"^ {4}(wholecard[^>\n]*)> ?(\S+)", text, re.MULTILINE):
        assert target not in facts or " inspect " in command, command

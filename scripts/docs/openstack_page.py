"""The reference's sections of `openstack gpu …`, made from the commands' own parsers.

What cliff adds to every command (-f, -c, --sort-column) is left out: it is openstackclient's.
"""

from __future__ import annotations

import argparse
import inspect
from html import escape
from importlib.metadata import entry_points
from typing import Any

GROUP = "openstack.gpu.v1"


def sections() -> dict[str, str]:
    """By the command's words, `gpu card list`, its section in Markdown."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return {entry.name.replace("_", " "): _section(entry.name, entry.load()) for entry in found}


def _section(name: str, command: Any) -> str:
    words = name.replace("_", " ")
    parser = command(None, None).get_parser(f"openstack {words}")
    # argparse has no public list of what is not in a group of its own.
    own = [*parser._positionals._group_actions, *parser._optionals._group_actions]
    actions = [action for action in own if action.dest != "help"]
    arguments = " ".join(f"[{action.metavar}]" for action in actions if not action.option_strings)
    usage = f"openstack {words} {arguments} [OPTIONS]".replace("  ", " ")
    first, *others = inspect.cleandoc(command.__doc__).split("\n\n")
    paragraphs = [f"{first}.", *(" ".join(text.split()) for text in others)]
    rows = "".join(f"| {cell_code(_spelling(action))} | {action.help} |\n" for action in actions)
    # Markdown would take `<path>` for a tag.
    text = "\n\n".join(paragraphs).replace("<", "\\<")
    return f"```text\n{usage}\n```\n\n{text}\n\n| option | meaning |\n| --- | --- |\n{rows}"


def _spelling(action: argparse.Action) -> str:
    value = str(action.metavar or f"<{'|'.join(action.choices or ())}>")
    value = "" if action.nargs == 0 else value
    return f"{', '.join(action.option_strings)} {value}".strip()


def cell_code(text: str) -> str:
    """Code in a table's cell: a bar in it must not end the cell, and a backslash would be shown."""
    return f"<code>{escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"

"""The table that shell completion reads, made from the commands: cli/completions.json."""

from __future__ import annotations

import argparse
import json
from typing import Any

from command_page import command_tree

from wholecard.cli.main import agent_call
from wholecard.host.agent.options import parser


def completion_table() -> str:
    """JSON: by the command's words, joined, the words that may follow it and its options."""
    table: dict[str, Any] = {}
    root = command_tree()
    _add(table, "", root)
    return json.dumps(table, indent=1) + "\n"


def _add(table: dict[str, Any], name: str, command: Any) -> None:
    subcommands = getattr(command, "commands", {})
    words = name.split()
    options = agent_options(words[-1]) if words and agent_call(words) else _options(command)
    summaries = {sub: _summary(below.help) for sub, below in subcommands.items()}
    table[name] = {"commands": summaries, "options": options}
    for sub, below in subcommands.items():
        _add(table, f"{name} {sub}".strip(), below)


def _options(command: Any) -> dict[str, dict[str, Any]]:
    # What typer adds itself, to install this completion, is not looked for at a Tab.
    return {
        option: {"help": _summary(param.help), "value": not param.is_flag}
        for param in command.params
        if param.param_type_name == "option" and not getattr(param, "hidden", False)
        for option in param.opts
        if option.startswith("--") and not option.endswith("-completion")
    } | {"--help": {"help": "Show this message and exit.", "value": False}}


def agent_options(name: str) -> dict[str, dict[str, Any]]:
    """The long options of a command of the agent, with their help and whether they take a value."""
    # argparse has no public list of a parser's arguments.
    actions: Any = parser("wholecard")._actions
    commands = next(each for each in actions if isinstance(each, argparse._SubParsersAction))
    return {
        option: {"help": _summary(action.help), "value": action.nargs != 0}
        for action in commands.choices[name]._actions
        for option in action.option_strings
        if option.startswith("--")
    }


def _summary(text: str | None) -> str:
    """The first sentence, on one line."""
    return " ".join((text or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")

"""The reference's sections of commands, made from typer's own tree of them."""

from __future__ import annotations

import re
from typing import Any

from typer.main import get_command

from wholecard.cli.app import made_app
from wholecard.cli.main import here

# Cells of a table and paragraphs are Markdown; what typer prints is plain text.
_PLAIN = re.compile(r"(`[^`]*`)|([*<|\\])")


def sections() -> dict[str, str]:
    """By the group's name its commands, and by a lone command's name that command; Markdown.

    The agent's commands are left out: they have a `--help` of their own.
    """
    made: dict[str, str] = {}
    for name, command in _tree().items():
        below = getattr(command, "commands", None)
        if below is None:
            if here([name]) is None:
                made[name] = _body(name, command)
            continue
        parts = [
            f"### {name} {each}\n\n{_body(f'{name} {each}', one)}"
            for each, one in below.items()
            if here([name, each]) is None
        ]
        made[name] = "\n".join(parts)
    return made


def words() -> frozenset[str]:
    """Every command as it is called, behind `wholecard`: `inspect`, `host plan`, …"""
    found = set()
    for name, command in _tree().items():
        below = getattr(command, "commands", None)
        found |= {name} if below is None else {f"{name} {each}" for each in below}
    return frozenset(found)


def _tree() -> dict[str, Any]:
    """All groups and commands, each filled: an app fills those that it is called with."""
    # What typer returns is its own copy of click, which has no public types.
    bare: Any = get_command(made_app([]))
    whole: Any = get_command(made_app(list(bare.commands)))
    return dict(whole.commands)


def _body(words_of: str, command: Any) -> str:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [each for each in shown if each.param_type_name == "option"]
    usage = [f"wholecard {words_of}", *map(_argument, arguments)]
    usage += [_option(each) for each in options if each.required]
    if any(not each.required for each in options):
        usage.append("[OPTIONS]")
    if command.context_settings.get("allow_extra_args"):
        usage.append("[-- COMMAND...]")
    text = f"```text\n{' '.join(usage)}\n```\n\n{_help(command.help or '')}\n"
    rows = [f"| `{_argument(each)}` | {_says(each)} |\n" for each in arguments]
    rows += [f"| `{_option(each)}` | {_says(each)} |\n" for each in options]
    kinds = [kind for kind, some in (("argument", arguments), ("option", options)) if some]
    if rows:
        text += f"\n| {', '.join(kinds)} | says |\n| --- | --- |\n{''.join(rows)}"
    return text


def _argument(each: Any) -> str:
    name = each.metavar or each.name.upper() + ("..." if each.nargs == -1 else "")
    return name if each.required or name.startswith("[") else f"[{name}]"


def _option(each: Any) -> str:
    value = "" if each.is_flag else f" {each.metavar or each.opts[0].lstrip('-').upper()}"
    return ", ".join(each.opts) + value


def _says(each: Any) -> str:
    said = [_plain(each.help or "")]
    multiple = getattr(each, "multiple", False) and "repeated" not in said[0]
    if each.required:
        said.append("Must be given.")
    if multiple:
        said.append("May be repeated.")
    if each.default not in (None, "", False):
        said.append(f"Default: `{each.default}`.")
    return " ".join(filter(None, said))


def _help(text: str) -> str:
    """The docstring's paragraphs; lines that are indented are commands to paste."""
    paragraphs = []
    for each in text.strip().split("\n\n"):
        if each.startswith("  "):
            lines = "\n".join(line.strip() for line in each.splitlines())
            paragraphs.append(f"```sh\n{lines}\n```")
        else:
            paragraphs.append(_plain(" ".join(each.split())))
    return "\n\n".join(paragraphs)


def _plain(text: str) -> str:
    return _PLAIN.sub(lambda found: found[1] or f"\\{found[2]}", text)

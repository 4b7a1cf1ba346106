"""The reference's sections of commands, made from typer's own tree of them."""

from __future__ import annotations

import re
from typing import Any

from typer.main import get_command

from wholecard.cli.app import build_app
from wholecard.cli.main import agent_call

# Cells of a table and paragraphs are Markdown; what typer prints is plain text.
_PLAIN = re.compile(r"(`[^`]*`)|([*<|\\])")


def sections() -> dict[str, str]:
    """By the group's name its commands, and by a lone command's name that command; Markdown.

    The agent's commands are left out: they have a `--help` of their own.
    """
    texts: dict[str, str] = {}
    for name, command in command_tree().commands.items():
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            if agent_call([name]) is None:
                texts[name] = _section(name, command)
            continue
        # Some groups do something themselves.
        own = [_section(name, command)] if command.invoke_without_command else []
        texts[name] = "\n".join(
            [
                *own,
                *(
                    f"### {name} {subname}\n\n{_section(f'{name} {subname}', subcommand)}"
                    for subname, subcommand in subcommands.items()
                    if agent_call([name, subname]) is None
                ),
            ]
        )
    return texts


def command_names() -> frozenset[str]:
    """Every command as it is called, after `wholecard`: `inspect`, `host plan`, …"""
    names = set()
    for name, command in command_tree().commands.items():
        subcommands = getattr(command, "commands", None)
        if subcommands is None or command.invoke_without_command:
            names.add(name)
        names |= {f"{name} {sub}" for sub in subcommands or ()}
    return frozenset(names)


def command_tree() -> Any:
    """typer's root command with all groups filled: an app fills those that it is called with."""
    # What typer returns is its own copy of click, which has no public types.
    bare: Any = get_command(build_app([]))
    return get_command(build_app(list(bare.commands)))


def _section(name: str, command: Any) -> str:
    params = [param for param in command.params if not getattr(param, "hidden", False)]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param.param_type_name == "option"]
    usage = [f"wholecard {name}", *map(_argument, arguments)]
    usage += [_option(option) for option in options if option.required]
    if any(not option.required for option in options):
        usage.append("[OPTIONS]")
    if command.context_settings.get("allow_extra_args"):
        usage.append("[-- COMMAND...]")
    text = f"```text\n{' '.join(usage)}\n```\n\n{_help(command.help or '')}\n"
    rows = [f"| `{_argument(argument)}` | {_meaning(argument)} |\n" for argument in arguments]
    rows += [f"| `{_option(option)}` | {_meaning(option)} |\n" for option in options]
    kinds = [kind for kind, some in (("argument", arguments), ("option", options)) if some]
    if rows:
        text += f"\n| {', '.join(kinds)} | meaning |\n| --- | --- |\n{''.join(rows)}"
    return text


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper() + ("..." if param.nargs == -1 else "")
    return name if param.required or name.startswith("[") else f"[{name}]"


def _option(param: Any) -> str:
    value = "" if param.is_flag else f" {param.metavar or param.opts[0].lstrip('-').upper()}"
    return ", ".join(param.opts) + value


def _meaning(param: Any) -> str:
    sentences = [_plain(param.help or "")]
    if param.required:
        sentences.append("Required.")
    if getattr(param, "multiple", False) and "repeated" not in sentences[0]:
        sentences.append("May be repeated.")
    if param.default not in (None, "", False):
        sentences.append(f"Default: `{param.default}`.")
    return " ".join(filter(None, sentences))


def _help(text: str) -> str:
    """The docstring's paragraphs; lines that are indented are commands to paste."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith("  "):
            lines = "\n".join(line.strip() for line in paragraph.splitlines())
            paragraphs.append(f"```sh\n{lines}\n```")
        else:
            paragraphs.append(_plain(" ".join(paragraph.split())))
    return "\n\n".join(paragraphs)


def _plain(text: str) -> str:
    return _PLAIN.sub(lambda match: match[1] or f"\\{match[2]}", text)

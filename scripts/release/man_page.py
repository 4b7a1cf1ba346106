"""Manual pages from the help that the commands print themselves."""

from __future__ import annotations

import argparse
import time
from typing import Any

from command_page import command_tree

from wholecard import __version__
from wholecard.cli.main import agent_call
from wholecard.host.agent.help import AGENT, COMMANDS, epilog
from wholecard.host.agent.options import parser


def host_page(epoch: int) -> str:
    """wholecard-host(8), from the parser of the agent."""
    lines = [
        *_head("wholecard-host", 8, epoch, "prepare a host to give whole GPUs to servers"),
        ".SH SYNOPSIS", ".B wholecard-host", "[\\fB-v\\fR] [\\fB--version\\fR] \\fICOMMAND\\fR ...",
        ".SH DESCRIPTION", *_preformatted(AGENT),
    ]  # fmt: skip
    for name, command in _host_commands().items():
        lines += [f".SH {_roff(name.upper())}", f"{_roff(COMMANDS[name])}.", ".PP"]
        lines += _arguments(command)
        text = epilog(name) % {"prog": f"wholecard-host {name}"}
        lines += _preformatted(text)
    lines += [
        ".SH FILES", ".TP", ".I /var/lib/wholecard", "The journals, which rollback needs.",
        ".TP", ".I /etc/wholecard/bind", "The table of functions that are bound at boot.",
        ".SH SEE ALSO", ".BR wholecard (1)",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def client_page(epoch: int) -> str:
    """wholecard(1), from the commands as typer has them."""
    root = command_tree()
    lines = [
        *_head("wholecard", 1, epoch, "whole GPUs for OpenStack servers"),
        ".SH SYNOPSIS", ".B wholecard", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...",
        ".SH DESCRIPTION", *_paragraphs(root.help or ""), *_options(root),
    ]  # fmt: skip
    lines += _commands("", root)
    lines += [".SH SEE ALSO", ".BR wholecard-host (8)"]
    return "\n".join(lines) + "\n"


def _commands(name: str, group: Any) -> list[str]:
    lines: list[str] = []
    for sub, command in getattr(group, "commands", {}).items():
        full = f"{name} {sub}".strip()
        if getattr(command, "hidden", False):
            continue
        lines += [f".SH {_roff(full.upper())}", *_paragraphs(command.help or "")]
        if agent_call(full.split()):
            lines += [".PP", f"Its options are those of \\fBwholecard-host {sub}\\fR(8)."]
        else:
            lines += _options(command)
            lines += _commands(full, command)
    return lines


def _head(name: str, section: int, epoch: int, summary: str) -> list[str]:
    day = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    return [
        f'.TH {name.upper()} {section} "{day}" "Wholecard {__version__}"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(summary)}",
    ]


def _host_commands() -> dict[str, argparse.ArgumentParser]:
    # argparse has no public list of a parser's subcommands.
    actions: Any = parser("wholecard-host")._actions
    found = next(each for each in actions if isinstance(each, argparse._SubParsersAction))
    return dict(found.choices)


def _arguments(command: argparse.ArgumentParser) -> list[str]:
    lines = []
    for action in command._actions:
        if action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(f"\\fB{_roff(option)}\\fR" for option in action.option_strings)
        value = (
            ""
            if action.nargs == 0
            else _roff(str(action.metavar or ",".join(action.choices or ())))
        )
        lines += [".TP", f"{names} \\fI{value}\\fR".strip(), _roff(action.help or "")]
    return lines


def _options(command: Any) -> list[str]:
    lines = []
    for param in command.params:
        if param.param_type_name == "option" and not getattr(param, "hidden", False):
            names = ", ".join(f"\\fB{_roff(option)}\\fR" for option in param.opts)
            value = "" if param.is_flag else _roff(param.metavar or "VALUE")
            lines += [".TP", f"{names} \\fI{value}\\fR", _roff(param.help or "")]
    return lines


def _paragraphs(text: str) -> list[str]:
    lines = []
    for paragraph in text.strip().split("\n\n"):
        if "\n " in paragraph or paragraph.startswith(" "):
            lines += _preformatted(paragraph)
        else:
            lines += [".PP", _roff(" ".join(paragraph.split()))]
    return lines


def _preformatted(text: str) -> list[str]:
    return [".PP", ".nf", *(_roff(line) for line in text.rstrip().splitlines()), ".fi"]


def _roff(text: str) -> str:
    """A text in which nothing is a request of roff's: man(7), groff_char(7)."""
    text = " ".join(text.split("\n")).replace("\\", "\\(rs").replace("-", "\\-")
    text = "".join(sign if sign.isascii() else f"\\[u{ord(sign):04X}]" for sign in text)
    return f"\\&{text}" if text[:1] in (".", "'") else text

"""The options of the agent's commands, as argparse reads and explains them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from wholecard import __version__
from wholecard.core import UsageError
from wholecard.core.output_format import FORMATS, TEXT_FORMATS
from wholecard.host.agent import desired_options
from wholecard.host.agent.help import AGENT, COMMANDS, epilog
from wholecard.host.planning.image_changes import KINDS

# The member of a command's answer that is a list, whose fields are its columns.
ROWS = {
    "inspect": "functions",
    "check": "findings",
    "plan": "actions",
    "verify": "findings",
    "clean-card": "findings",
    "status": "history",
    "health": "cards",
    "split": "cards",
}
_WITH_CARDS = ("check", "plan", "apply")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors look like all others of Wholecard."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments; what is unknown sends to the help of the command, not of the program."""
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            command = f"{self.prog} {arguments.command}"
            what = f"unrecognized arguments: {' '.join(unknown)}"
            similar = self._similar(unknown[0], arguments.command)
            raise UsageError(what, similar, f"See {command} --help")
        if "card" in arguments:
            arguments.card = [word for text in arguments.card for word in text.split(",") if word]
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong as a UsageError."""
        from wholecard.core.near_names import did_you_mean  # inspect does not need it

        word, _, choices = message.partition("invalid choice: ")[2].partition(" (choose from ")
        names = [name.strip("')") for name in choices.split(", ")]
        similar = did_you_mean(word.strip("'"), names) if choices else ""
        raise UsageError(message, similar, f"See {self.prog} --help")

    def _similar(self, word: str, command: str) -> str:
        """`Did you mean '--card'?`: the command's option that an unknown word looks like."""
        from wholecard.core.near_names import did_you_mean  # inspect does not need it

        # argparse has no public list of either.
        commands: Any = next(each.choices for each in self._actions if each.dest == "command")
        return did_you_mean(word.partition("=")[0], list(commands[command]._option_string_actions))


def parser(prog: str) -> argparse.ArgumentParser:
    """The parser of all commands; `prog` is how a person called the program."""
    top = _Parser(
        prog=prog,
        description="Prepare this host to give whole GPUs to servers.",
        epilog=AGENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="log each external command so that you can copy it",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_options(command, name)
    return top


def _add_options(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="the host's root folder, if it is not /; inspect, check and plan also read a snapshot",
    )
    _add_format(command, name)
    if name == "inspect":
        command.add_argument(
            "--save", type=Path, metavar="FILE", help="save the files that are read as a snapshot"
        )
        command.add_argument(
            "--domains",
            action="store_true",
            help="also libvirt's domains with their devices, and mediated devices",
        )
        command.add_argument(
            "--topology",
            action="store_true",
            help="NUMA nodes, ports, switches and devices as a tree",
        )
    if name in _WITH_CARDS:
        command.add_argument(
            "--card",
            action="append",
            default=[],
            metavar="ADDRESS",
            help="a card, by the PCI address of any of its functions; with commas, or repeated",
        )
        command.add_argument(
            "--all-cards",
            action="store_true",
            help="every card except the host's own displays and coprocessors",
        )
        desired_options.add(command)
    if name in ("apply", "rollback"):
        command.add_argument(
            "--yes", "-y", action="store_true", help="do not ask; without a terminal it never asks"
        )
    if name in ("plan", "apply"):
        command.add_argument(
            "--full", action="store_true", help="also print the texts of Wholecard's own scripts"
        )
        command.add_argument(
            "--now", action="store_true", help="also bind the functions in the running boot"
        )
    if name == "plan":
        command.add_argument(
            "--for-image",
            nargs="?",
            const="",
            choices=("", *KINDS),
            metavar="KIND",
            help="print what to paste into the build of an image-based system: "
            f"{', '.join(KINDS)}; without KIND, the host's own",
        )
    if name == "apply":
        command.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    if name == "clean-card":
        _add_clean_card(command)
    _add_options_of_changes(command, name)


def _add_options_of_changes(command: argparse.ArgumentParser, name: str) -> None:
    """Those of commands that change what is applied."""
    if name == "split":
        command.add_argument(
            "--wait",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="how long to wait until the cards' drivers are loaded",
        )
    if name == "rollback":
        _add_rollback(command)


def _add_format(command: argparse.ArgumentParser, name: str) -> None:
    formats = FORMATS if name in ROWS else TEXT_FORMATS
    command.add_argument(
        "-f", "--format", choices=formats, default=formats[0], help="the output format"
    )
    command.add_argument(
        "--json", action="store_const", dest="format", const="json", help="the same as -f json"
    )
    command.set_defaults(column=[])
    if name in ROWS:
        command.add_argument(
            "-c",
            "--column",
            action="append",
            metavar="COLUMN",
            help=f"print only this column of the {ROWS[name]}; may be repeated",
        )


def _add_clean_card(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "address", metavar="ADDRESS", help="the card, by the address of any of its functions"
    )
    command.add_argument(
        "--scrub-visible",
        action="store_true",
        help="set what is visible of its memory to zero, if it is plain memory",
    )


def _add_rollback(command: argparse.ArgumentParser) -> None:
    command.add_argument("--plan", action="store_true", help="print what would be undone and stop")
    command.add_argument(
        "--discard-edits",
        action="store_true",
        help="also undo files that were edited after apply; these edits are lost",
    )
    command.add_argument(
        "--to",
        type=int,
        metavar="ID",
        help="undo all journals after this one; 0 undoes all journals",
    )

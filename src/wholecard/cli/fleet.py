"""`wholecard --on …`: a host's command on other hosts, and how their results are shown."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wholecard.cli.error import report
from wholecard.cli.options import Elsewhere, ssh_of
from wholecard.cli.progress import Lines, Live, Through
from wholecard.cli.signals import terminable
from wholecard.cli.terminal import PlainConsole
from wholecard.core import UsageError
from wholecard.core.colour import coloured, wants_colour
from wholecard.core.plain_text import plain
from wholecard.core.report_text import table_width
from wholecard.core.units import counted
from wholecard.fleet import Fleet, HostResult, Watcher, read_names, worst
from wholecard.host.agent import cli
from wholecard.host.agent.asking import agreed, is_asked

# Where an action failed, the error follows the action's name on its line.
_ERROR = re.compile(r"^(?:\[.*\.\.\. )?error: (.*)$", re.MULTILINE)
# A card's line, also in a tree.
_CARD = re.compile(r" *card [0-9a-f]{4,8}:")
_WORDS = {0: "ok", 1: "findings", 2: "called wrongly", 3: "failed"}
_COLOURS = {0: "green", 1: "yellow"}


def run_on(elsewhere: Elsewhere, words: Sequence[str], prog: str) -> int:
    """Run the agent's command `words` on the hosts; return the exit status of them all."""
    # The hosts have the same parser: a wrong option is refused before anything is sent.
    arguments = cli.parse(words, prog)
    as_json = arguments.format == "json"
    if getattr(arguments, "save", None) is not None:
        raise UsageError(
            "--save would write the file on the host, not on this machine",
            resolution=f"Run `wholecard {words[0]} --save FILE` on the host and copy the file, or "
            f"keep the JSON here: wholecard --on HOST {words[0]} --json > FILE",
        )
    hosts = read_names(elsewhere.on)
    if not _is_agreed(arguments, hosts, as_json):
        print("Nothing was changed.", file=sys.stderr)
        return 1
    ssh = replace(ssh_of(elsewhere.ssh_config, elsewhere.sudo), columns=table_width())
    fleet = Fleet(hosts, ssh, elsewhere.jobs or 16, elsewhere.timeout)
    with terminable(), watching(hosts) as watcher:
        results = fleet.run(words, watcher)
    if len(results) == 1:
        _show_one(results[0], as_json, shown=isinstance(watcher, Through))
    elif as_json:
        hosts_json = {result.host: result.to_json() for result in results}
        print(json.dumps({"hosts": hosts_json}, indent=2))
    else:
        _show_all(PlainConsole(highlight=False), words[0], results)
    return 130 if fleet.interrupted else worst(results)


def _is_agreed(arguments: Namespace, hosts: Sequence[str], as_json: bool) -> bool:
    """A person at a terminal is asked here, once for all hosts: there the agent has no terminal."""
    only_shows = getattr(arguments, "dry_run", False) or getattr(arguments, "plan", False)
    if not hasattr(arguments, "yes") or only_shows or not is_asked(arguments.yes, not as_json):
        return True
    preview = {"apply": "plan", "rollback": "rollback --plan"}[arguments.command]
    print(f"To see first what would be done: wholecard --on … host {preview}", file=sys.stderr)
    return agreed(f"{arguments.command} on {counted(len(hosts), 'host')}: {', '.join(hosts)}?")


@contextmanager
def watching(hosts: Sequence[str]) -> Iterator[Watcher]:
    """What shows hosts at work: live lines on a terminal, plain lines elsewhere."""
    console = PlainConsole(stderr=True, highlight=False)
    if console.is_terminal:
        live = Live(console, hosts)
        with live.shown():
            yield live
    else:
        yield Through() if len(hosts) == 1 else Lines()


def _show_one(result: HostResult, as_json: bool, shown: bool) -> None:
    """As if the command had run here; `shown` where its standard error was printed already."""
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    for name, text in _in_order(result):
        if not (shown and name == "stderr"):
            shown_text = plain(text)
            streams[name].write(coloured(shown_text) if _colours(name) else shown_text)
            streams[name].flush()
    if result.error is not None:
        report(result.error, as_json)


def _colours(name: str) -> bool:
    return name == "stdout" and wants_colour(sys.stdout)


def _show_all(console: PlainConsole, command: str, results: Sequence[HostResult]) -> None:
    for result in results:
        title = f"{result.host}: {_word(result)}, {result.seconds:.1f} s"
        console.print(Rule(Text(title), align="left", characters="-"))
        for _, text in _in_order(result):
            if text:
                shown = plain(text.rstrip("\n"))
                shown = coloured(shown) if wants_colour(sys.stdout) else shown
                console.print(Text.from_ansi(shown), soft_wrap=True)
        if result.error is not None:
            console.print(Text(plain(f"error: {result.error}")), soft_wrap=True)
        console.print()
    table = Table("host", "status", "what", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for result in results:
        status = Text(f"{result.status} {_word(result)}", _COLOURS.get(result.status, "red"))
        table.add_row(Text(result.host), status, Text(_summary(command, result)))
    console.print(table)


def _in_order(result: HostResult) -> tuple[tuple[str, str], tuple[str, str]]:
    """The progress and then the result; where it failed, its output and then the error."""
    stdout, stderr = ("stdout", result.stdout), ("stderr", result.stderr)
    return (stderr, stdout) if result.status == 0 else (stdout, stderr)


def _word(result: HostResult) -> str:
    return "no answer" if result.error is not None else _WORDS[result.status]


def _summary(command: str, result: HostResult) -> str:
    if result.error is not None:
        return plain(result.error.brief.removeprefix(f"{result.host}: "))
    errors = _ERROR.findall(result.stderr)
    if errors:
        return plain(errors[-1])
    return _output_summary(command, result.stdout)


def _output_summary(command: str, output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    if command == "inspect":
        return counted(sum(bool(_CARD.match(line)) for line in lines), "card")
    codes = [line.split()[0] for line in lines if line.startswith("WC")]
    if codes:
        return f"{len(codes)}: {', '.join(dict.fromkeys(codes))}"
    if not lines:
        return ""
    # What status begins with, and what all others end with.
    return plain(lines[0] if command == "status" else lines[-1])

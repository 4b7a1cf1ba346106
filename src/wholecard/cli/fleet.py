"""`wholecard --on …`: a host's command on other hosts, and how their answers are shown."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from wholecard.cli.elsewhere import Elsewhere
from wholecard.cli.error import report
from wholecard.cli.progress import Lines, Live, Through, plain
from wholecard.core import UsageError
from wholecard.core.units import counted
from wholecard.fleet import Fleet, HostResult, Ssh, Watcher, read_names, worst
from wholecard.host.agent import cli

# Where an action failed it stands behind the action's name.
_ERROR = re.compile(r"^(?:\[.*\.\.\. )?error: (.*)$", re.MULTILINE)
_COLOURS = {0: "green", 1: "yellow"}


def run_on(elsewhere: Elsewhere, words: Sequence[str], prog: str) -> int:
    """Run the agent's command `words` on the hosts; return the exit status of them all."""
    # The same parser is there: what is wrong is said before anything is sent.
    arguments = cli.parse(words, prog)
    as_json = arguments.format == "json"
    _refuse_files(words[0], getattr(arguments, "save", None))
    hosts = read_names(elsewhere.on)
    config = elsewhere.ssh_config
    if config is not None and not config.is_file():
        raise UsageError(f"{config} is no file", resolution="--ssh-config takes a file for ssh -F.")
    fleet = Fleet(hosts, Ssh(config, elsewhere.sudo), elsewhere.jobs or 16, elsewhere.timeout)
    with _terminable(), _watcher(hosts) as watcher:
        answers = fleet.run(words, watcher)
    if len(answers) == 1:
        _show_one(answers[0], as_json, shown=isinstance(watcher, Through))
    elif as_json:
        hosts_json = {answer.host: answer.to_json() for answer in answers}
        print(json.dumps({"hosts": hosts_json}, indent=2))
    else:
        _show_all(Console(highlight=False), words[0], answers)
    return 130 if fleet.interrupted else worst(answers)


def _refuse_files(command: str, save: object) -> None:
    if save is not None:
        raise UsageError(
            "--save would write the file on the host, not here",
            resolution=f"Run `wholecard {command} --save FILE` on the host and copy the file, or "
            f"keep the JSON here: wholecard --on HOST {command} --json > FILE",
        )


@contextmanager
def _terminable() -> Iterator[None]:
    """A terminate or hang-up signal is as Ctrl-C: no ssh is left behind."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watcher(hosts: Sequence[str]) -> Iterator[Watcher]:
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        live = Live(console, hosts)
        with live.shown():
            yield live
    else:
        yield Through() if len(hosts) == 1 else Lines()


def _show_one(answer: HostResult, as_json: bool, shown: bool) -> None:
    """As if the command had run here; `shown` when its standard error has been seen."""
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    for name, text in _in_order(answer):
        if not (shown and name == "stderr"):
            streams[name].write(text)
            streams[name].flush()
    if answer.error is not None:
        report(answer.error, as_json)


def _show_all(console: Console, command: str, answers: Sequence[HostResult]) -> None:
    for answer in answers:
        title = f"{answer.host}: {_word(answer)}, {answer.seconds:.1f} s"
        console.print(Rule(Text(title), align="left", characters="-"))
        for _, text in _in_order(answer):
            if text:
                console.print(Text(plain(text.rstrip("\n"))), soft_wrap=True)
        if answer.error is not None:
            console.print(Text(plain(f"error: {answer.error}")), soft_wrap=True)
        console.print()
    table = Table("host", "status", "what", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for answer in answers:
        status = Text(f"{answer.status} {_word(answer)}", _COLOURS.get(answer.status, "red"))
        table.add_row(Text(answer.host), status, Text(_gist(command, answer)))
    console.print(table)


def _in_order(answer: HostResult) -> tuple[tuple[str, str], tuple[str, str]]:
    """Its progress and what came of it; where it failed, what it had said and then the error."""
    stdout, stderr = ("stdout", answer.stdout), ("stderr", answer.stderr)
    return (stderr, stdout) if answer.status == 0 else (stdout, stderr)


def _word(answer: HostResult) -> str:
    words = {0: "well", 1: "findings", 2: "called wrongly", 3: "broke"}
    return "no answer" if answer.error is not None else words[answer.status]


def _gist(command: str, answer: HostResult) -> str:
    """One line that tells what a host's answer comes to."""
    if answer.error is not None:
        return plain(answer.error.brief.removeprefix(f"{answer.host}: "))
    errors = _ERROR.findall(answer.stderr)
    if errors:
        return plain(errors[-1])
    lines = [line for line in answer.stdout.splitlines() if line.strip()]
    if command == "inspect":
        return counted(sum(line.startswith("card ") for line in lines), "card")
    codes = [line.split()[0] for line in lines if line.startswith("WC")]
    if codes:
        return f"{len(codes)}: {', '.join(dict.fromkeys(codes))}"
    said = lines[0] if command == "status" else lines[-1]
    return plain(said) if lines else ""

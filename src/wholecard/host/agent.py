"""`python3 wholecard-host.pyz`: what travels to a host. Arguments in, a call, a rendering out."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wholecard.core import Action, Plan, RefusedError, UsageError, WholecardError, exit_status
from wholecard.host import journal, text, wish_options
from wholecard.host.apply import apply, finish
from wholecard.host.binding import with_now
from wholecard.host.check import check
from wholecard.host.claim import PARKED, VFIO
from wholecard.host.claims import bound_functions
from wholecard.host.drift import AS_APPLIED
from wholecard.host.facts import inspect, read_boot_id
from wholecard.host.help import AGENT, COMMANDS, epilog
from wholecard.host.host import Host
from wholecard.host.kernel_log import read_kernel_log
from wholecard.host.plan import plan
from wholecard.host.rollback import rollback
from wholecard.host.trouble import trouble
from wholecard.host.verify import verify
from wholecard.host.wish import Wish, resolve, wished_cards

PROG = "wholecard-host"
_WITH_CARDS = ("check", "plan", "apply")


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run one command and return its exit status (see DESIGN: 0, 1, 2, 3).

    `prog` is how a person called this program; help and usage name it so.
    """
    arguments = parse(argv, prog)
    try:
        status = int(_RUN[arguments.command](arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _unheard()
    except WholecardError as error:
        return _report(error, arguments.json)
    except OSError as error:
        return _report(trouble(error), arguments.json)
    return status


def parse(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """The options of a command. Raises SystemExit: 2 for wrong ones, 0 after --help."""
    return _parser(prog).parse_args(argv)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Prepare this host to give whole GPUs to servers.",
        epilog=AGENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--root", type=Path, default=Path("/"), metavar="DIR", help="another tree than /"
        )
        command.add_argument("--json", action="store_true", help="print JSON on standard output")
        if name in _WITH_CARDS:
            command.add_argument(
                "--card",
                action="append",
                default=[],
                metavar="ADDRESS",
                help="a card, by the PCI address of any of its functions; may be repeated",
            )
            command.add_argument(
                "--all-cards", action="store_true", help="every card but the boot display"
            )
            wish_options.add(command)
        if name in ("plan", "apply"):
            command.add_argument(
                "--now", action="store_true", help="bind the functions in this boot as well"
            )
        if name == "apply":
            command.add_argument("--dry-run", action="store_true", help="print the plan and stop")
        if name == "rollback":
            command.add_argument(
                "--discard-edits",
                action="store_true",
                help="undo files also where they were edited since",
            )
            command.add_argument(
                "--to",
                type=int,
                metavar="ID",
                help="undo all that came after this journal; 0 undoes all",
            )
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    host = inspect(arguments.root)
    _print(arguments, host.to_json(), text.host_text(host))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    host = wish_options.host(arguments)
    asked = wish_options.asked(arguments)
    named = bool(arguments.card or asked.cards)
    wish = resolve(host, arguments.card, arguments.all_cards or not named, asked)
    findings = check(host, wished_cards(host, wish), wish=wish)
    data = {"findings": [finding.to_json() for finding in findings], "evidence": []}
    _print(arguments, data, text.findings_text(findings))
    return exit_status(findings)


def _plan(arguments: argparse.Namespace) -> int:
    host = wish_options.host(arguments)
    asked = wish_options.asked(arguments)
    made = _made(arguments, host, resolve(host, arguments.card, arguments.all_cards, asked))
    _print(arguments, made.to_json(), str(made))
    return 0


def _made(arguments: argparse.Namespace, host: Host, wish: Wish) -> Plan:
    made = plan(host, wish)
    if not arguments.now:
        return made
    # Another tree may be a copy of a host, whose sysfs is files that bind nothing.
    if host.boot.boot_id != read_boot_id(Path("/")):
        raise UsageError(
            f"--now is for the running host, which {arguments.root} is not",
            resolution="Leave --now away; the image binds its functions when it boots.",
        )
    bound = bound_functions(host, wish)
    given = [function for function, driver in bound if driver == VFIO]
    return with_now(made, host, given, [each for each, driver in bound if driver == PARKED])


def _apply(arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        return _plan(arguments)
    asked = wish_options.asked(arguments)
    finished = finish(arguments.root, _progress)
    host = wish_options.host(arguments)
    wish = resolve(host, arguments.card, arguments.all_cards, asked)
    made = _made(arguments, host, wish)
    if not arguments.json:
        print(made)
    outcome = apply(arguments.root, host, wish, made, _progress)
    if outcome.journal is None and finished is not None:
        outcome = finished
    if arguments.json:
        _print(arguments, outcome.to_json(), "")
    elif outcome.journal is not None:
        then = "Reboot, then run verify." if outcome.reboot_needed else "Run verify."
        print(f"Applied as journal {outcome.journal}. {then}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    entry = journal.newest(arguments.root)
    if entry is None:
        raise UsageError("nothing is applied on this host", resolution="Run apply first.")
    if entry.state != journal.APPLIED:
        raise WholecardError(
            f"journal {entry.id} is unfinished ({entry.state})",
            resolution="Run apply to finish it or rollback to undo it.",
        )
    log = read_kernel_log(arguments.root)
    verdict = verify(inspect(arguments.root, log), log, entry.read())
    data = {
        "findings": [finding.to_json() for finding in verdict.findings],
        "evidence": [row.to_json() for row in verdict.evidence],
    }
    shown = f"{text.evidence_text(verdict.evidence)}\n\n{text.findings_text(verdict.findings)}"
    _print(arguments, data, shown)
    return exit_status(verdict.findings)


def _rollback(arguments: argparse.Namespace) -> int:
    outcome = rollback(arguments.root, _progress, arguments.discard_edits, arguments.to)
    _print(arguments, outcome.to_json(), text.rollback_text(outcome))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = journal.status(arguments.root, read_boot_id(arguments.root))
    _print(arguments, status, text.status_text(status))
    unfinished = status["state"] in (journal.APPLYING, journal.ROLLING_BACK)
    # A tool's outputs change with every new kernel; files and bindings are ours.
    drifted = any(
        each["state"] != AS_APPLIED and each["kind"] != "output" for each in status["drift"]
    )
    return int(unfinished or drifted)


_RUN = {
    "inspect": _inspect,
    "check": _check,
    "plan": _plan,
    "apply": _apply,
    "verify": _verify,
    "rollback": _rollback,
    "status": _status,
}


def _print(arguments: argparse.Namespace, data: dict[str, Any], shown: str) -> None:
    print(json.dumps(data, indent=2) if arguments.json else shown)


def _progress(place: int, count: int, action: Action, seconds: float | None) -> None:
    # Who called may be gone, with the connection; what was begun is finished all the same.
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(text.progress_text(place, count, action, seconds))
        sys.stderr.flush()


def _unheard() -> int:
    """Nobody reads on, as with `| head`: end as a program does that SIGPIPE killed.

    Python would say so again when it flushes at its end; see its documentation of SIGPIPE.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _report(error: WholecardError, as_json: bool) -> int:
    if as_json:
        data: dict[str, Any] = {
            "error": {
                "brief": error.brief,
                "details": error.details,
                "resolution": error.resolution,
            }
        }
        if isinstance(error, RefusedError):
            data["findings"] = [finding.to_json() for finding in error.findings]
        print(json.dumps(data, indent=2))
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

"""`python3 wholecard-host.pyz`: what travels to a host. Arguments in, a call, a rendering out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wholecard.core import Action, RefusedError, UsageError, WholecardError, exit_status
from wholecard.host import journal, text, wish_options
from wholecard.host.apply import apply, finish
from wholecard.host.check import check
from wholecard.host.facts import inspect, read_boot_id
from wholecard.host.kernel_log import read_kernel_log
from wholecard.host.plan import plan
from wholecard.host.rollback import rollback
from wholecard.host.verify import verify
from wholecard.host.wish import resolve, wished_cards

_EPILOG = """\
The way of a host, as root:
  inspect              see the cards, their drivers and their IOMMU groups
  check --all-cards    see what keeps them from being given
  plan --all-cards     see every change as a diff; nothing is touched
  apply --all-cards    make the changes, through a journal
  (reboot)
  verify               see that vfio-pci has every function, since boot
  rollback             put back every byte that apply changed; then reboot

A card is given whole: all functions of its slot, and with it every card that shares its IOMMU
group. A run that was killed is finished by apply or undone by rollback; status says where it is.

Exit status: 0 all is well, 1 there are findings, 2 called wrongly, 3 something broke.
"""

_COMMANDS = {
    "inspect": "print what the host has; change nothing",
    "check": "say what keeps cards from being given",
    "plan": "print what apply would change; change nothing",
    "apply": "change the host so that it gives these cards, and only these, from its next boot on",
    "verify": "say whether the host stands as applied, after the reboot",
    "rollback": "undo the last apply that stands",
    "status": "say what is applied, and where an unfinished run stopped",
}
_WITH_CARDS = ("check", "plan", "apply")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (see DESIGN: 0, 1, 2, 3)."""
    arguments = _parser().parse_args(argv)
    try:
        return int(_RUN[arguments.command](arguments))
    except WholecardError as error:
        return _report(error, arguments.json)
    except OSError as error:
        brief = f"{error.filename or 'the file system'}: {error.strerror}"
        return _report(WholecardError(brief, resolution="Run it as root."), arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wholecard-host",
        description="Prepare this host to give whole GPUs to servers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
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
        if name == "apply":
            command.add_argument("--dry-run", action="store_true", help="print the plan and stop")
        if name == "rollback":
            command.add_argument(
                "--discard-edits",
                action="store_true",
                help="undo files also where they were edited since",
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
    made = plan(host, resolve(host, arguments.card, arguments.all_cards, asked))
    _print(arguments, made.to_json(), str(made))
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    if arguments.dry_run:
        return _plan(arguments)
    asked = wish_options.asked(arguments)
    finished = finish(arguments.root, _progress)
    host = wish_options.host(arguments)
    wish = resolve(host, arguments.card, arguments.all_cards, asked)
    made = plan(host, wish)
    if not arguments.json:
        print(made)
    outcome = apply(arguments.root, host, wish, made, _progress)
    if outcome.journal is None and finished is not None:
        outcome = finished
    if arguments.json:
        _print(arguments, outcome.to_json(), "")
    elif outcome.journal is not None:
        print(f"Applied as journal {outcome.journal}. Reboot, then run verify.")
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
    outcome = rollback(arguments.root, _progress, arguments.discard_edits)
    _print(arguments, outcome.to_json(), f"Journal {outcome.journal} is rolled back. Reboot.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    status = journal.status(arguments.root, read_boot_id(arguments.root))
    _print(arguments, status, text.status_text(status))
    return int(status["state"] in (journal.APPLYING, journal.ROLLING_BACK))


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
    sys.stderr.write(text.progress_text(place, count, action, seconds))
    sys.stderr.flush()


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

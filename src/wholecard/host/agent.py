"""`python3 wholecard-host.pyz`: what travels to a host. Arguments in, a call, a rendering out."""

from __future__ import annotations

import os
import sys

from wholecard.core.errors import RefusedError, UsageError, WholecardError

# What a command needs is imported by the command: `inspect` is measured as a whole process, and
# argparse, json, pathlib, re, dataclasses and subprocess take longer than its reading.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from wholecard.core import Action

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


# The commands that only read, which a snapshot can answer.
_READING = ("inspect", "check", "plan")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (see DESIGN: 0, 1, 2, 3)."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _plain_inspect(words) or _parser().parse_args(words)
    try:
        return _run(arguments)
    except WholecardError as error:
        return _report(error, arguments.json)
    except OSError as error:
        brief = f"{error.filename or 'the file system'}: {error.strerror}"
        return _report(WholecardError(brief, resolution="Run it as root."), arguments.json)


class _Inspect:
    """What argparse would make of `inspect` without anything unusual."""

    command = "inspect"
    save = None

    def __init__(self, root: str, as_json: bool) -> None:
        self.root = root
        self.json = as_json


def _plain_inspect(words: Sequence[str]) -> Any:
    """The arguments of a plain `inspect`; None for all else, which argparse reads and explains."""
    if not words or words[0] != "inspect":
        return None
    rest = [word for word in words[1:] if word != "--json"]
    if not rest:
        return _Inspect("/", len(words) > 1)
    if len(rest) == 2 and rest[0] == "--root" and rest[1][:1] not in ("", "-"):
        return _Inspect(rest[1], "--json" in words)
    return None


def _run(arguments: Any) -> int:
    command, place = _RUN[arguments.command], os.fspath(arguments.root)
    if os.path.isdir(place):
        return int(command(arguments))
    if not os.path.exists(place):
        raise UsageError(
            f"{place}: there is nothing", resolution="Name a folder or a snapshot with --root."
        )
    if arguments.command not in _READING:
        raise UsageError(
            f"{place} is a snapshot, which {arguments.command} cannot be run on",
            resolution=f"Snapshots are for {', '.join(_READING)}.",
        )
    from wholecard.host.snapshot import open_snapshot

    with open_snapshot(place) as root:
        arguments.root = root
        return int(command(arguments))


def _parser() -> argparse.ArgumentParser:
    import argparse
    from pathlib import Path

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
            "--root",
            type=Path,
            default=Path("/"),
            metavar="DIR",
            help="another tree than /; for inspect, check and plan also a snapshot",
        )
        command.add_argument("--json", action="store_true", help="print JSON on standard output")
        if name == "inspect":
            command.add_argument(
                "--save", type=Path, metavar="FILE", help="store what is read as a snapshot"
            )
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
    from wholecard.host.facts import inspect

    if arguments.save is not None:
        from wholecard.host.snapshot import save

        save(arguments.root, arguments.save)
    # A process of its own, without threads: it may share the work.
    host = inspect(arguments.root, processes=None if isinstance(arguments, _Inspect) else 1)
    if arguments.json:
        sys.stdout.writelines(host.to_lines())
        return 0
    from wholecard.host.host_text import host_text

    print(host_text(host))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from wholecard.core import exit_status
    from wholecard.host import text
    from wholecard.host.check import check
    from wholecard.host.facts import inspect
    from wholecard.host.wish import resolve, wished_cards

    host = inspect(arguments.root)
    named = bool(arguments.card)
    wish = resolve(host, arguments.card, arguments.all_cards or not named)
    findings = check(host, wished_cards(host, wish))
    data = {"findings": [finding.to_json() for finding in findings], "evidence": []}
    _print(arguments, data, text.findings_text(findings))
    return exit_status(findings)


def _plan(arguments: argparse.Namespace) -> int:
    from wholecard.host.facts import inspect
    from wholecard.host.plan import plan
    from wholecard.host.wish import resolve

    host = inspect(arguments.root)
    made = plan(host, resolve(host, arguments.card, arguments.all_cards))
    _print(arguments, made.to_json(), str(made))
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from wholecard.host.apply import apply, finish
    from wholecard.host.facts import inspect
    from wholecard.host.plan import plan
    from wholecard.host.wish import resolve

    if arguments.dry_run:
        return _plan(arguments)
    finished = finish(arguments.root, _progress)
    host = inspect(arguments.root)
    wish = resolve(host, arguments.card, arguments.all_cards)
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
    from wholecard.core import exit_status
    from wholecard.host import journal, text
    from wholecard.host.facts import inspect
    from wholecard.host.kernel_log import read_kernel_log
    from wholecard.host.verify import verify

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
    from wholecard.host.rollback import rollback

    outcome = rollback(arguments.root, _progress, arguments.discard_edits)
    _print(arguments, outcome.to_json(), f"Journal {outcome.journal} is rolled back. Reboot.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from wholecard.host import journal, text
    from wholecard.host.facts import read_boot_id

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
    if arguments.json:
        import json

        shown = json.dumps(data, indent=2)
    print(shown)


def _progress(place: int, count: int, action: Action, seconds: float | None) -> None:
    from wholecard.host import text

    sys.stderr.write(text.progress_text(place, count, action, seconds))
    sys.stderr.flush()


def _report(error: WholecardError, as_json: bool) -> int:
    if as_json:
        import json

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


def leave(status: int) -> NoReturn:
    """End the process at once: all that was still to be done is to free memory, piece by piece.

    With thousands of functions that takes a tenth of the whole time.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # Whoever read it has gone.
        status = status or WholecardError.exit_code
    os._exit(status)


if __name__ == "__main__":
    leave(main())

"""`wholecard nova lint`: arguments into a request, and diagnostics as text or for tools."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from wholecard.cli import options
from wholecard.core import UsageError

if TYPE_CHECKING:
    from wholecard.nova.lint import Diagnostic
    from wholecard.nova.lint.request import Linted
    from wholecard.nova.lint.selection import Selection
    from wholecard.nova.options import Role

Format = Literal["table", "json", "yaml", "csv", "sarif", "github"]


def lint_command(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="The files that "
        "the service reads, in the order in which it reads them; a folder means what it reads "
        "there: nova.conf, then nova.conf.d.")] = None,
    role: Annotated[list[str] | None, typer.Option("--role", metavar="ROLE", help="The role that "
        "reads FILE: api, scheduler, conductor, compute or placement. Repeat it for a shared "
        "file.")] = None,
    conf: options.Conf = None,
    facts: options.Facts = None,
    host: Annotated[list[str] | None, typer.Option("--host", metavar="NAME", help="Check against "
        "the facts of this host of the site file. Default: all its hosts, if --facts is not used "
        "either.")] = None,
    site: options.OptionalSite = None,
    release_name: options.ReleaseName = None,
    select: Annotated[list[str] | None, typer.Option("--select", metavar="CODES", help="Only these "
        "rules: WC236, or WC23 for all that begin with it; with commas, or repeated.")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="CODES", help="Not these "
        "rules. If a rule is in both, the longer code counts.")] = None,
    format_name: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table, "
                           "json, yaml, csv, sarif or github.")] = "table",
    columns: options.Columns = None,
    fix: Annotated[bool, typer.Option("--fix", help="Fix findings that have exactly one safe fix.")]
    = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --fix: show the diff and change "
        "nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the last --fix of these files, and "
        "stop.")] = False,
    discard_edits: Annotated[bool, typer.Option("--discard-edits", help="With --undo: also where "
        "a file was edited after --fix; these edits are lost.")] = False,
) -> None:  # fmt: skip
    """Find errors in nova.conf: by nova's own rules, for the release, the role and the host.

    One role, or all at once:

      wholecard nova lint nova.conf --role compute --release 2025.2 --facts gpu-01.json
      wholecard nova lint --conf api=api.conf --conf scheduler=nova.conf \\
        --conf compute@a=a.conf --conf compute@b=b.conf --facts a.json --facts b.json
    """
    _check_options(format_name, columns or (), fix, dry_run)
    if undo or discard_edits:
        _undo([*(files or ()), *_paths(conf)], undo, discard_edits, fix)
        return
    from wholecard.core.finding import exit_status
    from wholecard.nova.conf.file_options import conf_files, facts_file, of_computes
    from wholecard.nova.lint.request import LintRequest, read

    by_role = conf_files(conf)
    hosts_facts = [facts_file(text) for text in facts or ()]
    linted = read(LintRequest(files or (), role or (), _by_role(by_role), of_computes(by_role),
                              release_name, hosts_facts, host or (), site,
                              _selection(select, ignore)))  # fmt: skip
    if fix:
        linted = _fix(linted, dry_run, quiet=format_name != "table")
    diagnostics = linted.diagnostics
    _print(diagnostics, format_name, columns or (), linted, dry_run)
    raise typer.Exit(exit_status(diagnostic.finding for diagnostic in diagnostics))


def _check_options(format_name: str, columns: Sequence[str], fix: bool, dry_run: bool) -> None:
    """Refuse options that do not go together, before any file is read."""
    if format_name not in get_args(Format):
        resolution = f"Choose one of {', '.join(get_args(Format))}."
        raise UsageError(f"there is no format {format_name!r}", resolution=resolution)
    if columns and format_name in ("sarif", "github"):
        raise UsageError(f"--format {format_name} has no columns", resolution="Remove --column.")
    if dry_run and not fix:
        raise UsageError(
            "--dry-run works only with --fix",
            resolution="Remove --dry-run: without --fix lint changes nothing.",
        )


def _selection(select: list[str] | None, ignore: list[str] | None) -> Selection:
    """What the options say; without them, the settings in pyproject.toml."""
    from wholecard.nova.lint.selection import Selection, project_selection

    return Selection.of(select or (), ignore or ()).or_else(project_selection(Path.cwd()))


def _by_role(files: Mapping[tuple[Role, str], list[Path]]) -> dict[Role, list[Path]]:
    return {role: paths for (role, host), paths in files.items() if role != "compute"}


def _paths(conf: list[str] | None) -> list[Path]:
    from wholecard.nova.conf.file_options import conf_files

    return [path for paths in conf_files(conf).values() for path in paths]


def _undo(files: Sequence[Path], undo: bool, discard_edits: bool, fix: bool) -> None:
    """Undo the last fix of these files, whatever role reads them."""
    from wholecard.cli.say import say
    from wholecard.nova.lint.fix_journal import undo_fix

    if fix or not undo:
        what = "--fix and --undo exclude each other" if fix else "--discard-edits needs --undo"
        raise UsageError(what, resolution="Write it as: wholecard nova lint FILE --undo")
    if not files:
        raise UsageError("--undo needs the files", resolution="Name them: lint FILE --undo")
    say(f"Restored {', '.join(undo_fix(files, discard_edits))}.")


def _fix(linted: Linted, dry_run: bool, quiet: bool) -> Linted:
    """Fix, or show how; what is to be linted then. `quiet` keeps standard output for the result."""
    from wholecard.cli.terminal import PlainConsole
    from wholecard.host.changing.apply import apply_files
    from wholecard.nova.lint.fix_journal import finish_fixes, fix_journal
    from wholecard.nova.lint.fixes import fixed, plan_of, shown_difference

    console = PlainConsole(stderr=quiet, highlight=False)
    read = [Path(file.path) for service in linted.services for file in service.conf.files]
    if not dry_run:
        finish_fixes(read)
    result = fixed(linted.services, linted.lint)
    plan = plan_of(result, linted.services)
    if dry_run:
        text = shown_difference(result, linted.services) or "No finding has exactly one safe fix."
        console.print(text, markup=False, soft_wrap=True)
        return linted
    outcome = apply_files(fix_journal(read), plan)
    if outcome.journal:
        files = [action.subject for action in plan.actions]
        undo = shlex.join(["wholecard", "nova", "lint", "--undo", *files])
        text = f"Fixed {', '.join(files)}. To undo it: {undo}"
        console.print(text, markup=False, soft_wrap=True)
    return linted.with_services(result.services)


def _print(
    diagnostics: list[Diagnostic], format_name: str, columns: Sequence[str], linted: Linted,
    dry_run: bool,
) -> None:  # fmt: skip
    """Print the findings; after --dry-run a person has its diff already."""
    if format_name == "table" and dry_run:
        return
    if format_name == "table" and not columns:
        from wholecard.cli.terminal import PlainConsole
        from wholecard.nova.lint.output.text import show

        console = PlainConsole(highlight=False)
        show(diagnostics, console, linted.not_checked(diagnostics))
        return
    from wholecard.nova.lint.output.github import to_github
    from wholecard.nova.lint.output.plain_data import to_text
    from wholecard.nova.lint.output.sarif import to_sarif

    if format_name in ("sarif", "github"):
        text = (to_sarif if format_name == "sarif" else to_github)(diagnostics)
    else:
        text = to_text(diagnostics, format_name, columns)
    typer.echo(text, nl=False)


def add(app: typer.Typer) -> None:
    """Add the command to its group."""
    app.command("lint")(lint_command)

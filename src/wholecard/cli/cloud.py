"""`wholecard cloud …`: the running OpenStack made as the site file has it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wholecard.cli import options
from wholecard.cli.action_progress import show_action
from wholecard.cli.options import CloudCommand
from wholecard.cli.say import say

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.cloud.changing.journal import CloudJournal
    from wholecard.cloud.planning.plan import CloudPlan
    from wholecard.site.load import SiteFile
    from wholecard.transaction.engine import Outcome

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

ReleaseName = Annotated[str | None, typer.Option(
    "--release", metavar="RELEASE", help="The release, instead of the site file's.")]  # fmt: skip
State = Annotated[Path | None, typer.Option(
    "--state", metavar="FOLDER", help="The folder of the journals. Default: "
        "$XDG_STATE_HOME/wholecard/cloud/CLOUD.")]  # fmt: skip


@app.command("plan", cls=CloudCommand)
def plan_command(
    cloud: options.CloudName = "",
    site: options.SiteFile = Path("site.yaml"),
    clouds_file: options.CloudsFile = None,
    release_name: ReleaseName = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Print what apply would do, and what it would not change; changes nothing.

    The rows are the actions.
    """
    from wholecard.core import exit_status
    from wholecard.site.load import read_site

    file = read_site(site)
    plan = _plan(_connect(cloud, clouds_file), file, release_name)
    findings = [finding.to_json() for finding in plan.findings]
    answer = {"actions": plan.plan.to_json()["actions"], "findings": findings}
    options.show(_plan_text(plan), answer, "actions",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
    raise typer.Exit(exit_status(plan.findings))


@app.command("apply", cls=CloudCommand)
def apply_command(
    cloud: options.CloudName = "",
    site: options.SiteFile = Path("site.yaml"),
    clouds_file: options.CloudsFile = None,
    release_name: ReleaseName = None,
    state: State = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop, as plan "
        "does.")] = False,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Change the cloud to what the site file describes; an unfinished run is finished first."""
    if dry_run:
        shown = {"text": "table"}.get(format_name, format_name)
        plan_command(cloud, site, clouds_file, release_name, shown, None, as_json)
        return
    from wholecard.cloud.changing import apply as applying
    from wholecard.core import exit_status
    from wholecard.site.load import read_site

    for_person = format_name == "text" and not as_json
    # Before anything is asked of the cloud.
    file = read_site(site)
    name = options.chosen_cloud(cloud, clouds_file)
    conn, journal = _connect(name, clouds_file), _journal(name, state)
    finished = applying.finish(conn, journal, show_action)
    plan = _plan(conn, file, release_name)
    if for_person:
        say(_plan_text(plan))
    applied = applying.apply(conn, journal, plan.plan, site.absolute(), show_action)
    total = _total(outcome for outcome in (finished, applied) if outcome)
    if for_person:
        _show_outcome(f"Applied as journal {', '.join(total.journals)}.", total)
    else:
        findings = [finding.to_json() for finding in plan.findings]
        options.show("", {**total.to_json(), "findings": findings},
                     as_json=as_json, format_name=format_name)  # fmt: skip
    raise typer.Exit(exit_status(plan.findings))


@app.command("rollback", cls=CloudCommand)
def rollback_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    state: State = None,
    to: Annotated[int | None, typer.Option("--to", min=0, metavar="ID", help="Undo all journals "
        "after this one; 0 undoes all journals.")] = None,
    discard_edits: Annotated[bool, typer.Option("--discard-edits", help="Also undo what somebody "
        "changed after apply; these changes are lost.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be undone and stop.")]
    = False,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Undo the last apply, or several."""
    from wholecard.cloud.changing import apply as applying
    from wholecard.core.report_text import undo_text

    name = options.chosen_cloud(cloud, clouds_file)
    conn, journal = _connect(name, clouds_file), _journal(name, state)
    if plan:
        planned = applying.plan_rollback(conn, journal, to)
        options.show(undo_text(planned.to_json()), planned.to_json(),
                     as_json=as_json, format_name=format_name)  # fmt: skip
        raise typer.Exit(int(bool(planned.edited)))
    outcome = applying.rollback(conn, journal, show_action, discard_edits, to)
    if as_json or format_name != "text":
        options.show("", outcome.to_json(), as_json=as_json, format_name=format_name)
    elif outcome.journals:
        _show_outcome(f"Journal {', '.join(outcome.journals)} is rolled back.", outcome)
    else:
        say("Nothing newer is applied: nothing was undone.")


@app.command("status", cls=CloudCommand)
def status_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    state: State = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Show what is applied, from the journals on this machine; does not ask the cloud.

    The rows are the journals.
    """
    from wholecard.core.state_folder import state_folder
    from wholecard.transaction.recorded_journal import RecordedJournal

    name = options.chosen_cloud(cloud, clouds_file)
    folder = state_folder("cloud", name) if state is None else state.absolute()
    status = RecordedJournal(folder, {"site": None}).status()
    options.show(_status_text(status), status, "history",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
    raise typer.Exit(int(status["state"] in ("applying", "rolling-back")))


def _connect(cloud: str, clouds_file: Path | None) -> Connection:
    from wholecard.cloud.client.connection import connect

    return connect(options.chosen_cloud(cloud, clouds_file), clouds_file)


def _plan(conn: Connection, file: SiteFile, release_name: str | None) -> CloudPlan:
    from dataclasses import replace

    from wholecard.cloud.planning.built_images import outdated_images
    from wholecard.cloud.planning.current import find
    from wholecard.cloud.planning.desired import desired_cloud
    from wholecard.cloud.planning.plan import plan
    from wholecard.core.releases import release

    series = file.release if release_name is None else release(release_name)
    desired = desired_cloud(file.site, file.facts(), series)
    current = find(conn, desired, file.path.parent)
    planned = plan(desired, current)
    findings = (*planned.findings, *outdated_images(file, current.files))
    return replace(planned, findings=findings)


def _journal(cloud: str, state: Path | None) -> CloudJournal:
    from wholecard.cloud.changing.journal import CloudJournal, default_folder, shared_folder

    folder = default_folder(cloud) if state is None else state.absolute()
    return CloudJournal(folder, shared=shared_folder())


def _plan_text(plan: CloudPlan) -> str:
    from wholecard.core.report_text import findings_text, terminal_width

    nothing = "Nothing to do: the cloud is already as the site file describes it."
    text = str(plan.plan) if plan.plan.actions else nothing
    if not plan.findings:
        return text
    return f"{text}\n\n{findings_text(plan.findings, terminal_width())}"


def _total(outcomes: Iterable[Outcome]) -> Outcome:
    """What several runs did, as one."""
    from wholecard.transaction.engine import Outcome

    total = Outcome()
    for run in outcomes:
        if run.journals:
            total = Outcome(total.journals + run.journals, total.seconds + run.seconds,
                            total.notes + run.notes)  # fmt: skip
    return total


def _show_outcome(sentence: str, outcome: Outcome) -> None:
    if outcome.journals:
        say(sentence)
        for note in outcome.notes:
            say(f"note: {note}")


def _status_text(status: dict[str, Any]) -> str:
    from wholecard.core.report_text import history_lines, journal_lines

    if status["state"] == "clean":
        lines = ["Nothing is applied to this cloud from this machine."]
    else:
        lines = journal_lines(status, f"site:        {status['site']}")
    return "\n".join([*lines, *history_lines(status["history"], "site")])

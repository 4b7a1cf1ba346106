"""`wholecard cloud …`: the running OpenStack made as the site file has it."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from openstack.connection import Connection

from wholecard.cloud.changing import apply as applying
from wholecard.cloud.changing.journal import CloudJournal, default_folder
from wholecard.cloud.client.connection import connect
from wholecard.cloud.planning.current import find
from wholecard.cloud.planning.desired import wanted
from wholecard.cloud.planning.plan import CloudPlan, plan
from wholecard.core import Action, exit_status
from wholecard.core.releases import release
from wholecard.core.report_text import findings_text, progress_text, table
from wholecard.site.load import read_site
from wholecard.transaction.engine import Outcome

# Its help stands in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

SiteFile = Annotated[Path, typer.Option("--site", metavar="FILE", help="The site file.")]
CloudName = Annotated[
    str, typer.Option("--cloud", metavar="NAME", help="The cloud's name in clouds.yaml.")
]
CloudsFile = Annotated[
    Path | None,
    typer.Option(
        "--clouds-file", metavar="FILE", help="The clouds.yaml; else the SDK's own search."
    ),
]
ReleaseName = Annotated[
    str | None, typer.Option("--release", help="Another release than the site file's.")
]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="FOLDER", help="The folder of the journals; "
                 "$XDG_STATE_HOME/wholecard/cloud/CLOUD by default."),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("plan")
def plan_command(
    cloud: CloudName,
    site: SiteFile = Path("site.yaml"),
    clouds_file: CloudsFile = None,
    release_name: ReleaseName = None,
    as_json: Json = False,
) -> None:
    """Print what apply would do, and what is left alone; touches nothing."""
    made = _made(connect(cloud, clouds_file), site, release_name)
    if as_json:
        typer.echo(json.dumps(_plan_json(made), indent=2))
    else:
        _show_plan(made)
    raise typer.Exit(exit_status(made.findings))


@app.command("apply")
def apply_command(
    cloud: CloudName,
    site: SiteFile = Path("site.yaml"),
    clouds_file: CloudsFile = None,
    release_name: ReleaseName = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Make the cloud as the site file has it; a run that was broken off is finished first."""
    conn = connect(cloud, clouds_file)
    ledger = _ledger(cloud, state)
    finished = applying.finish(conn, ledger, _progress)
    made = _made(conn, site, release_name)
    if not as_json:
        _show_plan(made)
    outcome = applying.apply(conn, ledger, made.plan, site.absolute(), _progress)
    outcomes = [each for each in (finished, outcome) if each is not None and each.journals]
    done = Outcome(
        tuple(journal for each in outcomes for journal in each.journals),
        tuple(second for each in outcomes for second in each.seconds),
        tuple(note for each in outcomes for note in each.notes),
    )
    if as_json:
        findings = [finding.to_json() for finding in made.findings]
        typer.echo(json.dumps({**done.to_json(), "findings": findings}, indent=2))
    elif done.journals:
        typer.echo(f"Applied as journal {', '.join(done.journals)}.")
        for note in done.notes:
            typer.echo(f"note: {note}")
    raise typer.Exit(exit_status(made.findings))


@app.command("rollback")
def rollback_command(
    cloud: CloudName,
    clouds_file: CloudsFile = None,
    state: State = None,
    to: Annotated[
        int | None,
        typer.Option("--to", min=0, help="Stand again as after this journal, 0 for none at all."),
    ] = None,
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Also put back what was changed since.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put back what stood there before the last apply, or before several."""
    conn = connect(cloud, clouds_file)
    done = applying.rollback(conn, _ledger(cloud, state), _progress, discard_edits, to)
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=2))
        return
    if not done.journals:
        typer.echo("Nothing newer stands: nothing was undone.")
        return
    typer.echo(f"Journal {', '.join(done.journals)} is rolled back.")
    for note in done.notes:
        typer.echo(f"note: {note}")


@app.command("status")
def status_command(cloud: CloudName, state: State = None, as_json: Json = False) -> None:
    """Where the cloud stands by the journals on this machine; asks the cloud nothing."""
    status = _ledger(cloud, state).status()
    typer.echo(json.dumps(status, indent=2) if as_json else _status_text(status))
    raise typer.Exit(int(status["state"] in ("applying", "rolling-back")))


def _made(conn: Connection, site: Path, release_name: str | None) -> CloudPlan:
    file = read_site(site)
    chosen = file.release if release_name is None else release(release_name)
    asked = wanted(file.site, file.facts(), chosen)
    return plan(asked, find(conn, asked, site.parent))


def _ledger(cloud: str, state: Path | None) -> CloudJournal:
    return CloudJournal(default_folder(cloud) if state is None else state.absolute())


def _plan_json(made: CloudPlan) -> dict[str, Any]:
    findings = [finding.to_json() for finding in made.findings]
    return {"actions": made.plan.to_json()["actions"], "findings": findings}


def _show_plan(made: CloudPlan) -> None:
    if made.plan.actions:
        typer.echo(str(made.plan))
    else:
        typer.echo("Nothing to do: the cloud is as wished.")
    if made.findings:
        typer.echo(f"\n{findings_text(made.findings)}")


def _status_text(status: dict[str, Any]) -> str:
    if status["state"] == "clean":
        lines = ["Nothing is applied to this cloud from here."]
    else:
        lines = [
            f"journal {status['journal']}: {status['state']}, "
            f"{status['done']} of {status['actions']} actions in effect",
            f"site:        {status['site']}",
        ]
        if status["next"]:
            lines.append(f"stopped at:  {status['next']}")
            if status["failed"]:
                lines.append(f"because:     {status['failed']}")
            lines.append("Run apply to finish it or rollback to undo it.")
    if status["history"]:
        rows = [(each["journal"], each["state"], each["site"]) for each in status["history"]]
        lines += ["", table(("JOURNAL", "STATE", "SITE"), rows)]
    return "\n".join(lines)


def _progress(place: int, count: int, action: Action, seconds: float | None) -> None:
    # Who called may be gone; what was begun is finished all the same.
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(progress_text(place, count, action, seconds))
        sys.stderr.flush()

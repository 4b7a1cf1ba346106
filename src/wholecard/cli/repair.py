"""`wholecard repair …`: what an audit finds is planned, repaired, and rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wholecard.cli import options
from wholecard.cli.audit import Databases, Hosts
from wholecard.cli.options import CloudCommand
from wholecard.cli.say import say

if TYPE_CHECKING:
    from wholecard.repair.changing.journal import RepairJournal
    from wholecard.repair.record import RepairPlan
    from wholecard.repair.request import RepairRequest

# Its help is in cli/app.py, which lists it without importing this file.
app = typer.Typer(no_args_is_help=True)

WriteFile = Annotated[Path | None, typer.Option(
    "--databases-write", metavar="FILE", help="As --databases, with an account that may change "
        "pci_devices of nova's cells. Only needed where the plan changes a row.")]  # fmt: skip
Rules = Annotated[list[str] | None, typer.Option(
    "--rule", metavar="RULE", help="Only findings of this rule, as WC515; may be "
        "repeated.")]  # fmt: skip
Servers = Annotated[list[str] | None, typer.Option(
    "--server", metavar="UUID", help="Only findings of this server; may be repeated.")]  # fmt: skip
Restart = Annotated[bool, typer.Option(
    "--restart-compute", help="Restart nova-compute over ssh where that is the repair. Servers "
        "run on.")]  # fmt: skip
Beyond = Annotated[bool, typer.Option(
    "--beyond-restart", help="nova-compute was restarted and it did not help: plan what comes "
        "after that, the database too.")]  # fmt: skip
Off = Annotated[list[str] | None, typer.Option(
    "--powered-off", metavar="HOST", help="This host has no power and stays off: its domains "
        "are not read. nova must have its service down. May be repeated.")]  # fmt: skip
Confirm = Annotated[list[str] | None, typer.Option(
    "--confirm-resize", metavar="UUID", help="Confirm the resize of this server; may be "
        "repeated.")]  # fmt: skip
Revert = Annotated[list[str] | None, typer.Option(
    "--revert-resize", metavar="UUID", help="Revert the resize of this server; may be "
        "repeated.")]  # fmt: skip
Timeout = Annotated[float, typer.Option(
    "--timeout", min=1, metavar="SECONDS", help="Time limit for each host that is read over ssh. "
        "nova waits for a row's lock for 50 s.")]  # fmt: skip
Wait = Annotated[float, typer.Option(
    "--wait", min=0, metavar="SECONDS", help="How long the audit waits before its second look "
        "where something is in progress.")]  # fmt: skip
Unit = Annotated[str, typer.Option(
    "--compute-unit", metavar="UNIT", help="nova-compute's unit of systemd, where it has no usual "
        "name.")]  # fmt: skip
State = Annotated[Path | None, typer.Option(
    "--state", metavar="FOLDER", help="The folder of the journals. Default: "
        "$XDG_STATE_HOME/wholecard/repair/CLOUD.")]  # fmt: skip


@app.command("plan", cls=CloudCommand)
def plan_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    databases: Databases = None,
    rule: Rules = None,
    host: Hosts = None,
    server: Servers = None,
    restart_compute: Restart = False,
    beyond_restart: Beyond = False,
    powered_off: Off = None,
    confirm_resize: Confirm = None,
    revert_resize: Revert = None,
    ssh_name: options.SshNames = None,
    ssh_config: options.SshConfig = None,
    sudo: options.Sudo = False,
    timeout: Timeout = 20.0,
    wait: Wait = 60.0,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Audit, and print what apply would do and what is left to a person; changes nothing.

    The rows are the actions.

    Exit status: 0 nothing to repair, 1 something, 2 called wrongly, 3 something broke, 4 nothing
    to repair, but not everything was read or something is in progress.
    """
    from wholecard.cli.signals import terminable
    from wholecard.repair.request import plan
    from wholecard.repair.text import plan_text

    with terminable():
        planned = plan(_request(locals()))
    options.show(plan_text(planned), planned.to_json(), "actions",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
    raise typer.Exit(planned.exit_status)


@app.command("apply", cls=CloudCommand)
def apply_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    databases: Databases = None,
    databases_write: WriteFile = None,
    rule: Rules = None,
    host: Hosts = None,
    server: Servers = None,
    restart_compute: Restart = False,
    beyond_restart: Beyond = False,
    powered_off: Off = None,
    confirm_resize: Confirm = None,
    revert_resize: Revert = None,
    compute_unit: Unit = "",
    ssh_name: options.SshNames = None,
    ssh_config: options.SshConfig = None,
    sudo: options.Sudo = False,
    timeout: Timeout = 20.0,
    wait: Wait = 60.0,
    state: State = None,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:
    """Audit, repair what has an action, and audit again; an unfinished run is finished first.

    Each action is guarded by what the audit saw, and is left out where that is not so any more. A
    device that a domain has is never freed.

    Exit status: 0 nothing is left, 1 findings remain or a guard refused, 2 called wrongly,
    3 something broke, 4 nothing is left, but not everything was read or something is in progress.
    """
    from wholecard.cli.action_progress import show_action
    from wholecard.cli.signals import terminable
    from wholecard.core.report_text import terminal_width
    from wholecard.repair.request import apply
    from wholecard.repair.text import plan_text, report_text

    for_person = format_name == "text" and not as_json

    def shown(planned: RepairPlan) -> None:
        if for_person:
            say(plan_text(planned))

    with terminable():
        report = apply(_request(locals()), show_action, shown)
    options.show(report_text(report, terminal_width()), report.to_json(),
                 as_json=as_json, format_name=format_name)  # fmt: skip
    raise typer.Exit(report.exit_status)


@app.command("rollback", cls=CloudCommand)
def rollback_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    databases_write: WriteFile = None,
    state: State = None,
    to: Annotated[int | None, typer.Option("--to", min=0, metavar="ID", help="Undo all journals "
        "after this one; 0 undoes all journals.")] = None,
    discard_edits: Annotated[bool, typer.Option("--discard-edits", help="Also undo what was "
        "changed after the repair. What a server has got since is left all the same.")] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help="Print what would be undone and what "
        "was changed since, and stop. Exit status 1 where something was changed.")] = False,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Undo the last repair, or several: rows, allocations and providers as they were before."""
    from wholecard.cli.action_progress import show_action
    from wholecard.core.report_text import undo_text
    from wholecard.repair.request import plan_rollback, rollback

    request = _request(locals())
    if plan_only:
        planned = plan_rollback(request, to)
        options.show(undo_text(planned.to_json()), planned.to_json(),
                     as_json=as_json, format_name=format_name)  # fmt: skip
        raise typer.Exit(int(bool(planned.edited)))
    outcome = rollback(request, show_action, discard_edits, to)
    if as_json or format_name != "text":
        options.show("", outcome.to_json(), as_json=as_json, format_name=format_name)
    elif not outcome.journals:
        say("Nothing newer is applied: nothing was undone.")
    else:
        say(f"Journal {', '.join(outcome.journals)} is rolled back.")
        for note in outcome.notes:
            say(f"note: {note}")


@app.command("status", cls=CloudCommand)
def status_command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    state: State = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Show what was repaired, from the journals on this machine; does not ask the cloud.

    The rows are the journals.
    """
    from wholecard.core.state_folder import state_folder
    from wholecard.repair.text import status_text
    from wholecard.transaction.recorded_journal import RecordedJournal

    name = options.chosen_cloud(cloud, clouds_file)
    folder = state_folder("repair", name) if state is None else state.absolute()
    status = RecordedJournal(folder, {"rules": []}).status()
    options.show(status_text(status), status, "history",
                 as_json=as_json, format_name=format_name, columns=columns)  # fmt: skip
    raise typer.Exit(int(status["state"] in ("applying", "rolling-back")))


def journal_of(cloud: str, state: Path | None) -> RepairJournal:
    """The journals of this cloud's repairs, in `state` where that is named."""
    from wholecard.repair.changing.journal import RepairJournal, default_folder, shared_folder

    folder = default_folder(cloud) if state is None else state.absolute()
    return RepairJournal(folder, shared=shared_folder())


def _request(given: dict[str, Any]) -> RepairRequest:
    """What a command was given, by the names of its parameters."""
    from wholecard.audit.request import AuditRequest, audit
    from wholecard.audit.views.databases_file import default_file
    from wholecard.audit.views.host_facts import FleetFacts
    from wholecard.audit.views.open_views import AuditSources
    from wholecard.cli.audit_progress import progress
    from wholecard.cloud.client.connection import connect
    from wholecard.core.rules import RULES
    from wholecard.repair.database.accounts import CellDatabases
    from wholecard.repair.hosts import SshHosts
    from wholecard.repair.operations.operation import RepairContext
    from wholecard.repair.planning import RepairFilter
    from wholecard.repair.remedies.case import RepairOptions
    from wholecard.repair.request import RepairRequest

    def names(key: str) -> frozenset[str]:
        return frozenset(given.get(key) or ())

    _refuse_unknown(names("rule") - RULES.keys(), names("confirm_resize") & names("revert_resize"))
    name = options.chosen_cloud(given["cloud"], given["clouds_file"])
    write = given.get("databases_write")
    accounts = CellDatabases.read(write) if write else CellDatabases()
    by_ssh = options.ssh_names(given.get("ssh_name"))
    ssh = options.ssh_of(given.get("ssh_config"), given.get("sudo", False))
    reader = FleetFacts(ssh, by_ssh, timeout=given.get("timeout", 20.0))
    hosts = SshHosts(ssh, reader, by_ssh, given.get("compute_unit", ""))
    sources = AuditSources(
        name, given["clouds_file"], given.get("databases") or default_file(),
        tuple(sorted(names("host"))) or None, over_ssh=True, ssh_names=by_ssh,
        ssh_config=ssh.config, sudo=ssh.sudo, timeout=given.get("timeout"),
    )  # fmt: skip

    def audited() -> Any:
        with progress() as watcher:
            return audit(AuditRequest(sources, given["wait"]), watcher)

    return RepairRequest(
        RepairContext(connect(name, given["clouds_file"]), accounts, hosts),
        audited,
        journal_of(name, given.get("state")),
        RepairOptions(
            bool(given.get("restart_compute")), bool(given.get("beyond_restart")),
            names("powered_off"), names("confirm_resize"), names("revert_resize"),
        ),
        RepairFilter(names("rule"), names("host"), names("server")),
    )  # fmt: skip


def _refuse_unknown(rules: frozenset[str], both: frozenset[str]) -> None:
    from wholecard.core import UsageError

    if rules:
        raise UsageError(f"there is no rule {', '.join(sorted(rules))}",
                         resolution="wholecard rule lists all rules.")  # fmt: skip
    if both:
        raise UsageError(f"{', '.join(sorted(both))} is both to be confirmed and reverted",
                         resolution="Name it with one of the two options.")  # fmt: skip

"""`wholecard drain`: all servers off a host, with what will happen to each said first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.audit import Databases, OverSsh
from wholecard.cli.migrate import (
    Bandwidth,
    Locked,
    MoveTimeout,
    Named,
    NoAudit,
    Repaired,
    Site,
    Views,
    move_options,
    tools_for,
)
from wholecard.cli.say import say
from wholecard.cli.signals import terminable
from wholecard.core import UsageError

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.moving.drain_journal import DrainJournal
    from wholecard.moving.drain_plan import DrainPlan
    from wholecard.moving.drain_request import DrainRequest


def command(
    host: Annotated[str, typer.Argument(metavar="HOST", help="nova-compute's host.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever looks "
        "at nova's services.")] = "drained by wholecard",
    to: Annotated[str, typer.Option("--to", metavar="HOSTS", help="Only to these hosts: a,b. "
        "Default: any that can take a server.")] = "",
    live_only: Annotated[bool, typer.Option("--live-only", help="Stop no server: those that nova "
        "does not migrate live stay.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=16, metavar="N", help="How many servers "
        "move at one time.")] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the list.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Print how far the drain came.")]
    = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the drain: no further server moves, "
        "and the service is enabled again. What moved stays where it is.")] = False,
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    site: Site = None,
    conf: options.Conf = None,
    facts: options.Facts = None,
    bandwidth: Bandwidth = 100.0,
    locked: Locked = False,
    timeout: MoveTimeout = 7200.0,
    databases: Databases = None,
    ssh: OverSsh = False,
    ssh_name: options.SshNames = None,
    ssh_config: options.SshConfig = None,
    sudo: options.Sudo = False,
    no_audit: NoAudit = False,
    repair: Repaired = False,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Move all servers off a host, and say first what will happen to each.

    The list says which servers move live, which are stopped for it and for how long, and which
    cannot move and why. No card is planned for two servers.

    Then nova-compute is disabled with the reason, and the servers move one after the other. Ctrl-C
    stops after the request in progress; the same command goes on, also after a crash.

    The rows are the servers of the list; with --status their moves.

    Exit status: 0 the host is empty, 1 a server stays or something is wrong, 2 called wrongly, 3
    something broke.
    """
    # Late: they load OpenStack's whole SDK.
    from wholecard.cloud.client.connection import connect
    from wholecard.moving.drain_journal import drain_journal
    from wholecard.moving.drain_request import DrainRequest, require_service
    from wholecard.moving.drain_request import stop as end_drain

    name = options.chosen_cloud(cloud, clouds_file)
    conn = connect(name, clouds_file)
    journal = drain_journal(name, host)
    require_service(conn, host)
    shown = _Shown("json" if as_json else format_name, columns)
    if status:
        _status(conn, host, journal, shown)
        return
    if stop:
        for line in end_drain(conn, host, journal):
            say(line)
        return
    hosts = tuple(part for part in to.split(",") if part)
    views = Views.chosen(
        name, clouds_file, databases, over_ssh=ssh, names=ssh_name, ssh_config=ssh_config,
        sudo=sudo, off=no_audit, repaired=repair,
    )  # fmt: skip
    wanted = move_options(hosts, None, Named(site, conf, facts), bandwidth, views, locked=locked)
    request = DrainRequest(host, reason, wanted, live_only, jobs)
    with terminable():
        raise typer.Exit(_drain(conn, request, journal, views, timeout, shown, yes, dry_run))


class _Shown:
    """How the answer is printed."""

    def __init__(self, format_name: str, columns: list[str] | None) -> None:
        self.format_name, self.columns = format_name, columns

    @property
    def for_person(self) -> bool:
        return self.format_name == "table" and not self.columns


def _status(conn: Connection, host: str, journal: DrainJournal, shown: _Shown) -> None:
    from wholecard.core.report_text import terminal_width
    from wholecard.moving.drain_request import drain_status
    from wholecard.moving.drain_text import status_text

    found = drain_status(conn, host, journal)
    options.show(status_text(found, terminal_width()), found.to_json(), "servers",
                 format_name=shown.format_name, columns=shown.columns)  # fmt: skip


def _drain(
    conn: Connection, request: DrainRequest, journal: DrainJournal, views: Views, timeout: float,
    shown: _Shown, yes: bool, dry_run: bool,
) -> int:  # fmt: skip
    from wholecard.cli.migrate import said_on_interrupt
    from wholecard.cli.move_progress import progress
    from wholecard.core import exit_status
    from wholecard.core.report_text import terminal_width
    from wholecard.moving import drain_text
    from wholecard.moving.drain_plan import plan_drain
    from wholecard.moving.drain_request import drain

    ours = frozenset(row.server for row in journal.servers.entries() if not row.is_over)
    plan = plan_drain(conn, request.host, request.options, live_only=request.live_only, ours=ours)
    text = drain_text.plan_text(plan, terminal_width())
    if dry_run:
        options.show(text, plan.to_json(), "servers",
                     format_name=shown.format_name, columns=shown.columns)  # fmt: skip
        return exit_status(plan.findings)
    if shown.for_person:
        say(f"{text}\n")
    if not yes and not _agreed(plan):
        return 1
    with progress(len(plan.moving)) as watcher, said_on_interrupt():
        report = drain(conn, request, plan, journal, tools_for(conn, views, timeout, watcher))
    options.show(drain_text.report_text(report, terminal_width()), report.to_json(), "servers",
                 format_name=shown.format_name, columns=shown.columns)  # fmt: skip
    return int(bool(report.left) or exit_status(report.findings))


def _agreed(plan: DrainPlan) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            f"drain asks before it disables {plan.host}, and there is no terminal",
            resolution="Look at the list (--dry-run), then add --yes.",
        )
    stops = sum(row.fate == "moves with a stop" for row in plan.rows)
    what = f"Disable {plan.host} and move {len(plan.moving)} servers, {stops} with a stop?"
    return typer.confirm(what)

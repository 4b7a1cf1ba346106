"""`wholecard migrate`: a server with cards moves to another host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.audit import NEEDS_SSH, Databases, OverSsh
from wholecard.cli.say import say
from wholecard.cli.signals import terminable
from wholecard.core import UsageError

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.audit.record import Domain
    from wholecard.audit.report import AuditReport
    from wholecard.audit.views.open_views import AuditSources
    from wholecard.fleet import Ssh
    from wholecard.moving.migrate_request import MigrateRequest, Tools
    from wholecard.moving.move import MoveWatcher
    from wholecard.moving.pauses import Pauses
    from wholecard.moving.planner import MoveOptions
    from wholecard.moving.record import End, Method
    from wholecard.repair.record import RepairReport

Bandwidth = Annotated[float, typer.Option("--bandwidth", min=0.1, metavar="MIB/S", help="How fast "
    "a disk is copied between hosts, for the estimate. 100 is about a link of 1 "
    "Gbit/s.")]  # fmt: skip
Locked = Annotated[bool, typer.Option("--locked", help="Move locked servers too: nova lets an "
    "administrator do it.")]  # fmt: skip
MoveTimeout = Annotated[float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long "
    "a server may be in one state of a move.")]  # fmt: skip
NoAudit = Annotated[bool, typer.Option("--no-audit", help="Do not audit the hosts.")]
Repaired = Annotated[bool, typer.Option("--repair", help="Take out what nova leaves in a moved "
    "server's allocation (WC524), as wholecard repair does. Needs --databases and "
    "--ssh.")]  # fmt: skip
Site = Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file, for the "
    "release, the aliases and the facts of its hosts.")]  # fmt: skip


def command(
    server: Annotated[str, typer.Argument(metavar="SERVER", help="The server's id or name.")],
    to: Annotated[str, typer.Option("--to", metavar="HOST", help="The new host. Default: a host "
        "that can take the server and has the fewest free cards.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen, and how "
        "long it takes.")] = False,
    confirm: Annotated[bool | None, typer.Option("--confirm/--no-confirm", help="Confirm the "
        "migration once the server has its cards on the new host, or leave it in VERIFY_RESIZE, "
        "where it can be reverted. Default: confirm.")] = None,
    revert: Annotated[bool, typer.Option("--revert", help="Take the server back to its host at "
        "the end: a rehearsal, or with --continue the way back.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Only take up a migration that an "
        "earlier run began. With --confirm or --revert also one that somebody else began.")]
    = False,
    live: Annotated[bool, typer.Option("--live", help="Only live.")] = False,
    cold: Annotated[bool, typer.Option("--cold", help="Cold, also where live is possible.")]
    = False,
    evacuate: Annotated[bool, typer.Option("--evacuate", help="The server's host is dead: build "
        "it again on another host. Needs the host fenced and its service forced down.")] = False,
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    site: Site = None,
    conf: options.Conf = None,
    facts: options.Facts = None,
    disk_used: Annotated[float | None, typer.Option("--disk-used", min=0, metavar="GIB", help="How "
        "much of its disk the server uses, for the estimate. nova does not show it.")] = None,
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
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Move a server with cards to a host that has free cards of the kind.

    It first says whether nova would migrate the server live, and why not; which host can take it;
    what will happen and how long it takes. Then it moves the server, and proves by nova and
    Placement that the server has its cards. Only then is the migration confirmed.

    After Ctrl-C or a crash the same command goes on.

    Exit status: 0 moved, 1 not moved or something is wrong with it, 2 called wrongly, 3 something
    broke.
    """
    method = chosen_method(live=live, cold=cold, evacuate=evacuate)
    end, told = chosen_end(confirm, revert=revert)
    # Late: they load OpenStack's whole SDK.
    from wholecard.cloud.client.connection import connect
    from wholecard.moving.migrate_request import MigrateRequest

    name = options.chosen_cloud(cloud, clouds_file)
    format_name = "json" if as_json else format_name
    views = Views.chosen(
        name, clouds_file, databases, over_ssh=ssh, names=ssh_name, ssh_config=ssh_config,
        sudo=sudo, off=no_audit, repaired=repair,
    )  # fmt: skip
    where = (to,) if to else ()
    wanted = move_options(where, method, Named(site, conf, facts), bandwidth, views,
                          locked=locked, used=disk_used)  # fmt: skip
    request = MigrateRequest(server, wanted, end, told, go_on)
    conn = connect(name, clouds_file)
    with terminable():
        raise typer.Exit(_run(conn, request, views, timeout, dry_run, format_name))


def chosen_method(*, live: bool, cold: bool, evacuate: bool) -> Method | None:
    """The method that options name, None for the best. Raises UsageError for two of them."""
    from wholecard.moving.record import Method

    chosen = [method for method, on in ((Method.LIVE, live), (Method.COLD, cold),
                                        (Method.EVACUATE, evacuate)) if on]  # fmt: skip
    if len(chosen) > 1:
        raise UsageError("--live, --cold and --evacuate exclude each other")
    return chosen[0] if chosen else None


def chosen_end(confirm: bool | None, *, revert: bool) -> tuple[End, bool]:
    """What becomes of VERIFY_RESIZE, and whether a person named it."""
    from wholecard.moving.record import End

    if revert and confirm is not None:
        raise UsageError("--revert excludes --confirm and --no-confirm")
    if revert:
        return End.REVERT, True
    return (End.LEAVE if confirm is False else End.CONFIRM), confirm is not None


@dataclass(frozen=True)
class Named:
    """The files that a person names: the site's, services', hosts' facts."""

    site: Path | None
    conf: list[str] | None
    facts: list[str] | None


def move_options(
    to: tuple[str, ...], method: Method | None, named: Named, bandwidth: float, views: Views, *,
    locked: bool, used: float | None = None,
) -> MoveOptions:  # fmt: skip
    """The options of a move, with what files tell of aliases and hosts, and of earlier moves."""
    from wholecard.core.releases import LATEST
    from wholecard.explain.evidence.named_files import named_files
    from wholecard.moving.live_migration import migratable_aliases
    from wholecard.moving.planner import MoveOptions
    from wholecard.nova.conf.service_conf import NovaConf

    files = named_files(named.conf, named.facts, named.site)
    release = files.site.release if files.site else None
    api = NovaConf.read(files.api, "api") if files.api else None
    aliases = migratable_aliases(api, release or LATEST)
    return MoveOptions(to, method, locked, bandwidth, used, files, release, aliases,
                       views.repaired, views.pauses)  # fmt: skip


@dataclass(frozen=True)
class Views:
    """What the audits before and after a move, and its proof, read; `repaired` as `--repair`."""

    cloud: str
    clouds_file: Path | None
    databases: Path | None
    over_ssh: bool
    off: bool
    ssh: Ssh
    ssh_names: Mapping[str, str]
    repaired: bool

    @classmethod
    def chosen(
        cls, cloud: str, clouds_file: Path | None, databases: Path | None, *, over_ssh: bool,
        names: list[str] | None, ssh_config: Path | None, sudo: bool, off: bool, repaired: bool,
    ) -> Views:  # fmt: skip
        """What the options say. Raises UsageError."""
        from wholecard.audit.views.databases_file import default_file

        by_host = options.ssh_names(names)
        if not over_ssh and (by_host or ssh_config or sudo):
            raise UsageError(NEEDS_SSH, resolution="Add --ssh.")
        databases = databases or default_file()
        if repaired and not (over_ssh and databases):
            raise UsageError(
                "--repair needs --databases and --ssh",
                "Which card is left over is in nova's rows, and a card that a domain has is never "
                "taken away.",
            )
        ssh = options.ssh_of(ssh_config, sudo)
        return cls(cloud, clouds_file, databases, over_ssh, off, ssh, by_host, repaired)

    def sources(self, hosts: tuple[str, ...]) -> AuditSources:
        """The sources of an audit of these hosts."""
        from wholecard.audit.views.open_views import AuditSources

        return AuditSources(
            self.cloud, self.clouds_file, self.databases, hosts, over_ssh=self.over_ssh,
            ssh_names=self.ssh_names, ssh_config=self.ssh.config, sudo=self.ssh.sudo,
        )  # fmt: skip

    def audit(self, hosts: tuple[str, ...]) -> AuditReport:
        """An audit of these hosts."""
        from wholecard.audit.request import AuditRequest, audit

        return audit(AuditRequest(self.sources(hosts)))

    def repair(self, conn: Connection, node: str, server: str) -> RepairReport:
        """Repair WC524 of this server on this host."""
        from wholecard.audit.views.host_facts import FleetFacts
        from wholecard.cli.repair import journal_of
        from wholecard.moving.left_over import RULE
        from wholecard.repair.database.accounts import CellDatabases
        from wholecard.repair.hosts import SshHosts
        from wholecard.repair.operations.operation import RepairContext
        from wholecard.repair.planning import RepairFilter
        from wholecard.repair.request import RepairRequest, apply

        hosts = SshHosts(self.ssh, FleetFacts(self.ssh, self.ssh_names), self.ssh_names)
        context = RepairContext(conn, CellDatabases(), hosts)
        only = RepairFilter(frozenset({RULE}), frozenset({node}), frozenset({server}))
        journal = journal_of(self.cloud, None)
        return apply(RepairRequest(context, lambda: self.audit((node,)), journal, only=only))

    @property
    def pauses(self) -> Pauses:
        """The pauses of this cloud's live migrations, and libvirt over ssh, which has the last."""
        from wholecard.core.state_folder import state_folder
        from wholecard.moving.pauses import Pauses, SshPauses

        read = SshPauses(self.ssh, self.ssh_names) if self.over_ssh else None
        return Pauses(state_folder("pauses", self.cloud), read)

    def domains(self, node: str) -> tuple[Domain, ...] | None:
        """libvirt's domains on a host, None where they were not read."""
        from wholecard.audit.views.open_views import open_views

        views = open_views(self.sources((node,)))
        try:
            return next((host.domains for host in views.host_views()), None)
        finally:
            views.close()


def tools_for(
    conn: Connection, views: Views, timeout: float, watcher: MoveWatcher | None = None
) -> Tools:
    """The journal of this cloud's moves, who is told, who audits, looks and repairs."""
    from wholecard.core.state_folder import state_folder
    from wholecard.moving.journal import MoveJournal
    from wholecard.moving.left_over import LeftOver
    from wholecard.moving.migrate_request import Tools
    from wholecard.moving.move import MoveWatcher, Pace

    return Tools(
        MoveJournal(state_folder("moves", views.cloud)), watcher or MoveWatcher(),
        None if views.off else views.audit, views.domains if views.over_ssh else None,
        LeftOver(partial(views.repair, conn)) if views.repaired else None,
        Pace(timeout=timeout), views.pauses,
    )  # fmt: skip


def _run(
    conn: Connection, request: MigrateRequest, views: Views, timeout: float, dry_run: bool,
    format_name: str,
) -> int:  # fmt: skip
    from wholecard.cli.move_progress import progress
    from wholecard.core import exit_status
    from wholecard.core.report_text import terminal_width
    from wholecard.moving.migrate_request import migrate, plan_migrate, unfinished
    from wholecard.moving.move_text import plan_text, report_text

    journal = tools_for(conn, views, timeout).journal
    plan = unfinished(conn, request, journal) or plan_migrate(conn, request)
    text = plan_text(plan, terminal_width())
    if dry_run or plan.blocked:
        options.show(text, plan.to_json(), format_name=format_name)
        return exit_status(plan.findings)
    if format_name == "text":
        say(f"{text}\n")
    with progress() as watcher, said_on_interrupt():
        report = migrate(conn, request, plan, tools_for(conn, views, timeout, watcher))
    options.show(report_text(report, terminal_width()), report.to_json(), format_name=format_name)
    return int(not report.is_good)


@contextmanager
def said_on_interrupt() -> Iterator[None]:
    """After Ctrl-C nova goes on: say so, and how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        say("nova goes on with what was asked for. The same command goes on with it.", err=True)
        raise

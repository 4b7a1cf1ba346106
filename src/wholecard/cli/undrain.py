"""`wholecard undrain`: a drained host gets servers again, after a proof and an audit."""

from __future__ import annotations

from pathlib import Path
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
from wholecard.cli.signals import terminable
from wholecard.core import UsageError

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.moving.undrain_request import Prove


def command(
    host: Annotated[str, typer.Argument(metavar="HOST", help="nova-compute's host.")],
    prove: Annotated[str, typer.Option("--prove", metavar="FLAVOR", help="Boot a server of this "
        "flavor there; its guest proves its cards. Where that fails the host is disabled "
        "again.")] = "",
    image: Annotated[str, typer.Option("--image", metavar="NAME", help="The image of the "
        "proof.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Move the servers back that the last drain "
        "moved away, those that are still where it put them.")] = False,
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
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Give a drained host back to nova, once an audit and a proof say that it may have servers.

    The audit runs first, and an error in it leaves the host disabled. nova starts no server on a
    disabled host, so the proof runs right after the service is enabled.

    Exit status: 0 given back, 1 not given back or a server did not come back, 2 called wrongly, 3
    something broke.
    """
    if prove and not image:
        raise UsageError("--prove needs an image", resolution="Write --prove FLAVOR --image NAME.")
    # Late: they load OpenStack's whole SDK.
    from wholecard.cli.move_progress import progress
    from wholecard.cloud.client.connection import connect
    from wholecard.core.report_text import terminal_width
    from wholecard.moving.drain_journal import drain_journal
    from wholecard.moving.drain_text import undrain_text
    from wholecard.moving.undrain_request import UndrainRequest, undrain

    name = options.chosen_cloud(cloud, clouds_file)
    conn = connect(name, clouds_file)
    views = Views.chosen(
        name, clouds_file, databases, over_ssh=ssh, names=ssh_name, ssh_config=ssh_config,
        sudo=sudo, off=no_audit, repaired=repair,
    )  # fmt: skip
    wanted = move_options((), None, Named(site, conf, facts), bandwidth, views, locked=locked)
    request = UndrainRequest(host, back, wanted)
    proving = _prover(conn, name, prove, image, site) if prove else None
    with terminable():
        with progress() as watcher:
            tools = tools_for(conn, views, timeout, watcher)
            report = undrain(conn, request, drain_journal(name, host), tools, proving)
        options.show(undrain_text(report, terminal_width()), report.to_json(),
                     format_name="json" if as_json else format_name)  # fmt: skip
        good = report.enabled and not report.findings and all(each.is_good for each in report.back)
        raise typer.Exit(int(not good))


def _prover(conn: Connection, cloud: str, flavor: str, image: str, site: Path | None) -> Prove:
    from wholecard.cloud.proving.record import ProveReport
    from wholecard.cloud.proving.request import ProveRequest, prove
    from wholecard.site.load import read_site

    file = read_site(site) if site else None

    def proved(host: str) -> ProveReport:
        return prove(conn, ProveRequest(cloud, flavor, image, site=file, host=host))

    return proved

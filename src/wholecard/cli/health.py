"""`wholecard health`: are the cards in order, and whose are they."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.signals import terminable

if TYPE_CHECKING:
    from wholecard.health.request import HealthRequest

On = Annotated[list[str] | None, typer.Option("--on", metavar="HOSTS", help="Ask these hosts over "
    "ssh: a,b, or @FILE with one host per line. May be repeated.")]  # fmt: skip
Local = Annotated[bool, typer.Option("--local", help="Ask this machine.")]
Sudo = Annotated[bool, typer.Option("--sudo", help="Use sudo -n on the hosts: only root may read "
    "some logs.")]  # fmt: skip
Jobs = Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="How many hosts are asked in "
    "parallel.")]  # fmt: skip
Timeout = Annotated[float | None, typer.Option("--timeout", min=1, metavar="SECONDS",
                    help="Time limit per host. Default: 300 s.")]  # fmt: skip
CloudName = Annotated[str, typer.Option("--cloud", metavar="NAME", help="Also ask nova and "
    "Placement of this cloud of clouds.yaml who has the cards. The account must be an "
    "administrator's. Default: no cloud is asked.")]  # fmt: skip
Alias = Annotated[list[str] | None, typer.Option("--alias", metavar="NAME", help="Count only the "
    "devices of this alias as cards of a flavor; may be repeated. Default: of all "
    "aliases.")]  # fmt: skip


def command(
    on: On = None,
    local: Local = False,
    sudo: Sudo = False,
    ssh_config: options.SshConfig = None,
    jobs: Jobs = 16,
    timeout: Timeout = None,
    cloud: CloudName = "",
    clouds_file: options.CloudsFile = None,
    alias: Alias = None,
    usage_since: Annotated[datetime | None, typer.Option("--usage-since", metavar="TIME",
                           formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Count the projects' "
                           "card-hours from this time on, in UTC. Default: the first of this "
                           "month.")] = None,
    since: Annotated[Path | None, typer.Option("--since", metavar="FILE", help="An earlier answer "
        "(health --json). What it already had is not reported again, if the host was not rebooted "
        "since.")] = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Report errors of cards, and which cards are free, given, dirty or broken.

    On each host it reads AER's counters, links, power states, the first bytes of each card, the
    kernel's log and QEMU's logs. With --cloud it also reads whose the cards are, and the projects'
    card-hours. It changes nothing and wakes no card.

      wholecard health --on gpu-01,gpu-02 --cloud prod

    Exit status: 0 no findings, or notes only, 1 there are findings, 2 called wrongly, 3 something
    broke.
    """
    from wholecard.cli.fleet import watching
    from wholecard.core.finding import exit_status
    from wholecard.core.report_text import terminal_width
    from wholecard.health.host_answers import read_earlier
    from wholecard.health.request import read_report, with_options
    from wholecard.health.text import report_text

    request = with_options(
        request_of(on, local, sudo, ssh_config, jobs, timeout, cloud, clouds_file, alias),
        usage_since, read_earlier(since) if since else {},
    )  # fmt: skip
    with terminable(), watching(request.hosts) as watcher:
        report = read_report(request, watcher)
    options.show(
        report_text(report, terminal_width()), report.to_json(), "cards",
        as_json=as_json, format_name=format_name, columns=columns,
    )  # fmt: skip
    raise typer.Exit(exit_status(report.findings))


def request_of(
    on: list[str] | None, local: bool, sudo: bool, ssh_config: Path | None, jobs: int,
    timeout: float | None, cloud: str, clouds_file: Path | None, alias: list[str] | None,
) -> HealthRequest:  # fmt: skip
    """What `health` and `exporter` are asked alike. Raises UsageError."""
    from wholecard.fleet import read_names
    from wholecard.health.request import HealthRequest

    hosts = read_names(on) if on else ()
    return HealthRequest(
        tuple(hosts), local, options.ssh_of(ssh_config, sudo), jobs, timeout, cloud, clouds_file,
        aliases=frozenset(alias or ()),
    )  # fmt: skip

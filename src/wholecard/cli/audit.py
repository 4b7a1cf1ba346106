"""`wholecard audit`: sysfs, libvirt, nova's database and Placement compared, card by card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wholecard.cli import options
from wholecard.core import UsageError

if TYPE_CHECKING:
    from wholecard.audit.report import AuditReport
    from wholecard.audit.views.open_views import AuditSources

Databases = Annotated[Path | None, typer.Option(
    "--databases", metavar="FILE", help="An INI file with the connections of nova's cells, of "
        "Placement and of nova's API database, for an account that may only read. Default: "
        "$WHOLECARD_DATABASES; without it nova's and Placement's APIs are asked.")]  # fmt: skip
Hosts = Annotated[list[str] | None, typer.Option(
    "--host", metavar="HOST", help="Only this hypervisor host; may be repeated. Default: "
        "all.")]  # fmt: skip
HostList = Annotated[str, typer.Option(
    "--hosts", metavar="HOSTS", help="Only these: a,b,c or @FILE with one on each "
        "line.")]  # fmt: skip
NEEDS_SSH = "--ssh-name, --ssh-config and --sudo work only with --ssh"
OverSsh = Annotated[bool, typer.Option(
    "--ssh", help="Read sysfs and libvirt's domains of every host that has no --facts over "
        "ssh.")]  # fmt: skip


def command(
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    databases: Databases = None,
    host: Hosts = None,
    hosts: HostList = "",
    facts: options.Facts = None,
    conf: Annotated[list[str] | None, typer.Option("--conf", metavar="compute[@HOST]=PATH",
                    help="nova-compute's configuration, a file or a folder, of this host or of "
                    "all: for devices in use that device_spec no longer selects.")] = None,
    ssh: OverSsh = False,
    ssh_name: options.SshNames = None,
    ssh_config: options.SshConfig = None,
    sudo: options.Sudo = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="How many hosts are read "
        "in parallel.")] = 16,
    timeout: Annotated[float, typer.Option("--timeout", min=1, metavar="SECONDS", help="Time limit "
        "for each host that is read over ssh.")] = 60.0,
    wait: Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait "
        "before the second look where something is in progress: one run of nova-compute's "
        "periodic task.")] = 60.0,
    now: Annotated[bool, typer.Option("--now", "--no-wait", help="Do not wait: what is in progress "
        "is listed as such (WC551).")] = False,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Compare what sysfs, libvirt, nova's database and Placement say of each card.

    Nothing is changed. Where nova is at work, the audit looks a second time before it calls
    anything broken. What could not be read is said.

    Exit status: 0 all four places were read and agree, 1 they disagree, 2 called wrongly,
    3 something broke, 4 nothing disagrees, but not everything was read or something is in progress.
    """
    # Late: --help and completion do not wait for what reads clouds and databases.
    from dataclasses import replace

    from wholecard.audit.request import AuditRequest, audit
    from wholecard.cli.audit_progress import progress
    from wholecard.cli.signals import terminable
    from wholecard.nova.conf.file_options import conf_files, of_computes

    over_ssh = _over_ssh(ssh, ssh_name, ssh_config, sudo, jobs, timeout)
    sources = _sources(cloud, clouds_file, databases, (*(host or ()), *named_hosts(hosts)), facts)
    sources = replace(sources, **over_ssh)
    computes = of_computes(conf_files(conf))
    request = AuditRequest(sources, None if now else wait, computes)
    with terminable(), progress() as watcher:
        report = audit(request, watcher)
    show(report, "json" if as_json else format_name, columns)
    raise typer.Exit(report.exit_status)


def show(report: AuditReport, format_name: str, columns: list[str] | None) -> None:
    """Print a report as the options ask."""
    if columns or format_name != "table":
        options.show("", report.to_json(), "findings", format_name=format_name, columns=columns)
        return
    from rich.text import Text

    from wholecard.audit.text import blocks
    from wholecard.cli.terminal import PlainConsole
    from wholecard.core.report_text import read_more_text

    console = PlainConsole(highlight=False)
    for block in blocks(report):
        console.print(block, crop=False, overflow="ignore" if isinstance(block, Text) else None)
    if report.disagreements:
        console.print(Text(read_more_text(report.disagreements[0].rule), "dim"))


def _sources(
    cloud: str, clouds_file: Path | None, databases: Path | None, hosts: tuple[str, ...],
    facts: list[str] | None,
) -> AuditSources:  # fmt: skip
    from wholecard.audit.views.databases_file import default_file
    from wholecard.audit.views.open_views import AuditSources
    from wholecard.nova.conf.file_options import facts_file

    databases = databases or default_file()
    # With databases no cloud is needed; one that is named gives what the file does not.
    cloud = options.chosen_cloud(cloud, clouds_file) if cloud or not databases else ""
    files = dict(facts_file(text) for text in facts or ())
    return AuditSources(
        cloud=cloud, clouds_file=clouds_file, databases=databases, hosts=hosts or None, facts=files
    )


def _over_ssh(
    ssh: bool, names: list[str] | None, ssh_config: Path | None, sudo: bool, jobs: int,
    timeout: float,
) -> dict[str, Any]:  # fmt: skip
    """The members of AuditSources that are about ssh."""
    by_host = options.ssh_names(names)
    if not ssh and (by_host or ssh_config or sudo):
        raise UsageError(NEEDS_SSH, resolution="Add --ssh.")
    access = options.ssh_of(ssh_config, sudo)
    return {"over_ssh": ssh, "ssh_names": by_host, "ssh_config": access.config,
            "sudo": access.sudo, "jobs": jobs, "timeout": timeout}  # fmt: skip


def named_hosts(text: str) -> tuple[str, ...]:
    """The hosts of `a,b,c`, or of `@FILE` with one on each line. Raises UsageError."""
    if not text.startswith("@"):
        return tuple(name.strip() for name in text.split(",") if name.strip())
    from wholecard.core.input_files import read_input

    path = Path(text[1:])
    try:
        lines = read_input(path, 1 << 20).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the list of hosts {path}", str(error)) from error
    return tuple(line.split("#")[0].strip() for line in lines if line.split("#")[0].strip())

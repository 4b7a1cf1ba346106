"""`wholecard prove`: servers boot on the cloud, and their guests prove their cards."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.signals import terminable
from wholecard.core import UsageError

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.cloud.proving.record import ProveReport
    from wholecard.cloud.proving.request import ProveRequest

BENCH_BODIES = 65536


def command(
    flavor: Annotated[str, typer.Option("--flavor", metavar="NAME", help="The flavor, which asks "
        "for cards by pci_passthrough:alias or resources:CUSTOM_…")] = "",
    image: Annotated[str, typer.Option("--image", metavar="NAME", help="The image, by name or id: "
        "one with cloud-init or cloudbase-init, or with the agent in it.")] = "",
    count: Annotated[int, typer.Option("--count", min=1, max=64, metavar="N", help="How many "
        "servers, at one time.")] = 1,
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    site: Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file, for "
        "the ids behind the flavor's aliases.")] = None,
    network: Annotated[str, typer.Option("--network", metavar="none|NAME", help="The servers' "
        "network; the proof itself needs none.")] = "none",
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Start all servers on this "
        "host: one after maintenance. nova lets an administrator name it (compute API 2.74), and "
        "still runs its filters. Default: nova chooses.")] = "",
    zone: Annotated[str, typer.Option("--availability-zone", metavar="ZONE", help="Start the "
        "servers in this availability zone. Default: nova's.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long "
        "a server may take from its request to its report.")] = 900.0,
    containers: Annotated[int, typer.Option("--containers", min=0, max=100, metavar="N", help="Run "
        "N containers with the cards side by side in each guest, by CDI.")] = 0,
    container_image: Annotated[str, typer.Option("--container-image", metavar="NAME", help="A "
        "container image that the guest has. Default: the guest's own programs.")] = "",
    bench: Annotated[bool, typer.Option("--bench", help="Run wholecard-bench nbody in each guest, "
        "on all GPUs.")] = False,
    bodies: Annotated[int, typer.Option("--num-bodies", min=2, metavar="N", help="The number of "
        "bodies of --bench.")] = BENCH_BODIES,
    require_driver: Annotated[bool, typer.Option("--require-driver", help="A GPU that no driver "
        "in the guest counts is an error and not a note.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not delete the servers at the end.")]
    = False,
    clean: Annotated[bool, typer.Option("--clean", help="Only delete the servers of earlier "
        "proofs that were left behind, and those that were kept.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit "
        "XML.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the "
        "report as an HTML page.")] = None,
    format_name: options.TextFormat = "text",
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Boot servers of a flavor, and compare what their guests report with what it asks for.

    The guest reports on its serial console: neither a network nor ssh is needed. The servers are
    deleted at the end, also after Ctrl-C; what a killed run left behind is deleted by the next one.

    Exit status: 0 proved, 1 not proved, 2 called wrongly, 3 something broke.
    """
    if not clean and not (flavor and image):
        raise UsageError("prove needs a flavor and an image",
                         resolution="Write --flavor NAME --image NAME.")  # fmt: skip
    if ":" in zone:
        # nova's ZONE:HOST:NODE passes the scheduler's filters by, which a proof should not.
        raise UsageError("--availability-zone takes a zone alone",
                         resolution="Write --availability-zone ZONE --host HOST.")  # fmt: skip
    _check_outputs(junit, output)
    # Late: they load OpenStack's whole SDK.
    from wholecard.cloud.client.connection import connect
    from wholecard.cloud.proving.request import ProveRequest
    from wholecard.site.load import read_site

    site_file = read_site(site) if site else None
    cloud = options.chosen_cloud(cloud, clouds_file)
    request = ProveRequest(
        cloud=cloud, flavor=flavor, image=image, count=count, network=network, timeout=timeout,
        containers=containers, container_image=container_image, bench=bodies if bench else 0,
        driver=require_driver, keep=keep, site=site_file, host=host, availability_zone=zone,
    )  # fmt: skip
    conn = connect(cloud, clouds_file)
    with terminable():
        if clean:
            _clean(conn)
            return
        report = _proved(conn, request, clouds_file, "json" if as_json else format_name)
    _write(report, junit, output)
    raise typer.Exit(int(not report.proved))


def _proved(
    conn: Connection, request: ProveRequest, clouds_file: Path | None, format_name: str
) -> ProveReport:
    from wholecard.cli.prove_progress import progress
    from wholecard.cloud.proving.request import prove
    from wholecard.cloud.proving.text import report_text
    from wholecard.core.report_text import terminal_width

    with progress() as watcher:
        report = prove(conn, request, watcher, _explainer(request.cloud, clouds_file))
    text = report_text(report, terminal_width())
    options.show(text, report.to_json(), format_name=format_name)
    return report


def _explainer(cloud: str, clouds_file: Path | None) -> Callable[[str], str]:
    def explain(server_id: str) -> str:
        from wholecard.core import WholecardError
        from wholecard.explain.evidence.selector import ServerSelector
        from wholecard.explain.request import ExplainRequest, explain_server

        selector = ServerSelector("", server_id, "", ())
        try:
            found = explain_server(ExplainRequest(selector, cloud=cloud, clouds_file=clouds_file))
        except WholecardError:
            # A tenant may not read what explain needs; the server's own fault is shown anyway.
            return ""
        return "; ".join(f"{each.rule} {each.message}" for each in found.findings[:2])

    return explain


def _clean(conn: Connection) -> None:
    from wholecard.cli.say import say
    from wholecard.cloud.proving.request import delete_leftovers

    names = delete_leftovers(conn, kept=True)
    say(f"Deleted: {', '.join(names)}" if names else "No server of an earlier proof is there.")


def _check_outputs(*paths: Path | None) -> None:
    """A report that cannot be written would be noticed only after the servers are gone."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"the folder of {path} does not exist",
                             resolution="Create it, or name another file.")  # fmt: skip


def _write(report: ProveReport, junit: Path | None, page: Path | None) -> None:
    from wholecard.cloud.proving.junit import junit_xml
    from wholecard.cloud.proving.page import write_page
    from wholecard.transaction.atomic_files import write_atomically

    if junit is not None:
        write_atomically(junit, junit_xml(report).encode(), 0o644)
    if page is not None:
        write_page(report, page)
        print(f"report: {page}", file=sys.stderr)

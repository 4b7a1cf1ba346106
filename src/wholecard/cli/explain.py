"""`wholecard explain`: why a server with cards finds no host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.core import UsageError

if TYPE_CHECKING:
    from wholecard.explain.explain import Explanation


def command(
    flavor: Annotated[str, typer.Option("--flavor", metavar="NAME", help="The flavor: from the "
        "cloud with --cloud, else from the site file, else made of --spec. With --server: the new "
        "flavor of a failed resize.")] = "",
    server: Annotated[str, typer.Option("--server", metavar="ID", help="A server that failed; "
                      "needs --cloud.")] = "",
    image: Annotated[str, typer.Option("--image", metavar="NAME", help="The image, by its name or "
        "id; its properties are checked too.")] = "",
    host: Annotated[list[str] | None, typer.Option("--host", metavar="HOST", help="Only this "
                    "host; may be repeated.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="The requested availability zone.")] = "",
    cloud: Annotated[str, typer.Option("--cloud", metavar="NAME", help="Ask nova, Glance and "
        "Placement of this cloud of clouds.yaml. Default with --server: $OS_CLOUD, or the only "
        "cloud there.")] = "",
    clouds_file: options.CloudsFile = None,
    site: Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file, for "
        "the release, the flavors and the facts of its hosts.")] = None,
    release: Annotated[str, typer.Option("--release", help="nova's release, if neither the site "
        "file nor the cloud says it.")] = "",
    spec: Annotated[list[str] | None, typer.Option("--spec", metavar="KEY=VALUE", help="An extra "
        "spec, added to those of the flavor; replaces one of the same name.")] = None,
    image_property: Annotated[list[str] | None, typer.Option("--property", metavar="KEY=VALUE",
                              help="A property of the image.")] = None,
    vcpus: Annotated[int | None, typer.Option("--vcpus", min=1, metavar="N", help="The number of "
        "virtual CPUs, instead of the flavor's.")] = None,
    ram: Annotated[int | None, typer.Option("--ram", min=1, metavar="MIB", help="The RAM in MiB, "
        "instead of the flavor's.")] = None,
    disk: Annotated[int | None, typer.Option("--disk", min=0, metavar="GIB", help="The disk in "
        "GiB, instead of the flavor's.")] = None,
    conf: options.Conf = None,
    facts: options.Facts = None,
    error: Annotated[str, typer.Option("--error", metavar="TEXT", help="nova's error message for "
        "the refused request, copied exactly.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Show every check of every host.")]
    = False,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Explain why a server with cards finds no host: the first check that fails, and its fix.

    It checks from the flavor over aliases, device_spec, cards, NUMA and Placement to the filters.

    It reads files, a cloud's APIs, or both, and says what it could not check.

    Exit status: 0 a host can run it, 1 a cause was found, 4 too little is known to tell.
    """
    if not (flavor or spec or server):
        resolution = "Write --flavor NAME, or --server ID of a server that failed."
        raise UsageError("explain needs a flavor or a server", resolution=resolution)
    # Late: --help and completion do not wait for what reads files and clouds.
    from wholecard.core.finding import UNDECIDED, exit_status
    from wholecard.core.releases import release as release_of
    from wholecard.explain.evidence.named_files import named_files
    from wholecard.explain.evidence.selector import Changes, ServerSelector
    from wholecard.explain.request import ExplainRequest, explain_server

    files = named_files(conf, facts, site)
    if server:
        cloud = options.chosen_cloud(cloud, clouds_file)
    changes = Changes(_pairs(spec, "--spec"), _pairs(image_property, "--property"),
                      zone=zone, vcpus=vcpus, ram_mb=ram, disk_gb=disk)  # fmt: skip
    selector = ServerSelector(flavor, server, image, tuple(host or ()), changes)
    series = release_of(release) if release else None
    explanation = explain_server(ExplainRequest(selector, files, cloud, clouds_file, series, error))
    format_name = "json" if as_json else format_name
    if columns or format_name != "table":
        options.show("", explanation.to_json(), "findings",
                     format_name=format_name, columns=columns)  # fmt: skip
    else:
        _print(explanation, everything)
    raise typer.Exit(UNDECIDED if explanation.undecided else exit_status(explanation.findings))


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in texts or ():
        key, sign, value = text.partition("=")
        if not (key and sign):
            what = f"{option} {text!r} has no value"
            raise UsageError(what, resolution=f"Write it as {option} KEY=VALUE.")
        pairs[key] = value
    return pairs


def _print(explanation: Explanation, everything: bool) -> None:
    from rich.text import Text

    from wholecard.cli.terminal import PlainConsole
    from wholecard.core.report_text import read_more_text
    from wholecard.explain.text import blocks

    console = PlainConsole(highlight=False)
    for block in blocks(explanation, everything):
        console.print(block, crop=False, overflow="ignore" if isinstance(block, Text) else None)
    if explanation.findings:
        console.print(Text(read_more_text(explanation.findings[0].rule), "dim"))

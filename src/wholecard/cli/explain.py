"""`wholecard explain`: why a server with cards finds no host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from wholecard.core import UsageError, exit_status
from wholecard.core.json_text import encode
from wholecard.core.releases import release as release_of
from wholecard.core.report_text import read_more_text
from wholecard.explain.evidence.from_files import Files
from wholecard.explain.evidence.selector import Changes, ServerSelector
from wholecard.explain.explain import Explanation
from wholecard.explain.request import ExplainRequest, explain_server
from wholecard.explain.text import blocks
from wholecard.site.load import read_site

_HOST_FILE = "HOST=FILE"


def command(
    flavor: Annotated[str, typer.Option("--flavor", metavar="NAME", help="The flavor: of the "
                      "cloud with --cloud, else of the site file, else one of --spec. Beside "
                      "--server the one that it was to be resized to.")] = "",
    server: Annotated[str, typer.Option("--server", metavar="ID", help="A server that failed; "
                      "needs --cloud.")] = "",
    image: Annotated[str, typer.Option("--image", metavar="NAME", help="The image, by its "
                     "name or id, whose properties count too.")] = "",
    host: Annotated[list[str] | None, typer.Option("--host", metavar="HOST", help="Only this "
                    "host; may be repeated.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="The availability zone asked for.")] = "",
    cloud: Annotated[str, typer.Option("--cloud", metavar="NAME", help="Ask this cloud of "
                     "clouds.yaml: its nova, Glance and Placement.")] = "",
    clouds: Annotated[Path | None, typer.Option("--clouds-file", "--clouds", metavar="FILE",
                      help="The clouds.yaml, where it is not found by itself.")] = None,
    site: Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file: its "
                    "release, flavors, and its hosts' facts.")] = None,
    release: Annotated[str, typer.Option("--release", help="nova's release, where neither site "
                       "nor cloud tell.")] = "",
    spec: Annotated[list[str] | None, typer.Option("--spec", metavar="KEY=VALUE", help="An extra "
                    "spec of the flavor, besides or instead of its own.")] = None,
    image_property: Annotated[list[str] | None, typer.Option("--property", metavar="KEY=VALUE",
                              help="A property of the image.")] = None,
    vcpus: Annotated[int | None, typer.Option("--vcpus", min=1, metavar="N", help="The flavor's "
                     "virtual CPUs, instead of its own.")] = None,
    ram: Annotated[int | None, typer.Option("--ram", min=1, metavar="MIB", help="The flavor's "
                   "memory, instead of its own.")] = None,
    disk: Annotated[int | None, typer.Option("--disk", min=0, metavar="GIB", help="The flavor's "
                    "disk, instead of its own.")] = None,
    api_conf: Annotated[list[Path] | None, typer.Option("--api-conf", metavar="FILE", help="The "
                        "files or folders that nova-api reads, in their order.")] = None,
    scheduler_conf: Annotated[list[Path] | None, typer.Option("--scheduler-conf", metavar="FILE",
                              help="Those of nova-scheduler.")] = None,
    compute_conf: Annotated[list[str] | None, typer.Option("--compute-conf", metavar=_HOST_FILE,
                            help="Those of nova-compute on a host.")] = None,
    placement_conf: Annotated[list[Path] | None, typer.Option("--placement-conf", metavar="FILE",
                              help="Those of Placement.")] = None,
    facts: Annotated[list[str] | None, typer.Option("--facts", metavar=_HOST_FILE, help="What "
                     "`inspect --json` or `--save` wrote on a host.")] = None,
    error: Annotated[str, typer.Option("--error", metavar="TEXT", help="nova's message when it "
                     "refused, word for word.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Show every check of every host.")]
    = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Say why a server with cards finds no host: the first check that fails, and its fix.

    It checks from the flavor over aliases, device_spec, cards, NUMA and Placement to the filters.

    It reads files, a cloud's APIs, or both, and names what it does not know.
    """
    if not (flavor or spec or server):
        raise UsageError(
            "explain takes a flavor or a server",
            resolution="Name --flavor NAME, or --server ID of one that failed.",
        )
    files = Files(
        api=tuple(api_conf or ()),
        scheduler=tuple(scheduler_conf or ()),
        placement=tuple(placement_conf or ()),
        computes=_by_host(compute_conf or (), "--compute-conf"),
        facts={name: paths[-1] for name, paths in _by_host(facts or (), "--facts").items()},
        site=read_site(site) if site else None,
    )
    changes = Changes(
        _pairs(spec, "--spec"), _pairs(image_property, "--property"),
        zone=zone, vcpus=vcpus, ram_mb=ram, disk_gb=disk,
    )  # fmt: skip
    selector = ServerSelector(flavor, server, image, tuple(host or ()), changes)
    series = release_of(release) if release else None
    explanation = explain_server(ExplainRequest(selector, files, cloud, clouds, series, error))
    _print(explanation, everything, as_json)
    raise typer.Exit(exit_status(explanation.findings))


def _by_host(texts: Iterable[str], option: str) -> Mapping[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for text in texts:
        name, sign, path = text.partition("=")
        if not (name and sign and path):
            raise UsageError(
                f"{option} {text!r} names no host",
                resolution=f"Write it as {option} {_HOST_FILE}.",
            )
        paths.setdefault(name, []).append(Path(path))
    return paths


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for text in texts or ():
        key, sign, value = text.partition("=")
        if not (key and sign):
            raise UsageError(
                f"{option} {text!r} has no value", resolution=f"Write it as {option} KEY=VALUE."
            )
        pairs[key] = value
    return pairs


def _print(explanation: Explanation, everything: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(encode(explanation.to_json()))
        return
    console = Console(highlight=False)
    for block in blocks(explanation, everything):
        console.print(block, crop=False, overflow="ignore" if isinstance(block, Text) else None)
    if explanation.findings:
        console.print(Text(read_more_text(explanation.findings[0].rule), "dim"))

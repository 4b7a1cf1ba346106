"""`wholecard capacity`: which cards and slices can still be given, and to which flavors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.audit import Databases, Hosts
from wholecard.core import UsageError

if TYPE_CHECKING:
    from wholecard.capacity.request import CapacityAnswer


def command(
    what_if: Annotated[Path | None, typer.Option("--what-if", metavar="FILE", help="A planned site "
        "file: its hosts, cards and flavors are counted beside today's. What servers have today "
        "they keep.")] = None,
    mix: Annotated[list[str] | None, typer.Option("--mix", metavar="FLAVOR=N", help="Place so many "
        "servers of the flavor first; may be repeated. What is stranded is what the mix leaves and "
        "its flavors cannot use.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: FILE ends "
        "in .png or .svg. It needs matplotlib, which the extra `plot` has.")] = None,
    reservations: Annotated[bool, typer.Option("--reservations", help="Say how many servers of "
        "each flavor Blazar would reserve, and why that differs.")] = False,
    cloud: options.CloudName = "",
    clouds_file: options.CloudsFile = None,
    databases: Databases = None,
    host: Hosts = None,
    site: Annotated[Path | None, typer.Option("--site", metavar="FILE", help="The site file. With "
        "--cloud for the aliases, without a cloud also for hosts and flavors.")] = None,
    facts: options.Facts = None,
    conf: options.Conf = None,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Write what was "
        "read.")] = None,
    saved: Annotated[Path | None, typer.Option("--saved", metavar="FILE", help="Count what --save "
        "wrote, and ask no cloud.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every host.")] = False,
    release: options.ReleaseName = None,
    format_name: options.Format = "table",
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:  # fmt: skip
    """Say which cards and slices can still be given, by type, host and NUMA node, and how many
    more servers of each flavor fit.

    A free card is stranded where no flavor fits on its host any more: its CPUs, memory or huge
    pages are used up, or the smallest flavor asks for more cards than are left.

      wholecard capacity --conf api=/etc/nova
      wholecard capacity --site site.yaml --cloud CLOUD --mix g4.h100=6
      wholecard capacity --conf api=/etc/nova --what-if site2.yaml

    Aliases are in nova's files only: without --conf or --site, flavors that have one are not
    counted.

    Exit status: 0 counted, 1 a mix does not fit or a flavor gets no device, 2 called wrongly, 3
    something broke, 4 no flavor with cards could be counted.
    """
    # Late: --help and completion do not wait for what reads clouds and databases.
    from wholecard.audit.views.databases_file import default_file
    from wholecard.audit.views.open_views import AuditSources
    from wholecard.capacity.plot import check_plot
    from wholecard.capacity.request import CapacityRequest, capacity
    from wholecard.capacity.text import answer_text
    from wholecard.cli.audit_progress import progress
    from wholecard.core.finding import UNDECIDED, exit_status
    from wholecard.core.releases import release as release_of
    from wholecard.core.report_text import terminal_width
    from wholecard.explain.evidence.named_files import named_files
    from wholecard.site.load import read_site

    if plot is not None:
        check_plot(plot)
    files, sources = named_files(conf, facts, site), None
    databases = databases or default_file()
    if saved is None and (cloud or databases or site is None):
        cloud = options.chosen_cloud(cloud, clouds_file) if cloud or databases is None else ""
        hosts = tuple(host) if host else None
        sources = AuditSources(cloud, clouds_file, databases, hosts, facts=files.facts)
    plan = read_site(what_if) if what_if else None
    series = release_of(release) if release else None
    request = CapacityRequest(sources, files, saved, plan, _mix(mix), series, reservations)
    with progress() as watcher:
        answer = capacity(request, watcher)
    _write(answer, save, plot)
    text = answer_text(answer, terminal_width(), everything, reservations)
    options.show(text, answer.to_json(), "types", as_json=as_json, format_name=format_name,
                 columns=columns)  # fmt: skip
    raise typer.Exit(exit_status(answer.findings) or UNDECIDED * answer.undecided)


def _mix(texts: list[str] | None) -> dict[str, int]:
    mix = {}
    for text in texts or ():
        flavor, sign, number = text.rpartition("=")
        if not (sign and flavor and number.isdecimal() and len(number) < 10):
            raise UsageError(f"--mix {text!r} has no number", resolution="Write it as FLAVOR=N.")
        mix[flavor] = int(number)
    return mix


def _write(answer: CapacityAnswer, save: Path | None, plot: Path | None) -> None:
    from wholecard.capacity.plot import draw
    from wholecard.capacity.saved import saved_text

    if plot is not None:
        draw(answer, plot)
    try:
        if save is not None:
            save.write_text(f"{saved_text(answer.stock)}\n")
    except OSError as error:
        raise UsageError(f"cannot write {save}", str(error)) from error

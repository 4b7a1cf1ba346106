"""`wholecard site report`: a site on one page."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wholecard.cli import options
from wholecard.cli.say import say
from wholecard.core import UsageError, WholecardError

if TYPE_CHECKING:
    from wholecard.site.report.request import SiteHost


def command(
    more: Annotated[list[str] | None, typer.Argument(metavar="[[HOST=]FILE]...", help="More files "
        "of facts, as with --facts.")] = None,
    facts: options.Facts = None,
    site: options.OptionalSite = None,
    host: Annotated[list[str] | None, typer.Option("--host", metavar="HOST", help="Only this "
                    "host; may be repeated.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to "
                      "write; it replaces an older one.")] = Path("report.html"),
) -> None:  # fmt: skip
    """Write one HTML page of a site from the facts of its hosts: cards, NUMA nodes, IOMMU groups,
    findings with their fixes, and a picture of each kind of host.

    Without --facts and --site it describes this host. The page loads nothing and has no script.

      wholecard site report --facts facts/*.json
      wholecard site report --site site.yaml -o site.html

    Exit status: 0 written, also with findings, 2 called wrongly, 3 something broke.
    """
    from wholecard.core.units import counted
    from wholecard.pages.page import write_page
    from wholecard.site.report.page import page
    from wholecard.site.report.request import site_report

    hosts = _chosen(_hosts(site, [*(facts or ()), *(more or ())]), host)
    report = site_report(hosts)
    title = f"Site report: {site.name}" if site else "Site report"
    try:
        write_page(page(report, title, _made(site), with_site=site is not None), output)
    except OSError as error:
        resolution = "Name another file: --output FILE"
        raise WholecardError(f"cannot write {output}: {error.strerror}", resolution=resolution
                             ) from error  # fmt: skip
    causes = counted(len(report.causes), "finding")
    say(f"wrote {output}: {counted(len(hosts), 'host')}, {causes}")


def _hosts(site: Path | None, files: list[str]) -> dict[str, SiteHost]:
    """The hosts of the site file, of these files, or this one. Raises UsageError."""
    from wholecard.host.facts.inspect import inspect
    from wholecard.site.report.request import SiteHost

    if site is not None and files:
        resolution = "A site file names the facts of its hosts: leave out --facts, or --site."
        raise UsageError("both --site and --facts are given", resolution=resolution)
    if site is not None:
        return _of_site(site)
    if files:
        return _of_files(files)
    return {os.uname().nodename: SiteHost(inspect().without_secrets())}


def _of_files(files: Iterable[str]) -> dict[str, SiteHost]:
    from wholecard.host.facts.alike import AlikeFacts
    from wholecard.nova.conf.file_options import facts_file
    from wholecard.site.report.request import SiteHost

    alike = AlikeFacts()
    hosts: dict[str, SiteHost] = {}
    for text in files:
        name, file = facts_file(text)
        if name in hosts:
            what = f"two files have the facts of {name}"
            raise UsageError(what, resolution="Write HOST=FILE for each file.")
        hosts[name] = SiteHost(alike.read(file))
    return hosts


def _of_site(path: Path) -> dict[str, SiteHost]:
    """Each host with facts, what is requested of it, and the names of its cards' kinds."""
    from wholecard.site.card_matching import functions_of
    from wholecard.site.host_state import desired_state_of
    from wholecard.site.load import read_site
    from wholecard.site.report.request import SiteHost

    file = read_site(path)
    hosts = {}
    for name, host in file.facts().items():
        kinds = {
            function.address.slot_key: kind_name
            for kind_name, kind in file.site.cards.items()
            for function in functions_of(kind, name, host)
        }
        hosts[name] = SiteHost(host, desired_state_of(file, name), kinds)
    if not hosts:
        resolution = "Write hosts.NAME.facts, the file of wholecard-host inspect --json."
        raise UsageError(f"{path} names no facts of hosts", resolution=resolution)
    return hosts


def _chosen(hosts: dict[str, SiteHost], names: list[str] | None) -> dict[str, SiteHost]:
    """The hosts that are named, all where none is. Raises UsageError for one that is not there."""
    from wholecard.core.near_names import did_you_mean

    for name in names or ():
        if name not in hosts:
            known = ", ".join(hosts)
            raise UsageError(f"there are no facts of {name}", did_you_mean(name, list(hosts))
                             or f"There are those of: {known}.",
                             "Name a host as the site file or its file of facts is named."
                             )  # fmt: skip
    return {name: hosts[name] for name in names or hosts}


def _made(site: Path | None) -> str:
    import time

    when = time.strftime("%Y-%m-%d %H:%M %Z")
    return f"Made {when} from {f'{site} and the facts that it names' if site else 'facts of hosts'}"

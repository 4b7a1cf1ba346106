"""`wholecard nova lint`: the configuration of one role or of all, with the hosts' facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer
from rich.console import Console

from wholecard.core import UsageError, WholecardError
from wholecard.core.finding import exit_status
from wholecard.core.releases import LATEST, Release, release
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply_files, finish
from wholecard.host.facts.saved import read_host
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Diagnostic, Facts, Service, lint
from wholecard.nova.lint.coverage import unseen
from wholecard.nova.lint.fixes import mended, plan_of, shown_difference
from wholecard.nova.lint.output.github import printable, to_github
from wholecard.nova.lint.output.plain_json import to_json
from wholecard.nova.lint.output.sarif import to_sarif
from wholecard.nova.lint.output.text import show
from wholecard.nova.options import ROLES, Role
from wholecard.site.load import SiteFile, read_site
from wholecard.site.model import Site

Format = Literal["text", "json", "sarif", "github"]


@dataclass(frozen=True)
class _Asked:
    """What is to be linted."""

    services: tuple[Service, ...]
    site: Site | None
    hosts: tuple[Facts, ...]

    def lint(self, services: Sequence[Service]) -> list[Diagnostic]:
        """The remarks on these services, with the site's wish and all hosts that are known."""
        return lint(services, self.site, self.hosts)

    def unseen(self, remarks: Sequence[Diagnostic]) -> list[str]:
        """What was not looked at."""
        return unseen(self.services, remarks, self.site, self.hosts)


def lint_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="The files that the service reads, in its order; "
                       "of a folder every *.conf."),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Who reads FILE: api, scheduler, conductor, compute or "
                     "placement. Several for a file that all have."),
    ] = None,
    api: Annotated[
        list[Path] | None, typer.Option("--api", metavar="FILE", help="nova-api's files.")
    ] = None,
    scheduler: Annotated[
        list[Path] | None,
        typer.Option("--scheduler", metavar="FILE", help="nova-scheduler's files."),
    ] = None,
    conductor: Annotated[
        list[Path] | None,
        typer.Option("--conductor", metavar="FILE", help="nova-conductor's files."),
    ] = None,
    compute: Annotated[
        list[str] | None,
        typer.Option("--compute", metavar="[HOST=]FILE", help="nova-compute's files: of one host "
                     "with HOST=, else of all of which none is named."),
    ] = None,
    placement: Annotated[
        list[Path] | None,
        typer.Option("--placement", metavar="FILE", help="placement.conf."),
    ] = None,
    release_name: Annotated[
        str | None,
        typer.Option("--release", help="A series, a code name or nova's version: 2025.2. The "
                     f"site's without it, {LATEST} without a site."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="[HOST=]FILE", help="A compute's facts: a file of inspect "
                     "--json or --save, named after the host without HOST=, or with --site a "
                     "host's name. Without it all hosts of the site."),
    ] = None,
    site: Annotated[
        Path | None, typer.Option("--site", metavar="FILE", help="The site file.")
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", help="text, json, sarif or github.")
    ] = "text",
    fix: Annotated[bool, typer.Option("--fix", help="Mend what has one certain mend.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --fix: show the difference, change nothing.")
    ] = False,
    root: Annotated[
        Path,
        typer.Option("--root", metavar="FOLDER", help="With --fix: the folder above the files "
                     "whose var/lib/wholecard keeps the journal; / on a host."),
    ] = Path("/"),
) -> None:  # fmt: skip
    """Find what is wrong in nova.conf: by nova's own rules, the release, the role and the host.

    One role, or all at once:

      wholecard nova lint nova.conf --role compute --release 2025.2 --host gpu-01.json
      wholecard nova lint --api api.conf --scheduler nova.conf \\
        --compute a=a.conf --compute b=b.conf --host a.json --host b.json
    """
    if format_name not in get_args(Format):
        raise UsageError(
            f"there is no format {format_name!r}",
            resolution=f"Choose one of {', '.join(get_args(Format))}.",
        )
    if dry_run and not fix:
        raise UsageError("--dry-run goes with --fix", resolution="Leave it out; lint only reads.")
    by_role = {
        "api": api, "scheduler": scheduler, "conductor": conductor, "placement": placement,
    }  # fmt: skip
    asked = _asked(files or [], role or [], by_role, compute or [], release_name, host or [], site)
    if fix:
        asked = _fix(asked, root, dry_run, quiet=format_name != "text")
    remarks = asked.lint(asked.services)
    if not dry_run or format_name != "text":
        _print(remarks, format_name, asked.unseen(remarks))
    raise typer.Exit(exit_status(each.finding for each in remarks))


def _asked(
    files: list[Path],
    roles: list[str],
    by_role: dict[str, list[Path] | None],
    computes: list[str],
    release_name: str | None,
    hosts: list[str],
    site: Path | None,
) -> _Asked:
    site_file = read_site(site) if site else None
    of = _release(release_name, site_file)
    facts = _facts(hosts, site_file)
    services = []
    if files:
        conf = NovaConf.read(files)
        readers: list[Role | None] = [_role(each) for each in roles] or [None]
        services += [_service(conf, of, role, facts) for role in readers]
    elif roles:
        raise UsageError("--role says who reads FILE, and no FILE is named")
    for name, paths in by_role.items():
        if paths:
            services.append(_service(NovaConf.read(paths), of, _role(name), facts))
    services += _computes(computes, of, facts, site_file)
    if not services:
        raise UsageError(
            "no file is named",
            resolution="wholecard nova lint /etc/nova/nova.conf --role compute",
        )
    known = (*facts, *_others(facts, site_file))
    return _Asked(tuple(services), site_file.site if site_file else None, known)


def _computes(
    texts: list[str], of: Release, facts: tuple[Facts, ...], site: SiteFile | None
) -> list[Service]:
    """A service for each host that is named with its files, and one of the files for the others."""
    by_host: dict[str, list[Path]] = {}
    for text in texts:
        name, path = _pair(text)
        if name and site and name not in site.site.hosts:
            raise UsageError(
                f"{site.path} has no host {name!r}",
                resolution=f"It has: {', '.join(site.site.hosts) or 'none'}.",
            )
        by_host.setdefault(name, []).append(Path(path))
    return [
        _service(
            NovaConf.read(paths), of, "compute",
            tuple(each for each in facts if (each.name == name if name else
                                             each.name not in by_host)),
        )
        for name, paths in by_host.items()
    ]  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    """`HOST=FILE`, or a file alone, whose name may have a sign of equality too."""
    name, sign, path = text.partition("=")
    if not sign or not path or "/" in name or Path(text).exists():
        return "", text
    return name, path


def _others(facts: tuple[Facts, ...], site: SiteFile | None) -> Iterator[Facts]:
    """The site's hosts that nobody named: one that cannot be read is not known, and no error."""
    named = {each.name for each in facts}
    there = site.facts() if site else {}
    for name in there:
        if name not in named:
            with suppress(WholecardError):
                yield Facts(name, there[name])


def _service(conf: NovaConf, of: Release, role: Role | None, facts: tuple[Facts, ...]) -> Service:
    return Service(conf, of, role, facts if role in (None, "compute") else ())


def _role(text: str) -> Role:
    for role in ROLES:
        if text == role:
            return role
    raise UsageError(f"nova has no role {text!r}", resolution=f"Choose one of {', '.join(ROLES)}.")


def _release(name: str | None, site: SiteFile | None) -> Release:
    if name is not None:
        return release(name)
    return site.release if site else LATEST


def _facts(hosts: list[str], site: SiteFile | None) -> tuple[Facts, ...]:
    there = site.facts() if site else {}
    if not hosts:
        return tuple(Facts(name, there[name]) for name in there)
    found = []
    for each in hosts:
        if each in there:
            found.append(Facts(each, there[each]))
        else:
            name, path = _pair(each)
            found.append(Facts(name or Path(path).name.split(".")[0], read_host(Path(path))))
    return tuple(found)


def _fix(asked: _Asked, root: Path, dry_run: bool, quiet: bool) -> _Asked:
    """Mend, or show how; what is there to be linted then. What is said goes to standard error."""
    console = Console(stderr=quiet, highlight=False)
    if not dry_run:
        _finish(root)
    result = mended(asked.services, asked.lint)
    plan = plan_of(result, asked.services, root)
    if dry_run:
        text = shown_difference(result, asked.services) or "Nothing that has one certain mend."
        console.print(printable(text), markup=False, soft_wrap=True)
        return asked
    outcome = apply_files(root, plan)
    if outcome.journal:
        files = ", ".join(printable(action.subject) for action in plan.actions)
        console.print(
            f"Mended {files}. To undo it: wholecard host rollback --root {root}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    return replace(asked, services=tuple(result.services))


def _finish(root: Path) -> None:
    """Finish a run of --fix that was killed; a host's own apply is left to its own command."""
    entry = journal.newest(root)
    if entry is None or entry.state != journal.APPLYING:
        return
    if all(action.kind == "edit" for action in entry.read().plan.actions):
        finish(root)


def _print(remarks: list[Diagnostic], format_name: str, left_out: list[str]) -> None:
    if format_name == "text":
        show(remarks, Console(highlight=False), left_out)
    else:
        write = {"json": to_json, "sarif": to_sarif, "github": to_github}[format_name]
        typer.echo(write(remarks), nl=False)


def add(app: typer.Typer) -> None:
    """Give the group its command."""
    app.command("lint")(lint_command)

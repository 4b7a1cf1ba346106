"""What is to be linted, as records: files, roles and hosts in, services and diagnostics out.

The entry point of `wholecard nova lint`; nothing is printed here and no process ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import LATEST, Release, release
from wholecard.host.facts.saved import read_host
from wholecard.nova.conf.service_conf import NovaConf, files_in
from wholecard.nova.lint.coverage import not_checked
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.registry import lint
from wholecard.nova.lint.selection import EVERYTHING, Selection
from wholecard.nova.lint.service import Facts, Service
from wholecard.nova.options import Role, role_named

if TYPE_CHECKING:
    from wholecard.site.load import SiteFile
    from wholecard.site.model import Site


@dataclass(frozen=True)
class LintRequest:
    """What a person names.

    `files` are read by the services of `roles`; `by_role` has files of one role each, `computes`
    those of nova-compute by host, under an empty name for all other hosts. `facts` are hosts with
    their files, and `hosts` are hosts of the site file. Where `selection` is empty the site file's
    counts.
    """

    files: Sequence[Path] = ()
    roles: Sequence[str] = ()
    by_role: Mapping[Role, Sequence[Path]] = field(default_factory=dict)
    computes: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    release: str | None = None
    facts: Sequence[tuple[str, Path]] = ()
    hosts: Sequence[str] = ()
    site: Path | None = None
    selection: Selection = EVERYTHING


@dataclass(frozen=True)
class Linted:
    """The services that were named, the site file, and every host whose facts are known."""

    services: tuple[Service, ...]
    site: Site | None
    hosts: tuple[Facts, ...]
    selection: Selection = EVERYTHING

    def lint(self, services: Sequence[Service]) -> list[Diagnostic]:
        """The diagnostics of these services that are wanted, with the site and all known hosts."""
        return self.selection.wanted(lint(services, self.site, self.hosts), services)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """The diagnostics of all the services."""
        return self.lint(self.services)

    def not_checked(self, diagnostics: Sequence[Diagnostic]) -> list[str]:
        """What could not be checked, with the options that would add it."""
        return not_checked(self.services, diagnostics, self.site, self.hosts)

    def with_services(self, services: Sequence[Service]) -> Linted:
        """The same with other services, as after --fix."""
        return replace(self, services=tuple(services))


def read(request: LintRequest) -> Linted:
    """Read every file of a request. Raises UsageError for a request that cannot be meant so."""
    site = None
    if request.site:
        # Late: the site's models take longer to import than a lint without them.
        from wholecard.site.load import read_site  # noqa: PLC0415

        site = read_site(request.site)
    facts = _facts(request, site)
    series = site.release if site else LATEST
    if request.release is not None:
        series = release(request.release)
    services = list(_services(request, series, facts, site))
    if not services:
        raise UsageError(
            "no file to check",
            resolution="wholecard nova lint /etc/nova/nova.conf --role compute",
        )
    known = (*facts, *_other_hosts(facts, site))
    own = Selection.of(site.site.lint.select, site.site.lint.ignore) if site else EVERYTHING
    selection = request.selection.or_else(own)
    return Linted(tuple(services), site.site.for_servers if site else None, known, selection)


def _services(
    request: LintRequest, series: Release, facts: tuple[Facts, ...], site: SiteFile | None
) -> Iterator[Service]:
    if request.files:
        yield from _of_shared_files(request, series, facts)
    elif request.roles:
        raise UsageError("--role says which role reads FILE, but no FILE is given")
    for name, paths in request.by_role.items():
        if paths:
            conf = NovaConf.read(list(paths), name)
            yield Service(conf, series, name, facts if name == "compute" else ())
    yield from _computes(request.computes, series, facts, site)


def _of_shared_files(
    request: LintRequest, series: Release, facts: tuple[Facts, ...]
) -> Iterator[Service]:
    """The services that read FILE, one for each `--role`."""
    roles: list[Role | None] = [role_named(name) for name in request.roles]
    # Roles that read the same files share them: what differs is not between them.
    confs: dict[tuple[Path, ...], NovaConf] = {}
    for role in roles or [None]:
        files = tuple(one for path in request.files for one in files_in(path, role))
        conf = confs.setdefault(files, confs.get(files) or NovaConf.read(files))
        yield Service(conf, series, role, facts if role in (None, "compute") else ())


def _computes(
    by_host: Mapping[str, Sequence[Path]],
    series: Release,
    facts: tuple[Facts, ...],
    site: SiteFile | None,
) -> Iterator[Service]:
    """The services of nova-compute with the facts of the hosts for which their files are."""
    # A file without a host is for all hosts that have no file of their own.
    others = tuple(one for one in facts if one.name not in by_host)
    for host, files in by_host.items():
        if host and site and host not in site.site.hosts:
            raise UsageError(
                f"{site.path} has no host {host!r}",
                resolution=f"It has: {', '.join(site.site.hosts) or 'none'}.",
            )
        own = tuple(one for one in facts if one.name == host) if host else others
        yield Service(NovaConf.read(list(files), "compute"), series, "compute", own)


def _facts(request: LintRequest, site: SiteFile | None) -> tuple[Facts, ...]:
    """The hosts that are named, or all of the site file where none is."""
    of_site = site.facts() if site else {}
    if not request.facts and not request.hosts:
        return tuple(_of_site(site, name) for name in of_site) if site else ()
    read_facts = [Facts(name, read_host(path)) for name, path in request.facts]
    for name in request.hosts:
        if site is None or name not in of_site:
            raise UsageError(
                f"no facts of host {name!r} are known",
                resolution="Name a host of a site file (--site), or its facts: --facts HOST=FILE",
            )
        read_facts.append(_of_site(site, name))
    return tuple(read_facts)


def _of_site(site: SiteFile, name: str) -> Facts:
    return Facts(name, site.facts()[name])


def _other_hosts(facts: tuple[Facts, ...], site: SiteFile | None) -> Iterator[Facts]:
    """The site's hosts that were not named; one whose facts cannot be read is not known."""
    named = {one.name for one in facts}
    for name in site.facts() if site else ():
        if site and name not in named:
            # Only named hosts have to be readable: a site may list hosts not inspected yet.
            with suppress(WholecardError):
                yield _of_site(site, name)

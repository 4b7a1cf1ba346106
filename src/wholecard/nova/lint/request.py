"""What is to be linted, as records: files, roles and hosts in, services and diagnostics out.

The entry point of `wholecard nova lint`; nothing is printed here and no process ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from wholecard.core import UsageError, WholecardError
from wholecard.core.releases import LATEST, Release, release
from wholecard.host.facts.saved import read_host
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint.coverage import not_checked
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.registry import lint
from wholecard.nova.lint.service import Facts, Service
from wholecard.nova.options import ROLES, Role
from wholecard.site.load import SiteFile, read_site
from wholecard.site.model import Site


@dataclass(frozen=True)
class LintRequest:
    """What a person names.

    `files` are read by the services of `roles`, `by_role` has files of one role each, `computes`
    and `hosts` are `HOST=FILE` or a file alone; a host may also be named as the site file has it.
    """

    files: Sequence[Path] | None
    roles: Sequence[str] | None
    by_role: Mapping[str, Sequence[Path] | None]
    computes: Sequence[str] | None
    release: str | None
    hosts: Sequence[str] | None
    site: Path | None


@dataclass(frozen=True)
class Linted:
    """The services that were named, the site file, and every host whose facts are known."""

    services: tuple[Service, ...]
    site: Site | None
    hosts: tuple[Facts, ...]

    def lint(self, services: Sequence[Service]) -> list[Diagnostic]:
        """The diagnostics of these services, with the site file and all known hosts."""
        return lint(services, self.site, self.hosts)

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
    site = read_site(request.site) if request.site else None
    facts = _facts(request.hosts, site)
    services = list(_services(request, _release(request.release, site), facts, site))
    if not services:
        raise UsageError(
            "no file is named",
            resolution="wholecard nova lint /etc/nova/nova.conf --role compute",
        )
    known = (*facts, *_other_hosts(facts, site))
    return Linted(tuple(services), site.site if site else None, known)


def _services(
    request: LintRequest, series: Release, facts: tuple[Facts, ...], site: SiteFile | None
) -> Iterator[Service]:
    if request.files:
        conf = NovaConf.read(list(request.files))
        for role in _readers(request.roles):
            yield _service(conf, series, role, facts)
    elif request.roles:
        raise UsageError("--role says who reads FILE, and no FILE is named")
    for name, paths in request.by_role.items():
        if paths:
            yield _service(NovaConf.read(list(paths)), series, _role(name), facts)
    for own, files in _computes(request.computes or (), facts, site):
        yield _service(NovaConf.read(files), series, "compute", own)


def _computes(
    texts: Sequence[str], facts: tuple[Facts, ...], site: SiteFile | None
) -> Iterator[tuple[tuple[Facts, ...], list[Path]]]:
    """The files of nova-compute with the facts of the hosts for which they are."""
    by_host = _paths_by_host(texts, site)
    # A file without a host is for all hosts that have no file of their own.
    others = tuple(one for one in facts if one.name not in by_host)
    for host, files in by_host.items():
        yield (tuple(one for one in facts if one.name == host) if host else others), files


def _readers(roles: Sequence[str] | None) -> list[Role | None]:
    return [_role(name) for name in roles] if roles else [None]


def _paths_by_host(computes: Sequence[str], site: SiteFile | None) -> dict[str, list[Path]]:
    """The files by their host, those without one under an empty name."""
    by_host: dict[str, list[Path]] = {}
    for text in computes:
        host, path = _host_and_path(text)
        if host and site and host not in site.site.hosts:
            raise UsageError(
                f"{site.path} has no host {host!r}",
                resolution=f"It has: {', '.join(site.site.hosts) or 'none'}.",
            )
        by_host.setdefault(host, []).append(Path(path))
    return by_host


def _host_and_path(text: str) -> tuple[str, str]:
    """`HOST=FILE`, or a file alone, whose name may have an equals sign too."""
    host, sign, path = text.partition("=")
    if not sign or not path or "/" in host or Path(text).exists():
        return "", text
    return host, path


def _service(
    conf: NovaConf, series: Release, role: Role | None, facts: tuple[Facts, ...]
) -> Service:
    return Service(conf, series, role, facts if role in (None, "compute") else ())


def _role(text: str) -> Role:
    for role in ROLES:
        if text == role:
            return role
    raise UsageError(f"nova has no role {text!r}", resolution=f"Choose one of {', '.join(ROLES)}.")


def _release(name: str | None, site: SiteFile | None) -> Release:
    if name is not None:
        return release(name)
    return site.release if site else LATEST


def _facts(hosts: Sequence[str] | None, site: SiteFile | None) -> tuple[Facts, ...]:
    of_site = site.facts() if site else {}
    if not hosts:
        return tuple(Facts(name, of_site[name]) for name in of_site)
    facts = []
    for text in hosts:
        if text in of_site:
            facts.append(Facts(text, of_site[text]))
        else:
            name, path = _host_and_path(text)
            facts.append(Facts(name or Path(path).name.split(".")[0], read_host(Path(path))))
    return tuple(facts)


def _other_hosts(facts: tuple[Facts, ...], site: SiteFile | None) -> Iterator[Facts]:
    """The site's hosts that were not named; one whose facts cannot be read is not known."""
    named = {one.name for one in facts}
    of_site = site.facts() if site else {}
    for name in of_site:
        if name not in named:
            # Only named hosts have to be readable: a site may list hosts not inspected yet.
            with suppress(WholecardError):
                yield Facts(name, of_site[name])

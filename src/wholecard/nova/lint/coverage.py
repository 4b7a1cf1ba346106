"""What was not checked, because the hosts or the reader of a file are not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wholecard.nova.lint.diagnostic import Diagnostic, listed
from wholecard.nova.lint.hosts_known import Ids, Known
from wholecard.nova.lint.service import Facts, ReadAlias, Service

if TYPE_CHECKING:
    from wholecard.site.model import Site

_MOST_NAMES = 8


def not_checked(
    services: Sequence[Service],
    diagnostics: Sequence[Diagnostic],
    site: Site | None = None,
    hosts: Sequence[Facts] = (),
) -> list[str]:
    """What was left out, with the options that would add it; empty where nothing was."""
    missing: list[str] = []
    if any(service.role in (None, "api", "compute") for service in services):
        missing += _hosts(services)
        known = Known.of(services, site, hosts)
        names = _unknown_aliases(services, diagnostics, known)
        if names:
            shown = f"{'alias' if len(names) == 1 else 'aliases'} {listed(names, _MOST_NAMES)}"
            missing.append(f"the {shown}, whose cards no known host has (--facts or --site)")
    if any(service.role is None for service in services):
        missing.append("roles (--role)")
    return missing


def _hosts(services: Sequence[Service]) -> list[str]:
    computes = [service for service in services if service.role in (None, "compute")]
    without = [compute for compute in computes if not compute.facts]
    if without == computes:
        return ["hosts (--facts or --site)"]
    paths = [file.path for compute in without for file in compute.conf.files[-1:]]
    return [f"the host of {listed(paths, _MOST_NAMES)} (--facts)"] if paths else []


def _unknown_aliases(
    services: Sequence[Service], diagnostics: Sequence[Diagnostic], known: Known
) -> list[str]:
    """The names of the aliases that are for cards of hosts whose facts are missing."""
    if known.complete or not known.computes:
        return []
    # An alias that has a finding was checked.
    lines = {(diagnostic.path, diagnostic.position.line) for diagnostic in diagnostics}
    readers = [service for service in services if service.role in (None, "api", "compute")]
    names = {
        alias.name: None
        for service in readers
        for alias in service.aliases
        if _is_elsewhere(_ids(alias), known) and not _is_reported(alias, lines)
    }
    return list(names)


def _ids(alias: ReadAlias) -> set[Ids]:
    specs = alias.alias.specs if alias.alias else ()
    return {(spec.get("vendor_id", ""), spec.get("product_id", "")) for spec in specs}


def _is_elsewhere(ids: set[Ids], known: Known) -> bool:
    """Whether there are ids, all of them whole, and no known host has any."""
    is_whole = bool(ids) and all(vendor and product for vendor, product in ids)
    return is_whole and not ids & (known.covered_ids | known.other_ids)


def _is_reported(alias: ReadAlias, lines: set[tuple[str, int]]) -> bool:
    """Whether a diagnostic is about one of the alias's lines."""
    entry = alias.value.entry
    numbers = range(entry.line, entry.line + entry.count)
    return any((entry.path, number) in lines for number in numbers)

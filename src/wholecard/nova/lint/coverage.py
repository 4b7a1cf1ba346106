"""What was not checked, because the hosts or the reader of a file are not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wholecard.nova.lint.diagnostic import Diagnostic, listed
from wholecard.nova.lint.hosts_known import Known
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
        missing += _mdev_types(services)
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


def _mdev_types(services: Sequence[Service]) -> list[str]:
    """Hosts with types of mediated devices whose facts do not say what their drivers offer."""
    hosts = [
        facts.name
        for service in services
        if service.role in (None, "compute") and service.effective("enabled_mdev_types").values
        for facts in service.facts
        if facts.slices is None
    ]
    names = listed(list(dict.fromkeys(hosts)), _MOST_NAMES)
    return [f"the types of {names} (newer facts: wholecard-host inspect --json)"] if hosts else []


def _unknown_aliases(
    services: Sequence[Service], diagnostics: Sequence[Diagnostic], known: Known
) -> list[str]:
    """The names of the aliases that are for cards of hosts whose facts are missing."""
    if known.complete or not known.computes:
        return []
    # An alias that has a finding was checked.
    lines = {(diagnostic.path, diagnostic.position.line) for diagnostic in diagnostics}
    names: dict[str, None] = {}
    for service in services:
        for alias in service.aliases if service.role in (None, "api", "compute") else ():
            entry = alias.value.entry
            own = {(entry.path, entry.line + number) for number in range(entry.count)}
            if _is_elsewhere(alias, known) and not lines & own:
                names[alias.name] = None
    return list(names)


def _is_elsewhere(alias: ReadAlias, known: Known) -> bool:
    """Whether there are ids, all of them whole, and no known host has any."""
    specs = alias.alias.specs if alias.alias else ()
    # nova compares them without regard to case (Rocky); before that WC253 names capital letters.
    pairs = ((spec.get("vendor_id", ""), spec.get("product_id", "")) for spec in specs)
    ids = {(vendor.lower(), product.lower()) for vendor, product in pairs}
    is_whole = bool(ids) and all(vendor and product for vendor, product in ids)
    return is_whole and not ids & (known.covered_ids | known.other_ids)

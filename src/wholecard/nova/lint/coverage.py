"""What was not looked at, because nobody told of the hosts or of who reads a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.hosts_known import Known
from wholecard.nova.lint.service import Facts, Service

if TYPE_CHECKING:
    from wholecard.site.model import Site

_MOST_NAMES = 8


def unseen(
    services: Sequence[Service],
    remarks: Sequence[Diagnostic],
    site: Site | None = None,
    hosts: Sequence[Facts] = (),
) -> list[str]:
    """What was left out, with the options that tell of it; empty where nothing was."""
    found = []
    if any(each.role in (None, "api", "compute") for each in services):
        found += _hosts(services, remarks, site, hosts)
    if any(each.role is None for each in services):
        found.append("roles (--role)")
    return found


def _hosts(
    services: Sequence[Service],
    remarks: Sequence[Diagnostic],
    site: Site | None,
    hosts: Sequence[Facts],
) -> list[str]:
    computes = [each for each in services if each.role in (None, "compute")]
    if not any(each.facts for each in computes):
        return ["hosts (--host or --site)"]
    blind = [file.path for each in computes if not each.facts for file in each.conf.files[-1:]]
    found = [f"the host of {_some(blind)} (--host)"] if blind else []
    known = Known.of(services, site, hosts)
    if known.complete or not known.computes:
        return found
    told = {(each.path, each.place.line) for each in remarks}
    names: dict[str, None] = {}
    for service in services:
        for alias in service.aliases if service.role in (None, "api", "compute") else ():
            ids = {
                (each.get("vendor_id", ""), each.get("product_id", ""))
                for each in (alias.alias.specs if alias.alias else ())
            }
            lines = range(alias.value.entry.line, alias.value.entry.line + alias.value.entry.count)
            is_told = any((alias.value.entry.path, line) in told for line in lines)
            if all(all(each) for each in ids) and not ids & (known.there | known.elsewhere):
                names |= {} if is_told or not ids else {alias.name: None}
    if names:
        word = "alias" if len(names) == 1 else "aliases"
        found.append(f"the {word} {_some(list(names))}, whose cards no known host has (--host or "
                     "--site)")  # fmt: skip
    return found


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

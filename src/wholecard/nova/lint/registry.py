"""The table of checks, and `lint`, which runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from wholecard.core import Severity
from wholecard.nova.conf.conf_file import normal
from wholecard.nova.lint.checks import (
    alias,
    amounts,
    card_parts,
    device_spec,
    file,
    filters,
    inventory,
    known_types,
    live_migration,
    mdev_types,
    names,
    notifications,
    placement_answer,
    resource_classes,
    roles,
)
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.hosts_known import Known
from wholecard.nova.lint.service import Facts, Service
from wholecard.nova.lint.shared_files import is_for_others
from wholecard.nova.options import Option, find

if TYPE_CHECKING:
    from wholecard.site.model import Site

# Of one rule in one file no more than this is listed one by one.
MOST_OF_A_RULE = 50
# A check stops here: a file with so many is no configuration.
MOST_OF_A_CHECK = 500
_UNREAD = "WC215"
_SUBJECT = re.compile(r"\[(.*)\] (\S+)")
_WEIGHT = (Severity.ERROR, Severity.WARNING, Severity.NOTE)

OF_A_SERVICE: tuple[Callable[[Service], Iterator[Diagnostic]], ...] = (
    file.check_format,
    file.check_amount,
    file.check_sections,
    file.check_swallowed,
    file.check_twice,
    file.check_types,
    file.check_dollars,
    file.check_percents,
    names.check_names,
    names.check_both,
    device_spec.check_json,
    device_spec.check_form,
    device_spec.check_keys,
    device_spec.check_refused,
    device_spec.check_prefixes,
    device_spec.check_everything,
    notifications.check_announced,
    alias.check_aliases,
    alias.check_agreement,
    roles.check_turned_off,
    inventory.check_ids,
    inventory.check_nothing,
    inventory.check_host_own,
    inventory.check_never,
    inventory.check_reported,
    inventory.check_drivers,
    inventory.check_domains,
    mdev_types.check_mdev_types,
    mdev_types.check_type_sections,
    live_migration.check_post_copy,
    live_migration.check_versions,
    live_migration.check_aliases,
)
# Only the scheduler reads these options: in another role's file they are WC215 and nothing else.
OF_THE_SCHEDULER: tuple[Callable[[Service], Iterator[Diagnostic]], ...] = (
    filters.check_pci_filter,
    filters.check_filter_names,
    filters.check_standard_filters,
    filters.check_available,
    filters.check_available_lines,
)
OF_ALL: tuple[Callable[[Sequence[Service]], Iterator[Diagnostic]], ...] = (
    roles.check_alias_everywhere,
    roles.check_in_placement,
    roles.check_reporting,
    card_parts.check_parts,
)
OF_ALL_AND_THE_HOSTS: tuple[Callable[[Sequence[Service], Known], Iterator[Diagnostic]], ...] = (
    resource_classes.check_requested,
    placement_answer.check_answers,
    known_types.check_known_types,
)


def lint(
    services: Sequence[Service], site: Site | None = None, hosts: Sequence[Facts] = ()
) -> list[Diagnostic]:
    """Everything that is wrong with the services' configurations, by file, line and rule.

    `hosts` are those whose facts are known, even where no file of a compute is for them.

    Nothing is raised for the content of a file. One file that several roles read is checked for
    each of them; findings that are the same become one, and an option is unread (WC215) only
    where no role reads it.
    """
    diagnostics: list[Diagnostic] = []
    for service in services:
        checks = OF_A_SERVICE
        if service.role in (None, "scheduler"):
            checks += OF_THE_SCHEDULER
        for check in checks:
            found = islice(check(service), MOST_OF_A_CHECK)
            diagnostics += service.as_own(_as_read(service, one) for one in found)
    for check_all in OF_ALL:
        diagnostics += islice(check_all(services), MOST_OF_A_CHECK)
    known = Known.of(services, site, hosts)
    for check_answers in OF_ALL_AND_THE_HOSTS:
        diagnostics += islice(check_answers(services, known), MOST_OF_A_CHECK)
    diagnostics += amounts.check_tuning(services, site)
    diagnostics += amounts.check_site_counts(services, site)
    return _limited(_merged(diagnostics, services))


def _option(diagnostic: Diagnostic) -> Option | None:
    """The option that a diagnostic is about; None where it is about none that is known."""
    match = _SUBJECT.fullmatch(diagnostic.finding.subject)
    known = find(normal(match[1]), match[2]) if match else None
    return known[0] if known else None


def _is_for_others(diagnostic: Diagnostic, services: Sequence[Service]) -> bool:
    option = _option(diagnostic)
    return option is not None and is_for_others(diagnostic.path, option, services)


def _as_read(service: Service, diagnostic: Diagnostic) -> Diagnostic:
    """The diagnostic; a note where the service does not read the option that it is about."""
    option = _option(diagnostic)
    if option is None or service.reads(option.name):
        return diagnostic
    return replace(diagnostic, finding=replace(diagnostic.finding, severity=Severity.NOTE))


def _merged(diagnostics: Iterable[Diagnostic], services: Sequence[Service]) -> list[Diagnostic]:
    """Diagnostics in their order, those that are the same as one with all of its roles."""
    readers: dict[str, set[str | None]] = {}
    for service in services:
        for conf_file in service.conf.files:
            readers.setdefault(conf_file.path, set()).add(service.role)
    by_key: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        key = diagnostic.order
        if diagnostic.finding.rule == _UNREAD:
            # Its message names the role, so it differs where the finding is the same.
            key = (diagnostic.path, diagnostic.position, _UNREAD)
        first = by_key.setdefault(key, diagnostic)
        roles = dict.fromkeys((*first.roles, *diagnostic.roles))
        # What is a note for one role may be an error for another that reads the same file.
        both = (first.finding.severity, diagnostic.finding.severity)
        finding = replace(first.finding, severity=min(both, key=_WEIGHT.index))
        by_key[key] = replace(first, finding=finding, roles=tuple(roles))
    merged = [
        one for one in by_key.values()
        if one.finding.rule != _UNREAD
        or (readers[one.path] <= set(one.roles) and not _is_for_others(one, services))
    ]  # fmt: skip
    return sorted(merged, key=lambda diagnostic: diagnostic.order)


def _limited(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """At most `MOST_OF_A_RULE` of each rule in each file; the last says how many more there are."""
    by_rule: dict[tuple[str, str], list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        by_rule.setdefault((diagnostic.path, diagnostic.finding.rule), []).append(diagnostic)
    kept: list[Diagnostic] = []
    for of_rule in by_rule.values():
        kept += of_rule[:MOST_OF_A_RULE]
        more = len(of_rule) - MOST_OF_A_RULE
        if more > 0:
            finding = kept[-1].finding
            message = f"{finding.message} (and at least {more} more of this rule)"
            kept[-1] = replace(kept[-1], finding=replace(finding, message=message))
    return sorted(kept, key=lambda diagnostic: diagnostic.order[:3])

"""The table of checks, and `lint`, which runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from wholecard.nova.lint.checks import (
    alias,
    amounts,
    device_spec,
    file,
    filters,
    inventory,
    names,
    placement_answer,
    resource_classes,
    roles,
)
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.hosts_known import Known
from wholecard.nova.lint.service import Facts, Service

if TYPE_CHECKING:
    from wholecard.site.model import Site

# Of one rule in one file no more than this is said one by one.
MOST_OF_A_RULE = 50
# Nor does a check look for more: a file with so many is no configuration.
MOST_OF_A_CHECK = 500

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
    alias.check_aliases,
    alias.check_agreement,
    roles.check_turned_off,
    inventory.check_ids,
    inventory.check_nothing,
    inventory.check_host_own,
    inventory.check_companions,
    inventory.check_never,
    inventory.check_reported,
    inventory.check_drivers,
    inventory.check_domains,
)
# What only the scheduler reads: in another role's file it is WC215, and nothing else.
OF_THE_SCHEDULER: tuple[Callable[[Service], Iterator[Diagnostic]], ...] = (
    filters.check_pci_filter,
    filters.check_filter_names,
    filters.check_standard_filters,
    filters.check_available,
)
OF_ALL: tuple[Callable[[Sequence[Service]], Iterator[Diagnostic]], ...] = (
    roles.check_alias_everywhere,
    roles.check_in_placement,
    amounts.check_tuning,
)
OF_ALL_AND_THE_HOSTS: tuple[Callable[[Sequence[Service], Known], Iterator[Diagnostic]], ...] = (
    resource_classes.check_asked_for,
    placement_answer.check_answers,
)


def lint(
    services: Sequence[Service], site: Site | None = None, hosts: Sequence[Facts] = ()
) -> list[Diagnostic]:
    """Everything that is wrong with the services' configurations, by file, line and rule.

    `hosts` are those whose facts are known, though no file of a compute may be for them.

    Nothing is raised for what stands in them. One file that several roles read is looked at for
    each, and what is the same is said once; what one of them reads is unread by none.
    """
    found: list[Diagnostic] = []
    for service in services:
        role = (service.role,) if service.role else ()
        checks = OF_A_SERVICE
        if service.role in (None, "scheduler"):
            checks += OF_THE_SCHEDULER
        found += [
            replace(each, roles=role)
            for check in checks
            for each in islice(check(service), MOST_OF_A_CHECK)
        ]
    for check_all in OF_ALL:
        found += islice(check_all(services), MOST_OF_A_CHECK)
    known = Known.of(services, site, hosts)
    for check_answers in OF_ALL_AND_THE_HOSTS:
        found += islice(check_answers(services, known), MOST_OF_A_CHECK)
    found += amounts.check_wished(services, site)
    return _limited(_together(found, services))


def _together(found: Iterable[Diagnostic], services: Sequence[Service]) -> list[Diagnostic]:
    readers: dict[str, set[str | None]] = {}
    for service in services:
        for conf_file in service.conf.files:
            readers.setdefault(conf_file.path, set()).add(service.role)
    unread: dict[tuple[object, ...], set[str]] = {}
    by_order: dict[tuple[object, ...], Diagnostic] = {}
    for each in found:
        # What a role does not read differs in its words by role.
        rule = each.finding.rule
        key = (each.path, each.place, rule) if rule == "WC215" else each.order
        unread.setdefault(key, set()).update(each.roles)
        known = by_order.get(key)
        by_order[key] = replace(
            known or each,
            roles=tuple(dict.fromkeys((*(known.roles if known else ()), *each.roles))),
        )
    return sorted(
        (
            each
            for key, each in by_order.items()
            if each.finding.rule != "WC215" or unread[key] >= readers[each.path]
        ),
        key=lambda each: each.order,
    )


def _limited(found: list[Diagnostic]) -> list[Diagnostic]:
    """At most `MOST_OF_A_RULE` of each rule in each file; the last says how many there are."""
    counts: dict[tuple[str, str], int] = {}
    for each in found:
        key = each.path, each.finding.rule
        counts[key] = counts.get(key, 0) + 1
    said: dict[tuple[str, str], int] = {}
    kept = []
    for each in found:
        key = each.path, each.finding.rule
        said[key] = said.get(key, 0) + 1
        more = counts[key] - MOST_OF_A_RULE
        if said[key] == MOST_OF_A_RULE and more > 0:
            message = f"{each.finding.message} (and at least {more} more of this rule)"
            kept.append(replace(each, finding=replace(each.finding, message=message)))
        elif said[key] <= MOST_OF_A_RULE:
            kept.append(each)
    return kept

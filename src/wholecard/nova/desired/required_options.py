"""What a role of a release needs for cards: options of the table with their values and reasons.

| option | api | scheduler | conductor | compute | placement |
| --- | --- | --- | --- | --- | --- |
| `device_spec`, `report_in_placement` | | | | yes | |
| `alias` | yes | | | yes (Newton) | |
| `enabled_filters`, `available_filters` | | yes | | | |
| `pci_in_placement` | yes | yes | yes | yes (2025.1) | |
| quotas | yes | | yes | | |
| tuning | | yes | yes | | yes |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release, release
from wholecard.nova.desired.device_selection import OmittedFunction
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, default_filters, with_pci_filter
from wholecard.nova.desired.tuning import is_too_wide, tuning
from wholecard.nova.desired.unsupported import unsupported
from wholecard.nova.options import (
    ALIAS_KEYS,
    DEVICE_SPEC_KEYS,
    NUMA_POLICIES,
    ROLES,
    UNIFIED_DRIVER,
    Option,
    Role,
    by_name,
    find,
)


@dataclass(frozen=True)
class RequiredOption:
    """An option, its values (several where it is repeated or a list), and why they stand there."""

    option: Option
    values: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class PciConfig:
    """What nova has to know about the cards of a cloud.

    `device_specs` belong to one kind of host, `aliases` to the whole cloud. `pci_in_placement`
    may be true only once every compute reports (`report_in_placement`), and a host that reports
    cannot stop reporting; both count only where the release has them. `cards_per_host` is the
    most that a host has of a kind, `hosts` how many have any; 0 leaves tuning out.
    `quota_driver` is written where it is given, `limited` are resource classes whose missing limit
    is to be 0 under unified limits. `left_out` are functions of this host, for the reader.
    """

    device_specs: tuple[PciDeviceSpec, ...]
    aliases: tuple[PciAlias, ...]
    report_in_placement: bool = True
    pci_in_placement: bool = True
    cards_per_host: int = 0
    hosts: int = 0
    quota_driver: str | None = None
    limited: tuple[str, ...] = ()
    left_out: tuple[OmittedFunction, ...] = ()


def needs(
    role: Role,
    pci: PciConfig,
    current_filters: Sequence[str],
    of: Release,
    filter_class: Sequence[str] = (),
) -> tuple[RequiredOption, ...]:
    """What the role has to have in its configuration in that release, in a good order to read.

    `current_filters` is what nova-scheduler has now, `filter_class` what its `available_filters`
    lacks; only the role `scheduler` looks at them.

    Raises UsageError for an unknown role, for what the release does not have, and for what nova
    itself refuses at start.
    """
    if role not in ROLES:
        raise UsageError(
            f"nova has no role {role!r}", resolution=f"Choose one of {', '.join(ROLES)}."
        )
    check(pci, of)
    return tuple(
        each
        for each in _all(role, pci, current_filters, of, filter_class)
        if each.option.is_read_by(role, of.nova)
    )


def _all(
    role: Role,
    pci: PciConfig,
    filters: Sequence[str],
    of: Release,
    filter_class: Sequence[str],
) -> Iterator[RequiredOption]:
    yield from _cards(pci)
    yield RequiredOption(
        by_name("enabled_filters"),
        with_pci_filter(filters),
        _whose(filters, of),
    )
    if filter_class:
        yield RequiredOption(
            by_name("available_filters"),
            tuple(filter_class),
            "The scheduler finds only filters of this list, and the PCI filter was not in it.",
        )
    yield RequiredOption(
        by_name("pci_in_placement"),
        (_boolean(pci.pci_in_placement),),
        _who_chooses(role, pci, of),
    )
    yield from _quotas(pci)
    if pci.cards_per_host:
        yield from _tuned(role, pci, of)


def _who_chooses(role: Role, pci: PciConfig, of: Release) -> str:
    """Why pci_in_placement stands as it does, and what the release's Placement cannot do."""
    chosen = pci.pci_in_placement
    untuned = ""
    if is_too_wide(of.nova, pci.cards_per_host):
        untuned = (
            f" Placement of {of} cannot be tuned for {pci.cards_per_host} cards on a host, that of "
            f"{Capability.WIDE_PROVIDER_TREES.series} can"
            + (": a request for several may find no host." if chosen else ".")
        )
    if role == "compute":
        rules = "of Placement" if chosen else "of nova's own count"
        return f"nova-compute checks its aliases by the rules {rules}, as nova-api does."
    if not chosen:
        return (
            "nova counts and chooses cards itself; nova-api, nova-scheduler and nova-conductor "
            f"must agree on it.{untuned}"
        )
    return (
        "Cards are chosen and claimed in Placement. nova-api, nova-scheduler and nova-conductor "
        f"must agree on it, and every compute must report its cards before.{untuned}"
    )


def _whose(filters: Sequence[str], of: Release) -> str:
    """Where the list comes from: a drop-in replaces whatever list another file has."""
    why = (
        f"with {PCI_FILTER} at the end: without it a server that asks for a card is sent to hosts "
        "that have none free."
    )
    if with_pci_filter(filters) == with_pci_filter(default_filters(of.nova)):
        return (
            f"nova's own list of {of}, {why} Where another file of nova-scheduler sets a list, "
            "this one takes its place: give that file with --conf to keep yours."
        )
    return f"The filters that stood here before, in their order, {why}"


def _cards(pci: PciConfig) -> Iterator[RequiredOption]:
    left_out = "".join(f" {each.address} is left out: {each.reason}." for each in pci.left_out)
    if pci.device_specs:
        yield RequiredOption(
            by_name("device_spec"),
            tuple(spec.to_json() for spec in pci.device_specs),
            "The functions that this host may give to servers; the companions of a card are bound "
            "to vfio-pci and stay out of this list, or nova would hand them out one by one."
            + left_out,
        )
    if pci.aliases:
        yield RequiredOption(
            by_name("alias"),
            tuple(alias.to_json() for alias in pci.aliases),
            "What a flavor may ask for with pci_passthrough:alias. nova-api translates it when a "
            "server is created, nova-compute when one is moved or resized: both need the same "
            "lines.",
        )
    yield RequiredOption(
        by_name("report_in_placement"),
        (_boolean(pci.report_in_placement),),
        "Each function becomes a resource provider in Placement. It cannot be turned off again.",
    )


def _quotas(pci: PciConfig) -> Iterator[RequiredOption]:
    if pci.quota_driver:
        unified = (
            " Unified limits are Keystone's: [oslo_limit] has to stand beside this, with nova's "
            "own user and endpoint_id, and every limit has to be registered before a restart."
        )
        yield RequiredOption(
            by_name("driver"),
            (pci.quota_driver,),
            "Who counts quotas; nova-api and nova-conductor must agree on it."
            + (unified if pci.quota_driver == UNIFIED_DRIVER else ""),
        )
    if pci.limited:
        yield RequiredOption(
            by_name("unified_limits_resource_list"),
            ("servers", *(f"class:{name}" for name in pci.limited)),
            "A card without a registered limit is a limit of 0 and not none: register one for "
            "each of these classes.",
        )


def _tuned(role: Role, pci: PciConfig, of: Release) -> Iterator[RequiredOption]:
    for each in tuning(role, of.nova, pci.cards_per_host, pci.hosts):
        found = find(each.section, each.name)
        if found is None:
            raise LookupError(f"[{each.section}] {each.name} is not in the table of options")
        yield RequiredOption(
            found[0], (each.value,), f"{each.reason[:1].upper()}{each.reason[1:]}."
        )


def check(pci: PciConfig, of: Release) -> None:
    """Raises UndoableError for what the release does not have, and what it refuses at start."""
    _check_keys(pci, of)
    chosen = pci.pci_in_placement and has(of, Capability.PCI_IN_PLACEMENT)
    reported = pci.report_in_placement and has(of, Capability.REPORT_IN_PLACEMENT)
    if chosen and not reported:
        raise unsupported(
            ("nova", "pci_in_placement"),
            "pci_in_placement needs report_in_placement",
            "The scheduler would look for cards that no compute has reported.",
            "Set report_in_placement on every compute first.",
        )
    if not reported and any(spec.one_time_use for spec in pci.device_specs):
        raise unsupported(
            ("nova", "report_in_placement"),
            "one_time_use needs report_in_placement",
            "nova-compute refuses to start: it keeps a used card back in Placement.",
            "Report the cards in Placement, or leave one_time_use out.",
        )
    _check_aliases(pci.aliases, chosen)


def _check_aliases(aliases: Sequence[PciAlias], chosen: bool) -> None:
    first: dict[str, PciAlias] = {}
    for alias in aliases:
        same = first.setdefault(alias.name, alias)
        if same is not alias and chosen:
            raise unsupported(
                ("cards", alias.name),
                f"nova takes one spec per alias: {alias.name} has several",
                "nova/pci/request.py refuses it when pci_in_placement is set.",
                "Give the device_specs one resource_class and let a single alias name it.",
            )
        for field in ("device_type", "numa_policy"):
            if getattr(same, field) != getattr(alias, field):
                raise unsupported(
                    ("cards", alias.name),
                    f"the alias {alias.name} has two kinds of {field}: "
                    f"{getattr(same, field)} and {getattr(alias, field)}",
                    "nova/pci/request.py refuses aliases of one name that differ in it.",
                    "Make two kinds of card of it.",
                )
        if alias.vendor_id is None and not chosen:
            raise unsupported(
                ("cards", alias.name),
                f"the alias {alias.name} asks for a resource class alone",
                "Without pci_in_placement nova compares vendor and product.",
                "Give it both ids, or choose cards in Placement.",
            )


def _check_keys(pci: PciConfig, of: Release) -> None:
    """Keys that the release's nova does not know: it takes them for tags, or does not start."""
    values: list[tuple[str, str, dict[str, int]]] = [
        *(("device_spec", spec.to_json(), DEVICE_SPEC_KEYS) for spec in pci.device_specs),
        *(("alias", alias.to_json(), ALIAS_KEYS) for alias in pci.aliases),
    ]
    for what, text, known in values:
        for key in json.loads(text):
            if known[key] > of.nova:
                raise unsupported(
                    (),
                    f"nova of {of} has no {key} in {what}",
                    f"It came with {_series(known[key])}.",
                    f"Leave it out, or render for {_series(known[key])} or later.",
                )
    for alias in pci.aliases:
        since = NUMA_POLICIES[alias.numa_policy] if alias.numa_policy else 13
        if since > of.nova:
            raise unsupported(
                ("cards", alias.name),
                f"nova of {of} has no NUMA policy {alias.numa_policy}",
                f"It came with {_series(since)}.",
                "Take required, preferred or legacy.",
            )


def _series(major: int) -> str:
    return str(release(str(major)))


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def joined(values: Iterable[str]) -> str:
    """A list's items as one value."""
    return ",".join(values)

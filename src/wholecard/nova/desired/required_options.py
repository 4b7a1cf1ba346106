"""What a role of a release needs for cards: options with their values and reasons.

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

from wholecard.core import releases
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.device_selection import OmittedFunction
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec
from wholecard.nova.desired.mdev_types import MdevType
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, default_filters, with_pci_filter
from wholecard.nova.desired.tuning import is_too_wide, tuning
from wholecard.nova.desired.unsupported import UNREPORTED, UnsupportedError, unsupported
from wholecard.nova.match.mdevs import VGPU
from wholecard.nova.options import (
    ALIAS_KEYS,
    DEVICE_SPEC_KEYS,
    NUMA_POLICIES,
    UNIFIED_DRIVER,
    Option,
    Role,
    by_name,
    find,
    of_type,
    role_named,
)


@dataclass(frozen=True)
class RequiredOption:
    """An option, its values (several where it is repeated or a list), and the reason for them."""

    option: Option
    values: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class PciConfig:
    """What nova has to know about the cards of a cloud.

    `device_specs` and `mdev_types` belong to one host, `aliases` to the whole cloud.
    `pci_in_placement` may be true only when every compute reports (`report_in_placement`), and a
    host that reports cannot stop reporting; both count only where the release has them.
    `cards_per_host` is the largest number of cards of a kind on a host, `hosts` the number of hosts
    with cards; 0 leaves tuning out.
    `quota_driver` is written where it is given, `limited` are the resource classes that need a
    registered limit with unified limits. `omitted` are functions of this host, `extra_functions`
    the kinds of such functions that it gives, for a comment. `full_tuning` adds the settings that
    cost servers without cards something.
    """

    device_specs: tuple[PciDeviceSpec, ...]
    aliases: tuple[PciAlias, ...]
    report_in_placement: bool = True
    pci_in_placement: bool = True
    cards_per_host: int = 0
    hosts: int = 0
    quota_driver: str | None = None
    limited: tuple[str, ...] = ()
    omitted: tuple[OmittedFunction, ...] = ()
    extra_functions: tuple[str, ...] = ()
    full_tuning: bool = False
    mdev_types: tuple[MdevType, ...] = ()


def required_options(
    role: Role,
    pci: PciConfig,
    current_filters: Sequence[str],
    release: Release,
    filter_class: Sequence[str] = (),
) -> tuple[RequiredOption, ...]:
    """The options that the role needs in that release, in a good order to read.

    `current_filters` is what nova-scheduler has now, `filter_class` what its `available_filters`
    lacks; only the role `scheduler` uses them.

    Raises UsageError for an unknown role, for what the release does not have, and for what nova
    itself refuses at start.
    """
    role_named(role)
    check_config(pci, release)
    options = _all(role, pci, current_filters, release, filter_class)
    return tuple(each for each in options if each.option.is_read_by(role, release.nova))


def _all(
    role: Role,
    pci: PciConfig,
    filters: Sequence[str],
    release: Release,
    filter_class: Sequence[str],
) -> Iterator[RequiredOption]:
    yield from _cards(pci)
    yield from _mdev_types(pci, release)
    reason = _filters_reason(filters, release)
    yield RequiredOption(by_name("enabled_filters"), with_pci_filter(filters), reason)
    if filter_class:
        reason = "The scheduler finds only filters of this list, and the PCI filter was not in it."
        yield RequiredOption(by_name("available_filters"), tuple(filter_class), reason)
    chosen, reason = _boolean(pci.pci_in_placement), _placement_reason(role, pci, release)
    yield RequiredOption(by_name("pci_in_placement"), (chosen,), reason)
    yield from _quotas(pci)
    if pci.cards_per_host:
        yield from _tuning(role, pci, release)


def _placement_reason(role: Role, pci: PciConfig, release: Release) -> str:
    """Why pci_in_placement has its value, and what the release's Placement cannot do."""
    chosen = pci.pci_in_placement
    untuned = ""
    if is_too_wide(release.nova, pci.cards_per_host):
        untuned = (
            f" Placement of {release} cannot be tuned for {pci.cards_per_host} cards on a host; "
            f"that of {Capability.WIDE_PROVIDER_TREES.series} can."
            + (" A request for several cards may find no host." if chosen else "")
        )
    if role == "compute":
        rules = "for cards in Placement" if chosen else "for cards that nova counts itself"
        return f"nova-compute checks its aliases by the rules {rules}, as nova-api does."
    if not chosen:
        return (
            "nova counts and chooses cards itself. nova-api, nova-scheduler and nova-conductor "
            f"need the same value.{untuned}"
        )
    return (
        "Cards are chosen and claimed in Placement. nova-api, nova-scheduler and nova-conductor "
        f"need the same value, and every compute must report its cards first.{untuned}"
    )


def _filters_reason(filters: Sequence[str], release: Release) -> str:
    """Where the list comes from: a drop-in replaces the list of any other file."""
    why = (
        f"with {PCI_FILTER} at the end: without it nova-scheduler sends servers with cards to "
        "hosts that have none free."
    )
    if with_pci_filter(filters) == with_pci_filter(default_filters(release.nova)):
        return (
            f"nova's own list of {release}, {why} It replaces a list in another file of "
            "nova-scheduler: give that file with --conf to keep its list."
        )
    return f"The filters that were set before, in their order, {why}"


def _cards(pci: PciConfig) -> Iterator[RequiredOption]:
    omitted = "".join(
        f" {each.address} is not in this list: {each.reason}." for each in pci.omitted
    )
    if pci.device_specs:
        yield RequiredOption(
            by_name("device_spec"),
            tuple(spec.to_json() for spec in pci.device_specs),
            f"The functions that this host may give to servers. {_reason_of_parts(pci)}{omitted}",
        )
    if pci.aliases:
        yield RequiredOption(
            by_name("alias"),
            tuple(alias.to_json() for alias in pci.aliases),
            "What a flavor may request with pci_passthrough:alias. nova-api translates it when a "
            "server is created, nova-compute when one is moved or resized, so both need the same "
            "lines.",
        )
    yield RequiredOption(
        by_name("report_in_placement"),
        (_boolean(pci.report_in_placement),),
        "Each function becomes a resource provider in Placement. It cannot be turned off again.",
    )


def _mdev_types(pci: PciConfig, release: Release) -> Iterator[RequiredOption]:
    types = pci.mdev_types
    if types:
        yield RequiredOption(
            by_name("enabled_mdev_types"),
            tuple(one.name for one in types),
            "The types of mediated devices that this host gives to servers. nova makes a device "
            "when a server needs one, and keeps it for the next.",
        )
    # A single type's section is not read before 2024.1, and needs none where all parents give it.
    if len(types) == 1 and not has(release, Capability.MDEV_LIMITS):
        return
    for one in types:
        if one.parents:
            yield RequiredOption(
                of_type(by_name("device_addresses"), one.name),
                one.parents,
                f"The parents whose devices are of the type {one.name}. nova offers what their "
                "driver offers of it.",
            )
        if one.resource_class != VGPU:
            yield RequiredOption(
                of_type(by_name("mdev_class"), one.name),
                (one.resource_class,),
                "The class in Placement, by which flavors ask for this type.",
            )


def _reason_of_parts(pci: PciConfig) -> str:
    """Why a card's other functions are left out, or why this host may give some."""
    if pci.extra_functions:
        return (
            f"The host has one card with {', '.join(pci.extra_functions)}, so nova cannot mix its "
            "functions with those of another."
        )
    return (
        "The other functions of a card are bound to vfio-pci and are not in this list, or nova "
        "would give them to servers one by one."
    )


def _quotas(pci: PciConfig) -> Iterator[RequiredOption]:
    if pci.quota_driver:
        unified = (
            " Unified limits are in Keystone: [oslo_limit] is needed too, with nova's own user and "
            "endpoint_id, and every limit must be registered before a restart."
        )
        yield RequiredOption(
            by_name("driver"),
            (pci.quota_driver,),
            "The driver that counts quotas; nova-api and nova-conductor need the same value."
            + (unified if pci.quota_driver == UNIFIED_DRIVER else ""),
        )
    if pci.limited:
        yield RequiredOption(
            by_name("unified_limits_resource_list"),
            ("servers", *(f"class:{name}" for name in pci.limited)),
            "Without a registered limit in Keystone the limit is 0: register one for each of these "
            "classes.",
        )


def _tuning(role: Role, pci: PciConfig, release: Release) -> Iterator[RequiredOption]:
    full = pci.full_tuning
    for setting in tuning(role, release.nova, pci.cards_per_host, pci.hosts, full=full):
        match = find(setting.section, setting.name)
        if match is None:
            raise LookupError(f"[{setting.section}] {setting.name} is not in the table of options")
        reason = f"{setting.reason[:1].upper()}{setting.reason[1:]}."
        if setting.cost:
            reason += f" It costs the whole cloud: {setting.cost}."
        yield RequiredOption(match[0], (setting.value,), reason)


def check_config(pci: PciConfig, release: Release) -> None:
    """Raises UnsupportedError for what the release does not have, or refuses at start."""
    _check_keys(pci, release)
    chosen = pci.pci_in_placement and has(release, Capability.PCI_IN_PLACEMENT)
    reported = pci.report_in_placement and has(release, Capability.REPORT_IN_PLACEMENT)
    if chosen and not reported:
        raise UnsupportedError([UNREPORTED])
    if not reported and any(spec.one_time_use for spec in pci.device_specs):
        raise unsupported(
            ("nova", "report_in_placement"),
            "one_time_use needs report_in_placement",
            "nova-compute does not start: it reserves a used card in Placement.",
            "Report the cards to Placement, or remove one_time_use.",
        )
    _check_aliases(pci.aliases, chosen)


def _check_aliases(aliases: Sequence[PciAlias], chosen: bool) -> None:
    first: dict[str, PciAlias] = {}
    for alias in aliases:
        same = first.setdefault(alias.name, alias)
        if same is not alias and chosen:
            raise unsupported(
                ("cards", alias.name),
                f"the alias {alias.name} has several specs, but nova accepts only one",
                "With pci_in_placement nova refuses it (nova/pci/request.py).",
                "Give the device_specs one resource_class, and name it in one alias.",
            )
        for field in ("device_type", "numa_policy"):
            if getattr(same, field) != getattr(alias, field):
                raise unsupported(
                    ("cards", alias.name),
                    f"the alias {alias.name} has two values of {field}: "
                    f"{getattr(same, field)} and {getattr(alias, field)}",
                    "nova refuses aliases of one name that differ in it (nova/pci/request.py).",
                    "Use two kinds of cards with different names.",
                )
        if alias.vendor_id is None and not chosen:
            raise unsupported(
                ("cards", alias.name),
                f"the alias {alias.name} requests only a resource class",
                "Without pci_in_placement nova compares vendor and product.",
                "Give it both ids, or choose cards in Placement.",
            )


def _check_keys(pci: PciConfig, release: Release) -> None:
    """Keys that the release does not have: nova takes them for tags, or does not start."""
    values: list[tuple[str, str, dict[str, int]]] = [
        *(("device_spec", spec.to_json(), DEVICE_SPEC_KEYS) for spec in pci.device_specs),
        *(("alias", alias.to_json(), ALIAS_KEYS) for alias in pci.aliases),
    ]
    for what, text, known in values:
        for key in json.loads(text):
            if known[key] > release.nova:
                raise unsupported(
                    (),
                    f"nova of {release} has no {key} in {what}",
                    f"nova has it since {_series(known[key])}.",
                    f"Remove it, or render for {_series(known[key])} or later.",
                )
    for alias in pci.aliases:
        since = NUMA_POLICIES[alias.numa_policy] if alias.numa_policy else 13
        if since > release.nova:
            raise unsupported(
                ("cards", alias.name),
                f"nova of {release} has no NUMA policy {alias.numa_policy}",
                f"nova has it since {_series(since)}.",
                "Write required, preferred or legacy.",
            )


def _series(major: int) -> str:
    return str(releases.release(str(major)))


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def joined(values: Iterable[str]) -> str:
    """A list's items as one value."""
    return ",".join(values)

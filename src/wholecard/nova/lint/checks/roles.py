"""What has to be the same, or has to fit, in the configurations of several roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product

from wholecard.core.capabilities import Capability, has
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic
from wholecard.nova.lint.service import ReadAlias, Service

# nova-compute translates the alias again when a server moves to it
# (nova/compute/resource_tracker.py, `_move_claim`), so these have to be the same there.
_COMPARED = (
    "vendor_id", "product_id", "device_type", "numa_policy", "resource_class", "traits",
    "live_migratable",
)  # fmt: skip
_DEFAULTS = {"numa_policy": "legacy"}


def check_alias_everywhere(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """Each alias of one role is on each other role that reads aliases, and is the same there."""
    apis = [service for service in services if service.role == "api"]
    computes = [one for one in services if one.role == "compute" and one.reads("alias")]
    # Where there is an api, two computes that agree with it agree with each other.
    pairs = [*product(apis, computes), *product(computes, apis)] or permutations(computes, 2)
    for service, other in pairs:
        if other.conf is not service.conf:
            yield from service.as_own(_compared(service, other))


def _compared(service: Service, other: Service) -> Iterator[Diagnostic]:
    others = _by_name(other)
    for name, aliases in _by_name(service).items():
        if not name:
            continue
        if name not in others:
            yield _missing(service, other, aliases[0])
        # Once for each pair, on the side of the api.
        elif service.role in ("api", other.role):
            yield from _differing(aliases, others[name], other)


def _by_name(service: Service) -> dict[str, list[ReadAlias]]:
    by_name: dict[str, list[ReadAlias]] = {}
    for alias in service.aliases:
        by_name.setdefault(alias.name, []).append(alias)
    return by_name


def _missing(service: Service, other: Service, alias: ReadAlias) -> Diagnostic:
    if other.role == "api":
        consequence = "nova-api refuses a flavor that requests it: PCI alias is not defined"
    else:
        consequence = "a resize or migration to such a host fails"
    where = other.conf.files[-1].path if other.conf.files else "its files"
    return entry_diagnostic(
        "WC240", alias.value.at_value(("name",)),
        f"nova-{service.role} has this alias and nova-{other.role} does not ({where}): "
        f"{consequence}",
        f"Write the same line into the configuration of nova-{other.role}.",
    )  # fmt: skip


def _differing(
    aliases: list[ReadAlias], others: list[ReadAlias], other: Service
) -> Iterator[Diagnostic]:
    for alias, theirs in zip(aliases, others, strict=False):
        keys = [key for key in _COMPARED if _value(alias, key) != _value(theirs, key)]
        if keys:
            yield entry_diagnostic(
                "WC241", alias.value.at_key((keys[0],))
                if keys[0] in alias.conf else alias.value.at_value(("name",)),
                f"{theirs.value.entry.path}:{theirs.value.entry.line} has the same alias with "
                f"another {', '.join(keys)}",
                f"Write the same line for nova-{other.role}.",
            )  # fmt: skip
    if len(aliases) != len(others):
        yield entry_diagnostic(
            "WC241", aliases[0].value.at_value(("name",)),
            f"{others[0].value.entry.path} has this alias {len(others)} times, and this file has "
            f"it {len(aliases)} times",
            f"Write the same lines for nova-{other.role}.",
        )  # fmt: skip


def _value(alias: ReadAlias, key: str) -> str:
    value = alias.conf.get(key, _DEFAULTS.get(key))
    text = "" if value is None else str(value)
    # nova compares ids without regard to case.
    return text.lower() if key in ("vendor_id", "product_id") else text


def check_in_placement(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """api, scheduler and conductor agree on pci_in_placement."""
    on, off = _deciders(services, True), _deciders(services, False)
    for service, other in product(on, off):
        if other.conf is not service.conf:
            yield from service.as_own([_decided(
                "WC242", service,
                f"nova-{other.role} has it off, so cards would be requested and claimed by "
                "different rules",
                f"Set [filter_scheduler] pci_in_placement for nova-{other.role} as well.",
            )])  # fmt: skip


def check_reporting(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """Where pci_in_placement is on every compute reports its cards."""
    for service in _deciders(services, True)[:1]:
        for compute in services:
            is_silent = compute.role == "compute" and not compute.boolean("report_in_placement")
            if is_silent and compute.conf.files:
                yield from service.as_own([_decided(
                    "WC243", service,
                    f"the nova-compute of {compute.conf.files[-1].path} does not report its "
                    "cards, so Placement never offers them",
                    "Set [pci] report_in_placement = true on every compute first.",
                )])  # fmt: skip


def _deciders(services: Sequence[Service], on: bool) -> list[Service]:
    """The services that decide with pci_in_placement, those that have it on or those off."""
    return [
        service
        for service in services
        if service.role in ("api", "scheduler", "conductor")
        and service.boolean("pci_in_placement") is on
    ]


def _decided(rule: str, service: Service, message: str, fix: str) -> Diagnostic:
    """A diagnostic at the line that turns pci_in_placement on."""
    entry = service.effective("pci_in_placement").entries[-1]
    return entry_diagnostic(rule, entry, message, fix)


def check_turned_off(service: Service) -> Iterator[Diagnostic]:
    """`report_in_placement` that was on and is off in a later line."""
    if not has(service.major, Capability.REPORT_IN_PLACEMENT):
        return
    for before, after in pairwise(service.conf.find("pci", "report_in_placement")):
        if as_boolean(before.value) is True and as_boolean(after.value) is False:
            yield entry_diagnostic(
                "WC244", after,
                f"{before.path}:{before.line} has it on: on a host that has reported once "
                "nova-compute does not start with it off",
                "Keep report_in_placement = true.",
            )  # fmt: skip

"""What has to be the same, or to fit together, in the configurations of several roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from wholecard.core.capabilities import Capability, has
from wholecard.nova.lint.diagnostic import ERROR, Diagnostic, remark
from wholecard.nova.lint.service import ReadAlias, Service

_COMPARED = (
    "vendor_id", "product_id", "device_type", "numa_policy", "resource_class", "traits",
    "live_migratable",
)  # fmt: skip
_DEFAULTS = {"numa_policy": "legacy"}


def check_alias_everywhere(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """Each alias of one role is on each other role that reads aliases, and is the same there."""
    readers = [each for each in services if each.role in ("api", "compute") and each.reads("alias")]
    has_api = any(each.role == "api" for each in readers)
    for service in readers:
        for other in readers:
            # Where there is an api, two computes that agree with it agree with each other.
            between = has_api and service.role == other.role
            if other is not service and other.conf is not service.conf and not between:
                yield from service.says(_compared(service, other))


def _compared(service: Service, other: Service) -> Iterator[Diagnostic]:
    there = _by_name(other)
    for name, aliases in _by_name(service).items():
        if not name:
            continue
        if name not in there:
            yield _missing(service, other, aliases[0])
        # Said once of each pair, on the side of the api.
        elif service.role in ("api", other.role):
            yield from _differing(aliases, there[name], other)


def _by_name(service: Service) -> dict[str, list[ReadAlias]]:
    found: dict[str, list[ReadAlias]] = {}
    for alias in service.aliases:
        found.setdefault(alias.name, []).append(alias)
    return found


def _missing(service: Service, other: Service, alias: ReadAlias) -> Diagnostic:
    if other.role == "api":
        consequence = "a flavor that asks for it is refused: PCI alias is not defined"
    else:
        consequence = "a resize or migration to such a host fails"
    where = other.conf.files[-1].path if other.conf.files else "its files"
    return remark(
        "WC240", ERROR, alias.value.at_value(("name",)),
        f"nova-{service.role} has this alias and nova-{other.role} has not ({where}): "
        f"{consequence}",
        f"Write the same line into the configuration of nova-{other.role}.",
    )  # fmt: skip


def _differing(
    aliases: list[ReadAlias], others: list[ReadAlias], other: Service
) -> Iterator[Diagnostic]:
    for alias, there in zip(aliases, others, strict=False):
        keys = [key for key in _COMPARED if _said(alias, key) != _said(there, key)]
        if keys:
            yield remark(
                "WC241", ERROR, alias.value.at_key((keys[0],))
                if keys[0] in alias.conf else alias.value.at_value(("name",)),
                f"{there.value.entry.path}:{there.value.entry.line} has the same alias with "
                f"another {', '.join(keys)}",
                f"Write the same line for nova-{other.role}.",
            )  # fmt: skip
    if len(aliases) != len(others):
        yield remark(
            "WC241", ERROR, aliases[0].value.at_value(("name",)),
            f"{others[0].value.entry.path} has this alias {len(others)} times, and here it stands "
            f"{len(aliases)} times",
            f"Write the same lines for nova-{other.role}.",
        )  # fmt: skip


def _said(alias: ReadAlias, key: str) -> str:
    value = alias.conf.get(key, _DEFAULTS.get(key))
    text = "" if value is None else str(value)
    return text.lower() if key in ("vendor_id", "product_id") else text


def check_in_placement(services: Sequence[Service]) -> Iterator[Diagnostic]:
    """api, scheduler and conductor agree on pci_in_placement, and every compute reports."""
    deciders = [each for each in services if each.role in ("api", "scheduler", "conductor")]
    on = [each for each in deciders if each.boolean("pci_in_placement")]
    for service in on:
        entry = service.effective("pci_in_placement").entries[-1]
        for other in deciders:
            if other not in on and other.conf is not service.conf:
                found = remark(
                    "WC242", ERROR, entry,
                    f"nova-{other.role} has it off: cards would be asked for and claimed by "
                    "different rules",
                    f"Set [filter_scheduler] pci_in_placement for nova-{other.role} as well.",
                )  # fmt: skip
                yield from service.says([found])
    computes = [each for each in services if each.role == "compute"]
    for compute in computes:
        if on and not compute.boolean("report_in_placement") and compute.conf.files:
            entry = on[0].effective("pci_in_placement").entries[-1]
            found = remark(
                "WC243", ERROR, entry,
                f"the compute of {compute.conf.files[-1].path} does not report its cards: "
                "none of its cards is ever found",
                "Set [pci] report_in_placement = true on every compute first.",
            )  # fmt: skip
            yield from on[0].says([found])


def check_turned_off(service: Service) -> Iterator[Diagnostic]:
    """`report_in_placement` that was on and is off in a later line."""
    entries = service.conf.find("pci", "report_in_placement")
    if not has(service.major, Capability.REPORT_IN_PLACEMENT):
        return
    for before, after in pairwise(entries):
        was, is_ = (each.value.strip().lower() for each in (before, after))
        if was in ("true", "yes", "on", "1") and is_ in ("false", "no", "off", "0"):
            yield remark(
                "WC244", ERROR, after,
                f"{before.path}:{before.line} has it on: a host that has reported once refuses to "
                "start with it off",
                "Leave it on.",
            )  # fmt: skip

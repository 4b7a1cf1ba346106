"""What has to be the same, or to fit together, in the configurations of several roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from wholecard.nova.lint.remark import ERROR, Remark, remark
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import (
    Alias,
    Device,
    PlacementError,
    Request,
    Spec,
    groups_of,
    resource_class_of,
    traits_of,
)

_COMPARED = (
    "vendor_id", "product_id", "device_type", "numa_policy", "resource_class", "traits",
    "live_migratable",
)  # fmt: skip
_DEFAULTS = {"numa_policy": "legacy"}


def check_alias_everywhere(services: Sequence[Service]) -> Iterator[Remark]:
    """Each alias of one role is on each other role that reads aliases, and is the same there."""
    readers = [each for each in services if each.role in ("api", "compute") and each.reads("alias")]
    for service in readers:
        for other in readers:
            if other is not service and other.conf is not service.conf:
                yield from _compared(service, other)


def _compared(service: Service, other: Service) -> Iterator[Remark]:
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


def _missing(service: Service, other: Service, alias: ReadAlias) -> Remark:
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
) -> Iterator[Remark]:
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


def check_in_placement(services: Sequence[Service]) -> Iterator[Remark]:
    """api, scheduler and conductor agree on pci_in_placement, and every compute reports."""
    deciders = [each for each in services if each.role in ("api", "scheduler", "conductor")]
    on = [each for each in deciders if each.boolean("pci_in_placement")]
    for service in on:
        entry = service.effective("pci_in_placement").entries[-1]
        for other in deciders:
            if other not in on and other.conf is not service.conf:
                yield remark(
                    "WC242", ERROR, entry,
                    f"nova-{other.role} has it off: cards would be asked for and claimed by "
                    "different rules",
                    f"Set [filter_scheduler] pci_in_placement for nova-{other.role} as well.",
                )  # fmt: skip
    computes = [each for each in services if each.role == "compute"]
    for compute in computes:
        if on and not compute.boolean("report_in_placement") and compute.conf.files:
            entry = on[0].effective("pci_in_placement").entries[-1]
            yield remark(
                "WC243", ERROR, entry,
                f"the compute of {compute.conf.files[-1].path} does not report its cards: "
                "none of its cards is ever found",
                "Set [pci] report_in_placement = true on every compute first.",
            )  # fmt: skip


def check_turned_off(service: Service) -> Iterator[Remark]:
    """`report_in_placement` that was on and is off in a later line."""
    entries = service.conf.find("pci", "report_in_placement")
    if service.major < 26:
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


def check_asked_for(services: Sequence[Service]) -> Iterator[Remark]:
    """The resource class and traits that Placement is asked for are those of some device_spec.

    Where the facts of every compute are known, WC253 tells it of the devices themselves.
    """
    computes = [each for each in services if each.role == "compute" and each.specs]
    if all(each.facts for each in computes):
        return
    if any(each.error for compute in computes for each in compute.specs):
        return
    reported = [
        _reported(each.spec, compute)
        for compute in computes
        for each in compute.specs
        if each.spec is not None
    ]
    for service in services:
        if service.role == "api" and service.rules.pci_in_placement:
            for alias in service.aliases:
                if alias.alias is not None and len(alias.alias.specs) == 1:
                    yield from _not_reported(service, alias, alias.alias, reported)


# None stands for the classes that nova makes of ids which the device_spec leaves open.
Reported = tuple[str | None, frozenset[str]]


def _reported(spec: Spec, compute: Service) -> Reported | None:
    """What a device of this spec is reported as; None where nova refuses its tags."""
    device = Device("0000:00:00.0", spec.vendor_id, spec.product_id)
    found = reported_as(device, spec, compute)
    is_open = not spec.tags.get("resource_class") and "*" in (spec.vendor_id, spec.product_id)
    return (None, found[1]) if found and is_open else found


def _not_reported(
    service: Service, read: ReadAlias, alias: Alias, reported: list[Reported | None]
) -> Iterator[Remark]:
    request = Request(alias.name, 1, alias.specs, "legacy", "0")
    wanted = groups_of([request], service.rules)[0]
    # What is refused may be anything once it is mended.
    same = [each for each in reported if each is None or _may_be(each[0], wanted.resource_class)]
    if any(each is None or wanted.traits <= each[1] for each in same):
        return
    key = "traits" if same else "resource_class" if "resource_class" in read.conf else "name"
    what = f"the traits {', '.join(sorted(wanted.traits))}" if same else wanted.resource_class
    yield remark(
        "WC245", ERROR, read.value.at_value((key,)),
        f"Placement is asked for {what}, and no device_spec of a compute reports that: it finds no "
        "host",
        "Write the same resource_class and traits into alias and device_spec.",
    )  # fmt: skip


def _may_be(reported: str | None, wanted: str) -> bool:
    return reported == wanted or (reported is None and wanted.startswith("CUSTOM_PCI_"))


def reported_as(device: Device, spec: Spec, service: Service) -> tuple[str, frozenset[str]] | None:
    """The resource class and traits under which Placement has a device; None where nova refuses."""
    try:
        return resource_class_of(device, spec), traits_of(device, spec, service.rules)
    except PlacementError:
        return None

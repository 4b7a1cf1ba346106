"""The resource class and traits that Placement is asked for, against those that are reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wholecard.core.near_names import NearNames
from wholecard.nova.lint.diagnostic import ERROR, Diagnostic, remark
from wholecard.nova.lint.hosts_known import Ids, Known
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import (
    Device,
    PciRequest,
    PlacementError,
    RequestGroup,
    Spec,
    groups_of,
    is_class_of_ids,
    resource_class_of,
    traits_of,
)


@dataclass(frozen=True)
class Reported:
    """What Placement has of a device, `*` in its ids for what the device_spec leaves open.

    `resource_class` is None for the classes that nova makes of ids that are open, `traits` too
    where nova refuses the tags: that may be anything once it is mended.
    """

    ids: Ids
    resource_class: str | None
    traits: frozenset[str] | None

    def has(self, wanted: RequestGroup) -> bool:
        """Whether it is of the class and has the traits."""
        return self.traits is None or (self.has_class(wanted) and wanted.traits <= self.traits)

    def has_class(self, wanted: RequestGroup) -> bool:
        """Whether it is, or may be, of the class."""
        is_made = self.resource_class is None and is_class_of_ids(wanted.resource_class)
        return is_made or self.resource_class == wanted.resource_class

    def is_of(self, ids: Ids) -> bool:
        """Whether a device of these ids may be one of these."""
        return all(mine in ("*", other) for mine, other in zip(self.ids, ids, strict=True))


def reported_by(computes: Iterable[Service]) -> list[Reported]:
    """What the computes report: of the devices that they give, else what their files say."""
    found: dict[Reported, None] = {}
    for compute in computes:
        if not compute.facts:
            of = ((_device(each.spec), each.spec) for each in compute.specs if each.spec)
        elif compute.rules.report_in_placement:
            of = ((each.device, spec) for each in compute.given if (spec := each.specs[0].spec))
        else:
            continue
        found.update((_reported(device, spec, compute), None) for device, spec in of)
    return list(found)


def _device(spec: Spec) -> Device:
    return Device("0000:00:00.0", spec.vendor_id, spec.product_id)


def _reported(device: Device, spec: Spec, compute: Service) -> Reported:
    ids = (device.vendor_id, device.product_id)
    try:
        of, traits = resource_class_of(device, spec), traits_of(device, spec, compute.rules)
    except PlacementError:
        return Reported(ids, None, None)
    is_open = "*" in ids and not spec.tags.get("resource_class")
    return Reported(ids, None if is_open else of, traits)


def check_asked_for(services: Sequence[Service], known: Known) -> Iterator[Diagnostic]:
    """The class and traits of each alias are those of some device_spec, where facts are missing.

    Where the facts of every compute are known `check_answer` asks of the devices themselves.
    """
    computes = [each for each in services if each.role == "compute" and each.specs]
    if all(each.facts for each in computes):
        return
    if any(each.error for compute in computes for each in compute.specs):
        return
    reported = reported_by(computes)
    for service in services:
        for alias in service.aliases if service.role == "api" else ():
            yield from service.says(misfits(service, alias, reported, known))


def misfits(
    service: Service, read: ReadAlias, reported: list[Reported], known: Known
) -> Iterator[Diagnostic]:
    """An alias whose class and traits nothing has that is reported.

    Where not all hosts are known it may be for another: then only one that is meant for what is
    reported here, by its ids or nearly by its class, and for which no other alias asks.
    """
    wanted = wanted_of(service, read)
    if wanted is None or not reported or any(each.has(wanted) for each in reported):
        return
    ids = _ids(read)
    of_ids = [each for each in reported if ids and each.is_of(ids)]
    if not known.complete or known.others:
        meant = of_ids or ([] if ids else [each for each in reported if _is_near(each, wanted)])
        others = [
            each
            for alias in service.aliases
            if alias is not read and (each := wanted_of(service, alias))
        ]
        if not any(not any(one.has(each) for each in others) for one in meant):
            return
    same = [each for each in reported if each.has_class(wanted)]
    key = "traits" if same else "resource_class" if "resource_class" in read.conf else "name"
    asked = f"the traits {', '.join(sorted(wanted.traits))}" if same else wanted.resource_class
    yield remark(
        "WC245", ERROR, read.value.at_value((key,)),
        f"Placement is asked for {asked}, and the computes report "
        f"{_said(same or of_ids or reported, bool(same))}: it finds no host",
        "Write the same resource_class and traits into alias and device_spec.",
    )  # fmt: skip


def is_reported(service: Service, read: ReadAlias, reported: list[Reported]) -> bool:
    """Whether something is of the class of an alias, or nothing can be said of that."""
    wanted = wanted_of(service, read)
    return wanted is None or not reported or any(each.has_class(wanted) for each in reported)


def wanted_of(service: Service, read: ReadAlias) -> RequestGroup | None:
    """What Placement is asked for by an alias; None where it is not asked, or cannot be."""
    alias = read.alias
    if alias is None or len(alias.specs) != 1:
        return None
    groups = groups_of([PciRequest(alias.name, 1, alias.specs, "legacy", "0")], service.rules)
    return groups[0] if groups else None


def _ids(read: ReadAlias) -> Ids | None:
    spec = read.alias.specs[0] if read.alias else {}
    ids = spec.get("vendor_id"), spec.get("product_id")
    return (ids[0], ids[1]) if ids[0] and ids[1] else None


def _is_near(reported: Reported, wanted: RequestGroup) -> bool:
    of = reported.resource_class
    return of is not None and NearNames([of]).near(wanted.resource_class, 255) == of


def _said(reported: list[Reported], traits: bool) -> str:
    if not traits:
        found = sorted({each.resource_class or "a class made of the ids" for each in reported})
    else:
        found = sorted({", ".join(sorted(each.traits or ())) or "none" for each in reported})
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")

"""The resource class and traits that aliases ask Placement for, against those reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wholecard.core.near_names import NearNames
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic, listed
from wholecard.nova.lint.hosts_known import Ids, Known
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import Device, PciRequest, PlacementError, Spec, placement
from wholecard.nova.match.placement import RequestGroup


@dataclass(frozen=True)
class Reported:
    """What Placement has of a device, `*` in its ids where the device_spec leaves them open.

    `resource_class` is None for the classes that nova makes of ids that are open, `traits` too
    where nova refuses the tags: once they are fixed they may be anything.
    """

    ids: Ids
    resource_class: str | None
    traits: frozenset[str] | None

    def satisfies(self, group: RequestGroup) -> bool:
        """Whether it is of the class and has the traits."""
        return self.traits is None or (self.has_class(group) and group.traits <= self.traits)

    def has_class(self, group: RequestGroup) -> bool:
        """Whether it is, or may be, of the class."""
        is_made = self.resource_class is None and placement.is_class_of_ids(group.resource_class)
        return is_made or self.resource_class == group.resource_class

    def may_have(self, ids: Ids | None) -> bool:
        """Whether a device of these ids may be one of these."""
        return ids is not None and all(
            mine in ("*", other) for mine, other in zip(self.ids, ids, strict=True)
        )

    def is_near(self, group: RequestGroup) -> bool:
        """Whether its class differs from the requested one by a letter."""
        mine = self.resource_class
        # Placement allows names of up to 255 characters (placement, schemas/resource_class.py).
        return mine is not None and NearNames([mine]).near(group.resource_class, 255) == mine


def reported_by(computes: Iterable[Service]) -> list[Reported]:
    """What the computes report: of the devices that they give, else what their files say."""
    reported: dict[Reported, None] = {}
    for compute in computes:
        for device, spec in _devices(compute):
            reported[_reported(device, spec, compute)] = None
    return list(reported)


def _devices(compute: Service) -> Iterator[tuple[Device, Spec]]:
    """The devices that a compute gives, each under its device_spec; without facts one a spec."""
    if not compute.facts:
        for read in compute.specs:
            if read.spec:
                yield Device("0000:00:00.0", read.spec.vendor_id, read.spec.product_id), read.spec
    elif compute.rules.report_in_placement:
        for given in compute.given:
            if spec := given.specs[0].spec:
                yield given.device, spec


def _reported(device: Device, spec: Spec, compute: Service) -> Reported:
    ids = (device.vendor_id, device.product_id)
    try:
        resource_class = placement.resource_class_of(device, spec)
        traits = placement.traits_of(device, spec, compute.rules)
    except PlacementError:
        return Reported(ids, None, None)
    is_open = "*" in ids and not spec.tags.get("resource_class")
    return Reported(ids, None if is_open else resource_class, traits)


def check_requested(services: Sequence[Service], known: Known) -> Iterator[Diagnostic]:
    """The class and traits of each alias are those of some device_spec, where facts are missing.

    Where the facts of every compute are known `placement_answer` checks the devices themselves.
    """
    computes = [service for service in services if service.role == "compute" and service.specs]
    if all(compute.facts for compute in computes) or has_refused_spec(computes):
        return
    reported = reported_by(computes)
    for service in services:
        for alias in service.aliases if service.role == "api" else ():
            yield from service.as_own(misfits(service, alias, reported, known))


def has_refused_spec(computes: Iterable[Service]) -> bool:
    """Whether nova refuses a device_spec, so that what the compute gives is not known."""
    return any(spec.error for compute in computes for spec in compute.specs)


def misfits(
    service: Service, alias: ReadAlias, reported: list[Reported], known: Known
) -> Iterator[Diagnostic]:
    """An alias whose class and traits nothing has that is reported."""
    group = request_group(service, alias)
    if group is None or not reported or any(device.satisfies(group) for device in reported):
        return
    of_ids = [device for device in reported if device.may_have(_ids(alias))]
    if (known.complete and not known.others) or _is_meant(service, alias, group, reported):
        yield _misfit(alias, group, of_ids, reported)


def _is_meant(
    service: Service, alias: ReadAlias, group: RequestGroup, reported: list[Reported]
) -> bool:
    """Whether an alias is for something reported here, where it may be for an unknown host.

    It is by its ids, or without ids by a class that is nearly reported, where no other alias asks
    for the same.
    """
    ids = _ids(alias)
    candidates = [one for one in reported if (one.may_have(ids) if ids else one.is_near(group))]
    groups = [request_group(service, other) for other in service.aliases if other is not alias]
    return any(
        not any(device.satisfies(other) for other in groups if other) for device in candidates
    )


def _misfit(
    alias: ReadAlias, group: RequestGroup, of_ids: list[Reported], reported: list[Reported]
) -> Diagnostic:
    of_class = [device for device in reported if device.has_class(group)]
    if of_class:
        key, requested = "traits", f"the traits {', '.join(sorted(group.traits))}"
        names = {", ".join(sorted(device.traits or ["none"])) for device in of_class}
    else:
        key = "resource_class" if "resource_class" in alias.conf else "name"
        requested, open_class = group.resource_class, "a class made from the ids"
        names = {device.resource_class or open_class for device in of_ids or reported}
    return entry_diagnostic(
        "WC245", alias.value.at_value((key,)),
        f"the alias requests {requested} from Placement, but nova-compute reports "
        f"{listed(sorted(names))}: no host is found",
        "Write the same resource_class and traits into alias and device_spec.",
    )  # fmt: skip


def is_reported(service: Service, alias: ReadAlias, reported: list[Reported]) -> bool:
    """Whether something is of the class of an alias, or that is not known."""
    group = request_group(service, alias)
    return group is None or not reported or any(device.has_class(group) for device in reported)


def request_group(service: Service, read: ReadAlias) -> RequestGroup | None:
    """What an alias asks Placement for; None where it does not ask Placement, or is wrong."""
    alias = read.alias
    if alias is None or len(alias.specs) != 1:
        return None
    request = PciRequest(alias.name, 1, alias.specs, "legacy", "0")
    return next(iter(placement.groups_of([request], service.rules)), None)


def _ids(read: ReadAlias) -> Ids | None:
    spec = read.alias.specs[0] if read.alias else {}
    vendor, product = spec.get("vendor_id"), spec.get("product_id")
    return (vendor, product) if vendor and product else None

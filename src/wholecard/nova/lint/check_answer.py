"""Aliases against the devices that the computes give: whether any can answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wholecard.nova.lint.check_roles import reported_as
from wholecard.nova.lint.remark import ERROR, WARNING, Edit, Remark, remark
from wholecard.nova.lint.service import Given, ReadAlias, Service
from wholecard.nova.match import Alias, Pools, Request, groups_of

_TYPES = ("type-PCI", "type-PF", "type-VF")


def check_answers(services: Sequence[Service]) -> Iterator[Remark]:
    """Each alias finds at least one device on some host, were all of them free."""
    computes = [each for each in services if each.facts and _may_give(each)]
    # Where a device_spec is refused nothing can be said of what is given.
    if not computes or any(spec.error for each in computes for spec in each.specs):
        return
    pools = [each for compute in computes for each in _pools(compute)]
    given = [each for compute in computes for each in compute.given]
    for service in services:
        if not (service.role in (None, "api") or service in computes):
            continue
        for alias in service.aliases:
            if alias.alias is not None and not _answered(alias.alias, pools):
                found = _unanswered(alias, alias.alias, given, pools)
                if found:
                    yield found
            elif alias.alias is not None:
                yield from _on_no_node(alias, alias.alias, computes)
                yield from _not_in_placement(service, alias, computes)


def _may_give(service: Service) -> bool:
    return service.role in (None, "compute") and bool(service.specs)


def _pools(compute: Service, on_a_node: bool = False) -> list[Pools]:
    """What each host gives; with `on_a_node` only the devices whose NUMA node is known."""
    found = []
    for facts in compute.facts:
        mine = [
            each for each in compute.given
            if each.facts is facts and not (on_a_node and each.device.numa_node is None)
        ]  # fmt: skip
        specs = {id(each.specs[0]): each.specs[0].spec for each in mine}
        # In the order of the file, for the first that matches counts.
        ordered = [
            each.spec for each in compute.specs if id(each) in specs and each.spec is not None
        ]
        found.append(
            Pools.of([each.device for each in mine], ordered, compute.rules, host_cells=None)
        )
    return found


def _answered(alias: Alias, pools: list[Pools]) -> bool:
    request = Request(alias.name, 1, alias.specs, "preferred")
    return any(each.supports([request]) for each in pools)


def _on_no_node(alias: ReadAlias, made: Alias, computes: list[Service]) -> Iterator[Remark]:
    """A policy that wants a device's NUMA node, and devices that have none.

    nova, nova/pci/stats.py, `_filter_pools_for_numa_cells`: `legacy` takes such devices, `required`
    and `socket` never do where the guest has NUMA nodes.
    """
    if made.numa_policy not in ("required", "socket"):
        return
    if any(_answered(made, _pools(compute, on_a_node=True)) for compute in computes):
        return
    yield remark(
        "WC260", WARNING, alias.value.at_value(("numa_policy",)),
        f"numa_policy {made.numa_policy}, and no device that it asks for has a NUMA node: a server "
        "with NUMA nodes of its own finds no host",
        'Write "numa_policy": "legacy", or have the host\'s firmware tell the NUMA node '
        "(numa_node in /sys/bus/pci/devices/ADDRESS is -1).",
    )  # fmt: skip


def _unanswered(
    alias: ReadAlias, made: Alias, given: list[Given], pools: list[Pools]
) -> Remark | None:
    if any(entry["vendor_id"] == device.device.product_id
           and entry.get("product_id") == device.device.vendor_id
           for entry in made.specs if "vendor_id" in entry for device in given):  # fmt: skip
        # Said of the ids themselves.
        return None
    types = _types_that_answer(made, pools)
    if types:
        said = made.specs[0].get("dev_type")
        spot = alias.value.at_value(("device_type",) if said else ("name",))
        asks = f"asks for {said}" if said else "has no device_type, and so asks for no PF"
        return remark(
            "WC254", ERROR, spot,
            f"{asks}, and nova reports these devices as {' and '.join(types)}: no host has any",
            f'Write "device_type": "{types[0]}".',
            _typed(alias, types) if len(types) == 1 else (),
        )  # fmt: skip
    return remark(
        "WC253", ERROR, alias.value.at_value(("name",)),
        f"no device that the computes give can answer: {_reason(made, pools)}",
        "Write the ids as lspci -nn prints them there, or add a device_spec for these devices.",
    )  # fmt: skip


def _types_that_answer(made: Alias, pools: list[Pools]) -> list[str]:
    """The device types with which the alias would find something."""
    found = []
    for kind in _TYPES:
        specs = tuple({**spec, "dev_type": kind} for spec in made.specs)
        if _answered(Alias(made.name, made.numa_policy, specs), pools):
            found.append(kind)
    return found


def _typed(alias: ReadAlias, types: list[str]) -> tuple[Edit, ...]:
    value = alias.value
    if not value.is_own_text:
        return ()
    if "device_type" in alias.conf:
        return value.replaced(("device_type",), types[0])
    spot = value.at_key(("name",))
    return (type(spot)(spot.entry, spot.offset, 0).edit(f'"device_type": "{types[0]}", '),)


def _reason(made: Alias, pools: list[Pools]) -> str:
    request = Request(made.name, 1, made.specs, "preferred")
    for each in pools:
        trail = each.supports([request]).broken
        if trail is not None and trail.broken is not None and trail.broken.reason:
            return " ".join(trail.broken.reason.split())[:300]
    return "no device is given at all"


def _not_in_placement(
    service: Service, alias: ReadAlias, computes: list[Service]
) -> Iterator[Remark]:
    """Placement is asked for a class and traits, which have to be those that are reported."""
    if not service.rules.pci_in_placement or alias.alias is None or len(alias.alias.specs) != 1:
        return
    reporting = [each for each in computes if each.rules.report_in_placement]
    reported = [
        found
        for compute in reporting
        for each in compute.given
        if each.specs[0].spec is not None
        and (found := reported_as(each.device, each.specs[0].spec, compute)) is not None
    ]
    if not reported:
        return
    request = Request(alias.name, 1, alias.alias.specs, "preferred", "0")
    for group in groups_of([request], service.rules):
        if not any(
            group.resource_class == of and group.traits <= traits for of, traits in reported
        ):
            classes = sorted({of for of, _ in reported})
            asked = " with ".join([group.resource_class, *([", ".join(sorted(group.traits))]
                                                          if group.traits else [])])  # fmt: skip
            yield remark(
                "WC253", ERROR, alias.value.at_value(("name",)),
                f"Placement is asked for {asked}, and the computes report {', '.join(classes[:4])}",
                "Write the same resource_class and traits into alias and device_spec.",
            )  # fmt: skip

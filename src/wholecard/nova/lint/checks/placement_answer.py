"""Aliases against the devices that the computes give: whether any can answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wholecard.nova.lint.checks.inventory import WITHOUT_VMD, is_exchanged
from wholecard.nova.lint.checks.resource_classes import Reported, is_reported, misfits, reported_by
from wholecard.nova.lint.diagnostic import ERROR, WARNING, Diagnostic, TextEdit, remark
from wholecard.nova.lint.hosts_known import Ids, Known, is_near
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import Alias, PciRequest, Pools
from wholecard.pci import Address
from wholecard.pci.device_types import DEVICE_TYPES


def check_answers(services: Sequence[Service], known: Known) -> Iterator[Diagnostic]:
    """Each alias finds at least one device on some host, were all of them free."""
    computes = known.computes
    # Where a device_spec is refused nothing can be said of what is given.
    if not computes or any(spec.error for each in computes for spec in each.specs):
        return
    pools = [each for compute in computes for each in _pools(compute)]
    # Else the files are asked: see `check_classes`.
    is_told = all(each.facts for each in services if each.role == "compute")
    reported = reported_by(computes) if is_told else []
    for service in services:
        if service.role in (None, "api") or service in computes:
            found = _of_service(service, known, pools, reported)
            yield from service.says(found)


def _of_service(
    service: Service, known: Known, pools: list[Pools], reported: list[Reported]
) -> Iterator[Diagnostic]:
    read = [(each, each.alias) for each in service.aliases if each.alias is not None]
    answered = {id(made) for _, made in read if _answered(made, pools)}
    asked = {ids for _, made in read if id(made) in answered for ids in _ids(made)}
    for alias, made in read:
        types = () if id(made) in answered else _types_that_answer(made, pools)
        if id(made) in answered:
            yield from _on_no_node(alias, made, known.computes)
        elif types and (_ids(made) or is_reported(service, alias, reported)):
            yield _of_type(alias, made, types)
        elif not types:
            yield from _unanswered(service, alias, made, known, asked)
        if id(made) in answered or types:
            yield from misfits(service, alias, reported, known)


def _pools(compute: Service, on_a_node: bool = False) -> list[Pools]:
    """What each host gives; with `on_a_node` only the devices whose NUMA node is known."""
    found = []
    for facts in compute.hosts:
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
    request = PciRequest(alias.name, 1, alias.specs, "preferred")
    return any(each.supports([request]) for each in pools)


def _on_no_node(alias: ReadAlias, made: Alias, computes: Sequence[Service]) -> Iterator[Diagnostic]:
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


def _of_type(alias: ReadAlias, made: Alias, types: Sequence[str]) -> Diagnostic:
    said = made.specs[0].get("dev_type")
    spot = alias.value.at_value(("device_type",) if said else ("name",))
    asks = f"asks for {said}" if said else "has no device_type, and so asks for no PF"
    return remark(
        "WC254", ERROR, spot,
        f"{asks}, and nova reports these devices as {' and '.join(types)}: no host has any",
        f'Write "device_type": "{types[0]}".',
        _typed(alias, types) if len(types) == 1 else (),
    )  # fmt: skip


def _unanswered(
    service: Service, alias: ReadAlias, made: Alias, known: Known, asked: set[Ids]
) -> Iterator[Diagnostic]:
    """An alias for which the computes give no device, unless it is for another host's.

    `asked` are the ids of the aliases for which they give one. Of the hosts nova-api has all
    aliases, and so has each compute, for a server may be moved to it.
    """
    ids = _ids(made)
    if any(is_exchanged(service, each, known.there | known.elsewhere) for each in ids):
        # Said of the ids themselves.
        return
    if ids & known.elsewhere:
        return
    near = sorted(other for other in known.there - asked for each in ids if is_near(each, other))
    meant = bool(ids & known.there) or (bool(near) and not ids & known.kinds) or not ids
    if not known.complete and not meant:
        return
    why, fix = _reason(made, ids, near, known)
    yield remark(
        "WC253", ERROR, alias.value.at_value(("name",)),
        f"no device that the computes give can answer: {why}", fix,
    )  # fmt: skip


def _ids(made: Alias) -> set[Ids]:
    """The vendor and product of each of its specs that has both."""
    return {
        (spec["vendor_id"], spec["product_id"])
        for spec in made.specs
        if spec.get("vendor_id") and spec.get("product_id")
    }


def _types_that_answer(made: Alias, pools: list[Pools]) -> Sequence[str]:
    """The device types with which the alias would find something."""
    found = []
    for kind in DEVICE_TYPES:
        specs = tuple({**spec, "dev_type": kind} for spec in made.specs)
        if _answered(Alias(made.name, made.numa_policy, specs), pools):
            found.append(kind)
    return found


def _typed(alias: ReadAlias, types: Sequence[str]) -> tuple[TextEdit, ...]:
    value = alias.value
    if not value.is_own_text:
        return ()
    if "device_type" in alias.conf:
        return value.replaced(("device_type",), types[0])
    spot = value.at_key(("name",))
    return (type(spot)(spot.entry, spot.offset, 0).edit(f'"device_type": "{types[0]}", '),)


_LSPCI = "Write the ids as lspci -nn prints them there, or add a device_spec for these devices."


def _reason(made: Alias, ids: set[Ids], near: list[Ids], known: Known) -> tuple[str, str]:
    """Why nothing that is given answers, and what to do."""
    given = {(each.device.vendor_id, each.device.product_id) for each in known.given}
    for one in sorted(ids & known.there - given):
        there = [
            (facts.name, device.address)
            for facts in known.met
            for device in facts.devices
            if (device.vendor_id, device.product_id) == one
        ]
        where = f"{there[0][0]} has it at {there[0][1]}"
        if all(Address.parse(address).in_wide_domain for _, address in there):
            return f"{where}, in a domain above ffff, which nova passes over", WITHOUT_VMD
        return (
            f"{where}, and no device_spec gives it",
            f'Add device_spec = {{"vendor_id": "{one[0]}", "product_id": "{one[1]}"}} for it.',
        )
    if not given:
        return "no device is given at all", _LSPCI
    if ids & given or not ids:
        return _of_pools(made, known), "Write the same keys into alias and device_spec."
    asks = ", ".join(":".join(each) for each in sorted(ids))
    has = [":".join(each) for each in near or sorted(given)]
    more = f" and {len(has) - 4} more" if len(has) > 4 else ""
    return f"it asks for {asks}, and the hosts have {', '.join(has[:4])}{more}", _LSPCI


def _of_pools(made: Alias, known: Known) -> str:
    """In which of its keys an alias differs from what has its ids."""
    request = PciRequest(made.name, 1, made.specs, "preferred")
    ids = _ids(made)
    for compute in known.computes:
        for pools in _pools(compute):
            trail = pools.supports([request]).broken
            of_ids = any(
                (each.vendor_id, each.product_id) in ids
                for pool in pools.pools
                for each in pool.devices
            )
            if (of_ids or not ids) and trail and trail.broken and trail.broken.reason:
                return " ".join(trail.broken.reason.split())[:300]
    return "what they give differs in other keys"

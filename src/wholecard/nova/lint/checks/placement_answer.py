"""Aliases against the devices that the computes give: whether any satisfies them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from wholecard.nova.lint.checks import resource_classes
from wholecard.nova.lint.checks.inventory import WITHOUT_VMD, is_exchanged
from wholecard.nova.lint.diagnostic import Diagnostic, Spot, TextEdit, entry_diagnostic, listed
from wholecard.nova.lint.hosts_known import Ids, Known, is_near
from wholecard.nova.lint.service import ReadAlias, Service
from wholecard.nova.match import Alias, PciRequest, Pools
from wholecard.pci import Address
from wholecard.pci.device_types import DEVICE_TYPES


def check_answers(services: Sequence[Service], known: Known) -> Iterator[Diagnostic]:
    """Each alias finds at least one device on some host, were all of them free."""
    computes = known.computes
    if not computes or resource_classes.has_refused_spec(computes):
        return
    pools = list(chain.from_iterable(map(_pools, computes)))
    # Where facts are missing `resource_classes.check_requested` reads the files instead.
    has_facts = all(service.facts for service in services if service.role == "compute")
    reported = resource_classes.reported_by(computes) if has_facts else []
    for service in services:
        # A compute needs the aliases too: a server may be moved to it.
        if service.role in (None, "api") or service in computes:
            yield from service.as_own(_of_service(service, known, pools, reported))


def _of_service(
    service: Service, known: Known, pools: list[Pools], reported: list[resource_classes.Reported]
) -> Iterator[Diagnostic]:
    """What is wrong with a service's aliases, by the pools of each host and what Placement has."""
    aliases = [(read, read.alias) for read in service.aliases if read.alias is not None]
    satisfied = {id(alias): alias for _, alias in aliases if _is_satisfied(alias, pools)}
    # The ids for which some alias gets a device.
    served = set().union(*map(_ids, satisfied.values()))
    for read, alias in aliases:
        if id(alias) in satisfied:
            yield from _on_no_node(read, alias, known.computes)
        elif types := _types_that_satisfy(alias, pools):
            if _ids(alias) or resource_classes.is_reported(service, read, reported):
                yield _of_type(read, alias, types)
        else:
            yield from _unsatisfied(service, read, alias, known, served)
            continue
        yield from resource_classes.misfits(service, read, reported, known)


def _pools(compute: Service, on_a_node: bool = False) -> list[Pools]:
    """What each host gives; with `on_a_node` only the devices whose NUMA node is known."""
    pools = []
    for facts in compute.hosts:
        given = [one for one in compute.given if one.facts is facts]
        given = [one for one in given if not on_a_node or one.device.numa_node is not None]
        counting = {id(one.specs[0]) for one in given}
        # In the order of the file: the first that matches counts.
        specs = [read.spec for read in compute.specs if read.spec and id(read) in counting]
        devices = [one.device for one in given]
        pools.append(Pools.of(devices, specs, compute.rules, host_cells=None))
    return pools


def _is_satisfied(alias: Alias, pools: list[Pools]) -> bool:
    request = PciRequest(alias.name, 1, alias.specs, "preferred")
    return any(of_host.supports([request]) for of_host in pools)


def _on_no_node(read: ReadAlias, alias: Alias, computes: Sequence[Service]) -> Iterator[Diagnostic]:
    """A policy that needs a device's NUMA node, and devices that have none.

    nova, nova/pci/stats.py, `_filter_pools_for_numa_cells`: `legacy` takes such devices, `required`
    and `socket` never do where the guest has NUMA nodes.
    """
    if alias.numa_policy in ("required", "socket") and not any(
        _is_satisfied(alias, _pools(compute, on_a_node=True)) for compute in computes
    ):
        yield entry_diagnostic(
            "WC260", read.value.at_value(("numa_policy",)),
            f"numa_policy {alias.numa_policy}, but no device that it requests has a NUMA node: a "
            "server with a NUMA topology finds no host",
            'Write "numa_policy": "legacy", or set up the host\'s firmware to report the NUMA node '
            "(numa_node in /sys/bus/pci/devices/ADDRESS is -1).",
        )  # fmt: skip


def _of_type(read: ReadAlias, alias: Alias, types: Sequence[str]) -> Diagnostic:
    requested = alias.specs[0].get("dev_type")
    spot = read.value.at_value(("device_type",) if requested else ("name",))
    asks = f"requests {requested}" if requested else "has no device_type and requests no PFs"
    return entry_diagnostic(
        "WC254", spot,
        f"{asks}, and nova reports these devices as {' and '.join(types)}: no host has any",
        f'Write "device_type": "{types[0]}".',
        _typed(read, types) if len(types) == 1 else (),
    )  # fmt: skip


def _unsatisfied(
    service: Service, read: ReadAlias, alias: Alias, known: Known, served: set[Ids]
) -> Iterator[Diagnostic]:
    """An alias for which the computes give no device, unless it is for another host's.

    nova-api has the aliases of all hosts, and so has each compute, for a server may be moved to
    it. `served` are the ids of the aliases that get a device.
    """
    ids = _ids(alias)
    host_ids = known.covered_ids | known.other_ids
    # Exchanged ids have a rule of their own.
    if any(is_exchanged(service, pair, host_ids) for pair in ids) or ids & known.other_ids:
        return
    near = sorted(
        other for other in known.covered_ids - served for pair in ids if is_near(pair, other)
    )
    if known.complete or _is_meant(ids, near, known):
        why, fix = _reason(alias, ids, near, known)
        yield entry_diagnostic(
            "WC253", read.value.at_value(("name",)),
            f"no device that nova-compute offers satisfies it: {why}", fix,
        )  # fmt: skip


def _is_meant(ids: set[Ids], near: list[Ids], known: Known) -> bool:
    """Whether an alias is for a host that is known: by its ids, or by ids that are mistyped."""
    return not ids or bool(ids & known.covered_ids) or (bool(near) and not ids & known.kinds)


def _ids(alias: Alias) -> set[Ids]:
    """The vendor and product of each of its specs that has both."""
    return {
        (spec["vendor_id"], spec["product_id"])
        for spec in alias.specs
        if spec.get("vendor_id") and spec.get("product_id")
    }


def _types_that_satisfy(alias: Alias, pools: list[Pools]) -> Sequence[str]:
    """The device types with which the alias would find something."""
    typed = {
        device_type: tuple({**spec, "dev_type": device_type} for spec in alias.specs)
        for device_type in DEVICE_TYPES
    }
    return [name for name in typed if _is_satisfied(replace(alias, specs=typed[name]), pools)]


def _typed(alias: ReadAlias, types: Sequence[str]) -> tuple[TextEdit, ...]:
    value = alias.value
    if not value.is_own_text:
        return ()
    if "device_type" in alias.conf:
        return value.replaced(("device_type",), types[0])
    spot = value.at_key(("name",))
    return (Spot(spot.entry, spot.offset, 0).edit(f'"device_type": "{types[0]}", '),)


_LSPCI = (
    "Write the ids as lspci -nn prints them on the host, or add a device_spec for these devices."
)


def _reason(alias: Alias, ids: set[Ids], near: list[Ids], known: Known) -> tuple[str, str]:
    """Why nothing that is given satisfies an alias, and what to do."""
    given = {(device.device.vendor_id, device.device.product_id) for device in known.given}
    not_given = sorted(ids & known.covered_ids - given)
    if not_given:
        return _not_given(not_given[0], known)
    if not given:
        return "no device_spec matches any device", _LSPCI
    if ids & given or not ids:
        return _of_pools(alias, known), "Write the same keys into alias and device_spec."
    requested = ", ".join(":".join(pair) for pair in sorted(ids))
    present = [":".join(pair) for pair in near or sorted(given)]
    return f"it requests {requested}, but the hosts have {listed(present)}", _LSPCI


def _not_given(ids: Ids, known: Known) -> tuple[str, str]:
    """Why the devices with these ids, which the hosts have, are not given, and what to do."""
    devices = [
        (facts.name, device.address)
        for facts in known.covered
        for device in facts.devices
        if (device.vendor_id, device.product_id) == ids
    ]
    where = f"{devices[0][0]} has it at {devices[0][1]}"
    if all(Address.parse(address).in_wide_domain for _, address in devices):
        return f"{where}, in a domain above ffff, which nova ignores", WITHOUT_VMD
    return (
        f"{where}, but no device_spec matches it",
        f'Add device_spec = {{"vendor_id": "{ids[0]}", "product_id": "{ids[1]}"}} for it.',
    )


def _of_pools(alias: Alias, known: Known) -> str:
    """In which of its keys an alias differs from what has its ids."""
    request = PciRequest(alias.name, 1, alias.specs, "preferred")
    ids = _ids(alias)
    for compute in known.computes:
        for pools in _pools(compute):
            trail = pools.supports([request]).broken
            has_ids = any(
                (device.vendor_id, device.product_id) in ids
                for pool in pools.pools
                for device in pool.devices
            )
            if (has_ids or not ids) and trail and trail.broken and trail.broken.reason:
                return " ".join(trail.broken.reason.split())[:300]
    return "the devices differ from the alias in other keys"

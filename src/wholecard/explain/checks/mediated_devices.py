"""The checks of mediated devices (vGPUs): what nova-compute offers, and what Placement has left.

Source: `wholecard.nova.match.mdevs`; nova, nova/virt/libvirt/driver.py, `_get_gpu_inventories`.
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.cloud.placement.provider_tree import Inventory, ResourceProvider
from wholecard.core.units import joined
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import ASK_CLOUD, PROVIDERS, HostCase
from wholecard.explain.evidence.conf_values import files, misnamed, spelled
from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.evidence.mediated_devices import MdevDemand, mdev_demands
from wholecard.nova.lint.service import Facts, Service
from wholecard.nova.lint.types_of_mdevs import ReadTypes, mdevs_of, parents_of, read_types
from wholecard.nova.match.mdevs import VGPU, MdevTypes


def requested(evidence: Evidence) -> CheckResult:
    """What the flavor asks for; several groups count since 2026.1 only."""
    demands = mdev_demands(evidence)
    says = ", ".join(f"{one.key}={one.amount}" for one in demands)
    return ok(f"{says} requests mediated devices", evidence.request.source)


def types(case: HostCase) -> CheckResult:
    """Whether nova-compute starts with its types, and offers the class that is asked for."""
    conf = case.host.conf
    if conf is None:
        return unknown("the types of mediated devices are not known", case.conf_option)
    read, release = _read(case), case.evidence.release
    if read is None:
        return failed(
            "WC351",
            f"nova-compute on {case.host.name} enables no type of mediated devices."
            f"{misnamed(conf, 'enabled_mdev_types', release)}",
            f"Set {spelled('enabled_mdev_types', release)} there to a type that "
            "/sys/class/mdev_bus/*/mdev_supported_types lists, and restart nova-compute.",
            files(conf),
        )
    if read.nova is None:
        reason = read.error.reason if read.error else ""
        return failed(
            "WC351",
            f"nova-compute on {case.host.name} does not start: {reason}.",
            f"wholecard nova lint shows the line. Correct it, and start nova-compute on "
            f"{case.host.name}.",
            files(conf),
        )
    return _of_classes(case, read.nova)


def _of_classes(case: HostCase, nova: MdevTypes) -> CheckResult:
    """Whether the host's types have the classes, by its files alone."""
    conf = case.host.conf
    seen = files(conf) if conf else ""
    offered = {*nova.classes.values(), *((VGPU,) if nova.default else ())}
    for demand in mdev_demands(case.evidence):
        if demand.resource_class not in offered:
            return failed(
                "WC353",
                f"The flavor asks for {demand.resource_class}; the types of {case.host.name} are "
                f"{joined(sorted(offered))} in Placement.",
                "Write the flavor's class as mdev_class, with device_addresses, into the type's "
                "section, or ask for another class.",
                seen,
            )
        if demand.resource_class not in nova.counted:
            return failed(
                "WC353",
                f"{case.host.name} reports {demand.resource_class}, and nova-compute there makes "
                f"devices of {joined(sorted(nova.counted))} alone: the server starts without its "
                "device (WC268).",
                f"Write device_addresses into [mdev_{nova.default}], or delete its mdev_class.",
                seen,
            )
    return ok(f"types {', '.join(nova.used)}", seen)


def parents(case: HostCase) -> CheckResult:
    """Whether the host's drivers offer the types, and nova keeps the parents."""
    facts = _facts(case)
    if facts is None:
        return unknown("what the host's drivers offer is not known", case.facts_option)
    read = _read(case)
    if read is None or read.nova is None:
        return unknown("the types of mediated devices are not known", case.conf_option)
    inventories = read.nova.inventories(parents_of(facts), mdevs_of(facts))
    source = case.host.facts_source
    for demand in mdev_demands(case.evidence):
        own = {name: row.total for name, row in inventories.items()
               if row.resource_class == demand.resource_class}  # fmt: skip
        if not own:
            return failed(
                "WC352",
                f"No parent on {case.host.name} offers {joined(sorted(read.nova.used))}.",
                "Write a type that wholecard split types --facts lists for this host, and restart "
                "nova-compute.",
                source,
            )
        if max(own.values()) < demand.amount:
            return _too_small(case, demand, own, source)
    offered = sum(row.total for row in inventories.values())
    return ok(f"{offered} offered by {len(inventories)} parents", source)


def _too_small(case: HostCase, demand: MdevDemand, own: dict[str, int], source: str) -> CheckResult:
    removed = sorted(name for name, total in own.items() if not total)
    if removed and not any(own.values()):
        return failed(
            "WC352",
            f"{joined(removed)} on {case.host.name} offers more than max_instances, so nova "
            "removes it from Placement.",
            "Delete max_instances, or write what all parents of the type offer together (WC267).",
            source,
        )
    return _not_from_one(case, demand, max(own.values()), source)


def _not_from_one(case: HostCase, demand: MdevDemand, most: int, source: str) -> CheckResult:
    return failed(
        "WC356",
        f"{demand.key}={demand.amount} must come from one parent, and the one of "
        f"{case.host.name} with the most has {most}.",
        f"Ask for groups: resources1:{demand.resource_class}=1, resources2:"
        f"{demand.resource_class}=1, group_policy=isolate (2026.1 on).",
        source,
    )


def providers(case: HostCase) -> CheckResult:
    """Whether Placement has the parents of the class."""
    tree = case.host.provider_tree
    if tree is None:
        return unknown("Placement was not asked", ASK_CLOUD.format(case.host.name))
    for demand in mdev_demands(case.evidence):
        if not tree.of_class(demand.resource_class):
            classes = sorted({row.resource_class for provider in tree.below
                              for row in provider.inventories or ()})  # fmt: skip
            return failed(
                "WC353",
                f"Placement has no {demand.resource_class} of {case.host.name}; below it there "
                f"is {joined(classes) or 'nothing'}.",
                "Enable the type there (enabled_mdev_types, mdev_class), look for max_instances, "
                "and restart nova-compute.",
                PROVIDERS,
            )
    return ok("it has providers of the class", PROVIDERS)


def inventory(case: HostCase) -> CheckResult:
    """Whether enough is left of one parent: an amount of a class never comes from two."""
    tree = case.host.provider_tree
    if tree is None:
        return unknown("Placement was not asked", ASK_CLOUD.format(case.host.name))
    for demand in mdev_demands(case.evidence):
        rows = list(_rows((tree.root, *tree.below), demand))
        if any(row.free >= demand.amount for _, row in rows):
            continue
        if sum(max(row.free, 0) for _, row in rows) >= demand.amount:
            most = max(row.free for _, row in rows)
            return _not_from_one(case, demand, most, PROVIDERS)
        return _all_used(case, demand, rows)
    return ok("enough is left", PROVIDERS)


def _all_used(
    case: HostCase, demand: MdevDemand, rows: list[tuple[ResourceProvider, Inventory]]
) -> CheckResult:
    total, used = sum(row.total for _, row in rows), sum(row.used for _, row in rows)
    holders = sorted({one for provider, _ in rows for one in provider.consumers or ()})
    by = f" by {', '.join(holders)}" if holders else ""
    return failed(
        "WC355",
        f"{used} of {total} {demand.resource_class} on {case.host.name} are allocated{by}.",
        "Wait, or delete or move a server. To find allocations of deleted servers:\n"
        "    wholecard audit",
        PROVIDERS,
    )


def _rows(
    providers_of_host: tuple[ResourceProvider, ...], demand: MdevDemand
) -> Iterator[tuple[ResourceProvider, Inventory]]:
    for provider in providers_of_host:
        row = provider.inventory(demand.resource_class)
        if row is not None and demand.traits <= provider.traits:
            yield provider, row


def _facts(case: HostCase) -> Facts | None:
    host = case.host
    if host.facts is None or host.slices is None:
        return None
    return Facts(host.name, host.facts)


def _read(case: HostCase) -> ReadTypes | None:
    if case.host.conf is None:
        return None
    facts = _facts(case)
    known = (facts,) if facts else ()
    return read_types(Service(case.host.conf, case.evidence.release, "compute", known))

"""The checks of the cards of one host beside the guest: near enough, and free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import ALIAS_UNKNOWN, PROVIDERS, HostCase
from wholecard.explain.evidence.card_providers import card_providers, has_cards
from wholecard.explain.evidence.conf_values import other
from wholecard.explain.evidence.host_numa import nodes_of
from wholecard.explain.evidence.requested_devices import class_of
from wholecard.nova.flavor.numa_fit import NumaNodes, fits, why_not
from wholecard.nova.match import PciRequest, Verdict

_WAIT = "Wait, delete or move a server, or request fewer cards"


def numa(case: HostCase) -> CheckResult:
    """Whether the guest's layout fits, with its cards where the policy needs them.

    nova, nova/scheduler/filters/numa_topology_filter.py, and the same again when nova-compute
    claims (nova/compute/claims.py, `_test_numa_topology`). A guest without NUMA topology gets its
    cards from any node, whatever the policy (nova/pci/stats.py, `_filter_pools_for_numa_cells`).
    """
    host, layout, requests = case.host, case.layout, case.requested.requests
    count = len(layout.cells)
    if not count:
        return _without_topology(requests)
    nodes = nodes_of(host)
    if nodes is None:
        says = f"the guest has {count} NUMA nodes; those of the host are not known"
        return unknown(says, case.facts_option)
    seats = tuple(fits(nodes, layout))
    if not seats:
        return failed(
            "WC317",
            f"The guest's NUMA topology does not fit {host.name}: {why_not(nodes, layout)}.",
            "Request less per NUMA node (hw:numa_nodes divides the guest), or add the missing "
            "resource to the host.",
            host.facts_source,
        )
    if not requests or case.devices.devices is None:
        says = "the guest's NUMA topology fits; the cards' NUMA nodes are not known"
        return unknown(says, case.facts_option, host.facts_source)
    verdict = _verdict(case, (), nodes, seats)
    if verdict:
        says = f"the guest's {_nodes_text(count)} fit with the cards"
        return ok(says, host.facts_source, warning=nodes.unsure or _shared_emulator(case))
    request = next(trail.request for trail in verdict.trails if trail.broken)
    return _too_far(case, request, nodes)


def _shared_emulator(case: HostCase) -> str:
    """Why QEMU's threads run on the guest's CPUs although they are to be apart; empty if not.

    nova, nova/virt/libvirt/driver.py, `_get_emulatorpin_cpuset`.
    """
    share = case.evidence.request.extra_specs.get("hw:emulator_threads_policy") == "share"
    conf = case.host.conf
    if not share or conf is None or other(conf, "compute", "cpu_shared_set"):
        return ""
    return (
        "hw:emulator_threads_policy=share has no effect: nova-compute has no [compute] "
        "cpu_shared_set, and QEMU's own threads run on the guest's CPUs"
    )


def _without_topology(requests: Sequence[PciRequest]) -> CheckResult:
    policies = {request.numa_policy for request in requests} - {"legacy"}
    note = f"; the policy {', '.join(sorted(policies))} has no effect" if policies else ""
    return ok(f"the guest has no NUMA topology{note}")


def _too_far(case: HostCase, request: PciRequest, nodes: NumaNodes) -> CheckResult:
    """The failure of the request whose cards are on other NUMA nodes than its policy needs."""
    name = case.host.name
    if request.numa_policy == "socket" and any(cell.socket is None for cell in nodes.cells):
        says = (
            "the policy is socket, and the host's facts do not have the sockets of its NUMA nodes"
        )
        return unknown(says, f"lscpu -e=NODE,SOCKET  # on {name}")
    alike = case.devices.alike(request)
    card_nodes = sorted({str(device.numa_node) for device in alike if device.numa_node is not None})
    where = "the host's firmware does not report the cards' NUMA nodes"
    if card_nodes:
        where = f"the host's cards are on NUMA node {', '.join(card_nodes)}"
    verb = "is" if request.count == 1 else "are"
    return failed(
        "WC316",
        f"The policy {request.numa_policy} cannot be met on {name}: the guest has "
        f"{_nodes_text(len(case.layout.cells))}, and {where}; {request.count} {verb} requested "
        "near the guest.",
        _policy_fix(case, request, bool(card_nodes)),
        case.evidence.request.source
        if case.layout.policy
        else case.requested.position(request.alias),
        case.host.facts_source,
    )


def _policy_fix(case: HostCase, request: PciRequest, nodes_known: bool) -> str:
    flavor = case.evidence.request.flavor_argument
    command = f"openstack flavor set {flavor} --property hw:pci_numa_affinity_policy=preferred" + (
        "\nOr divide the guest over the cards' NUMA nodes with hw:numa_nodes."
        if nodes_known
        else ""
    )
    if case.layout.policy:
        return f"Relax the policy in the flavor (or in the image that has it):\n    {command}"
    return (
        f'Set "numa_policy": "preferred" in the alias {request.alias}, or in the flavor:\n'
        f"    {command}"
    )


def free(case: HostCase) -> CheckResult:
    """Whether enough cards are left beside those that servers have."""
    host = case.host
    if not case.requested.requests:
        return ALIAS_UNKNOWN
    if host.taken is not None and case.devices.devices is not None:
        return _free_by_address(case, host.taken)
    if host.provider_tree is not None and has_cards(host.provider_tree, case.requested):
        return _free_by_inventory(case, host.provider_tree)
    if host.guests is not None:
        return _free_by_flavors(case)
    if host.provider_tree is not None and card_providers(host.provider_tree):
        return _free_by_inventory(case, host.provider_tree)
    return unknown("which cards servers have is not known", "--cloud NAME")


def _free_by_address(case: HostCase, taken: Mapping[str, str]) -> CheckResult:
    host, requests = case.host, case.requested.requests
    nodes = nodes_of(host)
    seats = tuple(fits(nodes, case.layout)) if nodes and case.layout.cells else ()
    verdict = _verdict(case, taken, nodes, seats)
    addresses = sorted(
        {device.address for request in requests for device in case.devices.alike(request)}
        & taken.keys()
    )
    if verdict:
        count = case.devices.count_selected(requests)
        return ok(f"{len(addresses)} of {count} in use", "Placement")
    near = " on NUMA nodes that the guest can use" if seats else ""
    holders = ", ".join(f"{address} by {taken[address]}" for address in addresses)
    says = f"Not enough cards are free on {host.name}{near}; in use: {holders}."
    return failed("WC318", says, _wait_on(host.name), "Placement")


def _free_by_inventory(case: HostCase, tree: ProviderTree) -> CheckResult:
    """Without facts, what Placement has left of the alias's class."""
    name = case.host.name
    for request in case.requested.requests:
        class_name = class_of(request)
        inventories = tree.below_of_class(class_name)
        if not inventories:
            return unknown(f"Placement has no {class_name} of this host", case.facts_option)
        used = sum(inventory.used for inventory in inventories)
        total = sum(inventory.total for inventory in inventories)
        if total - used < request.count:
            return failed(
                "WC318",
                f"Placement has {total} {class_name} of {name}, {used} are in use; "
                f"{request.count} are requested.",
                _wait_on(name),
                PROVIDERS,
            )
    return ok("Placement has enough free units of the class", PROVIDERS)


def _free_by_flavors(case: HostCase) -> CheckResult:
    host, devices = case.host, case.devices
    servers = "openstack server list"
    for request in case.requested.requests:
        alias = request.alias
        holders = [guest for guest in host.guests or () if guest.cards.get(alias)]
        used = sum(guest.cards[alias] for guest in holders)
        if devices.devices is None:
            return unknown(f"servers there have {used} of {alias}", case.facts_option, servers)
        total = sum(map(devices.selected, devices.alike(request)))
        if total - used < request.count:
            return failed(
                "WC318",
                f"{used} of the {total} cards of {alias} on {host.name} are in use by "
                f"{', '.join(guest.id for guest in holders)}; requested: {request.count}.",
                f"{_WAIT}.",
                servers,
            )
    return ok("enough are free, according to the flavors of the servers there", servers)


def _verdict(
    case: HostCase, taken: Iterable[str], nodes: NumaNodes | None, seats: Iterable[tuple[int, ...]]
) -> Verdict:
    """nova's verdict on the first seat that works, on the first one where none does."""
    requests = case.requested.requests
    pools = case.devices.pools(tuple(taken), nodes.cells if nodes else None)
    verdicts = (pools.supports(requests, seat) for seat in seats)
    first = next(verdicts, pools.supports(requests))
    return first or next(filter(None, verdicts), first)


def _wait_on(host: str) -> str:
    return f"{_WAIT}:\n    openstack server list --all-projects --host {host}"


def _nodes_text(count: int) -> str:
    return "one NUMA node" if count == 1 else f"{count} NUMA nodes"

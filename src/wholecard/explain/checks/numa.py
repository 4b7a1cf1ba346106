"""The links between the cards of one host and the guest: near enough, and free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.explain.checks.numa_fit import NumaNodes, fits, nodes_of, why_not
from wholecard.explain.evidence.card_providers import card_providers, has_cards
from wholecard.explain.evidence.evidence import HostEvidence
from wholecard.explain.evidence.host_devices import HostDevices
from wholecard.explain.evidence.requested_devices import RequestedDevices, alias_unknown, class_of
from wholecard.explain.link import CheckResult, broken, ok, unknown
from wholecard.nova.flavor.numa_topology import GuestLayout
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match import PciRequest as CardRequest
from wholecard.nova.match import Verdict


@dataclass(frozen=True)
class NearLinks:
    """The judges of one host, for a guest of this layout; `asked` is for its words."""

    asked: ServerRequest
    host: HostEvidence
    cards: HostDevices
    wanted: RequestedDevices
    layout: GuestLayout

    def numa(self) -> CheckResult:
        """Whether the guest's layout fits, with its cards where the policy wants them.

        nova, nova/scheduler/filters/numa_topology_filter.py, and the same again when nova-compute
        claims (nova/compute/claims.py, `_test_numa_topology`). A guest without NUMA topology gets
        its cards from anywhere, whatever the policy (nova/pci/stats.py,
        `_filter_pools_for_numa_cells`).
        """
        name = "NUMA"
        if not self.layout.cells:
            policies = {request.numa_policy for request in self.wanted.requests} - {"legacy"}
            note = f"; the policy {', '.join(sorted(policies))} has no effect" if policies else ""
            return ok(name, f"the guest has no NUMA topology{note}")
        nodes = nodes_of(self.host)
        if nodes is None:
            return unknown(
                name,
                f"the guest has {len(self.layout.cells)} NUMA nodes, the host's are not known",
                f"--facts {self.host.name}=FILE (wholecard inspect --save FILE there)",
            )
        seats = tuple(fits(nodes, self.layout))
        if not seats:
            return broken(
                name,
                "WC317",
                f"The guest's layout does not fit {self.host.name}: {why_not(nodes, self.layout)}.",
                "Ask for less per node (hw:numa_nodes spreads the guest), or give the host what "
                "is missing.",
                self.host.facts_source,
            )
        if not self.wanted.requests or self.cards.devices is None:
            return unknown(name, "the guest's layout fits; where the cards are is not known",
                           f"--facts {self.host.name}=FILE", self.host.facts_source)  # fmt: skip
        verdict = self._seated((), nodes, seats)
        if verdict:
            return ok(name, f"the guest's {_nodes(len(self.layout.cells))} fit with the cards",
                      self.host.facts_source, warning=nodes.unsure)  # fmt: skip
        return self._far(name, verdict, nodes)

    def _far(self, name: str, verdict: Verdict, nodes: NumaNodes) -> CheckResult:
        request = next(each.request for each in verdict.trails if each.broken)
        places = sorted(
            {"none" if each.numa_node is None else str(each.numa_node)
             for each in self.cards.alike(request)}
        )  # fmt: skip
        if request.numa_policy == "socket" and any(cell.socket is None for cell in nodes.cells):
            return unknown(
                name,
                "the policy is socket, and the host's facts do not tell its NUMA nodes' sockets",
                f"lscpu -e=NODE,SOCKET  # on {self.host.name}",
            )
        where = (
            "its firmware says of no card which NUMA node it is on"
            if places == ["none"]
            else f"its cards are on node {', '.join(places)}"
        )
        return broken(
            name,
            "WC316",
            f"The policy {request.numa_policy} cannot be met on {self.host.name}: the guest has "
            f"{_nodes(len(self.layout.cells))}, and {where}; {request.count} "
            f"{'is' if request.count == 1 else 'are'} wanted near it.",
            self._numa_fix(request, places),
            self.asked.source if self.layout.policy else self.wanted.place(request.alias),
            self.host.facts_source,
        )

    def _numa_fix(self, request: CardRequest, places: list[str]) -> str:
        spread = "" if places == ["none"] else (
            "\nOr spread the guest over the cards' nodes with hw:numa_nodes."
        )  # fmt: skip
        if self.layout.policy:
            return (
                "Ask for less in the flavor (or the image that says it):\n"
                f"    openstack flavor set {self.asked.flavor_typed} --property "
                f"hw:pci_numa_affinity_policy=preferred{spread}"
            )
        return (
            f'Let the alias {request.alias} say "numa_policy": "preferred", or ask for it in the '
            f"flavor:\n    openstack flavor set {self.asked.flavor_typed} --property "
            f"hw:pci_numa_affinity_policy=preferred{spread}"
        )

    def free(self) -> CheckResult:
        """Whether enough cards are left when those that servers have are taken away."""
        name, host = "free", self.host
        if not self.wanted.requests:
            return alias_unknown(name)
        if host.taken is not None and self.cards.devices is not None:
            return self._free_by_address(name, host.taken)
        if host.provider_tree is not None and has_cards(host.provider_tree, self.wanted):
            return self._free_by_inventory(name, host.provider_tree)
        if host.guests is not None:
            return self._free_by_flavors(name)
        if host.provider_tree is not None and card_providers(host.provider_tree):
            return self._free_by_inventory(name, host.provider_tree)
        return unknown(name, "which cards servers have is not known", "--cloud NAME")

    def _free_by_address(self, name: str, taken: Mapping[str, str]) -> CheckResult:
        host = self.host
        nodes = nodes_of(host)
        seats = tuple(fits(nodes, self.layout)) if nodes and self.layout.cells else ()
        verdict = self._seated(tuple(taken), nodes, seats)
        held = {
            each.address: taken[each.address]
            for request in self.wanted.requests
            for each in self.cards.alike(request)
            if each.address in taken
        }
        if verdict:
            return ok(
                name,
                f"{len(held)} of {self.cards.count_given(self.wanted.requests)} taken",
                "Placement",
            )
        near = "" if not seats else " where the guest's NUMA nodes could be"
        holders = ", ".join(f"{address} by {server}" for address, server in sorted(held.items()))
        return broken(
            name,
            "WC318",
            f"Not enough cards are free on {host.name}{near}: taken are {holders}.",
            "Wait, delete or move a server, or ask for fewer:\n"
            f"    openstack server list --all-projects --host {host.name}",
            "Placement",
        )

    def _free_by_inventory(self, name: str, tree: ProviderTree) -> CheckResult:
        """Without facts, what Placement has left of the alias's class."""
        for request in self.wanted.requests:
            inventories = tree.below_of_class(class_of(request))
            used = sum(inventory.used for inventory in inventories)
            total = sum(inventory.total for inventory in inventories)
            if not inventories:
                return unknown(
                    name,
                    f"Placement has no {class_of(request)} of this host",
                    f"--facts {self.host.name}=FILE",
                )
            if total - used < request.count:
                return broken(
                    name,
                    "WC318",
                    f"Placement has {total} {class_of(request)} of {self.host.name}, {used} are "
                    f"taken; {request.count} are asked for.",
                    "Wait, delete or move a server, or ask for fewer:\n"
                    f"    openstack server list --all-projects --host {self.host.name}",
                    "Placement's providers",
                )
        return ok(name, "Placement has enough left of its class", "Placement's providers")

    def _free_by_flavors(self, name: str) -> CheckResult:
        host = self.host
        guests = host.guests or ()
        for request in self.wanted.requests:
            held = sum(guest.cards.get(request.alias, 0) for guest in guests)
            if self.cards.devices is None:
                return unknown(name, f"servers there have {held} of {request.alias}",
                               f"--facts {host.name}=FILE", "openstack server list")  # fmt: skip
            there = sum(self.cards.given(each) for each in self.cards.alike(request))
            if there - held < request.count:
                holders = ", ".join(each.id for each in guests if each.cards.get(request.alias))
                return broken(
                    name,
                    "WC318",
                    f"{held} of the {there} cards of {request.alias} on {host.name} are taken by "
                    f"{holders}; asked for: {request.count}.",
                    "Wait, delete or move a server, or ask for fewer.",
                    "openstack server list",
                )
        return ok(name, "by the flavors of the servers there, enough are", "openstack server list")

    def _seated(
        self, taken: tuple[str, ...], nodes: NumaNodes | None, seats: Iterable[tuple[int, ...]]
    ) -> Verdict:
        """nova's verdict on the first seat that works, on the first one where none does."""
        pools = self.cards.pools(taken, nodes.cells if nodes else None)
        best = pools.supports(self.wanted.requests) if not (nodes and self.layout.cells) else None
        for seat in seats if best is None else ():
            verdict = pools.supports(self.wanted.requests, seat)
            if verdict:
                return verdict
            best = best or verdict
        return best if best is not None else pools.supports(self.wanted.requests)


def judges(links: NearLinks) -> dict[str, Callable[[], CheckResult]]:
    """The judges by the links' names."""
    return {"NUMA": links.numa, "free": links.free}


def _nodes(count: int) -> str:
    return "one NUMA node" if count == 1 else f"{count} NUMA nodes"

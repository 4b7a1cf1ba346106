"""The links of the host as a machine in Placement: CPUs, RAM, disk, traits, and where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wholecard.audit.chain import Link, broken, ok, unknown
from wholecard.audit.evidence import Evidence, HostEvidence
from wholecard.audit.guest import GuestLayout
from wholecard.audit.settings import items

_SOURCE = "Placement's providers"
# nova/scheduler/filters/aggregate_instance_extra_specs.py.
_AGGREGATE_FILTER = "AggregateInstanceExtraSpecsFilter"
_AGGREGATE_SCOPE = "aggregate_instance_extra_specs"


@dataclass(frozen=True)
class MachineLinks:
    """The judges of one host. `layout` is the guest's."""

    evidence: Evidence
    host: HostEvidence
    layout: GuestLayout

    def machine(self) -> Link:
        """Whether CPUs, RAM and disk are left, and the traits there that the request needs.

        nova, nova/scheduler/utils.py, `ResourceRequest`: a pinned guest wants PCPU, and
        NUMA policy socket, maxphysaddr and the flavor's `trait:` keys want traits of the host.
        """
        name, shelf = "machine", self.host.shelf
        if shelf is None:
            return unknown(
                name,
                "Placement was not asked",
                f"--cloud NAME, with --host {self.host.name} where there are many",
            )
        for resource, amount in self.amounts().items():
            stock = shelf.root.stock(resource)
            if stock is None and resource == "DISK_GB":
                continue
            if stock is None and resource == "PCPU":
                return self._no_pcpu(name, amount)
            if stock is None or stock.room < amount or stock.max_unit < amount:
                has = "none" if stock is None else f"{stock.room} of {stock.total} left"
                return broken(
                    name, "WC324",
                    f"{self.host.name} has too little {resource}: {has}, {amount} are asked for.",
                    "Use a smaller flavor, free some there, or look at the allocation ratio.",
                    _SOURCE,
                )  # fmt: skip
        required, forbidden = self.host_traits()
        lacking = sorted(required - shelf.root.traits)
        if lacking:
            return broken(
                name, "WC325",
                f"{self.host.name} lacks the traits {', '.join(lacking)}, which "
                f"{self._who_wants(lacking)} asks for.",
                "Use a host that has them, or ask for less; nova-compute reports what its "
                "hypervisor can do.",
                _SOURCE,
            )  # fmt: skip
        kept = sorted(forbidden & shelf.root.traits)
        if kept:
            return broken(
                name, "WC325",
                f"{self.host.name} has the trait {', '.join(kept)}, which must not be there.",
                "Enable its nova-compute, or take the trait off the request.", _SOURCE,
            )  # fmt: skip
        return ok(name, ", ".join(f"{k} {v}" for k, v in self.amounts().items()), _SOURCE)

    def _no_pcpu(self, name: str, amount: int) -> Link:
        return broken(
            name, "WC324",
            f"{self.host.name} has no PCPU, and the guest wants {amount} pinned CPUs.",
            "Set [compute] cpu_dedicated_set on that host and restart nova-compute.", _SOURCE,
        )  # fmt: skip

    def amounts(self) -> dict[str, int]:
        """What the guest wants of the host's own provider; what is not known is left out."""
        request = self.evidence.request
        pinned = sum(cell.pinned for cell in self.layout.cells)
        amounts = {
            "VCPU": (request.vcpus or 0) - pinned,
            "PCPU": pinned,
            "MEMORY_MB": request.ram_mb or 0,
            "DISK_GB": request.disk_gb or 0,
        }
        for key, value in request.extra_specs.items():
            match = re.fullmatch(r"resources:([A-Z0-9_]+)", key)
            if match and match[1] in amounts and str(value).isdecimal():
                amounts[match[1]] = int(value)
        return {resource: amount for resource, amount in amounts.items() if amount > 0}

    def host_traits(self) -> tuple[frozenset[str], frozenset[str]]:
        """The traits that the host must have, and must not have."""
        request, release = self.evidence.request, self.evidence.release.nova
        required: set[str] = set()
        forbidden = {"COMPUTE_STATUS_DISABLED"} if release >= 20 else set()
        for key, value in request.extra_specs.items():
            if key.startswith("trait:"):
                {"required": required, "forbidden": forbidden}.get(value, set()).add(key[6:])
        required |= {
            key.removeprefix("trait:")
            for key, value in request.properties.items()
            if key.startswith("trait:") and value == "required"
        }
        if self.layout.policy == "socket":
            required.add("COMPUTE_SOCKET_PCI_NUMA_AFFINITY")
        mode = request.extra_specs.get("hw:maxphysaddr_mode") or request.properties.get(
            "hw_maxphysaddr_mode"
        )
        if release >= 29 and mode in ("passthrough", "emulate"):
            word = "PASSTHROUGH" if mode == "passthrough" else "EMULATED"
            required.add(f"COMPUTE_ADDRESS_SPACE_{word}")
        return frozenset(required), frozenset(forbidden)

    def _who_wants(self, traits: list[str]) -> str:
        if traits == ["COMPUTE_SOCKET_PCI_NUMA_AFFINITY"]:
            return "the NUMA policy socket"
        if traits[0].startswith("COMPUTE_ADDRESS_SPACE"):
            return "hw:maxphysaddr_mode"
        return f"the flavor {self.evidence.request.flavor} or its image"

    def zone(self) -> Link:
        """Whether the host is where the request wants to be.

        nova, nova/scheduler/request_filter.py, `map_az_to_placement_aggregate`, and
        nova/scheduler/filters/aggregate_instance_extra_specs.py where that filter is enabled.
        """
        name, request = "zone", self.evidence.request
        missing = self._aggregate_missing(name)
        if missing:
            return missing
        if request.zone is None:
            return ok(name, "no zone was asked for")
        if self.host.zones is None:
            return unknown(name, f"its zone is not known, {request.zone} was asked for",
                           "--cloud NAME")  # fmt: skip
        if request.zone in self.host.zones:
            return ok(name, request.zone, "openstack availability zone list")
        return broken(
            name, "WC326",
            f"{self.host.name} is in the zone {', '.join(self.host.zones) or 'of no name'}, "
            f"{request.zone} was asked for.",
            f"Ask for another zone, or add the host to an aggregate of it:\n    openstack "
            f"aggregate add host AGGREGATE {self.host.name}",
            "openstack availability zone list",
        )  # fmt: skip

    def _aggregate_missing(self, name: str) -> Link | None:
        """The break by a flavor's key for aggregates, where the filter that reads it is enabled.

        Values with an operator (`s== x`, `>= 2`) are not judged.
        """
        conf, release = self.evidence.scheduler, self.evidence.release
        found = items(conf, "enabled_filters", release) if conf else None
        if self.host.aggregates is None or not found or _AGGREGATE_FILTER not in found[0]:
            return None
        for key, value in self.evidence.request.extra_specs.items():
            scope, _, word = key.partition(":")
            if scope != _AGGREGATE_SCOPE or not re.fullmatch(r"[\w.-]+", str(value)):
                continue
            if value in {each.metadata.get(word) for each in self.host.aggregates}:
                continue
            return broken(
                name, "WC326",
                f"{self.host.name} is in no aggregate with {word}={value}, which the flavor "
                f"{self.evidence.request.flavor} asks for.",
                f"Add the host to such an aggregate:\n    openstack aggregate add host AGGREGATE "
                f"{self.host.name}",
                found[1],
            )  # fmt: skip
        return None

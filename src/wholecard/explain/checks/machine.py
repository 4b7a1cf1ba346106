"""The links of the host as a machine in Placement: CPUs, RAM, disk, traits, and where it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.explain.checks.aggregates import aggregates_link
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.requested_devices import RequestedDevices, in_placement, traits_of
from wholecard.explain.evidence.second_question import NO_FALLBACK, no_second_question
from wholecard.explain.link import CheckResult, broken, ok, unknown
from wholecard.nova.flavor.resource_request import Demand, ResourceRequest, resource_request

_SOURCE = "Placement's providers"
# What in the request asks for a trait, by the beginning of its name.
_WANTING = (
    ("COMPUTE_ADDRESS_SPACE_", "hw:maxphysaddr_mode"),
    ("HW_CPU_HYPERTHREADING", "hw:cpu_thread_policy"),
    ("COMPUTE_SECURITY_TPM_", "hw:tpm_version"),
    ("COMPUTE_SECURITY_UEFI_SECURE_BOOT", "os:secure_boot"),
    ("COMPUTE_SECURITY_STATELESS_FIRMWARE", "hw_firmware_stateless"),
    ("HW_CPU_X86_AMD_SEV", "hw:mem_encryption"),
    ("COMPUTE_EPHEMERAL_ENCRYPTION", "hw:ephemeral_encryption"),
    ("COMPUTE_NET_VIRTIO_PACKED", "hw:virtio_packed_ring"),
    ("COMPUTE_SOUND_MODEL_VIRTIO", "hw:sound_model"),
    ("COMPUTE_ACCELERATORS", "accel:device_profile"),
)


@dataclass(frozen=True)
class MachineLinks:
    """The judges of one host, for what is wanted of its cards."""

    evidence: Evidence
    host: HostEvidence
    wanted: RequestedDevices = field(default_factory=RequestedDevices)

    @property
    def asked(self) -> ResourceRequest:
        """What nova asks Placement for besides cards."""
        return resource_request(self.evidence.request, self.evidence.release)

    def machine(self) -> CheckResult:
        """Whether the host has what nova asks Placement for besides cards."""
        name, tree, asked = "machine", self.host.provider_tree, self.asked
        if tree is None:
            return unknown(
                name,
                "Placement was not asked",
                f"--cloud NAME, with --host {self.host.name} where there are many",
            )
        pcpu = asked.machine.resources.get("PCPU")
        if asked.pinned and pcpu and not tree.of_class("PCPU"):
            return self._without_pcpu(name, tree, pcpu)
        return self._judged(name, tree, asked)

    def _judged(self, name: str, tree: ProviderTree, asked: ResourceRequest) -> CheckResult:
        lacking = self._too_little(name, tree, asked.machine) or self._traits(name, tree, asked)
        if lacking:
            return lacking
        if asked.groups and not self._answered(asked):
            suffixes = ", ".join(f"resources{suffix}" for suffix in asked.groups)
            return unknown(
                name,
                f"whether one provider each has what {suffixes} and their traits ask for",
                "--cloud NAME asks Placement, where group_policy is not isolate",
            )
        return ok(name, ", ".join(f"{k} {v}" for k, v in asked.machine.resources.items()), _SOURCE)

    def _answered(self, asked: ResourceRequest) -> bool:
        """Whether Placement found a candidate when it was asked for the groups as well."""
        last = self.host.questions[-1:]
        whole = asked.group_policy != "isolate" and all(
            each.resources for each in asked.groups.values()
        )
        return whole and bool(last) and last[0].found is True

    def _too_little(self, name: str, tree: ProviderTree, demand: Demand) -> CheckResult | None:
        """The break by an amount. A class of it may be any one provider's of the host.

        Where none has DISK_GB, the host's disks may be another provider's that it shares.
        """
        for resource, amount in demand.resources.items():
            inventories = tree.of_class(resource)
            if not inventories and resource == "DISK_GB":
                continue
            if any(each.free >= amount and each.max_unit >= amount for each in inventories):
                continue
            most = max(inventories, key=lambda each: each.free, default=None)
            has = "none" if most is None else f"{most.free} of {most.total} left"
            if resource == "PCPU" and most is None:
                return self._no_pcpu(name, amount)
            fix = "Use a smaller flavor, free some there, or look at the allocation ratio."
            if most is None:
                fix = f"Use a host that has {resource}, or take it off the flavor."
            return broken(
                name, "WC324",
                f"{self.host.name} has too little {resource}: {has}, {amount} are asked for.",
                fix, _SOURCE,
            )  # fmt: skip
        return None

    def _traits(self, name: str, tree: ProviderTree, asked: ResourceRequest) -> CheckResult | None:
        """The break by a trait. One that must be there may be of any provider that gives something.

        placement, placement/objects/allocation_candidate.py: the traits of the group without a
        suffix are looked for at all providers that take part.
        """
        giving = [
            each.traits
            for each in tree.below
            if any(each.inventory(resource) for resource in asked.machine.resources)
        ]
        root = tree.root.traits
        lacking = sorted(
            (asked.machine.required - root.union(*giving)) | (asked.root_required - root)
        )
        if lacking:
            return broken(
                name, "WC325",
                f"{self.host.name} lacks the traits {', '.join(lacking)}, which "
                f"{self._who_wants(lacking)} asks for.",
                "Use a host that has them, or ask for less; nova-compute reports what its "
                "hypervisor can do.",
                _SOURCE,
            )  # fmt: skip
        kept = sorted((asked.machine.forbidden | asked.root_forbidden) & root)
        if kept:
            fix = "Enable its nova-compute, or take the trait off the request."
            if kept == ["HW_CPU_HYPERTHREADING"]:
                fix = "Take hw:cpu_thread_policy=isolate off, or use a host without hyperthreading."
            return broken(
                name, "WC325",
                f"{self.host.name} has the trait {', '.join(kept)}, which must not be there.",
                fix, _SOURCE,
            )  # fmt: skip
        return None

    def _without_pcpu(self, name: str, tree: ProviderTree, amount: int) -> CheckResult:
        """What a host without PCPU is to a pinned guest: nova asks again, for VCPU (Train).

        nova, nova/scheduler/manager.py, unless `[workarounds] disable_fallback_pcpu_query`; a host
        with the old `vcpu_pin_set` has no PCPU. Whether it may pin is NUMA's link to say.
        """
        conf, off = self.evidence.scheduler, no_second_question(self.evidence)
        if off:
            return self._no_pcpu(name, amount, off)
        request, release = self.evidence.request, self.evidence.release
        link = self._judged(name, tree, resource_request(request, release, second=True))
        if link.state == "broken" and link.rule == "WC324":
            return self._no_pcpu(name, amount)
        if link.state == "ok" and conf is None:
            return unknown(
                name,
                f"{self.host.name} has no PCPU; whether nova asks again, for VCPU",
                f"--scheduler-conf FILE ([workarounds] {NO_FALLBACK})",
                _SOURCE,
            )
        return link

    def _no_pcpu(self, name: str, amount: int, *seen: str) -> CheckResult:
        return broken(
            name, "WC324",
            f"{self.host.name} has no PCPU, and the guest wants {amount} pinned CPUs.",
            "Set [compute] cpu_dedicated_set on that host and restart nova-compute.",
            *seen, _SOURCE,
        )  # fmt: skip

    def _who_wants(self, traits: list[str]) -> str:
        if traits == ["COMPUTE_SOCKET_PCI_NUMA_AFFINITY"]:
            return "the NUMA policy socket"
        words = next((words for start, words in _WANTING if traits[0].startswith(start)), "")
        return words or f"the flavor {self.evidence.request.flavor_said} or its image"

    def _required(self) -> frozenset[str]:
        """Every trait that must be somewhere, those of the cards included where they are asked."""
        cards = self.wanted.requests if in_placement(self.evidence)[0] else ()
        return self.asked.required.union(*map(traits_of, cards))

    def zone(self) -> CheckResult:
        """Whether the host is where the request wants to be.

        nova, nova/scheduler/request_filter.py, `map_az_to_placement_aggregate`, and what
        `aggregate_links` judges.
        """
        name, request = "zone", self.evidence.request
        against = aggregates_link(name, self.evidence, self.host, self._required())
        if against and against.state == "broken":
            return against
        if request.zone is None:
            return against or ok(name, "no zone was asked for")
        if self.host.zones is None:
            return unknown(name, f"its zone is not known, {request.zone} was asked for",
                           "--cloud NAME")  # fmt: skip
        if request.zone in self.host.zones:
            return against or ok(name, request.zone, "openstack availability zone list")
        return broken(
            name, "WC326",
            f"{self.host.name} is in the zone {', '.join(self.host.zones) or 'of no name'}, "
            f"{request.zone} was asked for.",
            f"Ask for another zone, or add the host to an aggregate of it:\n    openstack "
            f"aggregate add host AGGREGATE {self.host.name}",
            "openstack availability zone list",
        )  # fmt: skip

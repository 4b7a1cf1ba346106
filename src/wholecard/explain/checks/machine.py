"""The checks of the host as a machine in Placement: CPUs, RAM, disk, traits, and its zone."""

from __future__ import annotations

from wholecard.cloud.placement.provider_tree import ProviderTree
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks import aggregates
from wholecard.explain.checks.host_case import ASK_CLOUD, PROVIDERS, HostCase
from wholecard.explain.evidence.requested_devices import NO_FALLBACK, no_second_query, traits_of
from wholecard.nova.flavor.resource_request import ResourceDemand, ResourceRequest, resource_request

_ZONES = "openstack availability zone list"
# What in the request asks for a trait, by the beginning of its name (nova/scheduler/utils.py and
# nova/scheduler/request_filter.py).
_ASKING = (
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


def machine(case: HostCase) -> CheckResult:
    """Whether the host has what nova asks Placement for besides cards."""
    tree, request = case.host.provider_tree, _request(case)
    if tree is None:
        return unknown("Placement was not asked", ASK_CLOUD.format(case.host.name))
    pcpu = request.machine.resources.get("PCPU")
    if request.pinned and pcpu and not tree.of_class("PCPU"):
        return _without_pcpu(case, tree, pcpu)
    return _compared(case, tree, request)


def _request(case: HostCase, second: bool = False) -> ResourceRequest:
    return resource_request(case.evidence.request, case.evidence.release, second)


def _compared(case: HostCase, tree: ProviderTree, request: ResourceRequest) -> CheckResult:
    lacking = _too_little(case, tree, request.machine) or _traits(case, tree, request)
    if lacking:
        return lacking
    if request.groups and not _groups_found(case, request):
        suffixes = ", ".join(f"resources{suffix}" for suffix in request.groups)
        return unknown(
            f"whether one provider has all that each of the groups {suffixes} requests",
            "--cloud NAME asks Placement, unless group_policy is isolate",
        )
    amounts = request.machine.resources.items()
    return ok(", ".join(f"{name} {amount}" for name, amount in amounts), PROVIDERS)


def _groups_found(case: HostCase, request: ResourceRequest) -> bool:
    """Whether Placement found a candidate when it was asked for the groups as well."""
    last = case.host.queries[-1:]
    whole = request.group_policy != "isolate" and all(
        group.resources for group in request.groups.values()
    )
    return whole and bool(last) and last[0].has_candidates is True


def _too_little(case: HostCase, tree: ProviderTree, demand: ResourceDemand) -> CheckResult | None:
    """The failure by an amount. Any one provider of the host may have a class of it.

    Where none has DISK_GB, the host's disks may be another provider's that it shares.
    """
    for resource, amount in demand.resources.items():
        inventories = tree.of_class(resource)
        if not inventories and resource == "DISK_GB":
            continue
        if any(row.free >= amount and row.max_unit >= amount for row in inventories):
            continue
        if not inventories and resource == "PCPU":
            return _no_pcpu(case, amount)
        left, fix = "none", f"Use a host that has {resource}, or remove it from the flavor."
        if inventories:
            most = max(inventories, key=lambda row: row.free)
            left = f"{most.free} of {most.total} left"
            fix = (
                "Use a smaller flavor, delete or move servers there, or check the allocation ratio."
            )
        says = f"{case.host.name} has too little {resource}: {left}, {amount} are requested."
        return failed("WC324", says, fix, PROVIDERS)
    return None


def _traits(case: HostCase, tree: ProviderTree, request: ResourceRequest) -> CheckResult | None:
    """The failure by a trait. Any provider that gives something may have a required one.

    placement, placement/objects/allocation_candidate.py: the traits of the group without a
    suffix are looked for at all providers that take part.
    """
    name, root = case.host.name, tree.root.traits
    giving = [
        provider.traits
        for provider in tree.below
        if any(provider.inventory(resource) for resource in request.machine.resources)
    ]
    lacking = sorted(
        (request.machine.required - root.union(*giving)) | (request.root_required - root)
    )
    if lacking:
        return failed(
            "WC325",
            f"{name} lacks the traits {', '.join(lacking)}, which {_asking(case, lacking)} "
            "requires.",
            "Use a host that has them, or remove them from the request; nova-compute reports what "
            "its hypervisor supports.",
            PROVIDERS,
        )
    present = sorted((request.machine.forbidden | request.root_forbidden) & root)
    if present:
        fix = "Enable its nova-compute, or remove the trait from the request."
        if present == ["HW_CPU_HYPERTHREADING"]:
            fix = "Remove hw:cpu_thread_policy=isolate, or use a host without hyperthreading."
        says = f"{name} has the trait {', '.join(present)}, which the request forbids."
        return failed("WC325", says, fix, PROVIDERS)
    return None


def _without_pcpu(case: HostCase, tree: ProviderTree, amount: int) -> CheckResult:
    """A host without PCPU and a pinned guest: nova asks again, for VCPU (Train).

    nova, nova/scheduler/manager.py, unless `[workarounds] disable_fallback_pcpu_query`; a host
    with the old `vcpu_pin_set` has no PCPU. Whether it may pin is for the check of NUMA.
    """
    off = no_second_query(case.evidence)
    if off:
        return _no_pcpu(case, amount, off)
    result = _compared(case, tree, _request(case, second=True))
    if result.state == "failed" and result.rule == "WC324":
        return _no_pcpu(case, amount)
    if result.state == "ok" and case.evidence.scheduler is None:
        says = f"{case.host.name} has no PCPU; whether nova asks again, for VCPU"
        return unknown(says, f"--conf scheduler=FILE ([workarounds] {NO_FALLBACK})", PROVIDERS)
    return result


def _no_pcpu(case: HostCase, amount: int, *seen: str) -> CheckResult:
    says = f"{case.host.name} has no PCPU, and the guest needs {amount} pinned CPUs."
    fix = "Set [compute] cpu_dedicated_set on that host and restart nova-compute."
    return failed("WC324", says, fix, *seen, PROVIDERS)


def _asking(case: HostCase, traits: list[str]) -> str:
    """What in the request asks for the first of these traits."""
    if traits == ["COMPUTE_SOCKET_PCI_NUMA_AFFINITY"]:
        return "the NUMA policy socket"
    keys = (key for start, key in _ASKING if traits[0].startswith(start))
    return next(keys, f"the flavor {case.evidence.request.flavor_text} or its image")


def zone(case: HostCase) -> CheckResult:
    """Whether the host is in the zone that was asked for, and its aggregates take the request.

    nova, nova/scheduler/request_filter.py, `map_az_to_placement_aggregate`. Before compute API
    2.96 the zone of a server for which a host was tried is that host's.
    """
    host, requested = case.host, case.evidence.request.zone
    cards = case.requested.requests if case.asks_placement else ()
    required = _request(case).required.union(*map(traits_of, cards))
    result = aggregates.by_keys(case) or aggregates.by_traits(case, required)
    if result and result.state == "failed":
        return result
    if requested is not None:
        if host.zones is None:
            return unknown(f"its zone is not known; requested: {requested}", "--cloud NAME")
        if requested not in host.zones:
            zones = ", ".join(host.zones) or "none"
            return failed(
                "WC326",
                f"{host.name} is in the zone {zones}; requested: {requested}.",
                "Request another zone, or add the host to an aggregate of this zone:\n    "
                "openstack "
                f"aggregate add host AGGREGATE {host.name}",
                _ZONES,
            )
    if result is not None:
        return result
    if not case.evidence.request.zone_known:
        return unknown(
            "nova's API before 2.96 does not show the requested zone",
            "--zone NAME, if a zone was requested",
        )
    return ok("no zone was requested") if requested is None else ok(requested, _ZONES)

"""The scheduler's filters."""

from __future__ import annotations

from collections.abc import Sequence

from wholecard.core.capabilities import Capability, has
from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.evidence.conf_values import ConfValue, files, items, settings
from wholecard.explain.refusals import kind_of
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.desired.scheduler_filters import (
    PCI_FILTER,
    WrongAvailable,
    WrongFilter,
    wrong_available,
    wrong_filters,
)

NUMA_FILTER = "NUMATopologyFilter"
CAPABILITIES_FILTER = "ComputeCapabilitiesFilter"
_BITS = "hw:maxphysaddr_bits"
# The rule of a missing filter. Its result passes, with the rule beside it: see `filters`.
MISSING_FILTER = "WC327"


def filters(case: HostCase) -> CheckResult:
    """Whether the scheduler's filters look at cards, and at the guest's NUMA nodes.

    Without PciPassthroughFilter nova does not refuse a request for cards, it only does not look at
    them: any host that Placement offers may be chosen. Where the chosen one has none, the scheduler
    warns when it takes them from its record of the host (nova, nova/scheduler/host_manager.py:
    `Selected host: ... failed to consume from instance`) and sends the server there all the same;
    nova-compute refuses it (`Claim pci failed`), and so do the next ones, until the server ends in
    `Exceeded maximum number of retries` (seen with nova 34.0.0). Where nova asks Placement for
    cards, Placement leaves hosts without cards out before, but does not know device types and NUMA
    nodes. The result is `ok` with the rule beside it; `explain` makes it a failure where another
    host must not be chosen."""
    refusal, conf = case.evidence.refusal, case.evidence.scheduler
    if conf is None:
        # nova-compute's claim can end in the same words, so a file counts before them.
        if refusal and kind_of(refusal.message) == "scheduler-found-no-card":
            return failed(MISSING_FILTER, *_missing(case, PCI_FILTER), refusal.source)
        return unknown("nova-scheduler's filters are not known", "--conf scheduler=FILE")
    unset = ((), f"{files(conf)}: not set, and not among nova's defaults")
    enabled, position = items(conf, "enabled_filters", case.evidence.release) or unset
    if lines := _wrong_lines(case, conf):
        setting, wrong_line = lines[0]
        says = f"nova-scheduler does not start: {wrong_line.text}: {wrong_line.reason}."
        return failed("WC262", says, wrong_line.resolution, setting.position)
    if wrong := _wrong(case, conf, enabled):
        problems = ", ".join(row.problem(case.evidence.release) for row in wrong)
        says = f"nova-scheduler does not start with these enabled_filters: {problems}."
        fix = "\n".join(f"{row.name}: {row.resolution}" for row in wrong)
        return failed("WC237", says, fix, position)
    needed = (PCI_FILTER, *((NUMA_FILTER,) if case.layout.cells else ()))
    for name in needed:
        if name not in enabled:
            says, fix = _missing(case, name)
            return CheckResult("ok", says, (position,), MISSING_FILTER, fix, warning=says)
    narrow = _too_few_bits(case, position) if CAPABILITIES_FILTER in enabled else None
    return narrow or ok(f"{PCI_FILTER} is enabled", position)


def _too_few_bits(case: HostCase, position: str) -> CheckResult | None:
    """The failure of a host whose CPUs have fewer address bits than the flavor requests.

    nova, nova/scheduler/filters/compute_capabilities_filter.py, compares hw:maxphysaddr_bits with
    what libvirt reports of the host; it refuses a host of which libvirt reports none as well (run
    on nova 34).
    """
    bits = case.evidence.request.extra_specs.get(_BITS, "")
    facts = case.host.facts
    own = None if facts is None else facts.cpu.physical_bits
    known = has(case.evidence.release, Capability.GUEST_ADDRESS_WIDTH)
    if not known or own is None or not bits.isdecimal() or int(bits) <= own:
        return None
    flavor = case.evidence.request.flavor_argument
    return failed(
        "WC350",
        f"The flavor requests {bits} address bits, and the CPUs of {case.host.name} have {own}: "
        f"{CAPABILITIES_FILTER} removes the host.",
        f"Request no more than the hosts have:\n    openstack flavor set {flavor} "
        f"--property {_BITS}={own}",
        case.evidence.request.source,
        case.host.facts_source,
        position,
    )


def _wrong(case: HostCase, conf: NovaConf, enabled: Sequence[str]) -> tuple[WrongFilter, ...]:
    """The filters for which nova-scheduler would not start.

    One that contains an option's value that is not known ($) is not checked.
    """
    release = case.evidence.release
    available = [setting.text for setting in settings(conf, "available_filters", release)]
    names = [name for name in enabled if "$" not in name]
    return tuple(wrong_filters(names, release.nova, available))


def _wrong_lines(case: HostCase, conf: NovaConf) -> list[tuple[ConfValue, WrongAvailable]]:
    """The values of available_filters that nova-scheduler cannot import."""
    release = case.evidence.release
    values = settings(conf, "available_filters", release)
    wrong = wrong_available([value.text for value in values], release.nova)
    return [(values[one.index], one) for one in wrong]


def _missing(case: HostCase, name: str) -> tuple[str, str]:
    """What a missing filter leads to, and its fix."""
    fix = (
        f"Append {name} to the existing list, in [filter_scheduler] enabled_filters of every "
        "nova-scheduler, and restart them."
    )
    if name == NUMA_FILTER:
        return (
            f"{NUMA_FILTER} is not enabled: the scheduler may choose a host that does not fit the "
            "guest's NUMA topology, and nova-compute there refuses the server."
        ), fix
    consequence = (
        "Placement excludes hosts without cards, but does not know device types and NUMA nodes"
        if case.asks_placement
        else "it may choose a host without a free card"
    )
    return (
        f"{PCI_FILTER} is not enabled: the scheduler does not check cards, and {consequence}."
    ), fix

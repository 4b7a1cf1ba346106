"""The last checks: the scheduler's filters, and what nova-compute answered when it was asked."""

from __future__ import annotations

from collections.abc import Sequence

from wholecard.explain.check_result import CheckResult, failed, ok, unknown
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.evidence.conf_values import files, items, settings
from wholecard.explain.refusals import kind_of
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, WrongFilter, wrong_filters

NUMA_FILTER = "NUMATopologyFilter"
# The rule of a missing filter. Its result passes, with the rule beside it: see `filters`.
MISSING_FILTER = "WC327"
_EVENTS = "openstack server event show"


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
    host must not be chosen. nova's own message counts before the files.
    """
    refusal, conf = case.evidence.refusal, case.evidence.scheduler
    if refusal and kind_of(refusal.message) == "scheduler-found-no-card":
        seen = (refusal.source, *((files(conf),) if conf else ()))
        return failed(MISSING_FILTER, *_missing(case, PCI_FILTER), *seen)
    if conf is None:
        return unknown("nova's API does not show filters", "--conf scheduler=FILE")
    unset = ((), f"{files(conf)}: not set, and not among nova's defaults")
    enabled, position = items(conf, "enabled_filters", case.evidence.release) or unset
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
    return ok(f"{PCI_FILTER} is enabled", position)


def _wrong(case: HostCase, conf: NovaConf, enabled: Sequence[str]) -> tuple[WrongFilter, ...]:
    """The filters for which nova-scheduler would not start.

    One that contains an option's value that is not known ($) is not checked.
    """
    release = case.evidence.release
    available = [setting.text for setting in settings(conf, "available_filters", release)]
    names = [name for name in enabled if "$" not in name]
    return tuple(wrong_filters(names, release.nova, available))


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


def hypervisor(case: HostCase) -> CheckResult:
    """What nova-compute answered to this very request, where a server's events tell.

    nova, nova/compute/claims.py, and libvirt's own message where the domain did not start.
    """
    name = case.host.name
    if not case.host.refused:
        return ok("the hypervisor was not asked, or it started the server")
    message = case.host.refused[0].strip()
    if not message:
        return failed(
            "WC328",
            f"{name} was chosen and refused the server; nova's API does not say why.",
            "Read nova-compute's log there. If it has `Failed to claim: Claim pci failed`, check "
            "that {PCI_FILTER} is enabled; if not:\n"
            f"    wholecard --on {name} check",
            _EVENTS,
        )
    claims = {
        "claim-numa": (
            "WC317",
            "The guest's NUMA topology and its cards do not fit together there; enable "
            f"{NUMA_FILTER}, so that the scheduler checks this first.",
        ),
        "claim-cards": (
            "WC318",
            "Another server got the cards in the meantime, or the scheduler does not check cards: "
            f"check that {PCI_FILTER} is enabled.",
        ),
    }
    kind = kind_of(message)
    if kind in claims:
        rule, fix = claims[kind]
        return failed(rule, f"nova-compute on {name} refused: {message}", fix, _EVENTS)
    fix = f"Check what the host lacks:\n    wholecard --on {name} check"
    return failed("WC328", f"{name} could not start the server: {message}", fix, _EVENTS)

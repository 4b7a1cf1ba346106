"""The last links: the scheduler's filters, and what a hypervisor said when it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wholecard.explain.evidence.conf_values import files, items, settings
from wholecard.explain.evidence.evidence import Evidence, HostEvidence
from wholecard.explain.evidence.requested_devices import in_placement
from wholecard.explain.link import CheckResult, broken, ok, unknown
from wholecard.explain.refusals import kind_of
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.desired.scheduler_filters import PCI_FILTER, WrongFilter, wrong_filters
from wholecard.nova.flavor.numa_topology import GuestLayout

NUMA_FILTER = "NUMATopologyFilter"


@dataclass(frozen=True)
class FilterLink:
    """The judge of the scheduler's filters, for a guest of this layout.

    Without PciPassthroughFilter nova does not refuse a request for cards, it only does not look at
    them: any host that Placement offers may be chosen. Where the chosen one has none, the scheduler
    warns when it takes them from its record of the host (nova, nova/scheduler/host_manager.py:
    `Selected host: ... failed to consume from instance`) and sends the server there all the same;
    nova-compute refuses it (`Claim pci failed`), and so do the next ones, until the server ends in
    `Exceeded maximum number of retries` (seen with nova 34.0.0). Where nova asks Placement for
    cards, Placement leaves hosts without cards out before, but does not know device types and NUMA
    nodes. The link is `ok` with the rule beside it; the walk makes it a break where there is a host
    that must not be chosen.
    """

    evidence: Evidence
    layout: GuestLayout

    def judge(self) -> CheckResult:
        """The link, with the refusal's own evidence before the files'."""
        name, refusal = "filters", self.evidence.refusal
        conf = self.evidence.scheduler
        if refusal and kind_of(refusal.message) == "scheduler-found-no-card":
            seen = (refusal.source, *((files(conf),) if conf else ()))
            return self._missing(PCI_FILTER, True, *seen)
        if conf is None:
            return unknown(name, "nova's API does not show filters", "--scheduler-conf FILE")
        found = items(conf, "enabled_filters", self.evidence.release)
        enabled, where = found or ((), f"{files(conf)}: not set, and not among nova's defaults")
        if wrong := self._wrong(conf, enabled):
            return broken(
                name,
                "WC237",
                "nova-scheduler does not start with these enabled_filters: "
                + ", ".join(each.says(self.evidence.release) for each in wrong)
                + ".",
                "\n".join(f"{each.name}: {each.mend}" for each in wrong),
                where,
            )
        if PCI_FILTER not in enabled:
            return self._missing(PCI_FILTER, False, where)
        if self.layout.cells and NUMA_FILTER not in enabled:
            return self._missing(NUMA_FILTER, False, where)
        return ok(name, f"{PCI_FILTER} is enabled", where)

    def _wrong(self, conf: NovaConf, enabled: Sequence[str]) -> tuple[WrongFilter, ...]:
        """The filters for which nova-scheduler would not start.

        One in which an unknown option's value stands is passed over.
        """
        release = self.evidence.release
        available = [each.text for each in settings(conf, "available_filters", release)]
        names = [each for each in enabled if "$" not in each]
        return tuple(wrong_filters(names, release.nova, available))

    def _missing(self, filter_name: str, proved: bool, *seen: str) -> CheckResult:
        rule, says = "WC327", self._says(filter_name)
        fix = (
            f"Append {filter_name} to the list that is there, in [filter_scheduler] "
            "enabled_filters of every nova-scheduler, and restart them."
        )
        if proved:
            return broken("filters", rule, says, fix, *seen)
        return CheckResult("filters", "ok", says, seen, rule, fix, warning=says)

    def _says(self, filter_name: str) -> str:
        if filter_name == NUMA_FILTER:
            return (
                f"{NUMA_FILTER} is not enabled: the scheduler may choose a host that the guest's "
                "NUMA layout does not fit, and nova-compute there refuses it."
            )
        left = (
            "Placement leaves hosts without cards out, but knows neither device types nor NUMA "
            "nodes"
            if in_placement(self.evidence)[0]
            else "it may choose a host that has none free"
        )
        return f"{PCI_FILTER} is not enabled: the scheduler does not look at cards, and {left}."


def hypervisor_link(host: HostEvidence) -> CheckResult:
    """What nova-compute said to this very request, where a server's events tell.

    nova, nova/compute/claims.py, and libvirt's own words where the domain did not start.
    """
    name = "hypervisor"
    for message in host.refused:
        kind = kind_of(message)
        if not message.strip():
            return broken(
                name, "WC328",
                f"{host.name} was chosen and refused the server; nova's API does not say why.",
                "Look into nova-compute's log there. After `Failed to claim: Claim pci failed` see "
                f"whether the scheduler looks at cards ({PCI_FILTER}); after anything else:\n"
                f"    wholecard --on {host.name} check",
                "openstack server event show",
            )  # fmt: skip
        if kind == "claim-numa":
            return broken(
                name, "WC317",
                f"nova-compute on {host.name} refused: {message.strip()}",
                "The guest's NUMA layout and its cards do not go together there; enable "
                f"{NUMA_FILTER}, so that the scheduler looks before.",
                "openstack server event show",
            )  # fmt: skip
        if kind == "claim-cards":
            return broken(
                name, "WC318",
                f"nova-compute on {host.name} refused: {message.strip()}",
                "Its cards were taken by another server meanwhile, or the scheduler does not look "
                f"at cards: see that {PCI_FILTER} is enabled.",
                "openstack server event show",
            )  # fmt: skip
        return broken(
            name, "WC328",
            f"{host.name} could not start the server: {message.strip()}",
            f"See what the host lacks:\n    wholecard --on {host.name} check",
            "openstack server event show",
        )  # fmt: skip
    return ok(name, "it was not asked, or started it")

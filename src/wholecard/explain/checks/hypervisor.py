"""The last checks: whether VFIO would give the cards, and what the host answered when asked."""

from __future__ import annotations

import re

from wholecard.core.finding import Finding
from wholecard.explain.check_result import CheckResult, failed, not_looked, ok, unknown
from wholecard.explain.checks.host_case import ALIAS_UNKNOWN, HostCase
from wholecard.explain.refusals import Cause, cause_of, kind_of
from wholecard.host.checks.iommu import check_iommu, check_unsafe_interrupts
from wholecard.host.checks.kernel import check_modules
from wholecard.host.facts.host import Host
from wholecard.nova.desired.scheduler_filters import PCI_FILTER
from wholecard.nova.known_bugs import KNOWN_BUGS
from wholecard.nova.match import Device, PciRequest
from wholecard.pci import Address, Function, IommuGroup

_EVENTS = "openstack server event show"
_ADDRESS = re.compile(r"\b[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]\b")
_NOT_READY = "WC340"


def vfio(case: HostCase) -> CheckResult:
    """Whether VFIO would give enough of the cards, by the host's facts.

    The IOMMU is on, and each other endpoint of a card's group has no driver of the host (linux:
    Documentation/driver-api/vfio.rst). The card's own driver is taken from it by libvirt when a
    server starts, unless its device_spec has `managed` false.
    """
    host = case.host.facts
    if host is None:
        return unknown("the host's drivers and IOMMU groups are not known", case.facts_option)
    if not case.requested.requests:
        return ALIAS_UNKNOWN
    source = case.host.facts_source
    finding = _of_host(host)
    if finding is not None:
        says = f"{case.host.name} cannot give cards to guests: {finding.message}"
        return failed(_NOT_READY, says, finding.fix, source)
    if host.groups_predicted or not host.groups:
        return unknown("the host's IOMMU groups are not known", case.facts_option, source)
    return _by_groups(case, host)


def _by_groups(case: HostCase, host: Host) -> CheckResult:
    """The result by each card's driver and the drivers in its group."""
    source = case.host.facts_source
    problems: list[str] = []
    for request in case.requested.requests:
        refused = _free_cards(case, host, request)
        reasons = [reason for reason in refused.values() if reason]
        if len(refused) - len(reasons) < min(request.count, len(refused)):
            says = f"VFIO refuses cards of {request.alias} on {case.host.name}: {reasons[0]}."
            return failed(_NOT_READY, says, _bind(case, host, refused), source)
        problems += reasons
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        says = f"VFIO refuses some of the cards, and nova may choose one: {problems[0]}{more}"
        return ok("enough of the cards are ready", source, warning=says)
    return ok("the IOMMU is on and the groups are viable", source, warning=_own_drivers(case, host))


def _free_cards(case: HostCase, host: Host, request: PciRequest) -> dict[str, str]:
    """The addresses of the request's cards that no server has, with why VFIO refuses them."""
    cards = [one for one in case.devices.alike(request) if case.devices.selected(one)]
    taken = case.host.taken or {}
    return {one.address: _refused(case, host, one) for one in cards if one.address not in taken}


def _of_host(host: Host) -> Finding | None:
    """What prevents every card of the host, as `check` finds it there."""
    no_iommu = [one for one in check_iommu(host) if one.rule == "WC101" or not _unsafe(host)]
    modules = [one for one in check_modules(host) if one.rule == "WC116"]
    return next(iter([*no_iommu, *modules]), None)


def _unsafe(host: Host) -> bool:
    return bool(check_unsafe_interrupts(host))


def _refused(case: HostCase, host: Host, device: Device) -> str:
    """Why VFIO would not give the device; empty where it would."""
    function = host.function(Address.parse(device.address))
    if function is None:
        return ""
    group = next((one for one in host.groups if function in one.functions), None)
    if group is None:
        return f"{function.address} is in no IOMMU group"
    if not _is_managed(case, device) and not function.is_free_for_vfio:
        return f"{function.address} is on {function.driver}, and its device_spec has managed false"
    # libvirt takes what the request itself names from its driver.
    blockers = _blockers(group, {device.address, *_given(case)})
    return f"{group.name} of {function.address} is not viable, {blockers}" if blockers else ""


def _blockers(group: IommuGroup, given: set[str]) -> str:
    """The functions that keep the group from being viable and are not given with it, as text."""
    blockers = [one for one in group.blockers if str(one.address) not in given]
    return ", ".join(f"{one.address} is on {one.driver}" for one in blockers)


def _given(case: HostCase) -> set[str]:
    """The addresses of all devices that the request may get."""
    return {
        device.address
        for request in case.requested.requests
        for device in case.devices.alike(request)
        if case.devices.selected(device)
    }


def _is_managed(case: HostCase, device: Device) -> bool:
    spec = next((one for one in case.devices.specs if one.match(device)), None)
    return spec is None or str(spec.tags.get("managed", "true")).lower() != "false"


def _bind(case: HostCase, host: Host, refused: dict[str, str]) -> str:
    slots = dict.fromkeys(address.rpartition(".")[0] for address, why in refused.items() if why)
    cards = " ".join(f"--card {slot}.0" for slot in list(slots)[:4])
    wholecard = f"wholecard --on {case.host.name} host"
    if host.boot.is_from_image:
        command = f"{wholecard} plan --for-image {cards}"
        return f"Bind the whole card to vfio-pci in the image of that host:\n    {command}"
    return f"Bind the whole card to vfio-pci there, and reboot:\n    {wholecard} apply {cards}"


def _own_drivers(case: HostCase, host: Host) -> str:
    """A sentence about cards that libvirt has to take from a native driver first."""
    bound: list[Function] = []
    for request in case.requested.requests:
        for device in case.devices.alike(request):
            function = host.function(Address.parse(device.address))
            if function and case.devices.selected(device) and not function.is_free_for_vfio:
                bound.append(function)
    if not bound:
        return ""
    return (
        f"{bound[0].address} is on {bound[0].driver}: libvirt unbinds this driver when a "
        "server starts, and some drivers fail then"
    )


def hypervisor(case: HostCase) -> CheckResult:
    """What nova-compute, libvirt or QEMU answered to this very request.

    A server's events tell it by host, `--error` and a server's fault without one: they count for
    the one host that is known, or for the one that has the address in the message.
    """
    name = case.host.name
    if case.host.refused:
        return _answered(case, case.host.refused[0].strip(), _EVENTS)
    refusal = case.evidence.refusal
    if refusal is None or not _is_hosts(case, refusal.message):
        return not_looked("nova-compute was not asked, and whether libvirt starts it is not known")
    hosts = case.evidence.hosts
    named = set(_ADDRESS.findall(refusal.message.lower()))
    having = [host.name for host in hosts if named & _addresses(host.facts)]
    if having and name not in having:
        return not_looked(f"the message names a card of {', '.join(having)}")
    if len(hosts) > 1 and having != [name]:
        return unknown("it is not known which host gave this answer", "--host NAME", refusal.source)
    return _answered(case, refusal.message.strip(), refusal.source)


def _is_hosts(case: HostCase, message: str) -> bool:
    """Whether the message is a host's, no host's own events tell more, and it is no known bug."""
    if cause_of(message) is None or any(host.refused for host in case.evidence.hosts):
        return False
    bugs = (bug for bug in KNOWN_BUGS if bug.is_in(case.evidence.release.nova))
    return not any(bug.is_in_log(message) for bug in bugs)


def _addresses(host: Host | None) -> set[str]:
    return {str(function.address) for function in host.functions} if host else set()


def _answered(case: HostCase, message: str, source: str) -> CheckResult:
    name = case.host.name
    if not message:
        return failed(
            "WC328",
            f"{name} was chosen and refused the server; nova's API does not say why.",
            "Read nova-compute's log there. If it has `Failed to claim: Claim pci failed`, check "
            f"that {PCI_FILTER} is enabled; for any other message:\n"
            f"    wholecard --on {name} check",
            source,
        )
    rules = {"claim-numa": "WC317", "claim-cards": "WC318", "scheduler-found-no-card": "WC318",
             "nova-record": "WC318"}  # fmt: skip
    cause = cause_of(message) or Cause("", f"Check the host:\n    wholecard --on {name} check")
    rule = rules.get(kind_of(message) or "", "WC328")
    who = "nova-compute on " if rule != "WC328" else ""
    did = "refused" if rule != "WC328" else "could not start the server"
    # The full sentence of the host, then what it means.
    says = f"{who}{name} {did}: {message}"
    if cause.why:
        says = f"{says.rstrip('.')}. It means: {cause.why}."
    pages = f"\nSee {' and '.join(cause.rules)}." if cause.rules and rule == "WC328" else ""
    return failed(rule, says, f"{cause.fix.format(host=name)}{pages}", source)

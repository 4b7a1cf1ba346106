"""`verify`: after the reboot, whether the host is in the desired state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.host.changing.journal import AppliedHostPlan
from wholecard.host.checks.iommu import check_iommu
from wholecard.host.checks.iommu_group import check_together, check_viable, driver_finding
from wholecard.host.checks.vfio_refusal import check_direct, check_groupless
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.kernel_log import Record
from wholecard.host.initramfs.claim_script import CLAIMED, PARKED, Claim
from wholecard.pci import Address, Card, Function, slot_path
from wholecard.pci.vfio_drivers import is_same_driver

_REBUILD = (
    "check that the initramfs was rebuilt (update-initramfs -u -k all, or dracut --force "
    "--regenerate-all) and reboot."
)


# A function that has another driver than planned was not claimed either: that is said once.
_NOT_TAKEN = ("WC103", "WC108")


@dataclass(frozen=True)
class BindingEvidence:
    """What was seen of one function. `claimed` is in seconds since boot, None where not seen."""

    address: str
    ids: str
    driver: str | None
    group: int | None
    claimed: float | None

    def to_json(self) -> dict[str, object]:
        """The five fields by name."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Verification:
    """Findings, none where all is well, and what was seen of each function."""

    findings: tuple[Finding, ...]
    evidence: tuple[BindingEvidence, ...]


def verify(host: Host, log: tuple[Record, ...] | None, applied: AppliedHostPlan) -> Verification:
    """Compare the host as it is now with what was applied.

    A function is looked for at its path of slots, which stays when buses are renumbered. `log` is
    the kernel's log of this boot, None where it could not be read; then the claims at boot are
    unknown, which is a warning.
    """
    claims = _claims(log or ())
    planned = [Claim.parse(line) for line in applied.functions]
    rebooted = host.boot.boot_id != applied.boot_id
    findings: list[Finding] = []
    present: list[tuple[Claim, Function]] = []
    for claim in planned:
        function = _find(host, claim)
        if function is None or function.ids != f"{claim.vendor}:{claim.device}":
            findings.append(_gone(claim, function))
        else:
            present.append((claim, function))
    functions = [function for _, function in present]
    if applied.plan.reboot_needed and not rebooted:
        # All else is as it was: one cause, one finding.
        findings.append(_not_rebooted())
    else:
        findings += check_iommu(host)
        for claim, function in present:
            findings += _function_findings(host, claim, function, rebooted, log)
        findings += _groups(host, applied, planned, functions)
    return Verification(
        tuple(sorted(findings, key=_by_cause)),
        tuple(_evidence(function, claims) for function in functions),
    )


def _function_findings(
    host: Host, claim: Claim, function: Function, rebooted: bool, log: tuple[Record, ...] | None
) -> list[Finding]:
    """What is wrong with one function, one cause once."""
    wrong = list(_placed_and_bound(host, claim, function, rebooted))
    if rebooted and not any(finding.rule in _NOT_TAKEN for finding in wrong):
        wrong += _claimed_at_boot(function, log)
    return wrong


def _by_cause(finding: Finding) -> tuple[int, str]:
    """What causes other findings comes before them: no IOMMU, a card that is gone, a driver."""
    order = ("WC110", "WC101", "WC111", "WC108", "WC103", "WC109")
    rule = finding.rule
    return (order.index(rule) if rule in order else len(order), rule)


def _placed_and_bound(
    host: Host, claim: Claim, function: Function, rebooted: bool
) -> Iterator[Finding]:
    """WC140 for another address than planned; WC103 and WC108 for another driver."""
    if str(function.address) != claim.address:
        yield _moved(claim, function)
    if not is_same_driver(function.driver, claim.driver):
        yield _not_taken(host, claim, function, rebooted)


def _evidence(function: Function, claims: dict[str, float]) -> BindingEvidence:
    claimed = claims.get(str(function.address))
    group = function.iommu_group
    return BindingEvidence(str(function.address), function.ids, function.driver, group, claimed)


def _find(host: Host, claim: Claim) -> Function | None:
    """The function at the planned path whatever its address, else the one at the address."""
    at_path = [
        function
        for function in host.functions
        if function.physfn is None and slot_path(function) == claim.path
    ]
    exact = [each for each in at_path if each.ids == f"{claim.vendor}:{claim.device}"]
    function = next(iter([*exact, *at_path]), None)
    return function or host.function(Address.parse(claim.address))


def _groups(
    host: Host, applied: AppliedHostPlan, planned: list[Claim], functions: list[Function]
) -> list[Finding]:
    """What is wrong with the groups of the cards that were applied, wherever they are now."""
    cards = _applied_cards(host, applied, planned, functions)
    slots = {card.slot for card in cards}
    # What was planned besides the cards is checked too, where it is now.
    addresses = tuple(str(function.address) for function in functions)
    desired = DesiredState(tuple(sorted(slots)), companions=addresses)
    return [
        *check_together(host, cards, desired),
        *check_viable(host, cards),
        *check_direct(host, cards, desired),
        *check_groupless(host, cards, desired),
    ]


def _applied_cards(
    host: Host, applied: AppliedHostPlan, planned: list[Claim], functions: list[Function]
) -> tuple[Card, ...]:
    """The cards that are now at the paths of those that were applied, whatever their addresses."""
    slot_of = {claim: Address.parse(claim.address).slot_key for claim in planned}
    card_paths = {claim.path for claim in planned if slot_of[claim] in applied.cards}
    at_paths = [each.address for each in functions if slot_path(each) in card_paths]
    return tuple(card for card in host.cards if any(card.has(address) for address in at_paths))


def _claims(log: Iterable[Record]) -> dict[str, float]:
    matches = ((record, CLAIMED.search(record.message)) for record in log)
    return {match["address"]: record.seconds for record, match in matches if match}


def _not_rebooted() -> Finding:
    return Finding(
        "WC110",
        "host",
        Severity.ERROR,
        "The host was not rebooted after apply changed it.",
        "systemctl reboot",
    )


def _gone(claim: Claim, function: Function | None) -> Finding:
    present = f"{function.ids} has that address now" if function else "no function is there now"
    return Finding(
        "WC111",
        claim.address,
        Severity.ERROR,
        f"{claim.address} was planned as {claim.vendor}:{claim.device}; {present}.",
        "Find the card's new slot with inspect. Then roll back, and apply again for that slot.",
    )


def _moved(claim: Claim, function: Function) -> Finding:
    return Finding(
        "WC140",
        str(function.address),
        Severity.WARNING,
        f"{claim.address} {function.ids} has the address {function.address} now: buses were "
        "renumbered.",
        "It is bound correctly. If nova's device_spec names the old address, write the new one "
        "there. Then run apply again, so that the journal has the new address too.",
    )


def _not_taken(host: Host, claim: Claim, function: Function, rebooted: bool) -> Finding:
    if not rebooted or function.driver is None:
        is_parked = claim.driver == PARKED
        return _not_parked(claim, function) if is_parked else driver_finding(host, function)
    return Finding(
        "WC108",
        str(function.address),
        Severity.ERROR,
        f"{function.address} {function.ids} is on {function.driver} although the host was "
        "prepared and rebooted.",
        f"See what the kernel says (dmesg | grep wholecard); {_REBUILD}",
    )


def _not_parked(claim: Claim, function: Function) -> Finding:
    return Finding(
        "WC103",
        str(function.address),
        Severity.WARNING,
        f"{function.address} {function.ids} is on {function.driver or 'no driver'}, not on "
        f"{claim.driver}.",
        "Reboot; then see what the kernel says (dmesg | grep wholecard).",
    )


def _claimed_at_boot(function: Function, log: tuple[Record, ...] | None) -> list[Finding]:
    address = str(function.address)
    if address in _claims(log or ()):
        return []
    if log is None:
        return [
            Finding(
                "WC109",
                address,
                Severity.WARNING,
                "The kernel's log cannot be read, so it was not checked which driver claimed the "
                "function.",
                "Run it as root.",
            )
        ]
    messages = [record.message for record in log if f"wholecard: {address} " in record.message]
    return [
        Finding(
            "WC109",
            address,
            Severity.ERROR,
            f"The kernel's log has no claim of {address} at boot"
            + (f"; it says: {messages[-1]}" if messages else "."),
            f"{_REBUILD[0].upper()}{_REBUILD[1:]}",
        )
    ]

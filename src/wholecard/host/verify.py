"""`verify`: after the reboot, whether the host stands as it was wished. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.host.check import check_iommu, check_together, check_viable, driver_finding
from wholecard.host.host import Host
from wholecard.host.journal import Applied
from wholecard.host.kernel_log import Record
from wholecard.pci import Address, Function

_CLAIMED = re.compile(r"wholecard: (\S+) ([0-9a-f]{4}):([0-9a-f]{4}) claimed by (\S+)")


@dataclass(frozen=True)
class Evidence:
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
class Verdict:
    """Findings, none where all is well, and what was seen of each function."""

    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]


def verify(host: Host, log: tuple[Record, ...] | None, applied: Applied) -> Verdict:
    """Compare the host as it is now with what was applied.

    `log` is the kernel's log of this boot, None where it could not be read; then the claims at
    boot are unknown, which is a warning.
    """
    claims = _claims(log or ())
    planned = [tuple(line.split()) for line in applied.functions]
    cards = tuple(card for card in host.cards if card.slot in applied.cards)
    rebooted = host.boot.boot_id != applied.boot_id
    findings = [] if rebooted or not applied.plan.reboot_needed else [_not_rebooted()]
    findings += check_iommu(host)
    evidence = []
    for address, vendor, device in planned:
        function = host.function(Address.parse(address))
        if function is None or (function.vendor, function.device) != (vendor, device):
            findings.append(_gone(address, f"{vendor}:{device}", function))
            continue
        if function.driver != "vfio-pci":
            findings.append(_not_taken(function, rebooted))
        if rebooted:
            findings += _claimed_at_boot(function, log, claims)
        evidence.append(
            Evidence(
                address, function.ids, function.driver, function.iommu_group, claims.get(address)
            )
        )
    findings += [*check_together(host, cards), *check_viable(host, cards)]
    return Verdict(tuple(sorted(findings, key=lambda each: each.rule)), tuple(evidence))


def _claims(log: Iterable[Record]) -> dict[str, float]:
    matches = ((record, _CLAIMED.search(record.message)) for record in log)
    return {match[1]: record.seconds for record, match in matches if match}


def _not_rebooted() -> Finding:
    return Finding(
        "WC110",
        "host",
        Severity.ERROR,
        "The host runs in the boot in which the change was made.",
        "systemctl reboot",
    )


def _gone(address: str, ids: str, function: Function | None) -> Finding:
    seen = f"{function.ids} is there now" if function else "nothing is there now"
    return Finding(
        "WC111",
        address,
        Severity.ERROR,
        f"{address} was planned as {ids}; {seen}.",
        "See where the card is (inspect), then roll back and apply anew for its new address.",
    )


def _not_taken(function: Function, rebooted: bool) -> Finding:
    if not rebooted or function.driver is None:
        return driver_finding(function)
    return Finding(
        "WC108",
        str(function.address),
        Severity.ERROR,
        f"{function.address} {function.ids} is on {function.driver} although the host was "
        "prepared and rebooted.",
        "See what the kernel says (dmesg | grep wholecard); check that the initramfs was rebuilt "
        "(update-initramfs -u -k all) and reboot.",
    )


def _claimed_at_boot(
    function: Function, log: tuple[Record, ...] | None, claims: dict[str, float]
) -> list[Finding]:
    address = str(function.address)
    if address in claims:
        return []
    if log is None:
        return [
            Finding(
                "WC109",
                address,
                Severity.WARNING,
                "The kernel's log cannot be read, so it is not known who claimed the function.",
                "Run it as root.",
            )
        ]
    said = [record.message for record in log if f"wholecard: {address} " in record.message]
    return [
        Finding(
            "WC109",
            address,
            Severity.ERROR,
            f"The kernel's log has no claim of {address} at boot"
            + (f"; it says: {said[-1]}" if said else "."),
            "Check that the initramfs was rebuilt (update-initramfs -u -k all) and reboot.",
        )
    ]

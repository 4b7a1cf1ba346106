"""Hosts that are not a plain PC or server: read from a tree, checked, planned.

Each case is the lab's node, prepared, with the files that make it unusual.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from support.nodes import APART, GROUPS_APART, bare, reboot
from support.tree import Leaf, grow
from wholecard.core import Finding, RefusedError, Severity
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import desired_cards, resolve
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import open_snapshot, save
from wholecard.host.planning.plan import plan

CARD = "0000:01:00.0"
FUNCTIONS = (CARD, "0000:01:00.1")
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
REGIONS = "sys/kernel/iommu_groups/10/reserved_regions"
MSI = "0x00000000fee00000 0x00000000feefffff msi\n"
RELAXABLE = f"0x000000003ddc6000 0x000000003dddefff direct-relaxable\n{MSI}"
DIRECT = f"0x000000003ddc6000 0x000000003dddefff direct\n{MSI}"
AMD = {"sys/firmware/acpi/tables/IVRS": "", "sys/firmware/acpi/tables/DMAR": "-> x"}
RELEASE_FILE = "proc/sys/kernel/osrelease"


class Case(NamedTuple):
    """The files that make a host unusual; of one rule the severities and a part of the message."""

    rule: str
    name: str
    files: dict[str, Leaf]
    severities: tuple[Severity, ...] = ()
    says: str = ""
    refused: bool = False


def log(*messages: str, first: int = 0) -> dict[str, Leaf]:
    """The kernel's log with these messages after its first one."""
    lines = ("Linux version", "DMAR-IR: Enabled IRQ remapping in x2apic mode", *messages)
    return {"dev/kmsg": "".join(f"6,{n + first},0,-;{line}\n" for n, line in enumerate(lines))}


def command_line(words: str) -> dict[str, Leaf]:
    return {"proc/cmdline": f"root=/dev/vda1 ro intel_iommu=on iommu=pt {words}\n"}


OVERRIDE = command_line("pcie_acs_override=downstream,multifunction")

VFIO_CASES = [
    Case("WC160", "RMRR", {REGIONS: DIRECT}, (ERROR,), "0x000000003ddc6000 to", refused=True),
    Case("WC160", "a region that may be broken", {REGIONS: RELAXABLE}),
    Case("WC160", "interrupts only", {REGIONS: MSI}),
    Case("WC160", "another group's", {REGIONS.replace("10", "11"): DIRECT}),
    Case("WC160", "the log alone, on Intel", log(
        "vfio-pci 0000:01:00.1: DMAR: Device is ineligible for IOMMU domain attach due to "
        "platform RMRR requirement.  Contact your platform vendor."), (ERROR,), "01:00.1", True),
    Case("WC160", "the log, on any maker", log(
        f"vfio-pci {CARD}: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting "
        "configuring the device without a 1:1 mapping. Contact your platform vendor."),
        (ERROR,), CARD, True),
    Case("WC160", "the log of another function", log(
        "vfio-pci 0000:02:00.0: Device is ineligible for IOMMU domain attach due to platform "
        "RMRR requirement.")),
    Case("WC160", "AMD before 6.6", {
        REGIONS: DIRECT, **AMD, RELEASE_FILE: "6.1.0-38-amd64\n"}, (WARNING,), "does not start"),
    Case("WC160", "AMD since 6.6", {
        REGIONS: DIRECT, **AMD, RELEASE_FILE: "6.8.0-87-generic\n"}, (ERROR,), "refuses it", True),
    Case("WC162", "active", {**OVERRIDE, **log("Warning: PCIe ACS overrides enabled; This may "
         "allow non-IOMMU protected peer-to-peer DMA")}, (WARNING,), "each other's memory"),
    Case("WC162", "a kernel without it", {**OVERRIDE, **log()}, (NOTE,), "does not know it"),
    Case("WC162", "on the command line, the log's beginning lost", {**OVERRIDE, **log(first=7)},
        (WARNING,), "each other's memory"),
    Case("WC162", "none", command_line("pci=noats")),
]  # fmt: skip

CASES = [*VFIO_CASES]


def unusual(root: Path, files: dict[str, Leaf]) -> Host:
    """The prepared node with these files besides."""
    grow(root, bare(APART, "on"))
    reboot(root, APART, GROUPS_APART, FUNCTIONS)
    grow(root, files)
    return inspect(root)


def findings_of(host: Host, rule: str, *addresses: str) -> list[Finding]:
    desired = resolve(host, addresses or (CARD,))
    findings = check(host, desired_cards(host, desired), desired=desired)
    return [finding for finding in findings if finding.rule == rule]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.rule} {case.name}" for case in CASES])
def test_case(tmp_path: Path, case: Case) -> None:
    """The rule says what is so, keeps still elsewhere, and refuses a plan where nothing helps."""
    host = unusual(tmp_path, case.files)
    findings = findings_of(host, case.rule)
    assert [finding.severity for finding in findings] == list(case.severities)
    assert case.says in " ".join(finding.message for finding in findings)
    if case.refused:
        with pytest.raises(RefusedError) as caught:
            plan(host, resolve(host, (CARD,)))
        assert case.rule in {finding.rule for finding in caught.value.findings}
    else:
        plan(host, resolve(host, (CARD,)))


def test_each_rule_fires_and_keeps_still() -> None:
    """Each rule of the cases has one that fires and one that does not."""
    rules = {case.rule for case in CASES}
    assert {case.rule for case in CASES if case.severities} == rules
    assert {case.rule for case in CASES if not case.severities} == rules


@pytest.mark.parametrize("case", CASES, ids=[f"{case.rule} {case.name}" for case in CASES])
def test_facts_travel(tmp_path: Path, case: Case) -> None:
    """What makes a host unusual is the same in its facts' JSON and in a snapshot."""
    host = unusual(tmp_path / "host", case.files)
    assert Host.from_json(json.loads(json.dumps(host.to_json()))) == host
    save(tmp_path / "host", tmp_path / "host.tar.gz")
    with open_snapshot(tmp_path / "host.tar.gz") as root:
        assert inspect(root) == host


GROUPLESS = {number: members for number, members in GROUPS_APART.items() if number != 10}


@pytest.mark.parametrize(
    ("words", "says"),
    [("", "error -22"), ("intel_iommu=on,igfx_off", "igfx_off on the kernel's command line")],
)
def test_no_group(tmp_path: Path, words: str, says: str) -> None:
    """WC161: a function in no group while the IOMMU is on refuses the card, with the cause."""
    grow(tmp_path, bare(APART, "on"))
    reboot(tmp_path, APART, GROUPLESS, ())
    grow(tmp_path, command_line(words))
    host = inspect(tmp_path)
    findings = findings_of(host, "WC161")
    assert [finding.subject for finding in findings] == list(FUNCTIONS)
    assert says in findings[0].message
    with pytest.raises(RefusedError, match="cannot be bound"):
        plan(host, resolve(host, (CARD,)))
    assert findings_of(host, "WC161", "0000:02:00.0") == []

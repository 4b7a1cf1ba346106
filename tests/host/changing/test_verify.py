"""Verify: each rule fires where the host is not as applied, and keeps still where it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.nodes import (
    APART,
    GROUPS_APART,
    GROUPS_TOGETHER,
    TOGETHER,
    Device,
    bare,
    pci_tree,
    reboot,
)
from support.tree import grow
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply
from wholecard.host.changing.verify import Verification, verify
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.kernel_log import read_kernel_log
from wholecard.host.planning.plan import plan

FIRST = ("0000:01:00.0", "0000:01:00.1")
BRIDGED = ("0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1")


def applied(root: Path, *addresses: str) -> None:
    host = inspect(root)
    wish = resolve(host, addresses)
    apply(root, host, wish, plan(host, wish))


def verdict(root: Path) -> Verification:
    (entry,) = journal.entries(root)
    log = read_kernel_log(root)
    return verify(inspect(root, log), log, entry.read())


def rules(root: Path) -> set[tuple[str, str]]:
    return {(finding.rule, finding.subject) for finding in verdict(root).findings}


@pytest.mark.parametrize(
    ("devices", "groups", "taken"),
    [(APART, GROUPS_APART, FIRST), (TOGETHER, GROUPS_TOGETHER, BRIDGED)],
    ids=["apart", "together"],
)
def test_good(
    tmp_path: Path,
    calls: Path,
    devices: list[Device],
    groups: dict[int, list[str]],
    taken: tuple[str, ...],
) -> None:
    """After the reboot there are no findings, and evidence of each function's claim at boot."""
    grow(tmp_path, bare(devices))
    applied(tmp_path, *taken)
    reboot(tmp_path, devices, groups, taken)
    found = verdict(tmp_path)
    assert found.findings == ()
    assert [row.address for row in found.evidence] == list(taken)
    assert {row.driver for row in found.evidence} == {"vfio-pci"}
    assert [round(row.claimed or 0, 1) for row in found.evidence] == [3.2] * len(taken)


def test_not_rebooted(apart: Path) -> None:
    """Before the reboot that is the one cause (WC110), and what it causes is not said."""
    applied(apart, FIRST[0])
    assert rules(apart) == {("WC110", "host")}


def test_native_driver(apart: Path) -> None:
    """A native driver after the reboot is WC108, first; that it was not claimed follows."""
    applied(apart, FIRST[0])
    reboot(apart, APART, GROUPS_APART, FIRST[:1])
    found = [(finding.rule, finding.subject) for finding in verdict(apart).findings]
    assert found == [("WC108", FIRST[1]), ("WC105", "IOMMU group 10")]


def test_no_driver(apart: Path) -> None:
    """A function that nobody has after the reboot is WC103."""
    applied(apart, FIRST[0])
    reboot(apart, APART, GROUPS_APART, FIRST[1:])
    assert rules(apart) == {("WC103", FIRST[0])}


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ("6,0,0,-;DMAR-IR: Enabled IRQ remapping\n", "has no claim"),
        (
            "6,0,0,-;DMAR-IR: Enabled IRQ remapping\n"
            "6,1,9,-;wholecard: 0000:01:00.0 is 10de:1eb8, not 1002:5046: left alone\n",
            "left alone",
        ),
    ],
)
def test_not_claimed(apart: Path, log: str, says: str) -> None:
    """vfio-pci without a claim at boot is WC109, with what the log says instead."""
    applied(apart, FIRST[0])
    reboot(apart, APART, GROUPS_APART, FIRST, log)
    found = verdict(apart).findings
    assert {finding.rule for finding in found} == {"WC109"}
    assert says in found[0].message


def test_no_log(apart: Path) -> None:
    """A kernel log that cannot be read is a warning, not silence."""
    applied(apart, FIRST[0])
    reboot(apart, APART, GROUPS_APART, FIRST)
    (apart / "dev/kmsg").unlink()
    assert {finding.severity.value for finding in verdict(apart).findings} == {"warning"}


def test_iommu_still_off(apart: Path) -> None:
    """A reboot that did not switch the IOMMU on is WC101."""
    applied(apart, FIRST[0])
    grow(apart, {"proc/sys/kernel/random/boot_id": "boot-two\n"})
    assert ("WC101", "IOMMU") in rules(apart)


def test_card_moved(apart: Path) -> None:
    """Another device at the card's address is WC111."""
    applied(apart, FIRST[0])
    reboot(apart, APART, GROUPS_APART, FIRST)
    grow(apart, pci_tree([(FIRST[0], ("0000:00:02.0",), "10de:1eb8", "030000", "", {})]))
    assert ("WC111", FIRST[0]) in rules(apart)


def test_group_larger_than_predicted(apart: Path) -> None:
    """A real group with another card in it, against the prediction, is WC107."""
    applied(apart, FIRST[0])
    groups = {10: [*GROUPS_APART[10], *GROUPS_APART[11]]}
    reboot(apart, APART, groups, FIRST)
    assert {rule for rule, _ in rules(apart)} == {"WC105", "WC107"}


def renumbered() -> tuple[list[Device], dict[int, list[str]]]:
    """The host after a card was added: what was on buses 1 and 2 is on 5 and 6."""
    buses = {"0000:01:": "0000:05:", "0000:02:": "0000:06:"}
    devices = [(buses.get(each[0][:8], each[0][:8]) + each[0][8:], *each[1:]) for each in APART]
    groups = {
        number: [buses.get(each[:8], each[:8]) + each[8:] for each in addresses]
        for number, addresses in GROUPS_APART.items()
    }
    return devices, groups


def test_moved(apart: Path) -> None:
    """A card whose bus was numbered anew is found by its slots: WC140, and nothing else."""
    applied(apart, FIRST[0])
    for address in [*GROUPS_APART[10], *GROUPS_APART[11]]:
        (apart / f"sys/bus/pci/devices/{address}").unlink()
    shutil.rmtree(apart / "sys/devices")
    devices, groups = renumbered()
    log = "6,0,0,-;Linux version 6.12\n6,1,2,-;DMAR-IR: Enabled IRQ remapping\n" + "".join(
        f"14,{n},{n},-;wholecard: 0000:05:00.{n} {ids} claimed by vfio-pci, planned at {FIRST[n]}\n"
        for n, ids in enumerate(["1002:5046", "8086:293e"])
    )
    reboot(apart, devices, groups, ["0000:05:00.0", "0000:05:00.1"], log)
    found = verdict(apart)
    assert [(each.rule, each.subject) for each in found.findings] == [
        ("WC140", "0000:05:00.0"),
        ("WC140", "0000:05:00.1"),
    ]
    assert [row.address for row in found.evidence] == ["0000:05:00.0", "0000:05:00.1"]
    assert None not in [row.claimed for row in found.evidence]


def test_parked(apart: Path) -> None:
    """A parked function is looked for on pci-stub: WC108 on another driver, else nothing."""
    host = inspect(apart)
    wish = resolve(host, FIRST[:1], asked=DesiredState((), parked=("0000:02:00.1",)))
    apply(apart, host, wish, plan(host, wish))
    lines = [
        f"14,{n},{n},-;wholecard: {address} {ids} claimed by {driver}"
        for n, (address, ids, driver) in enumerate(
            [
                (FIRST[0], "1002:5046", "vfio-pci"),
                (FIRST[1], "8086:293e", "vfio-pci"),
                ("0000:02:00.1", "8086:293e", "pci-stub"),
            ]
        )
    ]
    log = "6,0,0,-;DMAR-IR: Enabled IRQ remapping\n" + "\n".join(lines) + "\n"
    devices = [
        (*each[:4], "pci-stub", each[5]) if each[0] == "0000:02:00.1" else each for each in APART
    ]
    reboot(apart, devices, GROUPS_APART, FIRST, log)
    assert rules(apart) == set()
    link = apart / "sys/devices/pci0000:00/0000:00:03.0/0000:02:00.1/driver"
    link.unlink()
    link.symlink_to("../../../../bus/pci/drivers/snd_hda_intel")
    assert rules(apart) == {("WC108", "0000:02:00.1")}
    link.unlink()
    (finding,) = verdict(apart).findings
    assert (finding.rule, finding.severity.value) == ("WC103", "warning")
    assert finding.message == "0000:02:00.1 8086:293e is on no driver, not on pci-stub."

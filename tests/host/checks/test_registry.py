"""Each rule of the host fires where it should and keeps still where it should not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from support.nodes import APART, GROUPS_APART, GROUPS_TOGETHER, TOGETHER, Device, bare, reboot
from support.tree import grow
from wholecard.core import Finding, Severity, UsageError
from wholecard.host.checks.registry import check
from wholecard.host.desired_state import DesiredState, desired_cards, resolve
from wholecard.host.facts.host import Host, Iommu
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.kernel_log import read_kernel_log

FIRST = ("0000:01:00.0", "0000:01:00.1")
SECOND = ("0000:02:00.0", "0000:02:00.1")
BRIDGED = ("0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1")


def bare_host(root: Path, devices: list[Device]) -> Host:
    return inspect(grow(root, bare(devices)))


def prepared(
    root: Path, devices: list[Device], groups: dict[int, list[str]], taken: tuple[str, ...]
) -> Host:
    grow(root, bare(devices, "on"))
    reboot(root, devices, groups, taken)
    return inspect(root)


def fired(host: Host, *addresses: str) -> list[tuple[str, str]]:
    """Rules and subjects of the errors and warnings."""
    cards = desired_cards(host, resolve(host, addresses))
    return [
        (finding.rule, finding.subject)
        for finding in check(host, cards)
        if finding.severity is not Severity.NOTE
    ]


def test_good(tmp_path: Path) -> None:
    """A host whose card is on vfio-pci, alone in its group, has no findings."""
    host = prepared(tmp_path, APART, GROUPS_APART, FIRST)
    assert fired(host, "0000:01:00.0") == []


def test_bare(tmp_path: Path) -> None:
    """A bare host has its IOMMU off (WC101) and its functions not on vfio-pci (WC103)."""
    host = bare_host(tmp_path, APART)
    assert host.groups_predicted
    assert fired(host, "0000:01:00.0") == [
        ("WC101", "IOMMU"),
        ("WC103", "0000:01:00.0"),
        ("WC103", "0000:01:00.1"),
    ]


def test_driver_weight(tmp_path: Path) -> None:
    """A native driver is an error, no driver a warning."""
    host = bare_host(tmp_path, APART)
    findings = check(host, desired_cards(host, DesiredState(("0000:01:00",))))
    weights = {each.subject: each.severity for each in findings if each.rule == "WC103"}
    assert weights == {"0000:01:00.0": Severity.WARNING, "0000:01:00.1": Severity.ERROR}


@pytest.mark.parametrize(
    ("kind", "fix"), [("vt-d", "intel_iommu=on iommu=pt"), ("amd-vi", "iommu=pt"), (None, "VT-d")]
)
def test_iommu_off(tmp_path: Path, kind: str | None, fix: str) -> None:
    """WC101 says what to do: kernel arguments by the firmware's table, else the firmware."""
    host = dataclasses.replace(bare_host(tmp_path, APART), iommu=Iommu(kind, on=False))
    (finding,) = (each for each in check(host, ()) if each.rule == "WC101")
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("log", "fires"), [("other", True), ("DMAR-IR: Enabled IRQ remapping", False)]
)
def test_remapping(tmp_path: Path, log: str, fires: bool) -> None:
    """WC102 fires where a whole kernel log knows of no interrupt remapping."""
    grow(tmp_path, bare(APART, "on"))
    reboot(tmp_path, APART, GROUPS_APART, FIRST, f"6,0,0,-;{log}\n")
    assert (("WC102", "IOMMU") in fired(inspect(tmp_path), FIRST[0])) is fires


@pytest.mark.parametrize("log", ["6,7,0,-;the beginning is gone\n", ""])
def test_remapping_unknown(tmp_path: Path, log: str) -> None:
    """WC102 keeps still where the log's beginning is lost."""
    grow(tmp_path, bare(APART, "on"))
    reboot(tmp_path, APART, GROUPS_APART, FIRST, log)
    host = inspect(tmp_path)
    assert host.iommu.interrupt_remapping is None
    assert fired(host, FIRST[0]) == []


@pytest.mark.parametrize("on", [False, True], ids=["predicted", "real"])
def test_shared_group(tmp_path: Path, on: bool) -> None:
    """WC107 fires for one card of a shared group, real or predicted, and not for both."""
    if on:
        host = prepared(tmp_path, TOGETHER, GROUPS_TOGETHER, BRIDGED)
    else:
        host = bare_host(tmp_path, TOGETHER)
    alone = fired(host, "0000:02:01.0")
    assert ("WC107", "0000:02:01") in alone
    both = fired(host, "0000:02:01.0", "0000:02:02.1")
    assert not [rule for rule, _ in both if rule in ("WC104", "WC107")]
    assert (both == []) is on


def test_companion(tmp_path: Path) -> None:
    """WC104 fires for an endpoint of the group that is part of no card."""
    groups = {**GROUPS_APART, 10: [*GROUPS_APART[10], "0000:00:04.0"]}
    del groups[9]
    host = prepared(tmp_path, APART, groups, FIRST)
    assert fired(host, FIRST[0]) == [("WC104", "0000:00:04.0"), ("WC105", "IOMMU group 10")]


def test_not_viable(tmp_path: Path) -> None:
    """WC105 names the endpoint that holds the group and its driver."""
    host = prepared(tmp_path, APART, GROUPS_APART, FIRST[:1])
    findings = check(host, desired_cards(host, DesiredState(("0000:01:00",))))
    (finding,) = (each for each in findings if each.rule == "WC105")
    assert "0000:01:00.1 (snd_hda_intel)" in finding.message


def test_boot_display(tmp_path: Path) -> None:
    """WC106 fires for the boot display."""
    assert ("WC106", "0000:00:01") in fired(bare_host(tmp_path, APART), "0000:00:01.0")


@pytest.mark.parametrize(
    ("addresses", "all_cards", "slots"),
    [
        (["01:00.1"], False, ("0000:01:00",)),
        (["0000:02:00", "0000:01:00.0"], False, ("0000:01:00", "0000:02:00")),
        ([], True, ("0000:01:00", "0000:02:00")),
        (["0000:00:01.0"], True, ("0000:00:01", "0000:01:00", "0000:02:00")),
    ],
)
def test_resolve(
    tmp_path: Path, addresses: list[str], all_cards: bool, slots: tuple[str, ...]
) -> None:
    """A card is named by a function or its slot; all cards are all but the boot display."""
    assert resolve(bare_host(tmp_path, APART), addresses, all_cards) == DesiredState(slots)


@pytest.mark.parametrize("address", ["0000:00:04.0", "0000:09:00.0", "x"])
def test_no_card(tmp_path: Path, address: str) -> None:
    """An address that is no card's is a usage error."""
    with pytest.raises(UsageError):
        resolve(bare_host(tmp_path, APART), [address])


def test_no_card_lists(tmp_path: Path) -> None:
    """The error lists the cards there are; naming none is an error too."""
    host = bare_host(tmp_path, APART)
    with pytest.raises(UsageError) as caught:
        resolve(host, ["0000:00:04.0"])
    assert "0000:01:00 ATI Rage 128 PRO" in caught.value.details
    with pytest.raises(UsageError, match="no card is selected"):
        resolve(host, [])


@pytest.mark.parametrize(
    ("devices", "groups"), [(APART, GROUPS_APART), (TOGETHER, GROUPS_TOGETHER)]
)
def test_host_json(tmp_path: Path, devices: list[Device], groups: dict[int, list[str]]) -> None:
    """A host comes back equal from its JSON, bare and prepared."""
    host = bare_host(tmp_path, devices)
    assert Host.from_json(json.loads(json.dumps(host.to_json()))) == host
    reboot(tmp_path, devices, groups, ())
    host = inspect(tmp_path)
    assert Host.from_json(json.loads(json.dumps(host.to_json()))) == host
    with pytest.raises(UsageError, match="schema"):
        Host.from_json({"schema": 0})


def test_kernel_log(tmp_path: Path) -> None:
    """Records carry seconds since boot; continuation lines are passed over; no file is None."""
    assert read_kernel_log(tmp_path) is None
    grow(tmp_path, {"dev/kmsg": "6,4,3210000,-;hello; world\n SUBSYSTEM=pci\nbroken\n"})
    log = read_kernel_log(tmp_path)
    assert log is not None
    assert [(each.sequence, each.seconds, each.message) for each in log] == [
        (4, 3.21, "hello; world")
    ]


def test_findings_are_json() -> None:
    """A finding comes back equal from its JSON."""
    finding = Finding("WC101", "IOMMU", Severity.ERROR, "m", "f")
    assert Finding.from_json(finding.to_json()) == finding

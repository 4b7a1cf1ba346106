"""Cards that are given in parts: applied, refused, killed, undone, and made again at each boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.split_host import (
    ALL,
    ARC,
    DEVICES,
    H100,
    INSTANCES,
    L40S,
    PLAIN,
    TYPED,
    SplitHost,
)
from support.transactions import fast_folder
from wholecard.host.changing.boot_splits import check_stored, last_run, run_splits
from wholecard.host.changing.rollback import rollback
from wholecard.host.facts.inspect import inspect


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SplitHost]:
    """A host in memory."""
    for place in fast_folder(tmp_path):
        yield SplitHost(place, monkeypatch)


def test_applied_and_undone(host: SplitHost) -> None:
    """All four ways are made, a second plan has nothing to do, and rollback gives every byte."""
    before = host.seen()
    host.apply(*ALL)
    assert host.typed() == ["1145", "1145", "1145", "0"]
    assert (host.vfs(L40S), host.vfs(ARC), host.vfs(H100)) == ("4", "2", "4")
    vf = host.root / "sys/bus/pci/devices" / ARC / "virtfn1"
    assert (vf / "driver").readlink().name == "vfio-pci"
    assert len(list((host.root / "sys/bus/mdev/devices").iterdir())) == 3
    assert '"1g.10gb", "1g.10gb"' in (host.root / f"fake/mig-{H100}").read_text()
    assert host.plan(*ALL).actions == ()
    assert check_stored(host.root, inspect(host.root)) == []
    rollback(host.root)
    assert host.seen() == before


def test_each_boot(host: SplitHost) -> None:
    """After a reboot nothing is there; the unit makes all of it again, and status has the times."""
    host.apply(*ALL)
    applied = host.seen()
    host.reboot()
    findings = check_stored(host.root, inspect(host.root))
    assert [(row.rule, row.subject) for row in findings] == [
        ("WC612", card) for card in (L40S, H100, ARC, "mtty")
    ]
    run = run_splits(host.root)
    assert [(card.card, card.state) for card in run.cards] == [
        (card, "made") for card in (L40S, H100, ARC, "mtty")
    ]
    again = host.seen()
    del again["proc/sys/kernel/random/boot_id"], applied["proc/sys/kernel/random/boot_id"]
    assert again == applied
    assert check_stored(host.root, inspect(host.root)) == []
    assert {card.state for card in run_splits(host.root).cards} == {"as-requested"}
    stored = last_run(host.root)
    assert stored is not None
    assert stored["boot_id"] == "boot-two"


def test_rolled_back_in_a_later_boot(host: SplitHost) -> None:
    """What the unit made in a later boot is undone too."""
    before = host.seen()
    host.apply(*ALL)
    host.reboot()
    run_splits(host.root)
    rollback(host.root)
    host.reboot("boot-one")
    assert host.seen() == before


# What a driver refuses, by the end of the file and the value, and the card of it.
REFUSALS = [
    ("virtfn2/nvidia/current_vgpu_type=1145", TYPED, L40S),
    (f"{ARC}/sriov_numvfs=2", PLAIN, ARC),
    ("vf2/profile/exec_quantum_ms=20", PLAIN, ARC),
    ("mtty-1/create=", DEVICES, "mtty"),
]

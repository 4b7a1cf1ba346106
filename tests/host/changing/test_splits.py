"""Cards that are given in parts: applied, refused, killed, undone, and made again at each boot."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.faults import counted, killed, points_of, refuse
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
from support.split_kernel import SplitKernel
from support.transactions import fast_folder
from support.tree import grow
from wholecard.core import RefusedError, UsageError, WholecardError
from wholecard.host.card_split import CardSplit
from wholecard.host.changing.apply import finish
from wholecard.host.changing.boot_splits import check_stored, last_run, run_splits
from wholecard.host.changing.journal import journal_of
from wholecard.host.changing.rollback import rollback
from wholecard.host.changing.status import status
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.snapshot import open_snapshot, save
from wholecard.host.operations.write_file import WriteFile

# A test has a run for each point at which it is stopped: 15 s alone, more beside the lab.
pytestmark = pytest.mark.timeout(600)


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


def test_a_driver_tries_the_vfs(host: SplitHost) -> None:
    """udev loads the module of new VFs: its driver leaves them late, or by itself."""
    (host.root / "fake/tries").touch()
    host.apply(PLAIN)
    for number in range(2):
        vf = host.root / "sys/bus/pci/devices" / ARC / f"virtfn{number}"
        assert (vf / "driver").readlink().name == "vfio-pci"


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
    ("0000:17:00.6/nvidia/current_vgpu_type=1145", TYPED, L40S),
    (f"{ARC}/sriov_numvfs=2", PLAIN, ARC),
    ("vf2/profile/exec_quantum_ms=20", PLAIN, ARC),
    ("mtty-1/create=", DEVICES, "mtty"),
]


@pytest.mark.parametrize(("file", "split", "card"), REFUSALS)
def test_a_driver_refuses(host: SplitHost, file: str, split: CardSplit, card: str) -> None:
    """What a driver refuses half way is rolled back: by apply all of it, at boot this card."""
    before = host.seen()
    refuse = host.root / "fake/refuse"
    last = [action for action in host.plan(split).actions if action.kind == "start-mdev"][-1:]
    refuse.write_text(file + (last[0].subject if last and file.endswith("create=") else ""))
    with pytest.raises(WholecardError, match="Everything was rolled back") as caught:
        host.apply(split)
    assert "unfinished" not in str(caught.value)
    refuse.unlink()
    assert host.seen() == before
    host.apply(split, *([PLAIN] if split is not PLAIN else []))
    host.reboot()
    sysfs = {path: leaf for path, leaf in host.seen().items() if path.startswith("sys/")}
    refuse.write_text(file + (last[0].subject if last and file.endswith("create=") else ""))
    run = run_splits(host.root)
    states = {result.card: result.state for result in run.cards}
    assert states.pop(card) == "failed"
    assert set(states.values()) <= {"made"}
    now = {path: leaf for path, leaf in host.seen().items() if path.startswith("sys/")}
    name = card.rpartition(".")[0] or card
    changed = {path for path in {*now, *sysfs} if now.get(path) != sysfs.get(path)}
    assert not any(name in path for path in changed)
    refuse.unlink()
    assert {result.card: result.state for result in run_splits(host.root).cards}[card] == "made"


def test_mig_that_has_no_place(host: SplitHost) -> None:
    """nvidia-smi stops half way; the instance that it made and the mode are undone."""
    before = host.seen()
    mig = host.root / f"fake/mig-{H100}"
    mig.write_text('{"mode": false, "instances": [], "refuse": true}')
    with pytest.raises(WholecardError, match="Everything was rolled back"):
        host.apply(INSTANCES)
    mig.write_text('{"mode": false, "instances": []}')
    assert host.seen() == before


# What is requested, and the rules and a part of the messages that refuse it before anything.
REFUSED = [
    (CardSplit(ARC, "vfs", count=5), "WC605", "5 VFs are asked for, and the PF has 4"),
    (CardSplit("mtty", "mdev", (("mtty-3", 1),), made_by="host"), "WC610",
     "mtty has no type 'mtty-3'. The driver offers: mtty-1 (mtty-1 ports), mtty-2"),
    (CardSplit("mtty", "mdev", (("mtty-2", 13),)), "WC611",
     "13 of mtty-2 are requested, and the driver can have 12"),
    (CardSplit(H100, "mig", (("a", 1),), geometry=(("3g.40gb", 3),), through="vfs"), "WC604",
     "1 to 2 of 3g.40gb, and 3 are asked for"),
    (CardSplit(L40S, "mig", (("a", 1),), geometry=(("1g.10gb", 1),), through="vfs"), "WC606",
     "Mig: the card has no MIG"),
    (CardSplit("0000:1a:00.0", "vfs", count=3), "WC605", "can have 1 or 8 VFs, and 3"),
    (CardSplit(L40S, "vfs", (("NVIDIA L40S-12Q", 1), ("NVIDIA L40S-24Q", 1))), "WC602",
     "have different sizes"),
]  # fmt: skip


@pytest.mark.parametrize(("split", "rule", "message"), REFUSED)
def test_refused(host: SplitHost, split: CardSplit, rule: str, message: str) -> None:
    """It is refused by name and source, and nothing is touched."""
    before = host.seen()
    with pytest.raises(RefusedError) as caught:
        host.apply(split)
    assert (rule, True) in {(row.rule, message in row.message) for row in caught.value.findings}
    assert host.seen() == before


def test_an_unknown_type_of_vfs(host: SplitHost) -> None:
    """The driver lists types when VFs exist: then it is refused with the list, and rolled back."""
    before = host.seen()
    split = CardSplit(L40S, "vfs", (("NVIDIA L40S-12", 1),))
    with pytest.raises(WholecardError) as caught:
        host.apply(split)
    assert "The driver offers: NVIDIA L40S-12Q, NVIDIA L40S-24Q" in caught.value.details
    assert "Did you mean 'NVIDIA L40S-12Q'?" in str(caught.value)
    assert host.seen() == before


def _open(host: SplitHost, target: str) -> None:
    """A QEMU that has a VFIO file open."""
    grow(host.root, {"proc/77/comm": "qemu-kvm\n", "proc/77/fd/5": f"-> {target}"})


def test_a_slice_in_use(host: SplitHost) -> None:
    """A VF or mediated device that a server has is not taken from it, by a plan or a rollback."""
    host.apply(TYPED, DEVICES)
    before = host.seen()
    vf = host.root / "sys/bus/pci/devices" / L40S / "virtfn1"
    _open(host, f"/dev/vfio/{(vf / 'iommu_group').readlink().name}")
    other = CardSplit(L40S, "vfs", (("NVIDIA L40S-24Q", 2),))
    changes: list[Callable[[], object]] = [
        lambda: host.apply(other), lambda: rollback(host.root),
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(RefusedError) as caught:
            change()
        assert caught.value.findings[0].rule == "WC150"
        assert "qemu-kvm (pid 77)" in caught.value.findings[0].message
    mdev = next((host.root / "sys/bus/mdev/devices").iterdir()).name
    _open(host, "/dev/null")
    domain = (
        f"<domstatus><domain><name>instance-1</name><devices><hostdev type='mdev'><source>"
        f"<address uuid='{mdev}'/></source></hostdev></devices></domain></domstatus>"
    )
    grow(host.root, {"run/libvirt/qemu/instance-1.xml": domain})
    with pytest.raises(RefusedError) as caught:
        rollback(host.root)
    assert [(row.rule, row.subject) for row in caught.value.findings] == [("WC151", mdev)]
    after = host.seen()
    assert {path: after[path] for path in before} == before


def test_somebody_elses_type(host: SplitHost) -> None:
    """A type that Wholecard did not set is not cleared by rollback, before anything is touched."""
    host.apply(TYPED)
    vf = host.root / "sys/bus/pci/devices" / L40S / "virtfn2/nvidia/current_vgpu_type"
    vf.write_text("1147\n")
    before = host.seen()
    with pytest.raises(WholecardError, match="which Wholecard did not set"):
        rollback(host.root)
    assert host.seen() == before


def test_types_change(host: SplitHost) -> None:
    """From one size to another the old types are cleared first; rollback goes the way back."""
    host.apply(TYPED)
    before = host.seen()
    host.apply(CardSplit(L40S, "vfs", (("NVIDIA L40S-24Q", 2),)))
    assert host.typed() == ["1147", "1147", "0", "0"]
    rollback(host.root)
    assert host.seen() == before


def test_types_are_on_the_first_vfs(host: SplitHost) -> None:
    """nova is told of the first VFs: a right type on a later one moves to a first one."""
    one = CardSplit(L40S, "vfs", (("NVIDIA L40S-12Q", 1),))
    host.apply(one)
    types = host.root / "sys/bus/pci/devices" / L40S
    for index, kind in ((0, "0"), (2, "1145")):
        (types / f"virtfn{index}/nvidia/current_vgpu_type").write_text(f"{kind}\n")
    host.apply(one)
    assert host.typed() == ["1145", "0", "0", "0"]


def test_the_number_changes(host: SplitHost) -> None:
    """The kernel changes the number of VFs only from 0, and the plan goes that way."""
    host.apply(CardSplit(ARC, "vfs", count=1))
    before = host.seen()
    host.apply(CardSplit(ARC, "vfs", count=4))
    assert host.vfs(ARC) == "4"
    rollback(host.root)
    assert (host.vfs(ARC), host.seen()) == ("1", before)


def test_a_slice_deleted_by_hand(host: SplitHost) -> None:
    """host check names it, and the next run makes it again."""
    host.apply(TYPED, DEVICES)
    SplitKernel(host.root).write(
        next((host.root / "sys/bus/mdev/devices").iterdir()) / "remove", "1"
    )
    (finding,) = check_stored(host.root, inspect(host.root))
    assert (finding.rule, finding.subject) == ("WC612", "mtty")
    assert "to be done: start-mdev" in finding.message
    assert [card.state for card in run_splits(host.root).cards] == ["as-requested", "made"]


def test_a_driver_that_is_not_there(host: SplitHost) -> None:
    """A card whose driver is not loaded is not ready, and says so; the others are made."""
    host.apply(TYPED, PLAIN)
    host.reboot()
    (host.root / "sys/devices/pci0000:00" / L40S / "driver").unlink()
    run = run_splits(host.root)
    assert [(card.state, card.why) for card in run.cards] == [
        ("not-ready", "it is on no driver, not on its vendor's driver"), ("made", ""),
    ]  # fmt: skip


def test_whole_and_in_parts(host: SplitHost) -> None:
    """One card is not given in two ways."""
    asked = DesiredState((), containers=(L40S,), splits=(TYPED,))
    with pytest.raises(UsageError, match="is named whole and in parts"):
        resolve(inspect(host.root), [], asked=asked)


def test_gim(host: SplitHost) -> None:
    """GIM takes its number when it is loaded: an option for modprobe, and a reboot."""
    plan = host.plan(CardSplit("0000:1a:00.0", "vfs", count=8))
    texts = {a.subject: a.do.content for a in plan.actions if isinstance(a.do, WriteFile)}
    assert texts["/etc/modprobe.d/wholecard-gim.conf"].endswith("\noptions gim vf_num=8\n")
    assert plan.reboot_needed
    assert not any(action.kind == "make-vfs" for action in plan.actions)


# A request with each kind of operation once or twice.
SMALL = (CardSplit(L40S, "vfs", (("NVIDIA L40S-12Q", 2),)),
         CardSplit(ARC, "vfs", count=1, scheduling=(("exec_quantum_ms", "20"),)),
         CardSplit("mtty", "mdev", (("mtty-1", 1),), made_by="host"))  # fmt: skip


@pytest.mark.parametrize("then", ["finish", "rollback", "power loss"])
def test_killed(host: SplitHost, then: str) -> None:
    """Killed before any change of a card, apply is finished, undone, or finished by the unit."""
    before = host.seen()
    host.apply(*SMALL)
    applied = host.seen()
    rollback(host.root)
    shutil.rmtree(host.root / "var/lib/wholecard")
    names = points_of(lambda: host.apply(*SMALL))
    rollback(host.root)
    shutil.rmtree(host.root / "var/lib/wholecard")
    numbers = [n for n, name in enumerate(names, 1) if name in ("write_sysfs", "start")]
    assert len(numbers) >= 9
    for at in numbers:
        assert killed(lambda: host.apply(*SMALL), at)
        if then == "power loss":
            host.reboot("boot-one")
            # The unit is enabled by now, or a person applies again.
            if (host.root / "etc/systemd/system/multi-user.target.wants").exists():
                assert all(card.is_right for card in run_splits(host.root).cards), at
                assert status(host.root, "boot-one")["state"] == "applied"
        if then != "rollback":
            finish(host.root)
            assert host.seen() == applied, at
        rollback(host.root)
        assert host.seen() == before, at
        shutil.rmtree(host.root / "var/lib/wholecard")


# 87 s beside other work; `test_killed` finishes a run before each change of a card.
@pytest.mark.long
@pytest.mark.parametrize("then", ["again", "rollback"])
def test_killed_anywhere(host: SplitHost, then: str) -> None:
    """Killed before any system call that changes something, apply is done again, or undone."""
    before = host.seen()
    names = points_of(lambda: host.apply(*SMALL))
    applied = host.seen()
    rollback(host.root)
    shutil.rmtree(host.root / "var/lib/wholecard")
    for at, name in enumerate(names, 1):
        assert killed(lambda: host.apply(*SMALL), at)
        if then == "again":
            finish(host.root)
            host.apply(*SMALL)
            assert host.seen() == applied, (at, name)
        while journal_of(host.root).newest():
            rollback(host.root)
        assert host.seen() == before, (at, name)
        shutil.rmtree(host.root / "var/lib/wholecard", ignore_errors=True)


def test_two_at_once(host: SplitHost) -> None:
    """The unit and apply share one lock."""
    host.apply(TYPED)
    host.reboot()
    with journal_of(host.root).lock():
        (card,) = run_splits(host.root).cards
    assert card.state == "failed"
    assert "another apply or rollback is running" in card.why


def test_a_snapshot(host: SplitHost, tmp_path: Path) -> None:
    """A snapshot has what the check of a split reads; MIG is left out, which only a driver says."""
    host.apply(*ALL)
    save(host.root, tmp_path / "s.tar.gz")
    with open_snapshot(tmp_path / "s.tar.gz") as folder:
        assert check_stored(Path(folder), inspect(folder)) == []


def test_refused_at_each_change(host: SplitHost) -> None:
    """Whichever change of a card the kernel refuses, apply gives back what it had changed."""
    before = host.seen()
    names = points_of(lambda: host.apply(*SMALL))
    rollback(host.root)
    shutil.rmtree(host.root / "var/lib/wholecard")
    numbers = [n for n, name in enumerate(names, 1) if name == "write_sysfs"]
    assert len(numbers) >= 7
    for at in numbers:
        with (
            counted(at, refuse(errno.EIO)),
            pytest.raises(WholecardError, match="Everything was rolled back"),
        ):
            host.apply(*SMALL)
        assert host.seen() == before, names[at - 1]
        shutil.rmtree(host.root / "var/lib/wholecard")

"""Apply and rollback: through a journal, and right after a kill at any point."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.fakes_on_path import fake_tools
from support.nodes import APART, RELEASE, TOGETHER, Device, bare, reboot
from support.tree import grow, snapshot
from wholecard.core import UsageError, WholecardError
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply, finish
from wholecard.host.changing.rollback import rollback
from wholecard.host.changing.status import status
from wholecard.host.config_files import GRUB_PART, HOOK, TABLE
from wholecard.host.desired_state import resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.plan import plan
from wholecard.transaction.engine import Outcome

IMAGE = f"boot/initrd.img-{RELEASE}"
NEW_KERNEL = "boot/initrd.img-6.99"


def prepare(root: Path, *addresses: str) -> Outcome:
    host = inspect(root)
    wish = resolve(host, addresses, all_cards=not addresses)
    return apply(root, host, wish, plan(host, wish))


def called(calls: Path) -> list[str]:
    return calls.read_text().splitlines() if calls.exists() else []


def test_applies(apart: Path, calls: Path) -> None:
    """Apply leaves what was planned, runs each tool once in the root, and plans no more."""
    outcome = prepare(apart)
    assert (outcome.journal, len(outcome.seconds), outcome.reboot_needed) == ("0001", 8, True)
    assert called(calls) == ["update-initramfs -u -k all", "update-grub"]
    assert (apart / HOOK[1:]).stat().st_mode & 0o777 == 0o755
    assert "0000:02:00.1 8086 293e vfio-pci" in (apart / TABLE[1:]).read_text()
    assert "intel_iommu=on" in (apart / "boot/grub/grub.cfg").read_text()
    assert prepare(apart) == Outcome()


def test_nothing_after_reboot(apart: Path, calls: Path) -> None:
    """Nothing is planned either when vfio-pci has taken the functions."""
    prepare(apart)
    groups = {10: ["0000:01:00.0", "0000:01:00.1"], 11: ["0000:02:00.0", "0000:02:00.1"]}
    reboot(apart, APART, groups, [each for group in groups.values() for each in group])
    assert prepare(apart).journal is None


def test_rolls_back(apart: Path, calls: Path) -> None:
    """Rollback restores bytes, modes and owners, removes what was made, and keeps the history."""
    (apart / "etc/default/grub").chmod(0o640)
    shutil.rmtree(apart / "etc/initramfs-tools/scripts")
    before = snapshot(apart)
    prepare(apart)
    assert snapshot(apart) != before
    outcome = rollback(apart)
    assert snapshot(apart) == before
    assert (outcome.journal, len(outcome.seconds)) == ("0001", 8)
    assert len(called(calls)) == 2
    assert [entry.state for entry in journal.entries(apart)] == ["rolled-back"]
    with pytest.raises(UsageError, match="nothing is applied"):
        rollback(apart)


def test_two_journals(apart: Path) -> None:
    """A second apply with another wish is a journal of its own; rollback undoes the newest."""
    before = snapshot(apart)
    prepare(apart, "0000:01:00.0")
    between = snapshot(apart)
    assert prepare(apart, "0000:02:00.0").journal == "0002"
    assert rollback(apart).journal == "0002"
    assert snapshot(apart) == between
    assert rollback(apart).journal == "0001"
    assert snapshot(apart) == before


def test_images_changed_since(apart: Path, calls: Path) -> None:
    """A tool whose outputs have changed since runs again, on the former files."""
    before = snapshot(apart)
    prepare(apart)
    grow(apart, {NEW_KERNEL: "made with our hook"})
    rollback(apart)
    assert called(calls)[2:] == ["update-initramfs -u -k all"]
    assert "vfio-pci" not in (apart / NEW_KERNEL).read_text()
    (apart / NEW_KERNEL).unlink()
    grow(apart, {IMAGE: ("old image", 0o600)})
    assert snapshot(apart) == before


def test_edited_between(apart: Path, calls: Path) -> None:
    """A file edited between plan and apply is refused with the difference, nothing touched."""
    host = inspect(apart)
    wish = resolve(host, [], all_cards=True)
    made = plan(host, wish)
    grow(apart, {GRUB_PART[1:]: "GRUB_DEFAULT=1\n"})
    before = snapshot(apart)
    with pytest.raises(WholecardError, match="changed since the plan") as caught:
        apply(apart, host, wish, made)
    assert "+GRUB_DEFAULT=1" in caught.value.details
    assert snapshot(apart) == before
    assert journal.entries(apart) == ()


def test_edited_since(apart: Path) -> None:
    """Rollback refuses to lose an edit made since, unless told to."""
    before = snapshot(apart)
    prepare(apart)
    with (apart / GRUB_PART[1:]).open("a") as stream:
        stream.write("GRUB_DEFAULT=1\n")
    with pytest.raises(WholecardError, match="changed since it was applied") as caught:
        rollback(apart)
    assert "+GRUB_DEFAULT=1" in caught.value.details
    rollback(apart, discard_edits=True)
    assert snapshot(apart) == before


def test_tool_fails(apart: Path, calls: Path) -> None:
    """A failing tool leaves an unfinished journal that says so; apply finishes, rollback undoes."""
    before = snapshot(apart)
    (calls.parent / "calls.fail").touch()
    with pytest.raises(WholecardError, match="status 7") as caught:
        prepare(apart)
    assert "Journal 0001 is unfinished" in caught.value.resolution
    report = status(apart, "boot-one")
    assert (report["state"], report["done"], report["actions"]) == ("applying", 6, 8)
    assert report["next"] == "run-tool update-initramfs"
    with pytest.raises(WholecardError, match="unfinished"):
        prepare(apart, "0000:01:00.0")
    (calls.parent / "calls.fail").unlink()
    outcome = finish(apart)
    assert outcome is not None
    assert len(outcome.seconds) == 2
    assert finish(apart) is None
    rollback(apart)
    assert snapshot(apart) == before


def test_lock(apart: Path) -> None:
    """A second apply is refused while one holds the lock."""
    grow(apart, {"var/lib/wholecard/lock": ""})
    with (apart / "var/lib/wholecard/lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(WholecardError, match="another apply or rollback"):
            prepare(apart)


def test_status(apart: Path) -> None:
    """Status says clean, applied and rolled back, and whether the host was rebooted."""
    assert status(apart, "boot-one")["state"] == "clean"
    prepare(apart)
    report = status(apart, "boot-one")
    assert (report["state"], report["rebooted"], report["next"]) == ("applied", False, None)
    assert status(apart, "boot-two")["rebooted"] is True
    rollback(apart)
    report = status(apart, "boot-one")
    assert report["state"] == "clean"
    assert [each["state"] for each in report["history"]] == ["rolled-back"]


def test_torn_log(apart: Path) -> None:
    """Half a record that a kill left in the log is passed over, and the next does not join it."""
    prepare(apart)
    (entry,) = journal.entries(apart)
    with (entry.directory / "log.jsonl").open("ab") as stream:
        stream.write(b'{"event": "roll')
    assert entry.state == "applied"
    entry.log("rollback")
    assert entry.state == "rolling-back"


@pytest.mark.parametrize("foreign", [False, True])
def test_killed_inside_tool(apart: Path, calls: Path, foreign: bool) -> None:
    """What a killed tool left is undone; the tool runs again only where a new image came since."""
    before = snapshot(apart)
    (calls.parent / "calls.fail").touch()
    with pytest.raises(WholecardError):
        prepare(apart)
    (calls.parent / "calls.fail").unlink()
    grow(apart, {IMAGE: "half", f"{IMAGE}.new": "half"})
    if foreign:
        (apart / f"{IMAGE}.new").unlink()
        grow(apart, {NEW_KERNEL: "made with our hook"})
    rollback(apart)
    assert called(calls)[1:] == (["update-initramfs -u -k all"] if foreign else [])
    assert foreign or snapshot(apart) == before


def test_finish_during_rollback(apart: Path) -> None:
    """Apply does not go on while a rollback is unfinished."""
    prepare(apart)
    (entry,) = journal.entries(apart)
    entry.log("rollback")
    with pytest.raises(UsageError, match="being rolled back"):
        finish(apart)


def test_journal_is_readable(apart: Path) -> None:
    """The journal's plan is plain JSON that says what was wished and in which boot."""
    prepare(apart, "0000:01:00.0")
    (entry,) = journal.entries(apart)
    data = json.loads((entry.directory / "plan.json").read_text())
    assert data["cards"] == ["0000:01:00"]
    assert data["functions"] == [
        "0000:00/02.0/00.0 0000:01:00.0 1002 5046 vfio-pci",
        "0000:00/02.0/00.1 0000:01:00.1 8086 293e vfio-pci",
    ]
    assert data["boot_id"] == "boot-one"


LAYOUTS: list[tuple[list[Device], tuple[str, ...]]] = [
    (APART, ("0000:01:00.0",)),
    (APART, ("0000:01:00.0", "0000:02:00.0")),
    (TOGETHER, ("0000:02:01.0", "0000:02:02.0")),
]


@settings(max_examples=15)
@given(st.sampled_from(LAYOUTS), st.binary(max_size=60), st.sampled_from([0o600, 0o644, 0o640]))
def test_round_trip(layout: tuple[list[Device], tuple[str, ...]], tail: bytes, mode: int) -> None:
    """Whatever bytes and mode a GRUB file has, apply keeps them and rollback restores the tree."""
    place = Path(tempfile.mkdtemp())
    try:
        devices, wanted = layout
        root = grow(place / "root", bare(devices))
        comment = b"# " + tail.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
        grub = root / "etc/default/grub"
        grub.write_bytes(grub.read_bytes() + comment)
        grub.chmod(mode)
        before = snapshot(root)
        with pytest.MonkeyPatch.context() as monkeypatch:
            fake_tools(place, monkeypatch)
            prepare(root, *wanted)
            assert grub.read_bytes().endswith(comment)
            assert grub.stat().st_mode & 0o777 == mode
            rollback(root)
        assert snapshot(root) == before
    finally:
        shutil.rmtree(place)

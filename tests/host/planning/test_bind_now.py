"""Binding in the running boot: planned, done through driver_override, read back, and undone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.kernels import Kernel
from support.nodes import APART, GROUPS_APART, bare, with_groups
from support.transactions import AUDIO, GPU, SOUND, Node, fast_folder
from support.tree import grow, snapshot
from wholecard.core import Action, Plan, RefusedError, UsageError, WholecardError
from wholecard.host.agent.cli import main
from wholecard.host.changing import journal
from wholecard.host.changing.apply import apply, finish
from wholecard.host.changing.rollback import rollback
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.operations.bind_driver import BindDriver, driver_of, override_of
from wholecard.host.operations.load_module import LoadModule
from wholecard.host.operations.run_tool import RunTool
from wholecard.host.operations.write_file import WriteFile
from wholecard.host.planning.bind_now import plan_now, with_now
from wholecard.pci import Function
from wholecard.transaction import syscalls

WISH = DesiredState(("0000:01:00",))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A small host in memory, whose plan is to bind its card now."""
    for place in fast_folder(tmp_path):
        found = Node(place, monkeypatch)
        host = inspect(found.root)
        found.plan = with_now(Plan(()), host, card(host))
        yield found


def card(host: Host) -> tuple[Function, ...]:
    return host.cards[0].functions


def test_planned(node: Node) -> None:
    """The modules are loaded, then each function bound; what it has is kept for the way back."""
    actions = plan_now(inspect(node.root), card(inspect(node.root)))
    assert [action.do for action in actions] == [
        LoadModule("vfio_pci"),
        LoadModule("vfio_iommu_type1"),
        BindDriver(GPU, "vfio-pci", "1002", "5046"),
        BindDriver(AUDIO, "vfio-pci", "8086", "293e", SOUND),
    ]
    assert str(Plan(actions[3:])) == (
        f"1. bind-driver {AUDIO}\n"
        "   why:  vfio-pci binds the function now, not only at the next boot.\n"
        "   undo: bind it to snd_hda_intel again\n"
        f"   {AUDIO} 8086:293e: snd_hda_intel -> vfio-pci (driver_override, until reboot)"
    )


def test_planned_parked(node: Node) -> None:
    """Parked functions go to pci-stub; a module that is built in is not loaded."""
    host = inspect(node.root)
    boot = dataclasses.replace(host.boot, builtin=("vfio_iommu_type1", "vfio_pci"))
    host = dataclasses.replace(host, boot=boot)
    first, second = card(host)
    assert [action.do for action in plan_now(host, [first], parked=[second])] == [
        LoadModule("pci_stub"),
        BindDriver(GPU, "vfio-pci", "1002", "5046"),
        BindDriver(AUDIO, "pci-stub", "8086", "293e", SOUND),
    ]


def test_nothing_planned(node: Node) -> None:
    """Nothing is planned for functions that vfio-pci has by their override."""
    node.apply()
    host = inspect(node.root)
    assert plan_now(host, card(host)) == ()


def test_needs_iommu(node: Node) -> None:
    """Nothing is bound where the IOMMU is off."""
    host = inspect(node.root)
    host = dataclasses.replace(host, iommu=dataclasses.replace(host.iommu, on=False))
    with pytest.raises(RefusedError, match="the IOMMU is off") as caught:
        plan_now(host, card(host))
    assert [finding.rule for finding in caught.value.findings] == ["WC101"]


def test_needs_group(node: Node) -> None:
    """Half a group is not bound."""
    host = inspect(node.root)
    with pytest.raises(RefusedError, match="every endpoint") as caught:
        plan_now(host, card(host)[:1])
    assert [(each.rule, each.subject) for each in caught.value.findings] == [("WC104", AUDIO)]


def test_needs_ids(node: Node) -> None:
    """A function without ids is not bound."""
    host = inspect(node.root)
    with pytest.raises(WholecardError, match="no vendor or device id"):
        plan_now(host, [dataclasses.replace(each, device="") for each in card(host)])


@pytest.mark.parametrize(
    ("operation", "reboot"),
    [
        (WriteFile("/etc/default/grub", "", 0o644), True),
        (WriteFile("/etc/kernel/cmdline", "", 0o644), True),
        (RunTool(("grubby", "--update-kernel=ALL"), ()), True),
        (WriteFile("/etc/modprobe.d/wholecard.conf", "", 0o644), False),
        (RunTool(("update-initramfs", "-u"), ()), False),
    ],
)
def test_reboot_needed(node: Node, operation: Any, reboot: bool) -> None:
    """With --now a reboot is needed only where the kernel's arguments change."""
    host = inspect(node.root)
    made = Plan((Action("x", "x", "", operation, ""),), reboot_needed=True)
    assert with_now(made, host, card(host)).reboot_needed is reboot


def test_bound_and_given_back(node: Node) -> None:
    """Each function is on vfio-pci by its override, and given back to what had it."""
    before = node.seen()
    node.apply()
    for address in (GPU, AUDIO):
        assert driver_of(node.root, address) == override_of(node.root, address) == "vfio-pci"
    assert node.calls.read_text().split() == ["modprobe", "modprobe"]
    outcome = rollback(node.root)
    assert node.seen() == before
    assert outcome.notes == (
        "module vfio_iommu_type1 stays loaded until the host is rebooted",
        "module vfio_pci stays loaded until the host is rebooted",
    )


def test_former_override(node: Node) -> None:
    """A former override is given back too, with its driver."""
    grow(node.root, {"sys/bus/pci/drivers/pci-stub/": ""})
    kernel = Kernel(node.root, {AUDIO: SOUND})
    place = node.root / "sys/bus/pci/devices" / GPU
    kernel.write(place / "driver_override", "pci-stub")
    kernel.write(node.root / "sys/bus/pci/drivers_probe", GPU)
    before = node.seen()
    host = inspect(node.root)
    node.plan = Plan(plan_now(host, card(host)))
    node.apply()
    assert driver_of(node.root, GPU) == "vfio-pci"
    rollback(node.root)
    assert node.seen() == before
    assert (driver_of(node.root, GPU), override_of(node.root, GPU)) == ("pci-stub", "pci-stub")


def test_after_reboot(node: Node) -> None:
    """After a reboot there is nothing to give back, and rollback says so."""
    node.apply()
    grow(node.root, {"proc/sys/kernel/random/boot_id": "boot-two\n"})
    (node.root / "sys/bus/pci/devices" / AUDIO / "driver").resolve()
    before = snapshot(node.root)
    outcome = rollback(node.root)
    assert snapshot(node.root) == before
    assert f"{AUDIO} was bound in an earlier boot: nothing to undo" in outcome.notes


def test_finished_in_another_boot(node: Node) -> None:
    """What apply bound in one boot and finish in the next is given back by that: the second."""
    (first, second) = node.plan.actions[2:]
    node.plan = Plan((first, LoadModuleThatFails, second))
    Path(f"{node.calls}.fail").touch()
    with pytest.raises(WholecardError, match="status 7"):
        node.apply()
    Path(f"{node.calls}.fail").unlink()
    grow(node.root, {"proc/sys/kernel/random/boot_id": "boot-two\n"})
    finish(node.root)
    outcome = rollback(node.root)
    assert driver_of(node.root, AUDIO) == SOUND
    assert f"{GPU} was bound in an earlier boot: nothing to undo" in outcome.notes


LoadModuleThatFails = Action("load-module", "x", "", LoadModule("x"), "")


def test_driver_missing(node: Node) -> None:
    """A driver that is not there does not take the function: an error that says so, and undone."""
    (node.root / "sys/bus/pci/drivers/vfio-pci").rmdir()
    before = node.seen()
    node.plan = Plan(node.plan.actions[2:])
    with pytest.raises(WholecardError, match="is on no driver, not on vfio-pci") as caught:
        node.apply()
    assert "dmesg" in caught.value.resolution
    rollback(node.root)
    assert node.seen() == before


def test_not_taken(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that binds nothing is noticed, for the link is read back."""
    kernel = Kernel(node.root, {AUDIO: SOUND}, stubborn=frozenset({AUDIO}))
    monkeypatch.setattr(syscalls, "write_sysfs", kernel.write)
    before = node.seen()
    with pytest.raises(WholecardError, match=f"{AUDIO} is on no driver"):
        node.apply()
    assert node.status()["next"] == f"bind-driver {AUDIO}"
    rollback(node.root)
    assert node.seen() == before


def test_former_driver_unloaded(node: Node) -> None:
    """A former driver that was unloaded since is named, with what brings it back."""
    node.apply()
    (node.root / "sys/bus/pci/drivers" / SOUND).rmdir()
    with pytest.raises(WholecardError, match=f"driver {SOUND} is not loaded") as caught:
        rollback(node.root)
    assert f"modprobe {SOUND}" in caught.value.resolution
    grow(node.root, {f"sys/bus/pci/drivers/{SOUND}/": ""})
    rollback(node.root)
    assert driver_of(node.root, AUDIO) == SOUND


def test_stranger(node: Node) -> None:
    """A function with other ids than planned is not touched."""
    place = (node.root / "sys/bus/pci/devices" / AUDIO).resolve()
    (place / "device").write_text("0xbeef\n")
    with pytest.raises(WholecardError, match=f"{AUDIO} is not 8086:293e"):
        node.apply()
    assert driver_of(node.root, AUDIO) == SOUND


def test_given_away_since(node: Node) -> None:
    """A function that somebody gave to a third driver is not taken from it unasked."""
    node.apply()
    grow(node.root, {"sys/bus/pci/drivers/other/": ""})
    place = (node.root / "sys/bus/pci/devices" / AUDIO).resolve()
    kernel = Kernel(node.root, {AUDIO: SOUND})
    kernel.write(place / "driver_override", "other")
    kernel.write(place / "driver" / "unbind", AUDIO)
    kernel.write(node.root / "sys/bus/pci/drivers_probe", AUDIO)
    with pytest.raises(WholecardError, match=f"{AUDIO} was changed since it was applied"):
        rollback(node.root)
    rollback(node.root, discard_edits=True)
    assert driver_of(node.root, AUDIO) == SOUND


def test_refused_in_use(node: Node) -> None:
    """A function in use is refused before anything is touched; so is the way back."""
    opened = {"proc/77/comm": "qemu-kvm\n", "proc/77/fd/9": "-> /dev/vfio/10"}
    grow(node.root, opened)
    before = snapshot(node.root)
    with pytest.raises(RefusedError, match="in use") as caught:
        node.apply()
    assert {each.rule for each in caught.value.findings} == {"WC150"}
    assert snapshot(node.root) == before
    assert journal.entries(node.root) == ()
    (node.root / "proc/77/fd/9").unlink()
    node.apply()
    grow(node.root, opened)
    before = snapshot(node.root)
    with pytest.raises(RefusedError, match="unbind a function that is in use"):
        rollback(node.root)
    assert snapshot(node.root) == before
    assert node.status()["state"] == "applied"


def test_refused_in_use_when_finished(node: Node) -> None:
    """Finishing looks anew: a function that somebody took since is not touched."""
    Path(f"{node.calls}.fail").touch()
    with pytest.raises(WholecardError):
        node.apply()
    Path(f"{node.calls}.fail").unlink()
    grow(node.root, {"proc/77/fd/9": "-> /dev/vfio/10"})
    with pytest.raises(RefusedError):
        finish(node.root)
    assert driver_of(node.root, AUDIO) == SOUND


def test_agent(
    apart: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """plan --now shows the bindings of the running host, and refuses another tree than that."""
    grow(apart, with_groups(bare(APART), GROUPS_APART))
    arguments = ["plan", "--root", str(apart), "--card", "0000:01:00.0", "--now"]
    assert main(arguments) == UsageError.exit_code
    assert "--now works only on the running host" in capsys.readouterr().err
    running = Path("/proc/sys/kernel/random/boot_id").read_text()
    grow(apart, {"proc/sys/kernel/random/boot_id": running})
    assert main(arguments) == 0
    assert "bind-driver 0000:01:00.1\n" in capsys.readouterr().out


def test_applies_to_a_bound_host(node: Node) -> None:
    """A second apply of the same bindings changes no driver and asks nobody."""
    node.apply()
    before = snapshot(node.root)
    grow(node.root, {"proc/77/fd/9": "-> /dev/vfio/10"})
    apply(node.root, inspect(node.root), WISH, Plan(node.plan.actions[2:]))
    (node.root / "proc/77/fd/9").unlink()
    found = {key: each for key, each in snapshot(node.root).items() if not key.startswith("proc")}
    assert found == {key: each for key, each in before.items() if not key.startswith("proc")}

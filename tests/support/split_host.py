"""A host with an L40S, an H100, an Arc Pro, two plain cards and the mtty driver, to be split."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.nodes import bare, with_groups
from support.split_kernel import SplitKernel
from support.tree import Leaf, grow, snapshot
from wholecard.core import Plan
from wholecard.host.card_split import CardSplit
from wholecard.host.changing.apply import apply
from wholecard.host.desired_state import DesiredState, resolve
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.split_state import read_split_state
from wholecard.host.planning.plan import plan
from wholecard.transaction import syscalls
from wholecard.transaction.engine import Outcome

L40S, H100, ARC, GIM = "0000:17:00.0", "0000:18:00.0", "0000:19:00.0", "0000:1a:00.0"
TYPED = CardSplit(L40S, "vfs", (("NVIDIA L40S-12Q", 3),))
PLAIN = CardSplit(ARC, "vfs", count=2, scheduling=(("exec_quantum_ms", "20"),
                                                   ("sched_priority", "low")))  # fmt: skip
DEVICES = CardSplit("mtty", "mdev", (("mtty-2", 2), ("mtty-1", 1)), made_by="host")
INSTANCES = CardSplit(H100, "mig", (("NVIDIA L40S-12Q", 2),), geometry=(("1g.10gb", 2),),
                      through="vfs")  # fmt: skip
ALL = (TYPED, INSTANCES, PLAIN, DEVICES)
CHROOT = """#!{python} -SE
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from support.split_kernel import main
sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
"""


def _card(address: str, ids: str, driver: str, total: int, **extra: str) -> tuple[object, ...]:
    sriov = {"sriov_totalvfs": str(total), "sriov_numvfs": "0", "sriov_offset": "4",
             "sriov_stride": "1", "sriov_drivers_autoprobe": "1"}  # fmt: skip
    return (address, (), ids, "030200", driver, {**sriov, **extra})


def tree() -> dict[str, Leaf]:
    """The host, its IOMMU on, as its next boot has it too."""
    cards = [
        _card(L40S, "10de:26b9", "nvidia", 4),
        _card(H100, "10de:2330", "nvidia", 4),
        _card(ARC, "8086:e212", "xe", 4),
        _card(GIM, "1002:74a1", "gim", 8),
    ]
    groups = {10 + number: [str(card[0])] for number, card in enumerate(cards)}
    on = "intel_iommu=on iommu=pt"
    mtty = "sys/devices/virtual/mtty/mtty"
    admin = "sys/devices/pci0000:00/0000:19:00.0/sriov_admin"
    files: dict[str, Leaf] = {}
    for kind, free in (("mtty-1", 24), ("mtty-2", 12)):
        files[f"{mtty}/mdev_supported_types/{kind}/available_instances"] = f"{free}\n"
        files[f"{mtty}/mdev_supported_types/{kind}/name"] = f"{kind} ports\n"
        files[f"{mtty}/mdev_supported_types/{kind}/create"] = ""
    for index in range(1, 5):
        files[f"{admin}/vf{index}/profile/exec_quantum_ms"] = "0\n"
        files[f"{admin}/vf{index}/profile/sched_priority"] = "low [normal]\n"
    return {
        **with_groups(bare(cards), groups),  # type: ignore[arg-type]
        **files,
        f"{admin}/.bulk_profile/sched_priority": "",
        "sys/class/mdev_bus/mtty": "-> ../../devices/virtual/mtty/mtty",
        "sys/bus/mdev/devices/": "",
        "sys/bus/pci/drivers/vfio-pci/": "",
        "fake/mig-0000:18:00.0": '{"mode": false, "instances": []}',
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "proc/cmdline": f"BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro {on} quiet\n",
        "etc/default/grub": f'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="console=ttyS0 {on}"\n',
        "run/": "", "usr/lib/systemd/": "", "etc/mdevctl.d/": "",
    }  # fmt: skip


class SplitHost:
    """One host in a folder, its tools and its kernel."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = grow(place / "root", tree())
        self.calls = place / "calls"
        script = CHROOT.format(python=sys.executable, tests=str(Path(__file__).parents[1]))
        programs = grow(place / "programs", {"chroot": (script, 0o755)})
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        monkeypatch.setenv("CALLS", str(self.calls))
        monkeypatch.setattr(syscalls, "write_sysfs", SplitKernel(self.root).write)

    def desired(self, *splits: CardSplit) -> DesiredState:
        """The request as a person's file has it."""
        return resolve(inspect(self.root), [], asked=DesiredState((), splits=splits))

    def plan(self, *splits: CardSplit) -> Plan:
        """What would be done now."""
        desired = self.desired(*splits)
        state = read_split_state(self.root, desired.splits)
        return plan(inspect(self.root), desired, state)

    def apply(self, *splits: CardSplit) -> Outcome:
        """Plan and apply."""
        desired = self.desired(*splits)
        return apply(self.root, inspect(self.root), desired, self.plan(*splits))

    def reboot(self, boot: str = "boot-two") -> None:
        """The kernel begins anew: its files are as they were, and /run is empty."""
        fresh = tree()
        for folder in ("sys", "run", "fake"):
            for path in sorted((self.root / folder).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        grow(self.root, {path: leaf for path, leaf in fresh.items()
                         if path.startswith(("sys/", "run/", "fake/"))})  # fmt: skip
        grow(self.root, {"proc/sys/kernel/random/boot_id": f"{boot}\n"})

    def seen(self) -> dict[str, object]:
        """Everything but the journals, and the files of this boot's runs."""
        found = snapshot(self.root)
        return {path: leaf for path, leaf in found.items() if not path.startswith("run/")}

    def typed(self, card: str = L40S) -> list[str]:
        """The types of a card's VFs, by index."""
        folder = self.root / "sys/bus/pci/devices" / card
        files = sorted(folder.glob("virtfn*/nvidia/current_vgpu_type"))
        return [file.read_text().strip() for file in files]

    def vfs(self, card: str) -> str:
        """How many VFs a card has."""
        path = self.root / "sys/bus/pci/devices" / card / "sriov_numvfs"
        return path.read_text().strip()

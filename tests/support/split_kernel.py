"""What Linux and the vendors' drivers do with sysfs when a card is split; and nvidia-smi.

Recorded from documents and other projects' code, not from hardware: see
`wholecard/pci/splitting/nvidia.py` and `host/operations/`. All state is in the tree, so that a
killed process takes nothing with it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from support.kernels import Kernel

# Name, ID and how many of it a card can have: as nvidia-smi vgpu -s lists those of an L40S.
VGPU_TYPES = {"NVIDIA L40S-12Q": (1145, 4), "NVIDIA L40S-24Q": (1147, 2)}
# Bytes of the mtty sample driver are ports: 24 in all, two for each mtty-2.
PORTS = {"mtty-1": 1, "mtty-2": 2}
ALL_PORTS = 24
SLICES = 7


def refused(number: int, path: Path) -> OSError:
    """The error of a system call."""
    return OSError(number, os.strerror(number), str(path))


class SplitKernel(Kernel):
    """`fake/refuse` in the tree has names of files, by their ends, whose drivers refuse a write."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, {})

    def write(self, path: Path, text: str) -> None:
        """Stands for `syscalls.write_sysfs`."""
        refusals = self.root / "fake/refuse"
        names = refusals.read_text().split() if refusals.exists() else []
        if any(f"{path}={text}".endswith(name) for name in names):
            raise refused(errno.EIO, path)
        writers: dict[str, Any] = {
            "sriov_numvfs": self._numvfs,
            "current_vgpu_type": self._type,
            "create": self._create,
            "remove": self._remove,
        }
        if path.name in writers:
            writers[path.name](path, text)
        elif (self.root / "fake/tries").exists() and path.name == "driver_override":
            # The PF's driver, whose module is loaded now, tries each VF, and leaves it.
            super().write(path, text)
            self._link(path.parent, (path.parent / "physfn/driver").readlink().name)
        elif (self.root / "fake/tries").exists() and path.name == "unbind":
            self._tries(path)
        elif path.name == "sriov_drivers_autoprobe" or "sriov_admin" in path.parts:
            self._plain(path, text)
        else:
            super().write(path, text)

    def _tries(self, path: Path) -> None:
        """The driver has no such file yet; then a VF of an even address is left by itself."""
        seen = self.root / f"fake/seen-{path.parent.parent.name}"
        if not seen.exists():
            seen.touch()
        elif path.parent.parent.resolve().name.endswith(("0", "2", "4", "6")):
            path.parent.unlink()
        else:
            super().write(path, path.parent.parent.resolve().name)
            return
        raise refused(errno.ENOENT, path)

    def _plain(self, path: Path, text: str) -> None:
        folder = path.parent
        if folder.name == ".bulk_profile":
            for profile in folder.parent.glob("vf*/profile"):
                words = [f"[{word}]" if word == text else word for word in ("low", "normal")]
                (profile / path.name).write_text(" ".join(words) + "\n")
            return
        if not path.exists():
            raise refused(errno.ENOENT, path)
        path.write_text(f"{text}\n")

    def _numvfs(self, path: Path, text: str) -> None:
        pf, count = path.parent.resolve(), int(text)
        if (pf / "vendor").read_text().strip() == "0x10de":
            # NVIDIA's driver makes them through its script alone.
            raise refused(errno.ENOENT, path)
        self.set_vfs(pf, count)

    def set_vfs(self, pf: Path, count: int) -> None:
        """Make or end VFs of the PF in this folder, as drivers/pci/iov.c does."""
        path = pf / "sriov_numvfs"
        present = int(path.read_text())
        if count > int((pf / "sriov_totalvfs").read_text()):
            raise refused(errno.ERANGE, path)
        if present and count:
            raise refused(errno.EBUSY, path)
        for index in range(present):
            link = pf / f"virtfn{index}"
            vf = link.resolve()
            link.unlink()
            (self.root / "sys/bus/pci/devices" / vf.name).unlink()
            shutil.rmtree(vf)
            shutil.rmtree(self.root / "sys/kernel/iommu_groups" / self._group(vf.name))
        for index in range(count):
            self._make_vf(pf, index)
        path.write_text(f"{count}\n")

    @staticmethod
    def _group(address: str) -> str:
        return str(1000 + int(address[5:7], 16) * 100 + int(address[8:10], 16) * 8
                   + int(address[-1]))  # fmt: skip

    def _make_vf(self, pf: Path, index: int) -> None:
        domain, bus, _ = pf.name.split(":")
        number = int((pf / "sriov_offset").read_text()) + index
        address = f"{domain}:{bus}:{number >> 3:02x}.{number & 7}"
        vf = pf.parent / address
        vf.mkdir()
        vendor = (pf / "vendor").read_text()
        for name, text in (("vendor", vendor), ("device", (pf / "device").read_text()),
                           ("class", (pf / "class").read_text()),
                           ("driver_override", "(null)\n")):  # fmt: skip
            (vf / name).write_text(text)
        (vf / "physfn").symlink_to(f"../{pf.name}")
        (pf / f"virtfn{index}").symlink_to(f"../{address}")
        below = os.path.relpath(vf, self.root.resolve() / "sys")
        (self.root / "sys/bus/pci/devices" / address).symlink_to(f"../../../{below}")
        up = "../" * len(Path(below).parts)
        group = self._group(address)
        (vf / "iommu_group").symlink_to(f"{up}kernel/iommu_groups/{group}")
        devices = self.root / "sys/kernel/iommu_groups" / group / "devices"
        devices.mkdir(parents=True)
        (devices / address).symlink_to(f"../../../../{below}")
        if (pf / "sriov_drivers_autoprobe").read_text().strip() == "1":
            driver = (pf / "driver").readlink().name
            (vf / "driver").symlink_to(f"{up}bus/pci/drivers/{driver}")
        if vendor.strip() == "0x10de":
            (vf / "nvidia").mkdir()
            (vf / "nvidia/current_vgpu_type").write_text("0\n")
            self._list_types(pf)

    def _typed(self, pf: Path) -> list[int]:
        files = pf.glob("virtfn*/nvidia/current_vgpu_type")
        return [int(file.read_text()) for file in files]

    def _list_types(self, pf: Path) -> None:
        """What can be made now: one size, as long as there is room; none where all is used."""
        used = {type_id for type_id in self._typed(pf) if type_id}
        mixed = (pf / "fake_mixed").exists()
        rows = ["ID    : vGPU Name"]
        for name, (type_id, most) in VGPU_TYPES.items():
            room = self._typed(pf).count(type_id) < most
            if room and (not used or type_id in used or mixed):
                rows.append(f"{type_id}  : {name}")
        for folder in pf.glob("virtfn*/nvidia"):
            (folder / "creatable_vgpu_types").write_text("\n".join(rows) + "\n")

    def _type(self, path: Path, text: str) -> None:
        vf = path.resolve().parents[1]
        pf = (vf / "physfn").resolve()
        listed = (vf / "nvidia/creatable_vgpu_types").read_text()
        if text != "0" and (f"{text}  :" not in listed or path.read_text().strip() != "0"):
            raise refused(errno.EINVAL, path)
        path.write_text(f"{text}\n")
        self._list_types(pf)

    def _create(self, path: Path, text: str) -> None:
        kind = path.parent.resolve()
        parent = kind.parents[1]
        if int((kind / "available_instances").read_text()) < 1:
            raise refused(errno.ENOSPC, path)
        if (parent / text).exists():
            raise refused(errno.EEXIST, path)
        (parent / text).mkdir()
        (parent / text / "mdev_type").symlink_to(f"../mdev_supported_types/{kind.name}")
        bus = self.root / "sys/bus/mdev/devices"
        bus.mkdir(parents=True, exist_ok=True)
        below = os.path.relpath(parent / text, self.root.resolve() / "sys")
        (bus / text).symlink_to(f"../../../{below}")
        (parent / text / "iommu_group").symlink_to(f"../../../kernel/iommu_groups/{text[:2]}")
        self._count_ports(parent)

    def _remove(self, path: Path, text: str) -> None:
        device = path.parent.resolve()
        (self.root / "sys/bus/mdev/devices" / device.name).unlink()
        shutil.rmtree(device)
        self._count_ports(device.parent)

    @staticmethod
    def _count_ports(parent: Path) -> None:
        types = Counter(link.readlink().name for link in parent.glob("*/mdev_type"))
        left = ALL_PORTS - sum(PORTS[name] * number for name, number in types.items())
        for kind in parent.glob("mdev_supported_types/*"):
            (kind / "available_instances").write_text(f"{left // PORTS[kind.name]}\n")


def main(root: Path, tool: str, *arguments: str) -> int:
    """`chroot ROOT TOOL ARGUMENT...`: what the tool does, in ROOT."""
    with Path(os.environ["CALLS"]).open("a") as calls:
        calls.write(" ".join((tool, *arguments)) + "\n")
    tools: dict[str, Any] = {
        "/usr/lib/nvidia/sriov-manage": _sriov_manage,
        "nvidia-smi": _nvidia_smi,
        "systemctl": _systemctl,
        "modprobe": lambda *_: 0,
    }
    status: int = tools[tool](root, *arguments)
    return status


def _sriov_manage(root: Path, verb: str, address: str) -> int:
    pf = (root / "sys/bus/pci/devices" / address).resolve()
    total = int((pf / "sriov_totalvfs").read_text())
    (pf / "fake_mixed").unlink(missing_ok=True)
    try:
        SplitKernel(root).set_vfs(pf, total if verb == "-e" else 0)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _systemctl(root: Path, verb: str, unit: str) -> int:
    folder = root / "etc/systemd/system/multi-user.target.wants"
    folder.mkdir(parents=True, exist_ok=True)
    if verb == "enable":
        (folder / unit).unlink(missing_ok=True)
        (folder / unit).symlink_to(f"/etc/systemd/system/{unit}")
    else:
        (folder / unit).unlink(missing_ok=True)
    return 0


def _nvidia_smi(root: Path, *arguments: str) -> int:
    words = list(arguments)
    address = words[words.index("-i") + 1]
    pf = (root / "sys/bus/pci/devices" / address).resolve()
    if words[0] == "vgpu":
        (pf / "fake_mixed").write_text("")
        SplitKernel(root)._list_types(pf)
        return 0
    place = root / "fake" / f"mig-{address}"
    mig = json.loads(place.read_text()) if place.exists() else None
    if mig is None:
        print("[N/A]")
        return 0
    status = _mig(mig, words)
    place.write_text(json.dumps(mig))
    return status


def _mig(mig: dict[str, Any], words: list[str]) -> int:
    if "--query-gpu=mig.mode.current" in words:
        print("Enabled" if mig["mode"] else "Disabled")
    elif "-mig" in words:
        if mig["instances"]:
            print("In use by another client", file=sys.stderr)
            return 1
        mig["mode"] = words[-1] == "1"
    elif "-lgi" in words:
        for number, name in enumerate(mig["instances"]):
            print(f"|   0  MIG {name}       19        {number}          {number}:1     |")
        return 0 if mig["instances"] else 6
    elif "-dgi" in words:
        mig["instances"] = []
    elif "-cgi" in words:
        names = words[words.index("-cgi") + 1].split(",")
        if sum(int(name[0]) for name in names) > SLICES or mig.get("refuse"):
            # It makes one after the other, and stops at the first that has no place.
            mig["instances"] = names[:1]
            print("Insufficient Resources", file=sys.stderr)
            return 4
        mig["instances"] = names
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))

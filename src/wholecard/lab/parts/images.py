"""The lab's two disks: the node's, from the private root; the proof guest's, from its report."""

from __future__ import annotations

from pathlib import Path

from wholecard.guest.image import bootable_disk
from wholecard.guest.image import disk as guest_disk
from wholecard.guest.image import initramfs as guest_initramfs
from wholecard.guest.image.kernel_modules import kernel_release
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.lab.base import cache
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.parts.node_modules import modules_folder
from wholecard.lab.parts.python_environment import INSIDE
from wholecard.lab.parts.root_filesystem import DISK_UUID

GUEST_ROOM = Path(guest_disk.__file__).parent
DISK_CODE = tuple(GUEST_ROOM / name for name in ("bootable_disk.py", "disk.py"))
TREE = "/opt/tree"
NODE_DISK = "disk.raw"
NODE_MIB = 8192
GUEST_DISK = "guest.qcow2"
GUEST_MIB = 40
GUEST_UUID = "6b7a1e52-5f0c-4c0e-9d6b-77686f6c6503"


def node_entry(folder: LabFolder, root: Path, environment: Path, modules: Path) -> Path:
    """The folder with `disk.raw`: the root as a bootable disk, with nova's environment in it and
    the kernel modules that were made here.
    """
    names = (root.name, environment.name, modules.name)
    key = key_of(*names, key_of_files(Path(__file__), *DISK_CODE))

    def build(target: Path) -> None:
        all_modules = target / "modules"
        place = modules_folder(all_modules, root, modules)
        inside = Sandbox(root, (Mount(all_modules, f"/{place}", writable=True),))
        inside.run(["depmod", kernel_release(root)], timeout=120)
        tree = (Mount(root, TREE), Mount(environment, TREE + INSIDE),
                Mount(all_modules, f"{TREE}/{place}"))  # fmt: skip
        bootable_disk.bootable_disk(
            Sandbox(root, tree), TREE, target / NODE_DISK, size_mib=NODE_MIB, uuid=DISK_UUID
        )
        cache.remove_tree(all_modules)

    return cache.entry(folder.cache, "node", key, build, (NODE_DISK,))


def guest_entry(folder: LabFolder, root: Path) -> Path:
    """The folder with `guest.qcow2`: a kernel and `guest/agent/agent.sh`, for Glance."""
    agent = GUEST_ROOM.parent / "agent" / "agent.sh"
    key = key_of(root.name, key_of_files(Path(__file__), GUEST_ROOM, agent))

    def build(target: Path) -> None:
        tree = target / "tree"
        boot = tree / "boot"
        (boot / "grub").mkdir(parents=True)
        release = kernel_release(root)
        kernel = (root / f"boot/vmlinuz-{release}").read_bytes()
        (boot / "vmlinuz").write_bytes(kernel)
        (boot / "initrd.gz").write_bytes(guest_initramfs.build(root, release))
        (boot / "grub/grub.cfg").write_text(guest_disk.grub_cfg(guest_disk.BootEntry()))
        inside = Sandbox(root, (Mount(tree, TREE),))
        raw = target / "guest.raw"
        bootable_disk.bootable_disk(inside, TREE, raw, size_mib=GUEST_MIB, filesystem="ext2",
                           uuid=GUEST_UUID)  # fmt: skip
        bootable_disk.as_qcow2(inside, raw, target / GUEST_DISK)
        raw.unlink()
        cache.remove_tree(tree)

    return cache.entry(folder.cache, "guest", key, build, (GUEST_DISK,))

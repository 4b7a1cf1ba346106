"""The lab's guest image: a Debian system with the agent, the benchmark and a driver for the cards.

It is made as `wholecard image build` makes an image of its own: a base, a recipe, a disk.
"""

from __future__ import annotations

from pathlib import Path

from wholecard.guest.agent import files as agent_files
from wholecard.guest.image import made_image
from wholecard.guest.image.made_image import DebianBase, MadeImage
from wholecard.guest.image.recipe import (
    GuestOs,
    InstallPackages,
    Recipe,
    RunInGuest,
    Step,
    WriteGuestFile,
)
from wholecard.lab.base import cache
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files

DISK = "guest.qcow2"
NAME = "lab-guest"
BENCH = Path(__file__).parents[4] / "packages/bench/src/wholecard_bench"
IN_GUEST = "/usr/local/lib/python3.13/dist-packages/wholecard_bench"
GUEST_ROOM = Path(made_image.__file__).parent

# Debian's cloud kernel has neither DRM nor framebuffers (`# CONFIG_DRM is not set`).
PACKAGES = ("linux-image-amd64", "initramfs-tools", "zstd", "systemd-sysv", "udev", "kmod",
            "python3-numba")  # fmt: skip
# A guest that is fetched and started under emulation has what it uses: of the kernel's modules
# those for a virtual machine's disks and for graphics, of numba's packages not the tests, not
# scipy, which numba calls for linear algebra alone, and not LLVM's own programs.
_MODULES = "/usr/lib/modules/*/kernel"
_UNUSED_DRIVERS = (
    "net", "media", "infiniband", "staging", "usb", "hid", "iio", "input/touchscreen", "mtd", "nfc",
    "md", "bluetooth", "hwmon", "power", "platform", "target", "thunderbolt", "edac", "gpu",
    "net/wireless", "isdn", "message", "crypto", "mmc", "memstick", "rtc", "leds", "mfd",
    "regulator", "nvme", "gpio", "pinctrl", "firewire", "comedi", "accel", "soundwire", "w1",
    "atm", "block/drbd", "nvdimm", "vfio", "vdpa", "vhost", "parport", "spi", "extcon", "pcmcia",
    "scsi/aic7xxx", "scsi/lpfc", "scsi/qla2xxx", "scsi/bnx2fc", "scsi/mpt3sas", "scsi/be2iscsi",
    "scsi/bfa", "scsi/smartpqi", "scsi/qedf", "scsi/qedi", "scsi/megaraid", "scsi/mpi3mr",
)  # fmt: skip
_UNUSED_FILESYSTEMS = ("btrfs", "xfs", "ocfs2", "smb", "nfs", "nfsd", "f2fs", "ceph", "gfs2", "jfs",
                       "ntfs3", "ubifs", "udf", "bcachefs", "orangefs", "dlm", "afs", "erofs",
                       "9p", "nilfs2", "jffs2", "reiserfs", "hfsplus", "fuse")  # fmt: skip
NOT_UNPACKED = (
    "/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*",
    "/usr/share/i18n/*", "/usr/lib/x86_64-linux-gnu/gconv/*", "/usr/lib/llvm-*/bin/*",
    "/usr/lib/udev/hwdb.d/*",
    f"{_MODULES}/net/*", f"{_MODULES}/sound/*",
    *(f"{_MODULES}/drivers/{name}/*" for name in _UNUSED_DRIVERS),
    *(f"{_MODULES}/fs/{name}/*" for name in _UNUSED_FILESYSTEMS),
)  # fmt: skip
_PYTHON = "/usr/lib/python3/dist-packages"
# dpkg cannot leave these out: their packages compile them when they are installed.
REMOVED = (f"{_PYTHON}/scipy", f"{_PYTHON}/numba/tests", f"{_PYTHON}/numba/cuda/tests",
           f"{_PYTHON}/numpy/_core/tests", f"{_PYTHON}/numpy/lib/tests",
           f"{_PYTHON}/numpy/ma/tests", "/var/lib/apt/lists", "/usr/share/doc")  # fmt: skip
# What the emulated cards are: ATI's Rage 128 (1002:5046), whose driver registers a framebuffer.
DRIVER = "aty128fb"
MASKED = ("serial-getty@ttyS0.service", "getty@tty1.service", "apt-daily.timer",
          "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "systemd-pstore.service", "systemd-hwdb-update.service",
          "systemd-random-seed.service", "systemd-networkd.service")  # fmt: skip
# systemd asks a terminal for its size and waits for an answer that a serial port never gives;
# with TERM=dumb it does not ask.
CMDLINE = "quiet mitigations=off TERM=dumb"


def guest_image_entry(folder: LabFolder, root: Path) -> Path:
    """The folder with `guest.qcow2`, for Glance; `root` has the tools that make its disk."""
    code = [
        GUEST_ROOM / f"{name}.py"
        for name in (
            "bootable_disk",
            "debian_root",
            "disk",
            "made_image",
            "package_tools",
            "sandbox_root",
        )
    ]
    image = lab_guest()
    steps = [repr(step) for step in image.recipe.steps]
    key = key_of(root.name, key_of_files(Path(__file__), *code), steps)  # fmt: skip

    def build(target: Path) -> None:
        made_image.make_image(image, target / DISK, root, lambda _text: None)
        cache.remove_tree(target / DISK.replace("qcow2", "root"))

    return cache.entry(folder.cache, "debian-guest", key, build, (DISK,))


def lab_guest() -> MadeImage:
    """What is made. Raises LabError where the benchmark's package is not beside this one."""
    return MadeImage(
        NAME, DebianBase("trixie", not_unpacked=NOT_UNPACKED),
        Recipe(GuestOs("debian", "13"), _steps()), free_mib=128, cmdline=CMDLINE,
    )  # fmt: skip


def _steps() -> tuple[Step, ...]:
    small = b"MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n"
    return (
        WriteGuestFile("/etc/initramfs-tools/conf.d/lab", small,
                       "the guest boots under emulation: only its disk's drivers are in the "
                       "initramfs"),
        WriteGuestFile("/usr/share/initramfs-tools/modules.d/lab",
                       b"virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n",
                       "the drivers of its disk"),
        InstallPackages(PACKAGES, "a kernel with graphics drivers, and numba for the n-body"),
        RunInGuest(("rm", "-rf", *REMOVED), "the guest is small: it is fetched under emulation"),
        WriteGuestFile("/etc/modprobe.d/fbdev-blacklist.conf", b"# aty128fb may be loaded here\n",
                       "Debian's kmod blacklists the cards' driver in a file of this name, and one "
                       "in /etc takes its place (modprobe.d(5))"),
        *_benchmark(),
        *agent_files.install_steps(),
        RunInGuest(("systemctl", "mask", *MASKED), "the console belongs to the agent; the rest is "
                   "for systems that live for days"),
    )  # fmt: skip


def _benchmark() -> tuple[Step, ...]:
    """packages/bench as a Debian package would install it: it has no file that is compiled."""
    sources = sorted(path for path in BENCH.rglob("*")
                     if path.is_file() and "__pycache__" not in path.parts)  # fmt: skip
    if not sources:
        raise LabError(
            "the benchmark's package is missing", str(BENCH), "Run the lab from a whole checkout."
        )
    command = b"#!/usr/bin/python3\nfrom wholecard_bench.cli import main\n\nmain()\n"
    reason = "the n-body benchmark, which the agent runs when it is asked to"
    return (
        *(WriteGuestFile(f"{IN_GUEST}/{path.relative_to(BENCH)}", path.read_bytes(), reason)
          for path in sources),
        WriteGuestFile("/usr/local/bin/wholecard-bench", command, reason, 0o755),
        RunInGuest(("python3", "-m", "compileall", "-q", IN_GUEST),
                   "compiled once here, not at each boot under emulation"),
    )  # fmt: skip

"""The private Debian root: one tree that runs the lab's programs and becomes the nodes' disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from wholecard.core import RunError
from wholecard.guest.image.debian_root import unpack
from wholecard.guest.image.sandbox import Mount, Sandbox, is_rootless
from wholecard.lab.base import cache
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.base.node_spec import GPU_NODE, NODES

RELEASE = "trixie"
PACKAGES = (
    # the node: a Debian host with a kernel, GRUB, an initramfs, ssh, KVM
    "linux-image-amd64", "initramfs-tools", "zstd", "systemd-sysv", "dbus", "udev", "kmod",
    "iproute2", "openssh-server", "grub-pc", "busybox-static", "procps", "pciutils", "e2fsprogs",
    # nova-compute's side of it
    "python3", "python3-libvirt", "libvirt-daemon-system", "libvirt-clients", "qemu-system-x86",
    "qemu-utils", "seabios", "mdevctl", "genisoimage",
    # the control plane
    "rabbitmq-server", "mariadb-server", "socat",
)  # fmt: skip
NOT_UNPACKED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")

# Folders that the lab mounts something on.
MOUNT_POINTS = ("lab", "opt/openstack", "opt/tools", "opt/cache", "opt/tree", "etc/nova",
                "etc/keystone", "etc/glance", "etc/placement", "etc/neutron")  # fmt: skip

# The file system of the node's disk, as its GRUB and its fstab name it.
DISK_UUID = "6b7a1e52-5f0c-4c0e-9d6b-77686f6c6501"

MUST_HAVE = ("usr/bin/qemu-system-x86_64", "usr/sbin/mariadbd", "usr/bin/socat",
             "usr/lib/rabbitmq/bin/rabbitmq-server", "boot/vmlinuz-*", "boot/initrd.img-*",
             "root/.ssh/authorized_keys")  # fmt: skip

# A host before anything is prepared: its IOMMU is off, which Debian's kernel would otherwise turn
# on (CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF). Mitigations are slow under emulation and protect
# nobody here.
KERNEL_ARGUMENTS = "console=ttyS0,115200 mitigations=off intel_iommu=off"

# Who a node is: all of them boot copies of one disk, and QEMU tells each its name as the serial
# number of the machine, and its id as the machine's UUID (dmidecode(8); kernel: dmi-id.c). nova
# reads `compute_id` (nova/virt/node.py) and every file of nova.conf.d after nova.conf.
IDENTITY = r"""#!/bin/sh
set -e
name=$(cat /sys/class/dmi/id/product_serial)
id=$(cat /sys/class/dmi/id/product_uuid)
set -- $(getent hosts "$name")
hostname "$name"
mkdir -p /etc/nova/nova.conf.d /var/lib/nova
put() {
    [ "$(cat "$1" 2> /dev/null)" = "$2" ] || printf '%s\n' "$2" > "$1"
}
put /etc/hostname "$name"
put /var/lib/nova/compute_id "$id"
put /etc/nova/nova.conf.d/10-node.conf "[DEFAULT]
host = $name
my_ip = $1"
"""

FILES = {
    "etc/hostname": f"{GPU_NODE.name}\n",
    "etc/hosts": "127.0.0.1 localhost\n"
    + "".join(f"{spec.link_address} {spec.name}\n" for spec in NODES),
    "usr/local/sbin/lab-identity": IDENTITY,
    "etc/systemd/system/lab-identity.service": (
        "[Unit]\nDescription=Who this node is, from its firmware\nDefaultDependencies=no\n"
        "After=systemd-remount-fs.service\nBefore=sysinit.target\n"
        "[Service]\nType=oneshot\nExecStart=/bin/sh /usr/local/sbin/lab-identity\n"
        "[Install]\nWantedBy=sysinit.target\n"
    ),
    # nova copies disks and libvirt moves guests from node to node by ssh, as root.
    "root/.ssh/config": "IdentityFile /root/.ssh/lab\nBatchMode yes\n",
    "etc/resolv.conf": "",
    "etc/fstab": f"UUID={DISK_UUID} / ext4 defaults,noatime 0 1\n",
    "etc/systemd/network/10-lab.network": (
        f"[Match]\nMACAddress={GPU_NODE.mac}\n[Network]\nAddress={GPU_NODE.address}/24\n"
        "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    ),
    # The link between nodes; a node has the one whose MAC address is its card's.
    **{
        f"etc/systemd/network/20-link-{spec.name}.network": (
            f"[Match]\nMACAddress={spec.link_mac}\n[Network]\nAddress={spec.link_address}/24\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        )
        for spec in NODES
    },
    # Without PAM no user manager starts at each command: seconds, under emulation.
    "etc/ssh/sshd_config.d/lab.conf": "UseDNS no\nPasswordAuthentication no\nUsePAM no\n",
    # amdgpu's alias matches every AMD display: it would load 14 MB and then refuse a Rage 128.
    "etc/modprobe.d/lab.conf": "blacklist amdgpu\nblacklist cfg80211\nblacklist pcspkr\n",
    "etc/default/grub": (
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n"
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n'
        f'GRUB_CMDLINE_LINUX="{KERNEL_ARGUMENTS}"\n'
        "GRUB_TERMINAL=serial\n"
    ),
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n",
    # Starts at boot once the host has a configuration, as a distribution's package does.
    "etc/systemd/system/nova-compute.service": (
        "[Unit]\nDescription=OpenStack Nova compute\n"
        "Wants=libvirtd.service virtlogd.service\n"
        "After=network.target libvirtd.service virtlogd.service\n"
        "ConditionPathExists=/etc/nova/nova.conf\n"
        "[Service]\nStateDirectory=nova nova/instances\nLogsDirectory=nova\n"
        "ExecStart=/opt/openstack/bin/nova-compute\n"
        "Restart=on-failure\nRestartSec=2\nKillMode=mixed\nTimeoutStopSec=15\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
}
ENABLED = ("lab-identity.service", "systemd-networkd.service", "ssh.service",
           "nova-compute.service")  # fmt: skip
DISABLED = ("libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket")
MASKED = ("mariadb.service", "rabbitmq-server.service", "epmd.service", "epmd.socket",
          "systemd-networkd-wait-online.service", "e2scrub_reap.service", "e2scrub_all.timer",
          "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer",
          "libvirt-guests.service", "systemd-timesyncd.service",
          "systemd-pstore.service", "getty@tty1.service", "grub-common.service")  # fmt: skip


def root_entry(folder: LabFolder) -> Path:
    """The root's tree in the cache, made from Debian's packages where it is not there yet.

    Raises RunError where no mirror has Debian's packages, LabError where the disk is too full.
    """
    code = key_of_files(Path(__file__))
    key = key_of(RELEASE, PACKAGES, NOT_UNPACKED, FILES, is_rootless(), code)
    return cache.entry(folder.cache, "root", key, _build, MUST_HAVE)


def _build(folder: Path) -> None:
    _require_space(folder)
    unpack(RELEASE, folder, PACKAGES, not_unpacked=NOT_UNPACKED)
    for name in MOUNT_POINTS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    _edit_initramfs_conf(folder / "etc/initramfs-tools/initramfs.conf")
    inside = Sandbox(folder, writable=True)
    _make_keys(folder, inside)
    for verb, units in (("enable", ENABLED), ("disable", DISABLED), ("mask", MASKED)):
        inside.run(["systemctl", "--root=/", "--quiet", verb, *units], timeout=60)
    inside.run(["update-initramfs", "-u", "-k", "all"], timeout=300)
    # What systemd would do at the first boot, done once for all of them.
    inside.run(["systemd-machine-id-setup"], timeout=30)
    inside.run(["journalctl", "--update-catalog"], timeout=60)
    for name in ("etc/.updated", "var/.updated"):
        (folder / name).touch()
    shutil.copytree(folder / "usr/lib/grub/i386-pc", folder / "boot/grub/i386-pc")
    _write_grub_cfg(folder)


def _require_space(folder: Path) -> None:
    """A root, an environment, two images and a saved node take about 6 GB."""
    needed = 8 << 30
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LabError(
            "not enough disk space for the lab",
            f"{folder.parent} has {free >> 20} MiB free; the lab needs {needed >> 20} MiB.",
            "Free some space, or set XDG_CACHE_HOME to a folder on a larger disk.",
        )


def _edit_initramfs_conf(path: Path) -> None:
    """Only what the node's disk needs goes into its initramfs: it boots under emulation."""
    lines = [
        "MODULES=list" if line.startswith("MODULES=") else line
        for line in path.read_text().splitlines()
        if not line.startswith("COMPRESS")
    ]
    path.write_text("\n".join([*lines, "COMPRESS=zstd", "COMPRESSLEVEL=1", ""]))


def _make_keys(folder: Path, inside: Sandbox) -> None:
    """The key that opens the nodes by ssh, and their own keys, so that they can be known."""
    ssh = folder / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    ssh.chmod(0o700)
    inside.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/lab"], timeout=30)
    for key in (folder / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    inside.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                "/etc/ssh/ssh_host_ed25519_key"], timeout=30)  # fmt: skip
    (ssh / "authorized_keys").write_text((ssh / "lab.pub").read_text())
    host_key = (folder / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    # The nodes have one disk and so one host key.
    names = ",".join(name for spec in NODES for name in (spec.name, spec.link_address))
    (ssh / "known_hosts").write_text(f"{names} {host_key[0]} {host_key[1]}\n")


# grub-mkconfig asks these two what the root file system lies on. They answer for the disk that
# `disk.bootable_disk` will make, so the node boots by its own GRUB from the start.
GRUB_PROBE = f"""#!/bin/sh
for word in "$@"; do case "$word" in --target=*) target=${{word#--target=}};; esac; done
case "$target" in
device) echo /dev/vda1;;
fs) echo ext2;;
fs_uuid) echo {DISK_UUID};;
partmap) echo msdos;;
drive) echo '(hd0,msdos1)';;
compatibility_hint) echo hd0,msdos1;;
hints_string) echo --hint-bios=hd0,msdos1;;
esac
"""
GRUB_MKRELPATH = """#!/bin/sh
for path in "$@"; do :; done
echo "$path"
"""


def _write_grub_cfg(folder: Path) -> None:
    """Let the root's own grub-mkconfig write grub.cfg for a disk that is not there yet."""
    stand_ins = {
        "grub-probe": ("/usr/sbin", GRUB_PROBE),
        "grub-mkrelpath": ("/usr/bin", GRUB_MKRELPATH),
    }
    mounts = []
    for name, (where, text) in stand_ins.items():
        path = folder.with_suffix(f".{name}")
        path.write_text(text)
        path.chmod(0o755)
        mounts.append(Mount(path, f"{where}/{name}"))
    try:
        inside = Sandbox(folder, tuple(mounts), writable=True)
        inside.run(["grub-mkconfig", "-o", "/boot/grub/grub.cfg"], timeout=60)
    except RunError as error:
        raise LabError("the node's grub.cfg could not be written", str(error)) from error
    finally:
        for mount in mounts:
            mount.outside.unlink()

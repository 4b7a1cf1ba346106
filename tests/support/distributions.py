"""Hosts as their distributions set them up: the files that the boot tools read and write.

Each tree has the hardware of `nodes.APART`, its IOMMU off. Taken from packages: Debian 12
(grub2-common 2.06-13, initramfs-tools 0.142, systemd-boot 252) and Debian 13 (grub2-common 2.12,
initramfs-tools 0.148, dracut 106, systemd-boot 257). Written from documentation and public
sources: Ubuntu (its cloud image's settings), EL 9 and 10 (the installer's /etc/default/grub, the
Boot Loader Specification, grubby's script), openSUSE Leap 15.6 (its installer's /etc/default/grub),
Proxmox VE, Pop!_OS and openSUSE Tumbleweed (public reports; the texts of their tools).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from support.nodes import APART, bare
from support.tree import Leaf

MACHINE = "0123456789abcdef0123456789abcdef"

_DEBIAN_GRUB = """\
# If you change this file{also}, run 'update-grub' afterwards to update
# /boot/grub/grub.cfg.
# For full documentation of the options in this file, see:
#   info -f grub -n 'Simple configuration'

GRUB_DEFAULT=0
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR=`{distributor}`
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX=""

# Uncomment to disable graphical terminal
#GRUB_TERMINAL=console
"""
_UBUNTU_GRUB = """\
GRUB_DEFAULT=0
GRUB_TIMEOUT_STYLE=hidden
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`
GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
GRUB_CMDLINE_LINUX=""
"""
_UBUNTU_PART = """\
# Cloud Image specific Grub settings for Generic Cloud Images
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_TIMEOUT=0

# Set the default commandline
GRUB_CMDLINE_LINUX_DEFAULT="console=tty1 console=ttyS0"

GRUB_TERMINAL=console
"""
_EL_ARGUMENTS = (
    "crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M resume=/dev/mapper/vg-swap rd.lvm.lv=vg/root "
    "rhgb quiet"
)
_EL_GRUB = f"""\
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR="$(sed 's, release .*$,,g' /etc/system-release)"
GRUB_DEFAULT=saved
GRUB_DISABLE_SUBMENU=true
GRUB_TERMINAL_OUTPUT="console"
GRUB_CMDLINE_LINUX="{_EL_ARGUMENTS}"
GRUB_DISABLE_RECOVERY="true"
GRUB_ENABLE_BLSCFG=true
"""
_LEAP_GRUB = """\
# If you change this file, run 'grub2-mkconfig -o /boot/grub2/grub.cfg' afterwards to update
# /boot/grub2/grub.cfg.

GRUB_DISTRIBUTOR=
GRUB_DEFAULT=saved
GRUB_HIDDEN_TIMEOUT=0
GRUB_HIDDEN_TIMEOUT_QUIET=true
GRUB_TIMEOUT=8
GRUB_CMDLINE_LINUX_DEFAULT="splash=silent mitigations=auto quiet security=apparmor"
GRUB_CMDLINE_LINUX=""

# Uncomment to automatically save last booted menu entry in GRUB2 environment
SUSE_BTRFS_SNAPSHOT_BOOTING="true"
GRUB_DISABLE_OS_PROBER="false"
"""


# As depmod writes it: the module's file, and what it needs.
MODULES_DEP = "".join(
    f"kernel/drivers/{file}.ko.xz:\n"
    for file in ("vfio/vfio", "vfio/vfio_iommu_type1", "vfio/pci/vfio-pci", "pci/pci-stub")
)


@dataclass(frozen=True)
class Distribution:
    """A host of one distribution, and what is expected of it.

    `calls` are the boot tools in the order in which apply runs them.
    """

    name: str
    loader: str
    initramfs: str
    tree: Mapping[str, Leaf]
    calls: tuple[str, ...]


def everything() -> list[Distribution]:
    """Every distribution that is supported, in each way of booting that it has."""
    return [
        debian_12(),
        debian_13(),
        debian_13_dracut(),
        debian_13_systemd_boot(),
        ubuntu("22.04", "jammy"),
        ubuntu("24.04", "noble"),
        el("rocky", "9.5", "5.14.0-503.11.1.el9_5.x86_64"),
        el("almalinux", "10.0", "6.12.0-55.9.1.el10_0.x86_64"),
        el("centos", "9", "5.14.0-527.el9.x86_64"),
        el("centos", "10", "6.12.0-66.el10.x86_64"),
        el_kernelopts(),
        leap(),
        proxmox(),
        proxmox_grub(),
        pop(),
        tumbleweed("grub2-bls"),
        tumbleweed("systemd-boot"),
    ]


def hardware(release: str) -> dict[str, Leaf]:
    """The cards of `nodes.APART` and a running kernel; nothing of a distribution."""
    boot = ("etc/", "boot/", "usr/sbin/", "lib/")
    tree = {path: leaf for path, leaf in bare(APART).items() if not path.startswith(boot)}
    modules = "/".join(("lib/modules", release))
    return {
        **tree,
        "proc/sys/kernel/osrelease": f"{release}\n",
        f"{modules}/modules.dep": MODULES_DEP,
        f"{modules}/modules.builtin": "kernel/drivers/virtio/virtio_pci.ko\n",
        f"{modules}/modules.alias": (
            "alias pci:v00008086d*sv*sd*bc04sc03i00* snd_hda_intel\n"
            "alias pci:v00001002d00005046sv*sd*bc*sc*i* aty128fb\n"
        ),
        "etc/modprobe.d/": "",
        "etc/modules-load.d/": "",
        "etc/machine-id": f"{MACHINE}\n",
    }


def os_release(name: str, version: str, like: str = "") -> str:
    """os-release, as far as anybody asks it."""
    return f'ID={name}\nVERSION_ID="{version}"\n' + (f'ID_LIKE="{like}"\n' if like else "")


def _initramfs_tools(release: str) -> dict[str, Leaf]:
    return {
        "etc/initramfs-tools/initramfs.conf": "MODULES=most\n",
        "etc/initramfs-tools/hooks/": "",
        "etc/initramfs-tools/scripts/init-top/": "",
        "usr/sbin/update-initramfs": "",
        "usr/sbin/mkinitramfs": "",
        f"boot/vmlinuz-{release}": "kernel",
        f"boot/initrd.img-{release}": ("old image", 0o600),
    }


def _grub(text: str) -> dict[str, Leaf]:
    return {
        "etc/default/grub": text,
        "usr/sbin/update-grub": "",
        "boot/grub/grub.cfg": ("old grub.cfg", 0o444),
    }


def _dracut(image: str) -> dict[str, Leaf]:
    return {
        "usr/bin/dracut": "",
        "usr/lib/dracut/modules.d/": "",
        "etc/dracut.conf.d/": "",
        image: ("old image", 0o600),
    }


_UPDATE_INITRAMFS = "update-initramfs -u -k all"
_DRACUT = "dracut --force --regenerate-all"


def debian_12() -> Distribution:
    """Debian 12: GRUB 2.06, initramfs-tools."""
    release = "6.1.0-38-amd64"
    text = _DEBIAN_GRUB.format(also="", distributor="lsb_release -i -s 2> /dev/null || echo Debian")
    tree = {**hardware(release), **_initramfs_tools(release), **_grub(text)}
    tree["etc/os-release"] = os_release("debian", "12")
    calls = (_UPDATE_INITRAMFS, "update-grub")
    return Distribution("debian-12", "grub", "initramfs-tools", tree, calls)


def debian_13() -> Distribution:
    """Debian 13: GRUB 2.12, initramfs-tools."""
    release = "6.12.48+deb13-amd64"
    text = _DEBIAN_GRUB.format(
        also=" or any /etc/default/grub.d/*.cfg file",
        distributor="( . /etc/os-release && echo ${NAME} )",
    )
    tree = {**hardware(release), **_initramfs_tools(release), **_grub(text)}
    tree["etc/os-release"] = os_release("debian", "13")
    calls = (_UPDATE_INITRAMFS, "update-grub")
    return Distribution("debian-13", "grub", "initramfs-tools", tree, calls)


def debian_13_dracut() -> Distribution:
    """Debian 13 with dracut in initramfs-tools' place, whose settings stay behind."""
    release = "6.12.48+deb13-amd64"
    tree = dict(debian_13().tree)
    del tree["usr/sbin/mkinitramfs"]
    tree.update(_dracut(f"boot/initrd.img-{release}"))
    return Distribution("debian-13-dracut", "grub", "dracut", tree, (_DRACUT, "update-grub"))


def debian_13_systemd_boot() -> Distribution:
    """Debian 13 with systemd-boot: entries on the EFI partition, named after the machine's id."""
    release = "6.12.48+deb13-amd64"
    entry = f"{MACHINE}-{release}.conf"
    folder = f"boot/efi/{MACHINE}/{release}"
    tree: dict[str, Leaf] = {
        **hardware(release),
        **_initramfs_tools(release),
        "etc/os-release": os_release("debian", "13"),
        "proc/cmdline": (
            f"initrd=\\{MACHINE}\\initrd root=UUID=1 ro quiet systemd.machine_id={MACHINE}\n"
        ),
        "usr/bin/kernel-install": "",
        "boot/efi/EFI/systemd/systemd-bootx64.efi": "",
        "boot/efi/loader/loader.conf": "timeout 3\n",
        f"boot/efi/loader/entries/{entry}": (
            "# Boot Loader Specification type#1 entry\ntitle      Debian GNU/Linux 13 (trixie)\n"
            f"version    {release}\noptions    root=UUID=1 ro quiet\n"
            f"linux      /{MACHINE}/{release}/linux\n"
        ),
        f"{folder}/linux": "kernel",
        f"{folder}/initrd.img-{release}": "old image",
    }
    calls = (_UPDATE_INITRAMFS, f"kernel-install add {release} /boot/vmlinuz-{release}")
    return Distribution("debian-13-systemd-boot", "systemd-boot", "initramfs-tools", tree, calls)


def ubuntu(version: str, codename: str) -> Distribution:
    """Ubuntu server's cloud image: a drop-in sets the arguments; vfio-pci is built in."""
    release = {"22.04": "5.15.0-161-generic", "24.04": "6.8.0-87-generic"}[version]
    tree = {**hardware(release), **_initramfs_tools(release), **_grub(_UBUNTU_GRUB)}
    tree["etc/default/grub.d/50-cloudimg-settings.cfg"] = _UBUNTU_PART
    tree["etc/os-release"] = (
        os_release("ubuntu", version, "debian") + f"VERSION_CODENAME={codename}\n"
    )
    tree[f"lib/modules/{release}/modules.builtin"] = (
        "kernel/drivers/vfio/vfio.ko\nkernel/drivers/vfio/vfio_iommu_type1.ko\n"
        "kernel/drivers/vfio/pci/vfio-pci.ko\n"
    )
    calls = (_UPDATE_INITRAMFS, "update-grub")
    return Distribution(f"ubuntu-{version}", "grub", "initramfs-tools", tree, calls)


def _el_entry(release: str, options: str, title: str) -> str:
    return (
        f"title {title} ({release})\nversion {release}\nlinux /vmlinuz-{release}\n"
        f"initrd /initramfs-{release}.img\noptions {options}\ngrub_users $grub_users\n"
        "grub_arg --unrestricted\ngrub_class kernel\n"
    )


def el(name: str, version: str, release: str, options: str = "") -> Distribution:
    """EL 9 or 10: boot loader entries of two kernels and the rescue system, grubby, dracut."""
    options = options or f"root=/dev/mapper/vg-root ro {_EL_ARGUMENTS}"
    older = release.replace("-", "-1.", 1)
    entries = {
        f"boot/loader/entries/{MACHINE}-{each}.conf": _el_entry(each, options, name)
        for each in (release, older, f"0-rescue-{MACHINE}")
    }
    tree: dict[str, Leaf] = {
        **hardware(release),
        **_dracut(f"boot/initramfs-{release}.img"),
        **entries,
        f"lib/modules/{release}/vmlinuz": "kernel",
        "etc/os-release": os_release(name, version, "rhel centos fedora"),
        "etc/default/grub": _EL_GRUB,
        "usr/sbin/grubby": "",
        "usr/sbin/grub2-mkconfig": "",
        "usr/bin/kernel-install": "",
        "etc/kernel/install.d/": "",
        "boot/grub2/grub.cfg": ("old grub.cfg", 0o600),
        "boot/grub2/grubenv": (
            f"# GRUB Environment Block\nsaved_entry={MACHINE}-{release}\nboot_success=1\n#####\n"
        ),
    }
    calls = (
        _DRACUT,
        "grubby --update-kernel=ALL --args=intel_iommu=on iommu=pt",
    )
    return Distribution(f"{name}-{version.partition('.')[0]}", "grubby", "dracut", tree, calls)


def el_kernelopts() -> Distribution:
    """EL with entries that take their arguments from GRUB's environment block."""
    plain = el("rocky", "9.5", "5.14.0-503.11.1.el9_5.x86_64", "$kernelopts")
    tree = dict(plain.tree)
    block = str(tree["boot/grub2/grubenv"])
    tree["boot/grub2/grubenv"] = block.replace(
        "#####\n",
        f"kernelopts=root=/dev/mapper/vg-root ro {_EL_ARGUMENTS} intel_iommu=off\n#####\n",
    )
    tree["etc/kernel/cmdline"] = f"root=/dev/mapper/vg-root ro {_EL_ARGUMENTS}\n"
    return Distribution("rocky-9-kernelopts", "grubby", "dracut", tree, plain.calls)


def leap() -> Distribution:
    """openSUSE Leap 15.6: grub2-mkconfig, dracut with SUSE's names for images."""
    release = "6.4.0-150600.23.70-default"
    tree: dict[str, Leaf] = {
        **hardware(release),
        **_dracut(f"boot/initrd-{release}"),
        f"boot/vmlinuz-{release}": "kernel",
        "boot/initrd": f"-> initrd-{release}",
        "etc/os-release": os_release("opensuse-leap", "15.6", "suse opensuse"),
        "etc/default/grub": _LEAP_GRUB,
        "usr/sbin/grub2-mkconfig": "",
        "boot/grub2/grub.cfg": ("old grub.cfg", 0o600),
    }
    calls = (_DRACUT, "grub2-mkconfig -o /boot/grub2/grub.cfg")
    return Distribution("opensuse-leap-15.6", "grub2", "dracut", tree, calls)


_LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def _started_by(loader: str) -> dict[str, Leaf]:
    """What a loader that reports itself leaves for the host."""
    return {_LOADER_INFO: b"\6\0\0\0" + loader.encode("utf-16-le") + b"\0\0"}


_REFRESH = "proxmox-boot-tool refresh"


def proxmox() -> Distribution:
    """Proxmox VE on ZFS: systemd-boot on EFI partitions that proxmox-boot-tool owns."""
    release = "6.8.12-15-pve"
    line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs"
    tree: dict[str, Leaf] = {
        **hardware(release),
        **_initramfs_tools(release),
        **_grub(_DEBIAN_GRUB.format(also="", distributor="echo Debian")),
        **_started_by("systemd-boot 252.38-1~deb12u1"),
        "etc/os-release": os_release("debian", "12"),
        "proc/cmdline": f"initrd=\\EFI\\proxmox\\{release}\\initrd.img-{release} {line}\n",
        "usr/bin/kernel-install": "",
        "usr/sbin/proxmox-boot-tool": "",
        "etc/kernel/cmdline": f"{line}\n",
        "etc/kernel/proxmox-boot-uuids": "AAAA-1111\nBBBB-2222\n",
        "etc/initramfs/post-update.d/proxmox-boot-sync": ("#!/bin/sh\n", 0o755),
    }
    calls = (_UPDATE_INITRAMFS, _REFRESH)
    return Distribution("proxmox-8", "proxmox-boot-tool", "initramfs-tools", tree, calls)


def proxmox_grub() -> Distribution:
    """Proxmox VE with GRUB on the partitions that proxmox-boot-tool owns."""
    whole = proxmox()
    tree = {path: leaf for path, leaf in whole.tree.items() if path != _LOADER_INFO}
    tree["proc/cmdline"] = "BOOT_IMAGE=/vmlinuz-6.8.12-15-pve root=ZFS=rpool/ROOT/pve-1 ro quiet\n"
    return Distribution("proxmox-8-grub", whole.loader, whole.initramfs, tree, whole.calls)


def pop() -> Distribution:
    """Pop!_OS: kernelstub owns systemd-boot's entry."""
    release = "6.9.3-76060903-generic"
    tree: dict[str, Leaf] = {
        **hardware(release),
        **_initramfs_tools(release),
        **_started_by("systemd-boot 249.11"),
        "etc/os-release": os_release("pop", "22.04", "ubuntu debian"),
        "proc/cmdline": "initrd=\\EFI\\Pop_OS-1\\initrd.img root=UUID=1 ro quiet splash\n",
        "usr/bin/kernel-install": "",
        "usr/bin/kernelstub": "",
        "etc/kernelstub/configuration": '{"user": {"kernel_options": ["quiet", "splash"]}}\n',
        "etc/initramfs/post-update.d/zz-kernelstub": ("#!/bin/sh\n", 0o755),
        "boot/efi/loader/loader.conf": "default Pop_OS-current\n",
        "boot/efi/loader/entries/Pop_OS-current.conf": (
            "title Pop!_OS\nlinux /EFI/Pop_OS-1/vmlinuz.efi\noptions root=UUID=1 ro quiet splash\n"
        ),
        "boot/efi/EFI/Pop_OS-1/vmlinuz.efi": "kernel",
        "boot/efi/EFI/Pop_OS-1/initrd.img": "old image",
    }
    calls = (_UPDATE_INITRAMFS, "kernelstub -o quiet splash intel_iommu=on iommu=pt")
    return Distribution("pop-22.04", "kernelstub", "initramfs-tools", tree, calls)


def tumbleweed(loader: str) -> Distribution:
    """openSUSE Tumbleweed with boot loader entries, which sdbootutil makes for either loader."""
    release = "6.17.5-1-default"
    folder = f"boot/efi/opensuse-tumbleweed/{release}"
    tree: dict[str, Leaf] = {
        **hardware(release),
        **_dracut(f"{folder}/initrd-aaaa"),
        **_started_by(f"{loader} 257.9"),
        "etc/os-release": os_release("opensuse-tumbleweed", "20251105", "opensuse suse"),
        "etc/sysconfig/bootloader": f'LOADER_TYPE="{loader}"\n',
        "etc/default/grub": _LEAP_GRUB,
        "usr/sbin/grub2-mkconfig": "",
        "usr/bin/sdbootutil": "",
        "usr/bin/kernel-install": "",
        "etc/kernel/cmdline": "root=UUID=1 splash=silent quiet security=selinux\n",
        "boot/efi/loader/loader.conf": "",
        f"boot/efi/loader/entries/opensuse-tumbleweed-{release}-1.conf": (
            f"title openSUSE\nversion {release}\noptions root=UUID=1 splash=silent quiet\n"
            f"linux /opensuse-tumbleweed/{release}/linux\n"
        ),
        f"{folder}/linux": "kernel",
        f"lib/modules/{release}/vmlinuz": "kernel",
    }
    calls = ("sdbootutil mkinitrd", "sdbootutil update-all-entries")
    return Distribution(f"tumbleweed-{loader}", "sdbootutil", "dracut", tree, calls)

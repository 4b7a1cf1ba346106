"""The kernel: has it what the wish needs, and is it asked for what it no longer has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_parameters import initramfs_modules, loaded_modules
from wholecard.pci import Card

_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
# Enterprise Linux and SUSE carry later features under an older number, so an old number proves
# nothing there: 5.14.0-503.el9, 6.4.0-150600.21-default. So do NVIDIA's kernels for Ubuntu.
_BACKPORTING = re.compile(r"\.el[0-9]|-[0-9]{6}\.|-default$|-nvidia")

# The two modules without which VFIO gives nothing on x86.
_NEEDED = ("vfio_pci", "vfio_iommu_type1")

DRIVER_OVERRIDE = (3, 16)
VFIO_EVICTS_CONSOLE = (6, 0)
VIRQFD_FOLDED = (6, 2)

Release = tuple[int, int]


@dataclass(frozen=True)
class _Feature:
    """What the kernel has from a release on, and the cards (by ids) that need it."""

    since: Release
    name: str
    ids: frozenset[str]


# linux: drivers/vfio/pci/nvgrace-gpu/main.c (6.9). Without this variant driver the GPU's memory,
# which is no BAR on these boards, does not reach the guest.
_FEATURES = (
    _Feature((6, 9), "the driver nvgrace-gpu-vfio-pci", frozenset({"10de:2342", "10de:2345"})),
)


def release_of(text: str) -> Release | None:
    """The first two numbers of a kernel's release; None where there are none."""
    match = _RELEASE.match(text)
    return (int(match[1]), int(match[2])) if match else None


def surely_older(text: str, release: Release) -> bool:
    """Whether this kernel lacks what came with `release`; False also where one cannot know."""
    own = release_of(text)
    return own is not None and own < release and not _BACKPORTING.search(text)


def surely_has(text: str, release: Release) -> bool:
    """Whether this kernel is of `release` or later."""
    own = release_of(text)
    return own is not None and own >= release


def check_modules(host: Host) -> list[Finding]:
    """WC116 and WC117: vfio-pci is not there, or is built in."""
    in_use = any(function.driver == "vfio-pci" for function in host.functions)
    missing = [name for name in _NEEDED if name in host.boot.missing]
    if missing and not in_use:
        return [
            Finding(
                "WC116",
                "vfio-pci",
                Severity.ERROR,
                f"The kernel {host.boot.release or 'of this host'} has no "
                f"{' and no '.join(missing)}, neither built in nor as a module: no card can be "
                "given.",
                _package_fix(host),
            )
        ]
    if "vfio_pci" in host.boot.builtin:
        return [
            Finding(
                "WC117",
                "vfio-pci",
                Severity.NOTE,
                "vfio-pci is built into the kernel: options and softdeps for it in modprobe.d do "
                "nothing. Wholecard binds by address in the initramfs, which works all the same.",
            )
        ]
    return []


def _package_fix(host: Host) -> str:
    family = f"{host.boot.distribution} {host.boot.like}".lower().split()
    if "ubuntu" in family:
        command = f"apt install linux-modules-extra-{host.boot.release}"
    elif "debian" in family:
        command = "apt install linux-image-amd64   # the cloud kernel leaves vfio-pci out"
    elif "suse" in family or "opensuse-leap" in family or "sles" in family:
        command = "zypper install kernel-default   # kernel-default-base leaves vfio-pci out"
    elif {"rhel", "fedora", "centos", "rocky", "almalinux"} & set(family):
        command = f"dnf install kernel-modules-{host.boot.release}"
    else:
        return (
            "Install the package of this kernel's modules, or boot a kernel with CONFIG_VFIO_PCI."
        )
    return f"Install the package that has it, then reboot into that kernel:\n  {command}"


def check_release(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC127: the kernel is older than what the wish needs."""
    release = host.boot.release
    findings = []
    if surely_older(release, DRIVER_OVERRIDE):
        findings.append(
            _too_old(
                host,
                Severity.ERROR,
                "driver_override, by which functions are bound by address",
                DRIVER_OVERRIDE,
            )
        )
    for feature in _FEATURES:
        concerned = [card.slot for card in cards if any(g.ids in feature.ids for g in card.gpu)]
        if concerned and surely_older(release, feature.since):
            what = f"{feature.name}, which {', '.join(concerned)} needs"
            findings.append(_too_old(host, Severity.WARNING, what, feature.since))
    return findings


def _too_old(host: Host, severity: Severity, what: str, release: Release) -> Finding:
    since = ".".join(str(number) for number in release)
    return Finding(
        "WC127",
        host.boot.release,
        severity,
        f"The kernel {host.boot.release} is too old for {what}: that came with Linux {since}.",
        f"Boot a kernel of {since} or later.",
    )


def check_virqfd(host: Host) -> list[Finding]:
    """WC130: settings ask for vfio_virqfd, which Linux 6.2 folded into vfio."""
    if not surely_has(host.boot.release, VIRQFD_FOLDED):
        return []
    named = (*initramfs_modules(host.settings), *loaded_modules(host.settings))
    paths = dict.fromkeys(path for path, module in named if module == "vfio_virqfd")
    return [
        Finding(
            "WC130",
            path,
            Severity.WARNING,
            f"{path} names vfio_virqfd, which is part of vfio since Linux 6.2; this kernel is "
            f"{host.boot.release}. Building the initramfs or loading modules at boot fails on it.",
            f"Take it out:\n  sed -i 's/\\bvfio_virqfd\\b//' {path}",
        )
        for path in paths
    ]


def check_secure_boot(host: Host) -> list[Finding]:
    """WC128: secure boot is on."""
    if not host.boot.secure_boot:
        return []
    return [
        Finding(
            "WC128",
            "secure boot",
            Severity.NOTE,
            "Secure boot is on: the kernel loads signed modules alone and locks itself down. The "
            "distribution's vfio-pci is signed, and binding works as ever; a module that was "
            "built on this host is not loaded until its key is enrolled (mokutil --import).",
        )
    ]

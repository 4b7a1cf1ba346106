"""The kernel: does it have what passthrough needs, and is it asked for what it lost. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wholecard.core import Finding, Severity
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_parameters import initramfs_modules, loaded_modules
from wholecard.pci import Card, Function
from wholecard.pci.vfio_drivers import GRACE, GRACE_SINCE, NEEDS_VARIANT, is_variant

_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
# Enterprise Linux and SUSE backport features to an older number, so an old number proves nothing
# there: 5.14.0-503.el9, 6.4.0-150600.21-default. So do NVIDIA's kernels for Ubuntu.
_BACKPORTING = re.compile(r"\.el[0-9]|-[0-9]{6}\.|-default$|-nvidia")

_TYPE1 = "vfio_iommu_type1"
# What takes the place of VFIO's own container: iommufd (linux: drivers/iommu/iommufd/Kconfig,
# IOMMUFD_VFIO_CONTAINER) and POWER's (drivers/vfio/vfio_iommu_spapr_tce.c).
_CONTAINERS = ("iommufd", "vfio_iommu_spapr_tce")

# linux: "PCI: Introduce new device binding path using pci_dev.driver_override".
DRIVER_OVERRIDE = (3, 16)
# linux: "vfio/pci: Remove console drivers"; drivers/vfio/pci/vfio_pci_core.c, vfio_pci_vga_init.
VFIO_EVICTS_CONSOLE = (6, 0)
# linux: "vfio: Fold vfio_virqfd.ko into vfio.ko".
VIRQFD_FOLDED = (6, 2)

Release = tuple[int, int]


def release_of(text: str) -> Release | None:
    """The first two numbers of a kernel's release; None where there are none."""
    match = _RELEASE.match(text)
    return (int(match[1]), int(match[2])) if match else None


def surely_older(text: str, release: Release) -> bool:
    """Whether this kernel lacks what came with `release`; False also where it is not known."""
    own = release_of(text)
    return own is not None and own < release and not _BACKPORTING.search(text)


def surely_has(text: str, release: Release) -> bool:
    """Whether this kernel is of `release` or later."""
    own = release_of(text)
    return own is not None and own >= release


# By ID and ID_LIKE of os-release(5); Ubuntu is also like Debian, so it comes first.
_PACKAGES = (
    ({"ubuntu"}, "apt install linux-modules-extra-{release}"),
    ({"debian"}, "apt install linux-image-amd64   # the cloud kernel leaves vfio-pci out"),
    (
        {"suse", "opensuse-leap", "sles"},
        "zypper install kernel-default   # kernel-default-base leaves vfio-pci out",
    ),
    ({"rhel", "fedora", "centos", "rocky", "almalinux"}, "dnf install kernel-modules-{release}"),
)


def container_modules(host: Host) -> tuple[str, ...]:
    """The module that maps a guest's memory: vfio_iommu_type1, or what this kernel has for it."""
    others = tuple(name for name in _CONTAINERS if name in (host.boot.optional or ()))
    return others[:1] if others and _TYPE1 in host.boot.missing else (_TYPE1,)


def check_modules(host: Host) -> list[Finding]:
    """WC116 and WC117: vfio-pci is missing, or is built in."""
    in_use = any(function.is_on_vfio for function in host.functions)
    missing = [name for name in ("vfio_pci",) if name in host.boot.missing]
    if _TYPE1 in host.boot.missing and container_modules(host) == (_TYPE1,):
        missing.append(_TYPE1)
    if missing and not in_use:
        return [
            Finding(
                "WC116",
                "vfio-pci",
                Severity.ERROR,
                f"The kernel {host.boot.release or 'of this host'} has no "
                f"{' and no '.join(missing)}, neither built in nor as a module: no passthrough is "
                "possible.",
                _package_fix(host),
            )
        ]
    if "vfio_pci" in host.boot.builtin:
        return [
            Finding(
                "WC117",
                "vfio-pci",
                Severity.NOTE,
                "vfio-pci is built into the kernel: options and softdeps for it in modprobe.d have "
                "no effect. Wholecard binds by address in the initramfs, which works anyway.",
            )
        ]
    return []


def _package_fix(host: Host) -> str:
    family = {*f"{host.boot.distribution} {host.boot.like}".lower().split()}
    for names, command in _PACKAGES:
        if names & family:
            what = "Install the package that has it, then reboot into that kernel:"
            return f"{what}\n  {command.format(release=host.boot.release)}"
    return "Install the package of this kernel's modules, or boot a kernel with CONFIG_VFIO_PCI."


def check_release(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC127: the kernel is too old for binding by address, or for one of the cards."""
    release = host.boot.release
    findings = []
    if surely_older(release, DRIVER_OVERRIDE):
        what = "driver_override, by which functions are bound by address"
        findings.append(_too_old(host, Severity.ERROR, what, DRIVER_OVERRIDE))
    lacking = [card.slot for card in cards if any(_lacks_variant(host, gpu) for gpu in card.gpu)]
    if lacking:
        what = f"the driver {GRACE}, which {', '.join(lacking)} needs"
        findings.append(_too_old(host, Severity.WARNING, what, GRACE_SINCE))
    return findings


def _lacks_variant(host: Host, function: Function) -> bool:
    """Whether the kernel has no variant driver for a device of no use to a guest without one."""
    needed = NEEDS_VARIANT.get(function.ids)
    if needed is None or function.variant or is_variant(function.driver):
        return False
    # The kernel's own modules are better evidence than its number.
    if host.boot.optional is None:
        return surely_older(host.boot.release, GRACE_SINCE)
    return needed not in host.boot.optional


def _too_old(host: Host, severity: Severity, what: str, release: Release) -> Finding:
    since = ".".join(str(number) for number in release)
    return Finding(
        "WC127",
        host.boot.release,
        severity,
        f"The kernel {host.boot.release} does not have {what}. Linux has it since {since}.",
        f"Boot a kernel that has it: Linux {since} or later.",
    )


def check_virqfd(host: Host) -> list[Finding]:
    """WC130: settings name vfio_virqfd, which Linux 6.2 made a part of vfio.

    Enterprise kernels did so under older numbers: their own modules count before the number.
    """
    optional = host.boot.optional
    is_gone = (
        surely_has(host.boot.release, VIRQFD_FOLDED)
        if optional is None
        else "vfio_virqfd" not in optional
    )
    if not is_gone:
        return []
    named = (*initramfs_modules(host.settings), *loaded_modules(host.settings))
    paths = dict.fromkeys(path for path, module in named if module == "vfio_virqfd")
    return [
        Finding(
            "WC130",
            path,
            Severity.WARNING,
            f"{path} names vfio_virqfd, which is part of vfio since Linux 6.2 and is no module of "
            f"this kernel ({host.boot.release}). Because of it, building the initramfs or loading "
            "modules at boot fails.",
            f"Remove it:\n  sed -i 's/\\bvfio_virqfd\\b//' {path}",
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
            "Secure boot is on: the kernel loads only signed modules and is in lockdown. The "
            "distribution's vfio-pci is signed, and binding works as usual. A module that was "
            "built on this host is not loaded until its key is enrolled (mokutil --import).",
        )
    ]

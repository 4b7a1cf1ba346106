"""Who uses a function now. Read before its driver is changed, for afterwards it looks idle.

To unbind a driver that is in use hangs, or loses data; so every use is a finding that refuses it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from wholecard.core import Finding, Severity, WholecardError
from wholecard.core.small_files import listed, read_text, under
from wholecard.host.facts.host import Host, KernelUse
from wholecard.host.facts.kernel_use import read_uses
from wholecard.host.facts.libvirt_domains import running_domains, running_mdevs
from wholecard.host.operations.virtual_functions import MDEVS
from wholecard.pci import Address
from wholecard.pci.sysfs import DEVICES

GRAPHICS = Path("sys/class/graphics")
CONSOLES = Path("sys/class/vtconsole")

# linux: Documentation/fb/fbcon.rst: consoles are drawn on the first one.
_CONSOLE = "fb0"


def find(root: Path, host: Host | None, functions: Iterable[Address]) -> tuple[Finding, ...]:
    """Every use of the functions at these addresses, as findings; none where all are idle.

    The host is read again; what `host` has besides, its facts perhaps older, counts too. Raises
    WholecardError where it cannot be read, for example without root.
    """
    addresses = sorted(set(functions))
    if not addresses:
        return ()
    findings = [
        *_opened(root, addresses),
        *_domains(root, addresses),
        *_used(root, host, addresses),
        *_consoles(root, host, addresses),
    ]
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda finding: (finding.subject, finding.rule)))


def find_mdevs(root: Path, uuids: Iterable[str]) -> tuple[Finding, ...]:
    """Every use of these mediated devices, as findings: WC150 and WC151. Raises as `find` does."""
    wanted = sorted(set(uuids))
    if not wanted:
        return ()
    nodes = {node: uuid for uuid in wanted for node in _mdev_nodes(root, uuid)}
    findings = []
    for process, target in dict.fromkeys(_open_files(root)):
        if target in nodes:
            name = read_text(root / "proc" / process / "comm") or "a process"
            findings.append(_mdev_in_use("WC150", nodes[target],
                                         f"{name} (pid {process}) has {target} open"))  # fmt: skip
    findings += [
        _mdev_in_use("WC151", uuid, f"the running domain {name} has it")
        for name, mdevs in running_mdevs(root)
        for uuid in sorted(mdevs & {*wanted})
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.subject, finding.rule)))


def _mdev_nodes(root: Path, uuid: str) -> Iterator[str]:
    """The VFIO files of a mediated device: its group's, and its own."""
    device = root / MDEVS / uuid
    with contextlib.suppress(OSError):
        yield f"/dev/vfio/{(device / 'iommu_group').readlink().name}"
    for node in sorted(device.glob("vfio-dev/*")):
        yield f"/dev/vfio/devices/{node.name}"


def _mdev_in_use(rule: str, uuid: str, how: str) -> Finding:
    return Finding(
        rule,
        uuid,
        Severity.ERROR,
        f"The mediated device {uuid} is in use: {how}.",
        "Shut down the server that has it, or move it to another host.",
    )


def _opened(root: Path, addresses: Sequence[Address]) -> Iterator[Finding]:
    """WC150 and WC154: processes that have a VFIO file or another of the function's devices."""
    nodes: dict[str, tuple[Address, str]] = {}
    for address in addresses:
        # A group's file is that of all its functions; the finding names the first.
        for node in _vfio_nodes(root, address):
            nodes.setdefault(node, (address, "WC150"))
        for node in _device_nodes(root, address):
            nodes.setdefault(node, (address, "WC154"))
    if not nodes:
        return
    seen = set()
    for process, target in _open_files(root):
        if target in nodes and (process, target) not in seen:
            seen.add((process, target))
            address, rule = nodes[target]
            name = read_text(root / "proc" / process / "comm") or "a process"
            yield Finding(
                rule,
                str(address),
                Severity.ERROR,
                f"{address} is in use: {name} (pid {process}) has {target} open.",
                "Shut down the server that has the card."
                if rule == "WC150"
                else f"End {name}, or apply without --now and reboot.",
            )


def _vfio_nodes(root: Path, address: Address) -> Iterator[str]:
    device = root / DEVICES / str(address)
    with contextlib.suppress(OSError):
        yield f"/dev/vfio/{(device / 'iommu_group').readlink().name}"
    # linux: Documentation/driver-api/vfio.rst, "VFIO Device cdev": a file of the function's own.
    for node in sorted(device.glob("vfio-dev/*")):
        yield f"/dev/vfio/devices/{node.name}"


def _device_nodes(root: Path, address: Address) -> Iterator[str]:
    """Device files of the function's own: cards and render nodes, sound, disks, serial lines."""
    for folder, names, files in os.walk((root / DEVICES / str(address)).resolve()):
        if "vfio-dev" in names:
            names.remove("vfio-dev")
        if "dev" in files:
            match = re.search(r"^DEVNAME=(\S+)$", read_text(Path(folder, "uevent")), re.MULTILINE)
            if match:
                yield f"/dev/{match[1]}"
    # The vendor's own driver announces no devices in sysfs.
    information = root / "proc/driver/nvidia/gpus" / str(address) / "information"
    minor = re.search(r"^Device Minor:\s*(\d+)", read_text(information), re.MULTILINE)
    if minor:
        yield f"/dev/nvidia{minor[1]}"


def _open_files(root: Path) -> Iterator[tuple[str, str]]:
    """The id of each process and what its open files are."""
    for process in listed(under(root, "proc")):
        if not process.isdigit():
            continue
        try:
            descriptors = sorted((root / "proc" / process / "fd").iterdir())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise WholecardError(
                f"cannot see which files process {process} has open: {error.strerror}",
                "It was not checked whether the card is in use.",
                "Run it as root.",
            ) from error
        for descriptor in descriptors:
            # It may be closed, or the process ended, in the meantime.
            with contextlib.suppress(OSError):
                yield process, str(descriptor.readlink())


def _domains(root: Path, addresses: Sequence[Address]) -> Iterator[Finding]:
    """WC151: libvirt's running domains."""
    for name, devices in running_domains(root):
        for address in addresses:
            if address in devices:
                yield Finding(
                    "WC151",
                    str(address),
                    Severity.ERROR,
                    f"{address} is in use: the running domain {name} has it.",
                    f"Shut down the server; `virsh domuuid {name}` prints its id.",
                )


def _used(root: Path, host: Host | None, addresses: Sequence[Address]) -> Iterator[Finding]:
    """WC152 and WC153: disks and links, as they are now and as the facts have them."""
    for use in dict.fromkeys((*read_uses(root), *(host.uses if host is not None else ()))):
        if use.kind != "data" and use.address in map(str, addresses):
            rule, reason, remedy = _used_for(use)
            message = f"{use.address} is in use: {reason}."
            fix = f"{remedy}, or keep this card for the host."
            yield Finding(rule, use.address, Severity.ERROR, message, fix)


def _used_for(use: KernelUse) -> tuple[str, str, str]:
    """The rule, what the use is, and how to end it."""
    if use.kind == "disk":
        return "WC152", f"a disk below it, {use.what}", "Release it (umount, swapoff, zpool export)"
    if use.kind == "console":
        return "WC155", f"{use.what} is a console of the kernel", "Boot with another console="
    reason = f"its network link {use.what} is up"
    if use.kind == "default-route":
        reason = f"the host's default route goes through {use.what}"
    return "WC153", reason, "Take the link down (ip link set NAME down)"


def _consoles(root: Path, host: Host | None, addresses: Sequence[Address]) -> Iterator[Finding]:
    """WC155: the host's console is drawn on the function."""
    known = host.framebuffers if host is not None else ()
    framebuffers = {(framebuffer.address, framebuffer.name) for framebuffer in known}
    bound = any(
        read_text(root / CONSOLES / name / "bind") == "1"
        and "frame buffer" in read_text(root / CONSOLES / name / "name")
        for name in listed(under(root, str(CONSOLES)))
    )
    if bound:
        above = (root / GRAPHICS / _CONSOLE).resolve().parts
        framebuffers |= {(address, _CONSOLE) for address in map(str, addresses) if address in above}
    for address, name in sorted(framebuffers):
        if address in map(str, addresses):
            yield Finding(
                "WC155",
                address,
                Severity.ERROR,
                f"{address} is in use: it shows the host's console ({name}).",
                "Apply without --now and reboot; or unbind the console from it (write 0 to "
                "/sys/class/vtconsole/vtconN/bind).",
            )

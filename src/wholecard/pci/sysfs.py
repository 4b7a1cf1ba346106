"""Read every PCI function of a host from sysfs. Only attributes are read, never `config`.

Source: linux, Documentation/ABI/testing/sysfs-bus-pci.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from wholecard.core import UsageError
from wholecard.pci.address import Address
from wholecard.pci.function import Function

DEVICES = Path("sys/bus/pci/devices")

_STANDARD_BARS = 6


def read_functions(root: Path) -> tuple[Function, ...]:
    """Every function under `root`, sorted by address.

    A function whose attributes are missing or garbled is listed with those fields empty: what is
    on the bus must not vanish because one file could not be read. Never raises for that; a tree
    without PCI gives an empty tuple. Names are not filled in (see `wholecard.pci.ids`).
    """
    try:
        names = sorted(entry.name for entry in (root / DEVICES).iterdir())
    except OSError:
        return ()
    addresses = (_address(name) for name in names)
    return tuple(
        sorted(
            (_read(root, address) for address in addresses if address is not None),
            key=lambda function: function.address,
        )
    )


def _read(root: Path, address: Address) -> Function:
    place = root / DEVICES / str(address)
    driver = _link_name(place / "driver")
    override = read_text(place / "driver_override")
    group = _link_name(place / "iommu_group")
    return Function(
        address=address,
        vendor=_hex(place / "vendor", 4),
        device=_hex(place / "device", 4),
        subsystem_vendor=_hex(place / "subsystem_vendor", 4),
        subsystem_device=_hex(place / "subsystem_device", 4),
        class_code=_hex(place / "class", 6),
        revision=_hex(place / "revision", 2),
        driver=driver,
        driver_module=_link_name(place / "driver" / "module") if driver else None,
        driver_override=override if override not in ("", "(null)") else None,
        modalias=read_text(place / "modalias"),
        iommu_group=_number(group or ""),
        # The kernel prints -1 on a machine without NUMA, which is no number here.
        numa_node=_number(read_text(place / "numa_node")),
        boot_vga=read_text(place / "boot_vga") == "1",
        bars=_bars(read_text(place / "resource")),
        parents=_parents(place, address),
        physfn=_address(_link_name(place / "physfn") or ""),
    )


def read_text(path: Path) -> str:
    """The file's text without surrounding white space; empty where it cannot be read."""
    try:
        return path.read_bytes().decode(errors="replace").strip("\0 \t\r\n")
    except OSError:
        return ""


def _link_name(path: Path) -> str | None:
    """The last part of what a symbolic link points to, for example a driver's name."""
    try:
        return path.readlink().name or None
    except (OSError, ValueError):
        return None


def _address(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except UsageError:
        return None


def _hex(path: Path, digits: int) -> str:
    match = re.fullmatch(rf"0x([0-9a-f]{{{digits}}})", read_text(path), re.ASCII | re.IGNORECASE)
    return match[1].lower() if match else ""


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None


def _bars(text: str) -> tuple[int, ...]:
    """Sizes in bytes from `resource`: a line of first address, last address and flags for each."""
    sizes = []
    for line in text.splitlines()[:_STANDARD_BARS]:
        match = re.match(r"0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) 0x", line, re.IGNORECASE)
        first, last = (int(match[1], 16), int(match[2], 16)) if match else (0, 0)
        sizes.append(last - first + 1 if last > first else 0)
    return tuple(sizes)


def _parents(place: Path, address: Address) -> tuple[Address, ...]:
    """The bridges above: the addresses in the path that the device's link resolves to."""
    try:
        parts = Path(os.path.realpath(place)).parts
    except (OSError, ValueError):
        return ()
    found = (_address(part) for part in parts)
    return tuple(parent for parent in found if parent is not None and parent != address)

"""A function's configuration space and what sysfs says of its link and errors, at one moment.

Sources: PCI Local Bus Specification 3.0, 6.1 and 6.7 (header, capabilities); PCI Bus Power
Management Interface Specification 1.2, 3.2.4 (PMCSR); linux,
Documentation/ABI/testing/sysfs-bus-pci-devices-aer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from wholecard.core.small_files import read_attribute, read_text
from wholecard.host.cleaning.record import FunctionState
from wholecard.pci.attributes import link_value
from wholecard.pci.sysfs import DEVICES

COMMAND, BARS, BARS_END, CAPABILITIES = 0x04, 0x10, 0x28, 0x34
MEMORY_SPACE = 0x2
_POWER_CAPABILITY = 0x01
_STATES = ("D0", "D1", "D2", "D3hot")
_TOTALS = {"correctable": "COR", "nonfatal": "NONFATAL", "fatal": "FATAL"}


def folder_of(root: Path, address: str) -> Path:
    """The function's folder in sysfs."""
    return root / DEVICES / address


def read_config(root: Path, address: str) -> bytes:
    """The first 256 bytes of the configuration space, fewer without root; empty if unreadable."""
    try:
        descriptor = os.open(folder_of(root, address) / "config", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, 256, 0)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def is_alive(config: bytes) -> bool:
    """Whether a function answers: what is gone, or hangs, reads as all ones."""
    return len(config) >= 64 and config[:2] != b"\xff\xff"


def command_of(config: bytes) -> int:
    """The command register."""
    return int.from_bytes(config[COMMAND : COMMAND + 2], "little")


def power_of(config: bytes) -> str:
    """The power state in PMCSR; empty without the capability or with a damaged list."""
    at = config[CAPABILITIES] & 0xFC if len(config) > CAPABILITIES else 0
    # A list in 192 bytes has at most 48 entries.
    for _ in range(48):
        if not at or at + 6 > len(config):
            return ""
        if config[at] == _POWER_CAPABILITY:
            return _STATES[config[at + 4] & 0x3]
        at = config[at + 1] & 0xFC
    return ""


def read_state(root: Path, address: str) -> FunctionState:
    """The function now. What cannot be read is empty; nothing is raised."""
    config = read_config(root, address)
    folder = folder_of(root, address)
    if not is_alive(config):
        return FunctionState(address, alive=False, errors=read_errors(folder))
    speed, width, speed_max, width_max = (
        link_value(read_attribute(str(folder / name)))
        for name in ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width")
    )
    return FunctionState(
        address,
        alive=True,
        command=command_of(config),
        power=power_of(config),
        bars=config[BARS:BARS_END].hex(),
        link_speed=speed,
        link_width=None if width is None else int(width),
        link_speed_max=speed_max,
        link_width_max=None if width_max is None else int(width_max),
        errors=read_errors(folder),
    )


def read_errors(folder: Path) -> dict[str, int]:
    """AER's totals of a function by kind; only those that the kernel counts."""
    totals = {}
    for kind, word in _TOTALS.items():
        text = read_text(folder / f"aer_dev_{kind}")
        match = re.search(rf"^TOTAL_ERR_{word} (\d+)$", text, re.MULTILINE)
        if match:
            totals[kind] = int(match[1])
    return totals

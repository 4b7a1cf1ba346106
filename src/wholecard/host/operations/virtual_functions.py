"""What operations on slices read of a PF, its VFs and its mediated devices.

Source: linux, Documentation/ABI/testing/sysfs-bus-pci (`virtfnN`, `sriov_numvfs`) and
Documentation/driver-api/vfio-mediated-device.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from wholecard.core.small_files import exists, link_name, listed, read_text, under
from wholecard.core.waiting import wait_until
from wholecard.pci import Address
from wholecard.pci.sysfs import DEVICES
from wholecard.transaction.json_fields import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.core.small_files import Root

MDEVS = "sys/bus/mdev/devices"
# Seconds that a driver has for the files of a VF that it has made.
PATIENCE = 30.0


def pci_address(value: Any) -> str:
    """An address in its one way of writing, out of a journal. Raises ValueError."""
    written = text(value)
    if str(Address.parse(written)) != written:
        raise ValueError(f"{written!r} is not an address")
    return written


def attribute(root: Root, address: str, name: str) -> str:
    """The path of an attribute of a function."""
    return under(root, f"{DEVICES}/{address}/{name}")


def vf_count(root: Root, pf: str) -> str | None:
    """How many VFs the PF has, as its file says it; None where there is no such PF."""
    return read_text(attribute(root, pf, "sriov_numvfs")) or None


def virtual_function(root: Root, pf: str, index: int) -> str:
    """The address of the PF's VF with this index; empty where it has none."""
    return link_name(attribute(root, pf, f"virtfn{index}")) or ""


def virtual_functions(root: Root, pf: str) -> tuple[Address, ...]:
    """The addresses of all VFs of a PF."""
    names = (name for name in listed(attribute(root, pf, "")) if name.startswith("virtfn"))
    links = (link_name(attribute(root, pf, name)) for name in names)
    return tuple(sorted(Address.parse(link) for link in links if link))


def await_file(path: str) -> None:
    """Wait until a driver has made this file of sysfs, which it does a little after its VFs.

    Raises WholecardError after `PATIENCE` seconds.
    """
    wait_until(
        path,
        lambda: True if exists(path) else None,
        PATIENCE,
        interval=0.1,
        resolution="Is the vendor's driver for vGPUs loaded, and are its services running?",
    )


def active_mdevs(root: Root) -> Iterator[tuple[str, str]]:
    """UUID and parent of each mediated device that exists."""
    folder = under(root, MDEVS)
    for uuid in listed(folder):
        yield uuid, os.path.basename(os.path.dirname(os.path.realpath(f"{folder}/{uuid}")))

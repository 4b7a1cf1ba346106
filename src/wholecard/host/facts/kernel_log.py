"""The kernel's log of this boot.

Source of the record format: linux, Documentation/ABI/testing/dev-kmsg.
"""

from __future__ import annotations

import os
import stat

from wholecard.core.record import dataclass
from wholecard.core.small_files import read_bytes, under
from wholecard.pci.address import parse_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wholecard.core.small_files import Root

LOG = "dev/kmsg"

# The patch that makes groups smaller than the hardware isolates (not in the kernel's own source)
# says so at boot: drivers/pci/quirks.c with `pcie_acs_override`.
ACS_OVERRIDE = "PCIe ACS overrides enabled"
# linux: drivers/vfio/vfio_iommu_type1.c, vfio_iommu_type1_attach_group.
NO_REMAPPING = "No interrupt remapping support"
# linux: drivers/iommu/intel/iommu.c, intel_iommu_attach_device (until 6.6), and drivers/iommu/
# iommu.c, __iommu_device_set_domain (since then, on every architecture).
_REFUSALS = (
    "ineligible for IOMMU domain attach due to platform RMRR",
    "requested this device have a 1:1 IOMMU mapping",
)

# One read gives one record; the kernel refuses a buffer that is too small for it.
_RECORD_LIMIT = 65536


@dataclass(frozen=True)
class Record:
    """One line of the kernel's log: its number since boot, seconds since boot, and its text."""

    sequence: int
    seconds: float
    message: str


def read_kernel_log(root: Root) -> tuple[Record, ...] | None:
    """The records since boot, oldest first; None where the log cannot be read.

    On `/` the device is read without waiting, which needs root. Under another root `dev/kmsg` is
    a plain text file in the same format. A first record whose number is not 0 means that the
    ring buffer has dropped what came before.
    """
    text = read_log_text(root)
    if text is None:
        return None
    return tuple(record for line in text.splitlines() for record in _parse(line))


def seen_in(log: tuple[Record, ...] | None, *texts: str) -> bool | None:
    """Whether the kernel has said one of `texts` since boot; None where the log does not tell.

    Only a log from the first record on proves that the kernel did not say it.
    """
    if log is None:
        return None
    if any(text in record.message for record in log for text in texts):
        return True
    return False if log and log[0].sequence == 0 else None


def refused_in(log: Iterable[Record]) -> tuple[str, ...]:
    """The addresses of functions that the kernel refused to a guest because of the firmware."""
    messages = (r.message for r in log if any(text in r.message for text in _REFUSALS))
    addresses = {word.rstrip(":") for message in messages for word in message.split()}
    return tuple(sorted(address for address in addresses if parse_numbers(address)))


def read_log_text(root: Root) -> str | None:
    """The log as it is, in the format of `/dev/kmsg`; None where it cannot be read."""
    try:
        if os.fspath(root) == "/":
            return "".join(_device_records())
        return _file_text(under(root, LOG))
    except OSError:
        return None


def _device_records() -> Iterator[str]:
    descriptor = os.open(f"/{LOG}", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                data = os.read(descriptor, _RECORD_LIMIT)
            except BlockingIOError:
                return
            except BrokenPipeError:
                # The record was overwritten while we read; the next read continues after it.
                continue
            if not data:
                return
            yield data.decode(errors="replace")
    finally:
        os.close(descriptor)


def _file_text(path: str) -> str | None:
    # A device or pipe in a foreign tree would block; only a plain file is a log there.
    if not stat.S_ISREG(os.stat(path).st_mode):
        return None
    data = read_bytes(path)
    return None if data is None else data.decode(errors="replace")


def _parse(line: str) -> Iterator[Record]:
    """A record: `priority,sequence,microseconds,flags;message`."""
    head, semicolon, message = line.partition(";")
    numbers = head.split(",")
    is_record = semicolon and len(numbers) > 3
    if is_record and all(number.isascii() and number.isdigit() for number in numbers[:3]):
        yield Record(int(numbers[1]), int(numbers[2]) / 1e6, message)

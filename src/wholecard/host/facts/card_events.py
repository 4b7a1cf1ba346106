"""What the kernel's log and QEMU's logs say of cards: each sentence with who prints it.

A line counts where its address is a card's or that of a port above a card. Sentences change with
kernels; the older spellings are beside the newer ones.
"""

from __future__ import annotations

import re

from wholecard.core.record import dataclass
from wholecard.pci.address import parse_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wholecard.host.facts.kernel_log import Record

# The newest lines of each log that one answer has at most: an error storm is no flood of JSON.
LIMIT = 1000
_LONGEST = 300

_AT = r"(?P<at>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?)"
# linux: dev_printk puts the driver's and the device's name before the text.
_DEVICE = rf"^\S+ {_AT}: "

# Kinds of events and their sentences in the kernel's log.
KERNEL: tuple[tuple[str, str], ...] = (
    # drivers/pci/pcie/aer.c, aer_print_error: "Corrected" and "Uncorrected" until 6.5.
    ("aer-fatal", _DEVICE + r"(?:AER: )?PCIe Bus Error: severity=Uncorrect\w+ \(Fatal\)"),
    ("aer-nonfatal", _DEVICE + r"(?:AER: )?PCIe Bus Error: severity=Uncorrect\w+ \(Non-Fatal\)"),
    ("aer-correctable", _DEVICE + r"(?:AER: )?PCIe Bus Error: severity=Correct"),
    # The same file, pci_print_aer: errors that the firmware handles and hands on (ACPI's APEI).
    ("aer-firmware", _DEVICE + r"(?:AER: )?aer_status: 0x"),
    # drivers/pci/pcie/dpc.c, dpc_process_error: the port has cut the link off.
    ("containment", _DEVICE + r"DPC: containment event"),
    # drivers/pci/pcie/err.c, pcie_do_recovery and report_error_detected.
    ("recovery-failed", _DEVICE + r"AER: (?:device recovery failed|subordinate device reset failed"
                        r"|can't recover)"),
    # drivers/pci/pci.c, pci_dev_wait: after FLR, bus reset, PM D3hot->D0, resume, DPC.
    ("reset-failed", _DEVICE + r"not ready \d+ms after .*; giving up"),
    # The same file, pci_set_low_power_state and pci_power_up; until 6.0 the second sentence.
    ("unreachable", _DEVICE + r"(?:Unable to change power state .* device inaccessible"
                    r"|can't change power state .*config space inaccessible)"),
    # drivers/pci/hotplug/pciehp_ctrl.c, pciehp_handle_presence_or_link_change; of the port.
    ("link-down", _DEVICE + r"(?:pciehp: )?Slot\(.*\): (?:Link Down|Card not present)"),
    # drivers/vfio/pci/vfio_pci_config.c, vfio_bar_restore: it was reset, and VFIO did not do it.
    ("vfio-reset-recovery", _DEVICE + r"vfio_bar_restore: reset recovery - restoring BARs"),
    # drivers/vfio/pci/vfio_pci_core.c, vfio_pci_core_enable and others.
    ("vfio-resume-failed", _DEVICE + r"runtime resume failed"),
    # NVIDIA's driver, where the host itself uses the card: docs.nvidia.com/deploy/xid-errors.
    ("xid", rf"NVRM: Xid \(PCI:{_AT}\): (?P<number>\d+)"),
    # drivers/gpu/drm/amd/amdgpu/amdgpu_device.c, amdgpu_device_gpu_recover.
    ("gpu-reset", _DEVICE + r"amdgpu: GPU reset begin"),
)  # fmt: skip

# And in QEMU's log of a server (libvirt: /var/log/libvirt/qemu/DOMAIN.log).
QEMU: tuple[tuple[str, str], ...] = (
    # hw/vfio/pci.c, vfio_err_notifier_handler: the server is stopped (internal error).
    ("vfio-unrecoverable", rf"vfio_err_notifier_handler\({_AT}\) Unrecoverable error detected"),
    # hw/vfio/pci.c, vfio_pci_hot_reset and vfio_pci_reset.
    ("vfio-no-reset", rf"vfio: Cannot reset device {_AT}, "),
    # hw/vfio/pci.c, vfio_bars_register: each access of the server is then a call of QEMU.
    ("vfio-slow", rf"Failed to mmap {_AT} BAR \d+\. Performance may be slow"),
)

KINDS = tuple(kind for kind, _ in (*KERNEL, *QEMU))


@dataclass(frozen=True)
class CardEvent:
    """One line of a log about a card.

    `kind` is one of `KINDS`; `slot` the card's, empty for a port above several cards; `address`
    what the line names. `source` is `kernel` or `qemu`. `seconds` are since boot, by the kernel;
    `time` is QEMU's own (UTC, ISO 8601), empty for the kernel's lines. `number` is an Xid's.
    `domain` is libvirt's name of the server and `server` its uuid, for QEMU's lines.
    """

    kind: str
    slot: str
    address: str
    source: str
    message: str
    seconds: float = 0.0
    time: str = ""
    number: int | None = None
    domain: str = ""
    server: str = ""

    @property
    def order(self) -> tuple[str, float]:
        """What grows from line to line within one source and one boot."""
        return self.time, self.seconds


def kernel_events(
    log: Iterable[Record], slots: Mapping[str, str]
) -> tuple[tuple[CardEvent, ...], int]:
    """The lines about these cards, oldest first, and how many more there were.

    `slots` are by address, and by slot: a card's functions, and the ports above it.
    """
    patterns = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in KERNEL]
    events = [
        CardEvent(kind, slots[at], at, "kernel", record.message[:_LONGEST], record.seconds,
                  number=number)
        for record in log
        # Most lines of a log name no device: two cheap tests before a dozen patterns.
        if (":" in record.message and "." in record.message) or "Xid" in record.message
        for kind, at, number in _found(patterns, record.message)
        if at in slots
    ]  # fmt: skip
    return tuple(events[-LIMIT:]), max(0, len(events) - LIMIT)


def qemu_events(
    domain: str, text: str, since: str, slots: Mapping[str, str]
) -> tuple[CardEvent, ...]:
    """The lines of a server's log since that time (as `CardEvent.time`) about these cards."""
    patterns = [(kind, re.compile(pattern)) for kind, pattern in QEMU]
    events = []
    server = ""
    for line in text.splitlines():
        # libvirt writes the whole command line of each start.
        uuid = re.search(r"-uuid ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b", line)
        server = uuid[1] if uuid else server
        for kind, at, _ in _found(patterns, line):
            time, _, message = line.partition(": ")
            # `-msg timestamp=on`, which libvirt sets: util/error-report.c, error_vprintf.
            time = time.partition(" ")[0]
            time = time if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", time) else ""
            if at in slots and not (time and time < since):
                events.append(CardEvent(kind, slots[at], at, "qemu", message[:_LONGEST], time=time,
                                        domain=domain, server=server))  # fmt: skip
    return tuple(events[-LIMIT:])


def _found(
    patterns: Iterable[tuple[str, re.Pattern[str]]], line: str
) -> Iterator[tuple[str, str, int | None]]:
    """The first kind that the line is of, its address, and an Xid's number."""
    for kind, pattern in patterns:
        match = pattern.search(line)
        if match and parse_numbers(_full(match["at"])):
            number = int(match["number"]) if "number" in pattern.groupindex else None
            yield kind, match["at"], number
            return


def _full(at: str) -> str:
    return at if "." in at else f"{at}.0"

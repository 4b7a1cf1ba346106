"""What a server must have, compared with what its guest reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.guest.proof.record import Proof, ProofFunction


@dataclass(frozen=True)
class ExpectedFunction:
    """A function that the server must have: its ids, the driver it should have, a name for it.

    `driver` None: whether a driver binds does not matter (an emulated card has none).
    """

    vendor: str
    device: str
    driver: str | None
    name: str

    @property
    def id(self) -> str:
        """`vendor:device`."""
        return f"{self.vendor}:{self.device}"


# What QEMU and libvirt put into every q35 machine (QEMU: docs/specs/pci-ids.rst). Left out on
# purpose: devices that are also used as emulated cards, 8086:293e (sound), 1b36:0010 (NVMe) and
# 1234:1111 (display); nova adds none of them by itself.
MACHINE_OWN = frozenset(
    {
        *(f"1af4:{device:04x}" for device in (*range(0x1000, 0x100A), *range(0x1041, 0x1074))),
        *(f"1b36:{device:04x}" for device in (*range(0x0001, 0x0006), *range(0x0008, 0x000F))),
        "1b36:0100",  # qxl
        "1013:00b8",  # cirrus
        "8086:100e",  # e1000
        "8086:10d3",  # e1000e
        "8086:2415",  # AC97
        "8086:244e",  # dmi-to-pci bridge
        "8086:25ab",  # i6300esb watchdog
        "8086:2918",  # ICH9 LPC
        "8086:2922",  # ICH9 AHCI
        "8086:2930",  # ICH9 SMBus
        # ICH9 UHCI 1 to 6 and EHCI 1 and 2
        *(f"8086:{device:04x}" for device in (*range(0x2934, 0x293B), 0x293C)),
        "8086:29c0",  # q35 host bridge
    }
)


def compare(
    expected: Sequence[ExpectedFunction], proof: Proof | None, own: frozenset[str] = MACHINE_OWN
) -> list[Finding]:
    """What the guest lacks, has in addition, or has without its driver; empty where all is right.

    `own` are the `vendor:device` of the virtual machine's own devices, which are ignored. Leave
    out of it an id that is also asked for: ids alone do not tell such functions apart, and a
    missing one would be found only when none is left. Where `proof` is None or not complete, the
    only finding is that the guest did not report.
    """
    if proof is None or not proof.complete:
        return [
            Finding(
                "WC405",
                "guest",
                Severity.ERROR,
                _unfinished(proof),
                "Read the server's console: the guest did not boot, or it is slow.",
            )
        ]
    left = list(proof.functions)
    findings = []
    for required, function in zip(expected, _matched(expected, left), strict=True):
        if function is None:
            findings.append(_missing(required))
        elif required.driver is not None and function.driver != required.driver:
            findings.append(_wrong_driver(required, function))
    findings.extend(_not_asked(function) for function in left if function.id not in own)
    return findings


def _unfinished(proof: Proof | None) -> str:
    if proof is None or not (proof.kernel or proof.functions or proof.damaged):
        return "the guest has not begun its report"
    arrived = f"the guest's report is not complete: {len(proof.functions)} functions arrived"
    return f"{arrived}, {proof.damaged} lines were damaged" if proof.damaged else arrived


def _matched(
    expected: Sequence[ExpectedFunction], left: list[ProofFunction]
) -> list[ProofFunction | None]:
    """For each expected function one of the guest's, taken out of `left`; None where none is.

    Those with the right driver are matched first, so that one card of two without a driver is one
    finding, whatever the order.
    """
    matched: list[ProofFunction | None] = [None] * len(expected)

    def match(same: Callable[[ExpectedFunction, ProofFunction], bool]) -> None:
        for position, required in enumerate(expected):
            function = next((function for function in left if same(required, function)), None)
            if matched[position] is None and function is not None:
                matched[position] = function
                left.remove(function)

    match(
        lambda required, function: (required.id, required.driver) == (function.id, function.driver)
    )
    match(lambda required, function: required.id == function.id)
    return matched


def _missing(expected: ExpectedFunction) -> Finding:
    return Finding(
        "WC401",
        expected.name,
        Severity.ERROR,
        f"the server has {expected.name} ({expected.id}) and its guest does not see it",
        "Compare the server's <hostdev> elements with its flavor, and check its IOMMU group.",
    )


def _wrong_driver(expected: ExpectedFunction, function: ProofFunction) -> Finding:
    bound = f"is bound to {function.driver}" if function.driver else "has no driver"
    return Finding(
        "WC404",
        function.address,
        Severity.ERROR,
        f"{expected.name} ({expected.id}) {bound} in the guest instead of {expected.driver}",
        "Read the guest's kernel log: the image lacks the driver, or the driver refused the card.",
    )


def _not_asked(function: ProofFunction) -> Finding:
    return Finding(
        "WC402",
        function.address,
        Severity.ERROR,
        f"the guest sees {function.id} (class {function.pci_class}), which was not requested",
        "Read the server's flavor and <hostdev> elements: an alias matches this function too.",
    )

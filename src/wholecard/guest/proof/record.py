"""The proof: what the guest reports on its console, read and compared with what was asked for.

`init.sh` writes it, one line a record: `WHOLECARD-PROOF <sum> {json}`. `sum` is the first 8
hexadecimal digits of the MD5 of the JSON text, a checksum against accidents: an emulated serial
line sometimes gains a byte, and the rest may still be JSON. The guest writes the same lines
several times. Kernel messages may come before, between and after them.

Each record has `boot`, the first 8 digits of the kernel's boot id, and `number`, its position in
the report: `begin` is 0, then functions and codecs, `end` is the last. So a report is put together
from the undamaged lines of all repetitions, and never from two boots.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wholecard.core import Finding, Severity, WholecardError

PREFIX = "WHOLECARD-PROOF "
FORMAT = 2
# A record's text has no braces inside.
_RECORD = re.compile(r"([0-9a-f]{8}) (\{[^{}\n]*\})")
_BOOT = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class ProofFunction:
    """A PCI function in the guest. Ids are hexadecimal digits without `0x`.

    `path` are the addresses from the root bus down to the function, `irqs` how many MSI vectors it
    has, `bars` the sizes of BAR 0 to 5 in bytes with 0 for an unused one.
    """

    address: str
    path: tuple[str, ...]
    vendor: str
    device: str
    pci_class: str
    subsystem_vendor: str
    subsystem_device: str
    driver: str | None
    irqs: int
    bars: tuple[int, ...]

    @property
    def id(self) -> str:
        """`vendor:device`, as `lspci -n` writes it."""
        return f"{self.vendor}:{self.device}"


@dataclass(frozen=True)
class ProofCodec:
    """A sound codec: behind which function it is, its vendor id (8 digits), name and driver."""

    function: str
    id: str
    name: str
    driver: str | None


@dataclass(frozen=True)
class Proof:
    """A guest's own report. `complete` when nothing of it is missing.

    `damaged` is the number of lines that were dropped, those of earlier starts included. It says
    nothing about the guest, so two proofs that differ only in it are equal.
    """

    kernel: str
    functions: tuple[ProofFunction, ...]
    codecs: tuple[ProofCodec, ...]
    complete: bool
    damaged: int = field(default=0, compare=False)


class ProofError(WholecardError):
    """The guest wrote, undamaged, what cannot be read here: waiting longer does not help."""


def parse(console_text: str) -> Proof:
    """The report on a console, put together from its repetitions.

    A Proof is not `complete` as long as a record is missing: not written yet, or damaged in every
    repetition so far. A guest that was started again reports anew; the last start counts.

    Raises ProofError where the report has an unknown format, or where records with a correct
    checksum lack a key or contradict each other.
    """
    records, damaged = _records(console_text)
    if not records:
        return Proof("", (), (), complete=False, damaged=damaged)
    begins = [record for record in records if record.get("record") == "begin"]
    if begins and begins[-1].get("format") != FORMAT:
        raise _unreadable(f"its format is not {FORMAT}: {begins[-1]}")
    return _assembled(_last_start(records), damaged)


def _last_start(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records of the last record's boot by their number, each once."""
    boot = records[-1].get("boot")
    if not isinstance(boot, str) or not _BOOT.fullmatch(boot):
        raise _unreadable(f"a record has no boot id: {records[-1]}")
    by_number: dict[int, Mapping[str, Any]] = {}
    for record in records:
        if record.get("boot") != boot:
            continue
        number = record.get("number")
        if not isinstance(number, int):
            raise _unreadable(f"a record has no number: {record}")
        if by_number.setdefault(number, record) != record:
            raise _unreadable(f"two records have one number: {by_number[number]} and {record}")
    return [by_number[number] for number in sorted(by_number)]


def _assembled(records: Sequence[Mapping[str, Any]], damaged: int) -> Proof:
    """The proof of one boot's records."""
    parts: dict[str, list[Any]] = {kind: [] for kind in READERS}
    for record in records:
        kind, part = _read_record(record)
        parts[kind].append(part)
    begin, functions, codecs, end = (parts[kind] for kind in READERS)
    if len({function.address for function in functions}) != len(functions):
        raise _unreadable("a function occurs twice")
    arrived = len(functions), len(codecs)
    for counted in end:
        if arrived[0] > counted[0] or arrived[1] > counted[1]:
            raise _unreadable(f"it counts {counted} functions and codecs, and has {arrived}")
    complete = bool(begin) and end == [arrived]
    return Proof(next(iter(begin), ""), tuple(functions), tuple(codecs), complete, damaged)


def _read_record(record: Mapping[str, Any]) -> tuple[str, Any]:
    """A record's kind, and what it holds as READERS has it."""
    kind = str(record.get("record"))
    if kind not in READERS:
        raise _unreadable(f"an unknown record: {kind}")
    try:
        return kind, READERS[kind](record)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"a record lacks a value or has a wrong one: {record}") from error


def _records(text: str) -> tuple[list[Mapping[str, Any]], int]:
    """The records with a correct checksum, and the number of damaged ones.

    The text's last line may not be complete yet: it does not count as damaged.
    """
    records: list[Mapping[str, Any]] = []
    damaged = 0
    parts = text.replace("\r", "").split(PREFIX)[1:]
    for left, part in enumerate(parts, 1 - len(parts)):
        match = _RECORD.match(part)
        if match and checksum(match[2]) == match[1]:
            try:
                records.append(json.loads(match[2]))
            except ValueError as error:
                raise _unreadable(f"a record is not JSON: {match[2]}") from error
        elif left or "\n" in part:
            damaged += 1
    return records, damaged


def checksum(text: str) -> str:
    """The 8 hexadecimal digits before a record's JSON text."""
    digest = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    return digest.hexdigest()[:8]


def _function(record: Mapping[str, Any]) -> ProofFunction:
    driver = record["driver"]
    return ProofFunction(
        address=str(record["address"]),
        path=tuple(str(record["path"]).split("/")),
        vendor=str(record["vendor"]),
        device=str(record["device"]),
        pci_class=str(record["class"]),
        subsystem_vendor=str(record["subsystem_vendor"]),
        subsystem_device=str(record["subsystem_device"]),
        driver=None if driver is None else str(driver),
        irqs=int(record["irqs"]),
        bars=tuple(int(size) for size in record["bars"]),
    )


def _codec(record: Mapping[str, Any]) -> ProofCodec:
    driver = record["driver"]
    return ProofCodec(
        function=str(record["function"]),
        id=str(record["id"]),
        name=str(record["name"]).strip(),
        driver=None if driver is None else str(driver),
    )


# How a record of each kind is read, in the order of a report.
READERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "begin": lambda record: str(record["kernel"]),
    "function": _function,
    "codec": _codec,
    "end": lambda record: (int(record["functions"]), int(record["codecs"])),
}


def _unreadable(why: str) -> ProofError:
    return ProofError(
        f"the guest's report cannot be read: {why}",
        resolution="Build the proof guest's image with this version of Wholecard.",
    )


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

"""The proof: what the guest says it sees, read from its console and held against what was asked.

`init.sh` writes it, one line a record: `WHOLECARD-PROOF {json}`. Kernel messages may stand before
and between the lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wholecard.core import Finding, Severity, WholecardError

PREFIX = "WHOLECARD-PROOF "
FORMAT = 1


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
    """A guest's own report. `complete` when it came to its end and nothing of it was lost."""

    kernel: str
    functions: tuple[ProofFunction, ...]
    codecs: tuple[ProofCodec, ...]
    complete: bool


class ProofError(WholecardError):
    """The report on the console is damaged: more waiting will not mend it."""


def parse(console_text: str) -> Proof:
    """The last report on a console.

    A report that has not begun or not ended yet is a Proof that is not `complete`. A guest that
    was started again reports again; the last start counts.

    Raises ProofError when a line is cut or garbled, when the beginning is missing, when lines were
    lost or stand there twice, or when the report has a format that is not known here.
    """
    records = _records(console_text)
    begins = [i for i, record in enumerate(records) if record and record.get("record") == "begin"]
    if not records:
        return Proof("", (), (), complete=False)
    if not begins:
        raise _damaged("its beginning is missing")
    begin, *rest = records[begins[-1] :]
    if begin is None or begin.get("format") != FORMAT:
        raise _damaged(f"its format is not {FORMAT}: {begin}")
    return _assembled(begin, rest)


def _assembled(begin: Mapping[str, Any], rest: Sequence[Mapping[str, Any] | None]) -> Proof:
    functions: list[ProofFunction] = []
    codecs: list[ProofCodec] = []
    end: Mapping[str, Any] | None = None
    for record in rest:
        if record is None:
            raise _damaged("a line is cut or mixed with another")
        if end is not None:
            raise _damaged("it goes on after its end")
        try:
            kind = record["record"]
            if kind == "function":
                functions.append(_function(record))
            elif kind == "codec":
                codecs.append(_codec(record))
            elif kind == "end":
                end = record
            else:
                raise _damaged(f"an unknown record: {kind}")
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(f"a record is not as it should be: {record}") from error
    if end is not None and (end.get("functions"), end.get("codecs")) != (
        len(functions),
        len(codecs),
    ):
        raise _damaged(
            f"lines were lost: {len(functions)} functions and {len(codecs)} codecs of"
            f" {end.get('functions')} and {end.get('codecs')} arrived"
        )
    if len({function.address for function in functions}) != len(functions):
        raise _damaged("a function stands there twice")
    return Proof(str(begin.get("kernel")), tuple(functions), tuple(codecs), end is not None)


def _records(text: str) -> list[dict[str, Any] | None]:
    """Each record of the text, None for one that cannot be read.

    The text's last line may still be on its way: unreadable, it is left out.
    """
    decoder = json.JSONDecoder()
    found: list[dict[str, Any] | None] = []
    lines = text.replace("\r", "").split("\n")
    for number, line in enumerate(lines, 1):
        for part in line.split(PREFIX)[1:]:
            try:
                record, _ = decoder.raw_decode(part)
            except json.JSONDecodeError:
                if number < len(lines):
                    found.append(None)
                continue
            found.append(record if isinstance(record, dict) else None)
    return found


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


def _damaged(why: str) -> ProofError:
    return ProofError(
        f"the guest's report is damaged: {why}",
        resolution="Read the server's console; boot it again for another report.",
    )


@dataclass(frozen=True)
class ExpectedFunction:
    """A function that the server was given: ids, the driver it should have, a name to call it by.

    `driver` None: whether a driver binds does not matter (a stand-in card has none).
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
# purpose: devices that also stand in for cards, 8086:293e (sound), 1b36:0010 (NVMe) and
# 1234:1111 (display), which nova adds to no server by itself.
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
        "8086:2934",  # ICH9 UHCI 1 to 6 and EHCI 1 and 2
        "8086:2935",
        "8086:2936",
        "8086:2937",
        "8086:2938",
        "8086:2939",
        "8086:293a",
        "8086:293c",
        "8086:29c0",  # q35 host bridge
    }
)


def compare(
    expected: Sequence[ExpectedFunction],
    proof: Proof | None,
    own: frozenset[str] = MACHINE_OWN,
) -> list[Finding]:
    """What the guest lacks, has too much, or has without its driver; empty when all is as asked.

    `own` are the `vendor:device` of the virtual machine's own devices, which are let pass. An id
    that is asked for and `own` as well cannot be told apart by ids: a missing one is then found
    only when none is left; leave such ids out of `own`. `proof` None, or one that is not complete:
    the one finding is that the guest did not report.
    """
    if proof is None or not proof.complete:
        return [
            Finding(
                "WC405",
                "guest",
                Severity.ERROR,
                "the guest's report has not begun"
                if proof is None or not proof.functions
                else f"the guest's report stopped after {len(proof.functions)} functions",
                "Read the server's console: it did not boot, or it is slow.",
            )
        ]
    left = list(proof.functions)
    given = _matched(expected, left)
    findings = []
    for want, function in zip(expected, given, strict=True):
        if function is None:
            findings.append(_missing(want))
        elif want.driver is not None and function.driver != want.driver:
            findings.append(_undriven(want, function))
    findings.extend(_not_asked(function) for function in left if function.id not in own)
    return findings


def _matched(
    expected: Sequence[ExpectedFunction], left: list[ProofFunction]
) -> list[ProofFunction | None]:
    """For each expected function one of the guest's, taken out of `left`; None where none is.

    Those with the right driver are matched first, so that one card of two without a driver is one
    finding, whatever the order.
    """
    given: list[ProofFunction | None] = [None] * len(expected)
    for with_driver in (True, False):
        for number, want in enumerate(expected):
            if given[number] is not None or (with_driver and want.driver is None):
                continue
            for function in left:
                if function.id == want.id and (not with_driver or function.driver == want.driver):
                    given[number] = function
                    left.remove(function)
                    break
    return given


def _missing(want: ExpectedFunction) -> Finding:
    return Finding(
        "WC401",
        want.name,
        Severity.ERROR,
        f"{want.name} ({want.id}) was given to the server and the guest does not see it",
        "Compare the server's <hostdev> elements with its flavor; is the whole card in its group?",
    )


def _undriven(want: ExpectedFunction, function: ProofFunction) -> Finding:
    bound = f"is bound to {function.driver}" if function.driver else "has no driver"
    return Finding(
        "WC404",
        function.address,
        Severity.ERROR,
        f"{want.name} ({want.id}) {bound} in the guest instead of {want.driver}",
        "Read the guest's kernel messages: the driver is missing in the image or refused the card.",
    )


def _not_asked(function: ProofFunction) -> Finding:
    return Finding(
        "WC402",
        function.address,
        Severity.ERROR,
        f"the guest sees {function.id} (class {function.pci_class}), which was not asked for",
        "See the server's flavor and its <hostdev> elements: another alias matched it.",
    )

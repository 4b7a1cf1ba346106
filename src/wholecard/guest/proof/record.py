"""The proof: what the guest reports on its console, read.

The agents of `guest/agent/` write it, one line a record: `WHOLECARD-PROOF <sum> {json}`. `sum` is
the first 8 hexadecimal digits of the MD5 of the JSON text, a checksum against accidents: an
emulated serial line sometimes gains a byte, and the rest may still be JSON. The guest writes the
same lines several times. Kernel messages may come before, between and after them.

Each record has `boot`, the first 8 digits of the kernel's boot id, and `number`, its position in
the report: `begin` is 0, `end` is the last. So a report is put together from the undamaged lines of
all repetitions, and never from two boots. `begin` has the nonce of the run, which only the server
of this run was given; `end` counts the records of each kind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wholecard.core import WholecardError
from wholecard.guest.proof import fields
from wholecard.guest.proof.fields import Record

PREFIX = "WHOLECARD-PROOF "
FORMAT = 3
# nova returns 100 KiB of a console; whatever another driver returns, more is not read.
MAX_CONSOLE = 1 << 20
# A record's text has no braces inside. The longest is a function's, some 500 characters.
_RECORD = re.compile(r"([0-9a-f]{8}) (\{[^{}\n]{0,4000}\})")
_MAX_WHY = 600
_BOOT = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class GuestMachine:
    """The guest itself: nonce of the run (empty where it was given none), agent, kernel, system.

    `agent` is `linux` or `windows`, `os` the system's own name, `memory_mib` what it can use.
    """

    nonce: str
    agent: str
    kernel: str
    os: str | None = None
    cpus: int = 0
    numa_nodes: int = 0
    memory_mib: int = 0


@dataclass(frozen=True)
class ProofFunction:
    """A PCI function in the guest. Ids are hexadecimal digits without `0x`.

    `path` are the addresses from the root bus down to the function, `irqs` how many MSI vectors it
    has, `bars` the sizes of BAR 0 to 5 in bytes with 0 for an unused one. `numa` is -1 where the
    guest's firmware names no node. `link` and `max_link` are GT/s and width; in a guest they show
    the virtual port's link, not the slot's (NVIDIA, B300 VM guide, known limitations).
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
    numa: int = -1
    link: tuple[float, int] | None = None
    max_link: tuple[float, int] | None = None

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
class ProofGpu:
    """A GPU that `source` counts: `nvidia-smi`, `nvidia`, `amd-smi`, `rocm-smi`, `drm`,
    `framebuffer`, `windows`.

    `version` is the driver's. What the source does not know is None.
    """

    source: str
    address: str
    name: str | None
    memory_mib: int | None
    uuid: str | None
    version: str | None


@dataclass(frozen=True)
class ProofProblem:
    """A tool that failed in the guest: its name, its exit status, its first words."""

    source: str
    exit: int | None
    text: str


@dataclass(frozen=True)
class ProofBenchmark:
    """What wholecard-bench measured: GFLOP/s, and whether its own checks passed."""

    name: str
    backend: str | None
    bodies: int
    devices: int
    gflops: float | None
    passed: bool


@dataclass(frozen=True)
class ProofContainer:
    """One of the containers that ran side by side, and what it saw.

    `together` is how many of them ran at one time, None where it did not start; `gpus` is what
    nvidia-smi lists in it, `devices` its device nodes.
    """

    index: int
    engine: str
    exit: int | None
    together: int | None
    gpus: int
    devices: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Proof:
    """A guest's own report. `complete` when nothing of it is missing; `machine` None: no `begin`.

    `damaged` is the number of lines that were dropped, those of earlier starts included. It says
    nothing about the guest, so two proofs that differ only in it are equal.
    """

    machine: GuestMachine | None
    functions: tuple[ProofFunction, ...]
    codecs: tuple[ProofCodec, ...]
    complete: bool
    gpus: tuple[ProofGpu, ...] = ()
    problems: tuple[ProofProblem, ...] = ()
    benchmarks: tuple[ProofBenchmark, ...] = ()
    containers: tuple[ProofContainer, ...] = ()
    damaged: int = field(default=0, compare=False)

    @property
    def kernel(self) -> str:
        """The guest's kernel; empty as long as its first record is missing."""
        return self.machine.kernel if self.machine else ""

    @property
    def nonce(self) -> str:
        """The nonce that the guest was given; empty where it was given none, or is not known."""
        return self.machine.nonce if self.machine else ""

    @property
    def records(self) -> int:
        """How many records have arrived."""
        parts = (self.functions, self.codecs, self.gpus, self.problems, self.benchmarks,
                 self.containers)  # fmt: skip
        return sum(map(len, parts)) + (self.machine is not None) + self.complete


class ProofError(WholecardError):
    """The guest wrote, undamaged, what cannot be read here: waiting longer does not help."""


def parse(console_text: str, nonce: str | None = None) -> Proof:
    """The report on a console, put together from its repetitions.

    A Proof is not `complete` as long as a record is missing: not written yet, or damaged in every
    repetition so far. A guest that was started again reports anew; the last start counts, and with
    a `nonce` the last one that reports this nonce, if there is one. The last 1 MiB is read.

    Raises ProofError where the report has an unknown format, or where records with a correct
    checksum lack a key or contradict each other.
    """
    records, damaged = _records(console_text[-MAX_CONSOLE:])
    if not records:
        return Proof(None, (), (), complete=False, damaged=damaged)
    begins = [record for record in records if record.get("record") == "begin"]
    ours = [begin for begin in begins if nonce and begin.get("nonce") == nonce]
    for begin in (ours or begins)[-1:]:
        if begin.get("format") != FORMAT:
            raise _unreadable(f"its format is not {FORMAT}: {begin}")
    return _assembled(_one_start(records, (ours or records)[-1]), damaged)


def _one_start(records: Sequence[Record], start: Record) -> list[Record]:
    """The records of this record's boot by their number, each once."""
    boot = start.get("boot")
    if not isinstance(boot, str) or not _BOOT.fullmatch(boot):
        raise _unreadable(f"a record has no boot id: {start}")
    by_number: dict[int, Record] = {}
    for record in records:
        if record.get("boot") != boot:
            continue
        number = record.get("number")
        if not isinstance(number, int) or isinstance(number, bool):
            raise _unreadable(f"a record has no number: {record}")
        if by_number.setdefault(number, record) != record:
            raise _unreadable(f"two records have one number: {by_number[number]} and {record}")
    return [by_number[number] for number in sorted(by_number)]


def _assembled(records: Sequence[Record], damaged: int) -> Proof:
    """The proof of one boot's records."""
    parts: dict[str, list[Any]] = {kind: [] for kind in READERS}
    for record in records:
        kind, part = _read_record(record)
        parts[kind].append(part)
    if len({function.address for function in parts["function"]}) != len(parts["function"]):
        raise _unreadable("a function occurs twice")
    if len(parts["begin"]) > 1 or len(parts["end"]) > 1:
        raise _unreadable("it begins or ends twice")
    arrived = tuple(len(parts[kind]) for kind in COUNTED)
    for counted in parts["end"]:
        if any(has > says for has, says in zip(arrived, counted, strict=True)):
            what = ", ".join(COUNTED.values())
            raise _unreadable(f"it counts {counted} {what}, and has {arrived}")
    complete = bool(parts["begin"]) and parts["end"] == [arrived]
    counted_parts = (tuple(parts[kind]) for kind in COUNTED)
    functions, codecs, gpus, problems, benchmarks, containers = counted_parts
    machine = next(iter(parts["begin"]), None)
    return Proof(machine, functions, codecs, complete, gpus, problems, benchmarks, containers,
                 damaged)  # fmt: skip


def _read_record(record: Record) -> tuple[str, Any]:
    """A record's kind, and what it holds as READERS has it."""
    kind = str(record.get("record"))
    if kind not in READERS:
        raise _unreadable(f"an unknown record: {kind[: fields.MAX_TEXT]}")
    try:
        return kind, READERS[kind](record)
    except (KeyError, ValueError) as error:
        raise _unreadable(f"a record lacks a value or has a wrong one: {record}") from error


def undamaged(text: str) -> list[str]:
    """The lines of a console that are records with a correct checksum, without what is around."""
    return [
        f"{PREFIX}{match[0]}"
        for part in text.replace("\r", "").split(PREFIX)[1:]
        if (match := _whole(part))
    ]


def _records(text: str) -> tuple[list[Record], int]:
    """The records with a correct checksum, and the number of damaged ones.

    The text's last line may not be complete yet: it does not count as damaged.
    """
    records: list[Record] = []
    damaged = 0
    parts = text.replace("\r", "").split(PREFIX)[1:]
    for left, part in enumerate(parts, 1 - len(parts)):
        match = _whole(part)
        if match:
            records.append(_json_of(match[2]))
        elif left or "\n" in part:
            damaged += 1
    return records, damaged


def _whole(part: str) -> re.Match[str] | None:
    """A record at the beginning of the part, None where its checksum is wrong."""
    match = _RECORD.match(part)
    return match if match and checksum(match[2]) == match[1] else None


def _json_of(text: str) -> Record:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"a record is not JSON: {text[: fields.MAX_TEXT]}") from error
    if not isinstance(record, dict):
        raise _unreadable(f"a record is no JSON object: {text[: fields.MAX_TEXT]}")
    return record


def checksum(text: str) -> str:
    """The 8 hexadecimal digits before a record's JSON text."""
    digest = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    return digest.hexdigest()[:8]


def _machine(record: Record) -> GuestMachine:
    return GuestMachine(
        nonce=fields.text(record, "nonce"),
        agent=fields.text(record, "agent"),
        kernel=fields.text(record, "kernel"),
        os=fields.text_or_none(record, "os"),
        cpus=fields.number(record, "cpus"),
        numa_nodes=fields.number(record, "numa_nodes"),
        memory_mib=fields.number(record, "memory_mib"),
    )


def _function(record: Record) -> ProofFunction:
    return ProofFunction(
        address=fields.address(record, "address"),
        path=fields.path(record, "path"),
        vendor=fields.digits16(record, "vendor", 4),
        device=fields.digits16(record, "device", 4),
        pci_class=fields.digits16(record, "class", 6),
        subsystem_vendor=fields.digits16(record, "subsystem_vendor", 4),
        subsystem_device=fields.digits16(record, "subsystem_device", 4),
        driver=fields.text_or_none(record, "driver"),
        irqs=fields.number(record, "irqs"),
        bars=fields.sizes(record, "bars"),
        numa=fields.number(record, "numa", least=-1),
        link=fields.link_or_none(record, "link"),
        max_link=fields.link_or_none(record, "max_link"),
    )


def _codec(record: Record) -> ProofCodec:
    return ProofCodec(
        function=fields.address(record, "function"),
        id=fields.text(record, "id"),
        name=fields.text(record, "name").strip(),
        driver=fields.text_or_none(record, "driver"),
    )


def _gpu(record: Record) -> ProofGpu:
    return ProofGpu(
        source=fields.text(record, "source"),
        address=fields.address(record, "address"),
        name=fields.text_or_none(record, "name"),
        memory_mib=fields.number_or_none(record, "memory_mib"),
        uuid=fields.text_or_none(record, "uuid"),
        version=fields.text_or_none(record, "version"),
    )


def _problem(record: Record) -> ProofProblem:
    return ProofProblem(
        source=fields.text(record, "source"),
        exit=fields.number_or_none(record, "exit"),
        text=fields.text(record, "text").strip(),
    )


def _benchmark(record: Record) -> ProofBenchmark:
    return ProofBenchmark(
        name=fields.text(record, "name"),
        backend=fields.text_or_none(record, "backend"),
        bodies=fields.number(record, "bodies"),
        devices=fields.number(record, "devices"),
        gflops=fields.decimal_or_none(record, "gflops"),
        passed=fields.truth(record, "passed"),
    )


def _container(record: Record) -> ProofContainer:
    return ProofContainer(
        index=fields.number(record, "index"),
        engine=fields.text(record, "engine"),
        exit=fields.number_or_none(record, "exit"),
        together=fields.number_or_none(record, "together"),
        gpus=fields.number(record, "gpus"),
        devices=tuple(fields.text(record, "devices").split()),
        text=fields.text(record, "text").strip(),
    )


# The kinds that `end` counts, and the keys of its counts.
COUNTED: Mapping[str, str] = {
    "function": "functions",
    "codec": "codecs",
    "gpu": "gpus",
    "problem": "problems",
    "benchmark": "benchmarks",
    "container": "containers",
}
# How a record of each kind is read, in the order of a report.
READERS: Mapping[str, Callable[[Record], Any]] = {
    "begin": _machine,
    "function": _function,
    "codec": _codec,
    "gpu": _gpu,
    "problem": _problem,
    "benchmark": _benchmark,
    "container": _container,
    "end": lambda record: tuple(fields.number(record, key) for key in COUNTED.values()),
}


def _unreadable(why: str) -> ProofError:
    return ProofError(
        f"the guest's report cannot be read: {why[:_MAX_WHY]}",
        resolution="Build the guest's image with the agent of this version of Wholecard.",
    )

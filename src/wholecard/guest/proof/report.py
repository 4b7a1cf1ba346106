"""The guest's report on its console, put together from its lines and repetitions.

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
from collections.abc import Mapping, Sequence
from typing import Any

from wholecard.core import WholecardError
from wholecard.guest.proof import fields
from wholecard.guest.proof.fields import Record
from wholecard.guest.proof.readers import COUNTED, READERS
from wholecard.guest.proof.record import Proof

PREFIX = "WHOLECARD-PROOF "
FORMAT = 3
# nova returns 100 KiB of a console; whatever another driver returns, more is not read.
MAX_CONSOLE = 1 << 20
# A record's text has no braces inside. The longest is a function's, some 500 characters.
_RECORD = re.compile(r"([0-9a-f]{8}) (\{[^{}\n]{0,4000}\})")
_MAX_WHY = 600
_BOOT = re.compile(r"[0-9a-f]{8}")


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
    begin = next(reversed(ours or begins), None)
    if begin is not None and begin.get("format") != FORMAT:
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
    arrived = tuple(len(parts[kind]) for kind in COUNTED)
    _refuse_contradictions(parts, arrived)
    complete = bool(parts["begin"]) and parts["end"] == [arrived]
    counted_parts = (tuple(parts[kind]) for kind in COUNTED)
    functions, codecs, gpus, problems, benchmarks, containers = counted_parts
    machine = next(iter(parts["begin"]), None)
    return Proof(machine, functions, codecs, complete, gpus, problems, benchmarks, containers,
                 damaged)  # fmt: skip


def _refuse_contradictions(parts: Mapping[str, list[Any]], arrived: tuple[int, ...]) -> None:
    """Raises ProofError where the records of one boot cannot all be true."""
    if len({function.address for function in parts["function"]}) != len(parts["function"]):
        raise _unreadable("a function occurs twice")
    if len(parts["begin"]) > 1 or len(parts["end"]) > 1:
        raise _unreadable("it begins or ends twice")
    for counted in parts["end"]:
        if any(has > says for has, says in zip(arrived, counted, strict=True)):
            what = ", ".join(COUNTED.values())
            raise _unreadable(f"it counts {counted} {what}, and has {arrived}")


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


def _unreadable(why: str) -> ProofError:
    return ProofError(
        f"the guest's report cannot be read: {why[:_MAX_WHY]}",
        resolution="Build the guest's image with the agent of this version of Wholecard.",
    )

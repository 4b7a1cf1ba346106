"""Consoles with a guest's report: one from a guest, and those that a test makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wholecard.guest.proof.readers import COUNTED
from wholecard.guest.proof.record import Proof
from wholecard.guest.proof.report import FORMAT, PREFIX, checksum, parse

# The console of a guest under QEMU 10 with Debian's 6.12, with the first two repetitions of its
# report: a card with graphics and sound behind a root port, another behind a pcie-pci-bridge, an
# NVMe disk. It was recorded with format 2; its records were written anew in format 3.
CONSOLE = (Path(__file__).parents[1] / "guest/proof/console.txt").read_text()
PROOF = parse(CONSOLE)
LINES = [line for line in CONSOLE.splitlines() if PREFIX in line]
# One report's lines; and the console's first half, with one report, and its second.
REPORT = LINES[: len(LINES) // 2]
HALF = CONSOLE.index(REPORT[-1]) + len(REPORT[-1]) + 1
FIRST, SECOND = CONSOLE[:HALF], CONSOLE[HALF:]


def line(fields: object) -> str:
    """A line of the console with a right checksum."""
    text = json.dumps(fields)
    return f"{PREFIX}{checksum(text)} {text}\n"


def lines_of(proof: Proof, boot: str = "0123abcd") -> list[str]:
    """The lines by which a guest would report this."""
    machine = vars(proof.machine) if proof.machine else {}
    records: list[dict[str, object]] = [{"record": "begin", "format": FORMAT, **machine}]
    records += [{"record": "function", **_function_fields(vars(each))} for each in proof.functions]
    records += [{"record": "codec", **vars(each)} for each in proof.codecs]
    records += [{"record": "gpu", **vars(each)} for each in proof.gpus]
    records += [{"record": "problem", **vars(each)} for each in proof.problems]
    records += [{"record": "benchmark", **vars(each)} for each in proof.benchmarks]
    for each in proof.containers:
        devices = " ".join(each.devices)
        records.append({"record": "container", **vars(each), "devices": devices})
    counts = {key: len(getattr(proof, key)) for key in COUNTED.values()}
    records.append({"record": "end", **counts})
    return [line({"boot": boot, "number": n, **record}) for n, record in enumerate(records)]


def console_of(proof: Proof, boot: str = "0123abcd") -> str:
    """The console on which a guest reports this once."""
    return "".join(lines_of(proof, boot))


def _function_fields(values: dict[str, Any]) -> dict[str, Any]:
    links = {
        key: link and f"{link[0]}x{link[1]}"
        for key, link in values.items()
        if key in {"link", "max_link"}
    }
    path = "/".join(values["path"])
    fields = {**values, "class": values["pci_class"], "path": path, **links}
    del fields["pci_class"]
    return fields

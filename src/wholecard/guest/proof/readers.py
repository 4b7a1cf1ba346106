"""How a record of each kind is read: keys and values of the report's JSON objects.

Each reader raises KeyError or ValueError where a record lacks a value or has a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wholecard.guest.proof import fields
from wholecard.guest.proof.fields import Record
from wholecard.guest.proof.record import (
    GuestMachine,
    ProofBenchmark,
    ProofCodec,
    ProofContainer,
    ProofFunction,
    ProofGpu,
    ProofProblem,
)


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
        fabric_state=fields.text_if_there(record, "fabric_state"),
        fabric_status=fields.text_if_there(record, "fabric_status"),
        fabric_health=fields.text_if_there(record, "fabric_health"),
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

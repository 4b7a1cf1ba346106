"""How long `explain` takes for many hosts from files alone; the goal is 2 s of CPU for 10,000.

    PYTHONPATH=tests python benchmarks/explain_bench.py [HOSTS ...] [--profile]

Each host has files of its own: its facts as `inspect --json` writes them (8 H100 below 8 root
ports, 2 NUMA nodes, a boot id and serial numbers of its own) and its nova.conf with its own name
and address. nova-api and nova-scheduler have one each. A tenth of the hosts has a device_spec that
selects nothing. The time is that of reading, explaining and the text for a person; the answer's
JSON, which names every check of every host, is measured apart, and so is what the answer is the
same for: the interpreter's start and imports are in neither.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench_machine import facts as machine_facts
from rich.console import Console
from rich.table import Table

from support import hosts
from support.nova_conf import conf_text
from support.small_cloud import ALIAS, FILTERS, SPEC
from wholecard.core.releases import LATEST
from wholecard.explain.evidence.from_files import Files
from wholecard.explain.evidence.selector import Changes, ServerSelector
from wholecard.explain.request import ExplainRequest, explain_server
from wholecard.explain.text import blocks
from wholecard.host.facts.host import Cpu, Host, Memory
from wholecard.pci import Address, Function, IommuGroup

TARGET_SECONDS = 2.0
SIZES = (100, 1_000, 10_000)
CARDS = 8
BUSES = tuple(0x11 + 0x10 * number for number in range(CARDS))


def host_facts(number: int) -> Host:
    """One host's facts: what differs from host to host are the boot id and the serial numbers."""
    functions: list[Function] = []
    groups: list[IommuGroup] = []
    for position, bus in enumerate(BUSES):
        port = hosts.function(f"0000:{bus - 1:02x}:01.0", "8086:352a", "060400", driver="pcieport",
                              numa_node=position // 4, iommu_group=2 * position,
                              path=f"0000:{bus - 1:02x}/01.0")  # fmt: skip
        card = hosts.function(
            f"0000:{bus:02x}:00.0", driver="vfio-pci", numa_node=position // 4,
            iommu_group=2 * position + 1, parents=(Address(0, bus - 1, 1, 0),),
            sriov_total=16, bars=(1 << 24, 0, 1 << 37, 0, 1 << 25, 0), reset_methods=("flr", "bus"),
            path=f"0000:{bus - 1:02x}/01.0/00.0", power="active", modules=("nvidia",),
            link_speed=32.0, link_width=16, link_speed_max=32.0, link_width_max=16,
            serial=f"165{number:06d}{position}", vendor_name="NVIDIA Corporation",
            device_name="GH100 [H100 SXM5 80GB]",
        )  # fmt: skip
        functions += [port, card]
        groups += [IommuGroup(2 * position, (port,)), IommuGroup(2 * position + 1, (card,))]
    functions.sort(key=lambda function: function.address)
    whole = hosts.host(
        *functions,
        group=lambda _: tuple(groups),
        boot=hosts.boot(boot_id=f"{number:08x}-0000-4000-8000-000000000000"),
    )
    cpu = Cpu(
        vendor="GenuineIntel",
        sockets=2,
        physical_bits=52,
        nodes=((0, "0-55,112-167"), (1, "56-111,168-223")),
    )
    memory = Memory(total=2048 * hosts.GIB, nodes=((0, 1024 * hosts.GIB), (1, 1024 * hosts.GIB)))
    return replace(whole, cpu=cpu, memory=memory)


def write_fleet(folder: Path, count: int) -> Files:
    """The files of so many hosts, and of nova-api and nova-scheduler."""
    api, scheduler = folder / "api.conf", folder / "scheduler.conf"
    api.write_text(conf_text(pci={"alias": ALIAS}))
    scheduler.write_text(conf_text(filter_scheduler={"enabled_filters": FILTERS}))
    right = conf_text(pci={"alias": ALIAS, "device_spec": SPEC})
    wrong = right.replace(SPEC, SPEC.replace("2330", "2331"))
    computes, facts = {}, {}
    for number in range(count):
        name = f"gpu-{number:05d}"
        computes[name] = [folder / f"{name}.conf"]
        own = f"[DEFAULT]\nhost = {name}\nmy_ip = 10.0.{number >> 8}.{number & 255}\n"
        computes[name][0].write_text(own + (wrong if number % 10 == 9 else right))
        facts[name] = folder / f"{name}.json"
        facts[name].write_text("".join(host_facts(number).to_lines()))
    return Files((api,), (scheduler,), (), computes, facts)


def asked(files: Files) -> ExplainRequest:
    """A server with two cards and a little of everything else."""
    changes = Changes({"pci_passthrough:alias": "h100:2", "hw:numa_nodes": "2"},
                      vcpus=8, ram_mb=16384, disk_gb=20)  # fmt: skip
    return ExplainRequest(ServerSelector("g1", changes=changes), files, release=LATEST)


def measured(files: Files) -> dict[str, float]:
    """CPU and wall seconds of one answer, and how large it was."""
    wall, cpu = time.perf_counter(), time.process_time()
    explanation = explain_server(asked(files))
    read = time.process_time()
    with Path(os.devnull).open("w") as nobody:
        console = Console(file=nobody, width=100)
        for block in blocks(explanation):
            console.print(block)
    shown, took = time.process_time(), time.perf_counter() - wall
    text = json.dumps(explanation.to_json(), indent=2)
    return {
        "cpu_s": shown - cpu,
        "explain_s": read - cpu,
        "text_s": shown - read,
        "json_s": time.process_time() - shown,
        "wall_s": took,
        "answer_mib": len(text) / 2**20,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "takers": sum(host.answer == "yes" for host in explanation.hosts),
    }


def main() -> None:
    """Measure each size once, print a table and a line of JSON; with --profile the functions."""
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or list(SIZES)
    table = Table("hosts", "CPU s", "of it text", "wall s", "µs a host", "JSON s", "JSON MiB",
                  "peak MiB", "goal s")  # fmt: skip
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            files = write_fleet(Path(folder), size)
            if "--profile" in sys.argv:
                with cProfile.Profile() as profile:
                    measured(files)
                pstats.Stats(profile).sort_stats("tottime").print_stats(35)
            row = measured(files)
        rows.append({"hosts": size, **row})
        table.add_row(str(size), f"{row['cpu_s']:.2f}", f"{row['text_s']:.2f}",
                      f"{row['wall_s']:.2f}", f"{row['cpu_s'] / size * 1e6:.0f}",
                      f"{row['json_s']:.2f}", f"{row['answer_mib']:.1f}", f"{row['peak_mib']:.0f}",
                      f"{TARGET_SECONDS:.0f}" if size == max(SIZES) else "")  # fmt: skip
    Console().print(table)
    print(json.dumps({**machine_facts(), "rows": rows}))


if __name__ == "__main__":
    main()

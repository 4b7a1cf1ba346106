"""How long `capacity` takes for many hosts from a saved file; the goal is 3 s for 10,000.

    PYTHONPATH=tests python benchmarks/capacity_bench.py [HOSTS ...] [--unlike] [--profile]

Each host has 8 H100 on two NUMA nodes, of which half are given, and as many CPUs and as much RAM in
use as the servers that have them take; flavors ask for 1, 2, 4 and 8 cards, and a mix of servers is
packed. With --unlike no two hosts have the same RAM left, and each has less than its cards need, so
that none is counted once for others.
The time is that of reading the file, counting, and the text for a person; the interpreter's start
and imports are not in it, JSON and the picture are measured apart.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

from bench_machine import facts as machine_facts
from rich.console import Console
from rich.table import Table

from support.capacity_stock import cards, flavor, host, machine, stock
from wholecard.capacity.plot import check_plot, draw
from wholecard.capacity.record import Stock
from wholecard.capacity.request import CapacityRequest, capacity
from wholecard.capacity.saved import saved_text
from wholecard.capacity.text import answer_text
from wholecard.cloud.placement.provider_tree import Inventory

TARGET_SECONDS = 3.0
SIZES = (100, 1_000, 10_000)
CARDS = 8
FLAVORS = tuple(flavor(f"g{count}", count) for count in (1, 2, 4, 8))


def fleet(count: int, unlike: bool) -> Stock:
    """So many hosts, of each half of the cards given; every tenth has few CPUs left."""
    hosts = []
    for number in range(count):
        vcpus = 120 if number % 10 == 9 else 32
        left = 250_000 - 16 * number if unlike else 1 << 20
        memory = Inventory("MEMORY_MB", 2 << 20, 0, (2 << 20) - left)
        rows = (machine(used=vcpus)[0], memory)
        own = cards(CARDS, given=CARDS // 2)
        hosts.append(host(f"gpu-{number:05d}", cards=own, machine=rows))
    return stock(*hosts, flavors=FLAVORS)


def measured(path: Path, hosts: int, folder: Path) -> dict[str, float]:
    """CPU and wall seconds of one answer."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = capacity(CapacityRequest(saved=path, mix={"g4": hosts // 2, "g1": hosts}))
    counted = time.process_time()
    answer_text(answer, 80)
    shown, took = time.process_time(), time.perf_counter() - wall
    text = json.dumps(answer.to_json())
    as_json = time.process_time()
    draw(answer, folder / "bench.png")
    return {
        "cpu_s": shown - cpu,
        "text_s": shown - counted,
        "wall_s": took,
        "json_s": as_json - shown,
        "plot_s": time.process_time() - as_json,
        "file_mib": path.stat().st_size / 2**20,
        "answer_mib": len(text) / 2**20,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "fit_g1": answer.today.flavors[0].fits,
    }


def main() -> None:
    """Measure each size once, print a table and a line of JSON; with --profile the functions."""
    check_plot(Path("warm.png"))
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or list(SIZES)
    unlike = "--unlike" in sys.argv
    table = Table("hosts", "CPU s", "text s", "wall s", "µs a host", "JSON s", "plot s",
                  "file MiB", "peak MiB", "goal s")  # fmt: skip
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            path = folder / "capacity.json"
            path.write_text(saved_text(fleet(size, unlike)))
            if "--profile" in sys.argv:
                with cProfile.Profile() as profile:
                    measured(path, size, folder)
                pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            row = measured(path, size, folder)
        rows.append({"hosts": size, "unlike": unlike, **row})
        table.add_row(str(size), f"{row['cpu_s']:.2f}", f"{row['text_s']:.2f}",
                      f"{row['wall_s']:.2f}", f"{row['cpu_s'] / size * 1e6:.0f}",
                      f"{row['json_s']:.2f}", f"{row['plot_s']:.2f}", f"{row['file_mib']:.1f}",
                      f"{row['peak_mib']:.0f}",
                      f"{TARGET_SECONDS:.0f}" if size == max(SIZES) else "")  # fmt: skip
    Console(width=100).print(table)
    print(json.dumps({**machine_facts(), "rows": rows}))


if __name__ == "__main__":
    main()

"""`inspect --json` against `lspci -Dnnvmmk` over the same trees, as whole processes, in turns.

    python benchmarks/inspect_bench.py [--python PYTHON] [--rounds N] [--output FILE]

Prints a table and writes the figures with the machine's facts. `--python` is the interpreter that
is measured: the system's own, since that is what runs on a host, else this one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from pci_trees import grow
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src"
TARGETS = {210: 1.2, 1000: 0.7, 5000: 0.55}
ROUNDS = {50: 31, 210: 31, 1000: 15, 5000: 9}

# The command as pip installs it.
COMMAND = "import sys\nfrom wholecard.cli.main import main\n\nsys.exit(main())\n"

# What is measured inside: reading alone, in one process, without the interpreter's start.
INSIDE = """
import resource, sys, time
from wholecard.host.facts.inspect import inspect
best = 9e9
for _ in range(5):
    start = time.perf_counter()
    host = inspect(sys.argv[1])
    best = min(best, time.perf_counter() - start)
print(best / len(host.functions) * 1e6)
"""


@dataclass(frozen=True)
class Row:
    """One size: medians in milliseconds, their ratio, µs a function in process, peak MiB."""

    functions: int
    wholecard_ms: float
    lspci_ms: float
    ratio: float
    target: float | None
    wholecard_cpu_ms: float
    lspci_cpu_ms: float
    in_process_us: float
    peak_mib: float


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    system = "/usr/bin/python3"
    parser.add_argument("--python", default=system if Path(system).exists() else sys.executable)
    parser.add_argument("--rounds", type=int, help="turns for each size")
    parser.add_argument("--output", type=Path, help="the JSON file")
    arguments = parser.parse_args()
    if shutil.which("lspci") is None:
        sys.exit("lspci is not here: install pciutils")
    # As on a host: installed, that is compiled once, and with buffered output.
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        os.environ.pop(name, None)
    os.environ["PYTHONPATH"] = str(SOURCE)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    facts = machine(arguments.python)
    with tempfile.TemporaryDirectory(prefix="wholecard-bench-", dir=memory) as folder:
        command = Path(folder, "wholecard")
        command.write_text(COMMAND)
        program = [arguments.python, str(command)]
        rows = [
            measure(grow(Path(folder, str(size)), size), size, program, arguments.rounds)
            for size in ROUNDS
        ]
    show(rows, facts)
    output = arguments.output or HERE / "results" / f"{facts['started'][:10]}-inspect.json"
    output.write_text(json.dumps({**facts, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def measure(root: Path, size: int, program: list[str], rounds: int | None) -> Row:
    """One size, both programs in turns, so that what else the machine does meets both."""
    ours = [*program, "inspect", "--json", "--root", str(root)]
    theirs = ["lspci", "-O", f"sysfs.path={root}/sys/bus/pci", "-Dnnvmmk"]
    timed(ours)
    turns = [(timed(ours), timed(theirs)) for _ in range(rounds or ROUNDS[size])]
    wall, wall_theirs, cpu, cpu_theirs = (
        statistics.median(turn[who][what] for turn in turns) * 1e3
        for what in (0, 1)
        for who in (0, 1)
    )
    inside = subprocess.run(
        [program[0], "-c", INSIDE, str(root)], capture_output=True, text=True, check=True
    )
    return Row(
        functions=size,
        wholecard_ms=round(wall, 1),
        lspci_ms=round(wall_theirs, 1),
        ratio=round(wall / wall_theirs, 2),
        target=TARGETS.get(size),
        wholecard_cpu_ms=round(cpu, 1),
        lspci_cpu_ms=round(cpu_theirs, 1),
        in_process_us=round(float(inside.stdout), 1),
        peak_mib=round(max(turn[0][2] for turn in turns) / 1024, 1),
    )


def timed(argv: list[str]) -> tuple[float, float, int]:
    """Seconds on the clock, seconds of processor (children included), peak KiB."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(argv)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def machine(python: str) -> dict[str, str]:
    """What ran where."""
    text = Path("/proc/cpuinfo").read_text()
    model = next((line.split(": ")[1] for line in text.splitlines() if "model name" in line), "")
    versions = (
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        for argv in ([python, "--version"], ["lspci", "--version"])
    )
    cores = len(os.sched_getaffinity(0))
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{model}, {cores} cores, Linux {platform.release().partition('-')[0]}",
        "python": next(versions),
        "lspci": next(versions),
        "load": f"load {os.getloadavg()[0]:.1f}",
    }


def show(rows: list[Row], facts: dict[str, str]) -> None:
    """The table."""
    table = Table(title="inspect --json and lspci -Dnnvmmk, whole processes", box=None)
    for head in ("functions", "inspect ms", "lspci ms", "ratio", "at most", "in process µs each",
                 "peak MiB"):  # fmt: skip
        table.add_column(head, justify="right")
    for row in rows:
        fine = row.target is None or row.ratio <= row.target
        table.add_row(
            str(row.functions),
            f"{row.wholecard_ms:.1f}",
            f"{row.lspci_ms:.1f}",
            f"[{'green' if fine else 'red'}]{row.ratio:.2f}[/]",
            "" if row.target is None else f"{row.target:.1f}",
            f"{row.in_process_us:.1f}",
            f"{row.peak_mib:.1f}",
        )
    console = Console()
    console.print(table)
    console.print(" · ".join(value for name, value in facts.items() if name != "started"))


if __name__ == "__main__":
    main()

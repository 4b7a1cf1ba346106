"""`GET /allocation_candidates` for 8 of 8 cards on 1, 10 and 100 hosts, by Placement's settings.

    uv run python benchmarks/candidates_bench.py [--json FILE] [--hosts N ...] [--rows NAME ...]

openstack-placement 16.0.0 under cheroot and MariaDB are real processes on loopback, of their own;
Keystone is left out (`noauth2`). A host is a root with processors, memory and disk and eight
children of one CUSTOM_PCI_10DE_2330 each; the query is what nova 34 sends for a flavor of
`pci_passthrough:alias=h100:8`. Each row restarts Placement with its settings; the median of several
requests counts, and a request that is not answered in 60 s is cut off, its Placement killed. The
rows of single settings are not tried on more hosts once they were cut off.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_cloud import CARD_CLASS, BenchCloud, cloud
from bench_machine import facts
from bench_providers import Client, add_hosts, query_string
from bench_query import nova_query
from bench_rows import CANDIDATE_ROWS, CandidateRow
from rich.console import Console
from rich.table import Table

from wholecard.lab.base import process

HERE = Path(__file__).parent
CARDS = 8
CUT_OFF = 60.0
REQUESTS = 7
# After this many seconds of one row no further request of it is made.
ENOUGH = 15.0
SLOW = 2.0
LAB_NAME = "bench-candidates"


@dataclass(frozen=True)
class Measured:
    """One row at one number of hosts: seconds of each request; none where it was cut off.

    `cpu_seconds` are those of processor that Placement and MariaDB took for each of them, which
    other work on the machine leaves alone. `candidates` are those of the answer, `hosts_offered`
    the hosts that they are on.
    """

    row: str
    hosts: int
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    cut_off: bool
    candidates: int
    hosts_offered: int
    load_before: float

    @property
    def median(self) -> float:
        """Seconds; the cut-off where there was no answer."""
        return statistics.median(self.seconds) if self.seconds else CUT_OFF


def main() -> None:
    """Fill Placement, run the rows, print the table, write the figures."""
    arguments = parsed()
    console = Console()
    chosen = [row for row in CANDIDATE_ROWS if not arguments.rows or row.name in arguments.rows]
    if not chosen:
        sys.exit(f"no such row; the rows are: {', '.join(row.name for row in CANDIDATE_ROWS)}")
    started = facts()
    measured: list[Measured] = []
    with cloud(LAB_NAME) as bench:
        bench.control.start_mariadb()
        configure(bench, CandidateRow("filling"), 1)
        client = Client(bench.values.ports["placement"])
        existing = 0
        for hosts in sorted(arguments.hosts):
            configure(bench, CandidateRow("filling"), hosts)
            console.print(f"{hosts} hosts: making their providers")
            add_hosts(client, existing, hosts, CARDS, CARD_CLASS)
            existing = hosts
            for row in chosen:
                if row.optional and any(one.row == row.name and one.cut_off for one in measured):
                    continue
                console.print(f"  {row.name}: ", end="")
                configure(bench, row, hosts)
                measured.append(measure(bench, client, row, hosts))
                one = measured[-1]
                console.print(f"cut off at {CUT_OFF:.0f} s" if one.cut_off else
                              f"{one.median:.3f} s, {one.candidates} candidates")  # fmt: skip
    show(console, measured, sorted(arguments.hosts))
    result = {**started, "cards_per_host": CARDS, "cut_off_seconds": CUT_OFF,
              "database": "MariaDB", "query": nova_query(CARDS),
              "rows": [asdict(one) | {"median": round(one.median, 4)} for one in measured],
              "settings": {f"{row.name}, {hosts} hosts": row.placement(CARDS, hosts)
                           for row in chosen for hosts in sorted(arguments.hosts)}}  # fmt: skip
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written: {arguments.json}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = HERE / "results" / f"{time.strftime('%Y-%m-%d')}-candidates.json"
    parser.add_argument("--json", type=Path, default=default, help=f"default: {default.name}")
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 10, 100], metavar="N",
                        help="numbers of hosts (default: 1 10 100)")  # fmt: skip
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these rows")
    return parser.parse_args()


def configure(bench: BenchCloud, row: CandidateRow, hosts: int) -> None:
    """Placement anew, with a row's settings and without Keystone."""
    bench.write_row(
        "placement", (("api", "auth_strategy", "noauth2"), *row.placement(CARDS, hosts))
    )
    bench.restart("placement")


def measure(bench: BenchCloud, client: Client, row: CandidateRow, hosts: int) -> Measured:
    """One row: a request that fills Placement's caches, then those that count."""
    load = round(os.getloadavg()[0], 2)
    seconds: list[float] = []
    cpu: list[float] = []
    began = time.monotonic()
    for number in range(REQUESTS + 1):
        before = processor_seconds(bench)
        try:
            taken, answer = ask(client)
        except TimeoutError:
            bench.control_stop("placement")
            return Measured(row.name, hosts, (), (), True, 0, 0, load)
        # A slow first request is no matter of caches, and there is no time for eight of them.
        if number or taken > SLOW:
            seconds.append(round(taken, 4))
            cpu.append(round(processor_seconds(bench) - before, 4))
        if time.monotonic() - began > ENOUGH:
            break
    requests = answer["allocation_requests"]
    roots = {next(iter(one["mappings"][""])) for one in requests}
    return Measured(row.name, hosts, tuple(seconds), tuple(cpu), False, len(requests), len(roots),
                    load)  # fmt: skip


def processor_seconds(bench: BenchCloud) -> float:
    """What Placement and MariaDB have used of the processors so far."""
    services = process.running(bench.run)
    return sum(
        sum(member.cpu_times()[:2])
        for name in ("placement", "mariadb")
        for member in services[name].processes
    )


def ask(client: Client) -> tuple[float, dict[str, Any]]:
    """One request: seconds to the answer's last byte, and its JSON; raises TimeoutError."""
    start = time.perf_counter()
    status, answer = client.request("GET", query_string(nova_query(CARDS)), timeout=CUT_OFF)
    taken = time.perf_counter() - start
    if status != 200:
        raise RuntimeError(f"Placement answered {status}: {answer[:300]!r}")
    # The client's time-out is for silence; an answer that comes in drops is too late all the same.
    if taken >= CUT_OFF:
        raise TimeoutError(f"{taken:.0f} s")
    return taken, json.loads(answer)


def show(console: Console, measured: list[Measured], sizes: list[int]) -> None:
    """A line a row, a column a number of hosts; in brackets how many hosts the answer offers."""
    title = f"GET /allocation_candidates, {CARDS} of {CARDS} cards: median s on the clock, s of CPU"
    table = Table(title=title)
    table.add_column("settings")
    for hosts in sizes:
        table.add_column(f"{hosts} hosts", justify="right")
    by_key = {(one.row, one.hosts): one for one in measured}
    for name in dict.fromkeys(one.row for one in measured):
        table.add_row(name, *(cell(by_key.get((name, hosts))) for hosts in sizes))
    console.print(table)


def cell(one: Measured | None) -> str:
    """A figure of the table."""
    if one is None:
        return "not tried"
    if one.cut_off:
        return f"> {CUT_OFF:.0f}"
    return f"{one.median:.3f}, {statistics.median(one.cpu_seconds):.2f} ({one.hosts_offered})"


if __name__ == "__main__":
    main()

"""40 servers asked for at once, 48 cards on 6 hosts: how many get one, by setting.

    uv run python benchmarks/boots_bench.py [--json FILE] [--rounds N] [--rows NAME ...]

nova 34.0.0's api, conductor, scheduler and computes, Placement 16.0.0, Keystone, MariaDB and
RabbitMQ are real processes on loopback, of a cloud that ends with the benchmark; only the
hypervisor is nova's fake one. Every row restarts nova-scheduler, nova-conductor and Placement with
its settings, sends all requests in one instant and waits until no server builds any more. It needs
what `wholecard lab up` needs and builds the same parts where they do not exist yet.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_cloud import ALIAS, CARD_CLASS, BenchCloud, cloud, start_control, wait_for_cards
from bench_machine import facts
from bench_rows import BOOT_ROWS, CARDS, HOSTS, BootRow, rendered
from openstack.connection import Connection
from placement_log import calls, candidate_queries, conflicts
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BOOTS = 40
CUT_OFF = 360.0
MICROVERSION = "2.74"


@dataclass(frozen=True)
class Outcome:
    """One row, once: what became of the servers and what Placement saw of it.

    `seconds` run from the first request to the last server's end; `conflicts` are Placement's 409
    on claims, `conflicts_per_boot_max` those of the server that had most.
    """

    row: str
    active: int
    reasons: dict[str, int]
    conflicts: int
    conflicts_per_boot_max: int
    candidate_requests: int
    seconds: float
    load_before: float


def main() -> None:
    """Run the rows, print the table, write the figures."""
    arguments = parsed()
    console = Console()
    chosen = [row for row in BOOT_ROWS if not arguments.rows or row.name in arguments.rows]
    if not chosen:
        sys.exit(f"no such row; the rows are: {', '.join(row.name for row in BOOT_ROWS)}")
    started = facts()
    console.print("starting the services: about a minute")
    with cloud() as bench:
        start_control(bench)
        bench.restart("placement", "nova-conductor", "nova-scheduler")
        bench.start_computes(HOSTS, CARDS)
        wait_for_cards(bench, HOSTS, CARDS)
        conn = bench.connect()
        flavors = prepare(bench, conn)
        outcomes = []
        for row in chosen:
            for turn in range(arguments.rounds if row.repeated else 1):
                console.print(f"{row.name}, {turn + 1}: ", end="")
                outcome = measure(bench, conn, row, flavors["g1.card1"])
                outcomes.append(outcome)
                console.print(f"{outcome.active} active, {outcome.conflicts} conflicts, "
                              f"{outcome.seconds:.0f} s {outcome.reasons or ''}")  # fmt: skip
        query = capture(bench, conn, flavors["g1.card8"])
    show(console, outcomes)
    result = {**started, "hosts": HOSTS, "cards_per_host": CARDS, "boots": BOOTS,
              "cut_off_seconds": CUT_OFF, "rows": [asdict(one) for one in outcomes],
              "settings": {row.name: asdict(row) for row in chosen},
              "candidates_query_of_8_cards": query}  # fmt: skip
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written: {arguments.json}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = HERE / "results" / f"{time.strftime('%Y-%m-%d')}-boots.json"
    parser.add_argument("--json", type=Path, default=default, help=f"default: {default.name}")
    parser.add_argument("--rounds", type=int, default=3,
                        help="turns of each row that is repeated (default: 3)")  # fmt: skip
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these rows")
    return parser.parse_args()


def prepare(bench: BenchCloud, conn: Connection) -> dict[str, str]:
    """The image that nobody reads and a flavor of one and of eight cards; flavors' ids by name."""
    bench.control.inside().run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "/lab/empty.qcow2", "1M"], timeout=30
    )
    conn.create_image("empty", filename=str(bench.run / "empty.qcow2"), disk_format="qcow2",
                      container_format="bare", wait=True, timeout=60)  # fmt: skip
    ids = {}
    for count in (1, 8):
        name = f"g1.card{count}"
        flavor = conn.compute.create_flavor(name=name, ram=1024, vcpus=1, disk=1)
        specs = {"pci_passthrough:alias": f"{ALIAS}:{count}"}
        conn.compute.create_flavor_extra_specs(flavor, specs)
        ids[name] = flavor.id
    return ids


def measure(bench: BenchCloud, conn: Connection, row: BootRow, flavor: str) -> Outcome:
    """One row, once, on an empty cloud."""
    clear(conn)
    bench.write_row("placement", row.placement)
    bench.write_row("nova-scheduler", row.scheduler)
    bench.write_row("nova-conductor", row.conductor)
    bench.write_row("nova-api", row.api)
    bench.restart("placement", "nova-api", "nova-conductor", "nova-scheduler")
    mark = len(log_lines(bench))
    load = os.getloadavg()[0]
    began = time.monotonic()
    asked = boot(conn, flavor, BOOTS)
    servers = wait_for_end(conn, began + CUT_OFF)
    seconds = time.monotonic() - began
    log = calls(log_lines(bench)[mark:])
    refused = conflicts(log)
    reasons = Counter(reason(status, text) for status, text in asked if status != 202)
    reasons.update(fault(one) for one in servers if one["status"] != "ACTIVE")
    return Outcome(
        row=row.name,
        active=sum(one["status"] == "ACTIVE" for one in servers),
        reasons=dict(reasons),
        conflicts=sum(refused.values()),
        conflicts_per_boot_max=max(refused.values(), default=0),
        candidate_requests=len(candidate_queries(log)),
        seconds=round(seconds, 1),
        load_before=round(load, 2),
    )


def boot(conn: Connection, flavor: str, count: int) -> list[tuple[int, str]]:
    """Ask for servers, all in one instant; each answer's status and text."""
    image = conn.image.find_image("empty", ignore_missing=False).id
    gate = threading.Barrier(count)
    # The session's first use makes its token; 40 at once would make 40.
    conn.compute.get_endpoint_data()

    def one(number: int) -> tuple[int, str]:
        body = {"server": {"name": f"boot-{number:02d}", "imageRef": image, "flavorRef": flavor,
                           "networks": "none"}}  # fmt: skip
        gate.wait(timeout=60)
        answer = conn.compute.post("/servers", json=body, microversion=MICROVERSION, timeout=120)
        return answer.status_code, answer.text

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def wait_for_end(conn: Connection, deadline: float) -> list[dict[str, Any]]:
    """The servers as nova lists them, once none builds or the deadline has passed."""
    while True:
        servers = listed(conn)
        if all(one["status"] in ("ACTIVE", "ERROR") for one in servers):
            return servers
        if time.monotonic() > deadline:
            return servers
        time.sleep(0.5)


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Every server, with its fault where it has one."""
    answer = conn.compute.get("/servers/detail", microversion=MICROVERSION, timeout=60)
    return list(answer.json()["servers"])


def clear(conn: Connection, timeout: float = 180) -> None:
    """Delete every server and wait until Placement holds none of their cards."""
    deadline = time.monotonic() + timeout
    for one in listed(conn):
        conn.compute.delete_server(one["id"], force=False)
    while listed(conn) or used_cards(conn):
        if time.monotonic() > deadline:
            raise TimeoutError("the servers of the row before do not go away")
        time.sleep(0.5)


def used_cards(conn: Connection) -> int:
    """How many cards the project holds in Placement."""
    path = f"/usages?project_id={conn.current_project_id}"
    usages = conn.placement.get(path, microversion="1.36", timeout=30).json()["usages"]
    return int(usages.get(CARD_CLASS, 0))


def reason(status: int, text: str) -> str:
    """Why a request was refused outright."""
    return "over quota" if status == 403 and "Quota exceeded" in text else f"HTTP {status}"


def fault(server: dict[str, Any]) -> str:
    """Why a server is not ACTIVE."""
    if server["status"] != "ERROR":
        return f"still {server['status']} at the cut-off"
    message = server.get("fault", {}).get("message", "no fault recorded")
    known = {"No valid host": "no valid host", "Exceeded maximum": "out of retries",
             "Exceeded max": "out of retries", "Quota exceeded": "over quota"}  # fmt: skip
    return next((short for text, short in known.items() if text in message), message[:120])


def capture(bench: BenchCloud, conn: Connection, flavor: str) -> list[tuple[str, str]]:
    """The query that nova sends to Placement for a flavor of eight cards."""
    clear(conn)
    # With stock settings Placement would not answer, and it logs a request when it has.
    bench.write_row("placement", rendered("placement", CARDS, HOSTS))
    bench.restart("placement")
    mark = len(log_lines(bench))
    boot(conn, flavor, 1)
    wait_for_end(conn, time.monotonic() + CUT_OFF)
    return list(candidate_queries(calls(log_lines(bench)[mark:]))[-1])


def log_lines(bench: BenchCloud) -> list[str]:
    """Placement's log so far."""
    return bench.placement_log().read_text().splitlines()


def show(console: Console, outcomes: list[Outcome]) -> None:
    """The table: one line a row, repeated rows by their medians and their worst."""
    table = Table(title=f"{BOOTS} boots at once, {HOSTS} hosts of {CARDS} cards")
    for name in ("settings", "ACTIVE", "not ACTIVE, by reason", "conflicts", "most for one boot",
                 "s", "load before"):  # fmt: skip
        left = name in ("settings", "not ACTIVE, by reason")
        table.add_column(name, justify="left" if left else "right")
    for name in dict.fromkeys(one.row for one in outcomes):
        turns = [one for one in outcomes if one.row == name]
        table.add_row(
            name + (f" (x{len(turns)})" if len(turns) > 1 else ""),
            "/".join(str(one.active) for one in turns),
            "; ".join(f"{count} {why}" for one in turns for why, count in one.reasons.items()),
            "/".join(str(one.conflicts) for one in turns),
            "/".join(str(one.conflicts_per_boot_max) for one in turns),
            f"{statistics.median(one.seconds for one in turns):.0f}",
            f"{statistics.median(one.load_before for one in turns):.1f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()

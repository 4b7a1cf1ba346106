"""`wholecard audit` of generated fleets in a real MariaDB, beside `nova-manage placement audit`.

    PYTHONPATH=tests python benchmarks/audit_bench.py [--json FILE] [--hosts N ...] [--beside N]

A host has 8 cards, half of them given to two servers, as `tests/support/fleet_database.py` fills
the schemas of nova 34.0.0 and openstack-placement 16.0.0, made by their own `db sync`. Each audit
is a process of its own, from its start to its end: it reads nova's and Placement's databases and
compares. `nova-manage placement audit` of nova 34.0.0 runs in the same run, on the first `--beside`
hosts, with a real Placement under cheroot and without Keystone (`noauth2`).

The goal: 10,000 hosts in 8 s and 400 MiB, and seconds that grow with the hosts' power 1.1 at most.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_cloud import BenchCloud, cloud
from bench_machine import facts
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from support.fleet_database import Fleet, fill_nova, fill_placement
from wholecard.audit.request import AuditRequest
from wholecard.audit.request import audit as run_audit
from wholecard.audit.views.open_views import AuditSources
from wholecard.core import RunError
from wholecard.lab.base import process
from wholecard.lab.parts.python_environment import INSIDE

HERE = Path(__file__).parent
LAB_NAME = "bench-audit"
CARDS = 8
# A process for each; the fastest counts on a machine that others use too.
RUNS = 3
CUT_OFF = 600.0
GOAL_SECONDS, GOAL_MIB, GOAL_EXPONENT = 8.0, 400, 1.1
TABLES = {
    "nova": ("pci_devices", "instance_extra", "migrations", "instances", "services",
             "compute_nodes"),
    "placement": ("resource_provider_traits", "allocations", "consumers", "inventories",
                  "resource_providers", "projects", "users"),
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One way at one number of hosts, the fastest of its runs.

    `cpu_seconds` are the process's own, 0 where they are not known (it runs in a sandbox);
    `server_seconds` are those of MariaDB, and of Placement where it is asked. `load` is the
    machine's when it ended, over one minute.
    """

    way: str
    hosts: int
    seconds: float
    cpu_seconds: float
    server_seconds: float
    mib: float
    found: int
    cut_off: bool = False
    load: float = 0.0


def main() -> None:
    """Fill the databases, run both, print the table, write the figures."""
    arguments = parsed()
    if arguments.once:
        once(arguments.once)
        return
    console = Console()
    started = facts()
    measured: list[Measured] = []
    with cloud(LAB_NAME) as bench:
        bench.control.start_mariadb()
        file = databases_file(bench)
        for hosts in sorted(arguments.hosts):
            console.print(f"{hosts} hosts: filling nova's and Placement's tables")
            fill(bench, Fleet(hosts, CARDS))
            measured.append(min((audit(bench, file, hosts) for _ in range(RUNS)),
                                key=lambda one: one.seconds))  # fmt: skip
            show_one(console, measured[-1])
            if hosts == arguments.beside:
                measured.append(nova_manage(bench, hosts))
                show_one(console, measured[-1])
    show(console, measured)
    result = {**started, "cards_per_host": CARDS, "runs": RUNS, "database": "MariaDB",
              "goal": {"seconds": GOAL_SECONDS, "mib": GOAL_MIB, "exponent": GOAL_EXPONENT},
              "exponent": exponent(measured),
              "rows": [asdict(one) for one in measured]}  # fmt: skip
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written: {arguments.json}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = HERE / "results" / f"{time.strftime('%Y-%m-%d')}-audit.json"
    parser.add_argument("--json", type=Path, default=default, help=f"default: {default.name}")
    parser.add_argument("--hosts", type=int, nargs="+", default=[100, 1000, 10000], metavar="N",
                        help="numbers of hosts (default: 100 1000 10000)")  # fmt: skip
    parser.add_argument("--beside", type=int, default=100, metavar="N",
                        help="with so many hosts nova-manage runs too (default: 100)")  # fmt: skip
    parser.add_argument("--once", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    return parser.parse_args()


def once(file: Path) -> None:
    """One audit in this process, and its figures as JSON."""
    report = run_audit(AuditRequest(AuditSources(databases=file)))
    hosts, found = report.hosts, len(report.disagreements)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"hosts": hosts, "found": found, "mib": used.ru_maxrss / 1024,
                      "cpu": used.ru_utime + used.ru_stime}))  # fmt: skip


def audit(bench: BenchCloud, file: Path, hosts: int) -> Measured:
    """One audit as a process."""
    # Compiled once, as an installed program is.
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "",
                   "PYTHONPATH": os.pathsep.join(sys.path),
                   "PYTHONPYCACHEPREFIX": str(bench.run / "bytecode")}  # fmt: skip
    before, began = server_seconds(bench), time.perf_counter()
    ran = subprocess.run(
        [sys.executable, __file__, "--once", str(file)], check=True, text=True,
        stdout=subprocess.PIPE, timeout=CUT_OFF, env=environment,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    figures: dict[str, Any] = json.loads(ran.stdout)
    if figures["hosts"] != hosts:
        sys.exit(f"the audit read {figures['hosts']} hosts of {hosts}")
    return Measured("wholecard audit", hosts, round(seconds, 3), round(figures["cpu"], 3),
                    round(server_seconds(bench) - before, 3), round(figures["mib"], 1),
                    figures["found"], load=load())  # fmt: skip


def nova_manage(bench: BenchCloud, hosts: int) -> Measured:
    """`nova-manage placement audit --verbose`, with a Placement that is started for it."""
    bench.write_row("placement", (("api", "auth_strategy", "noauth2"),))
    url = f"http://127.0.0.1:{bench.values.ports['placement']}"
    bench.write_row("nova-api", (
        ("placement", "auth_type", "admin_token"), ("placement", "token", "admin"),
        ("placement", "endpoint", url), ("placement", "endpoint_override", url),
    ))  # fmt: skip
    bench.control.start_api("placement")
    command = [f"{INSIDE}/bin/nova-manage", "placement", "audit", "--verbose"]
    before, began = server_seconds(bench, "placement"), time.perf_counter()
    try:
        ran = bench.control.inside("nova-api").run(command, timeout=CUT_OFF, check=False)
        output, cut_off = ran.stdout, False
        if ran.status not in (0, 3):
            sys.exit(f"nova-manage ended with {ran.status}: {ran.stderr[-2000:]}")
    except RunError:
        output, cut_off = "", True
    seconds = time.perf_counter() - began
    bench_seconds = server_seconds(bench, "placement") - before
    bench.control_stop("placement")
    found = output.count("can be deleted") + output.count("Allocations for consumer")
    return Measured("nova-manage placement audit", hosts, round(seconds, 3), 0.0,
                    round(bench_seconds, 3), 0.0, found, cut_off, load())  # fmt: skip


def fill(bench: BenchCloud, fleet: Fleet) -> None:
    """Both databases anew."""
    for database, into in (("nova", fill_nova), ("placement", fill_placement)):
        engine = create_engine(url_of(bench, database), poolclass=NullPool)
        with engine.begin() as connection:
            empty(connection, database)
            into(connection, fleet)
            if database == "nova":
                now = "UPDATE services SET last_seen_up = UTC_TIMESTAMP()"
                connection.exec_driver_sql(now)
        with engine.connect() as connection:
            for table in TABLES[database]:
                connection.exec_driver_sql(f"ANALYZE TABLE {table}")


def empty(connection: Connection, database: str) -> None:
    """Without the rows of the fleet before."""
    for name in ("foreign_key_checks", "unique_checks"):
        connection.exec_driver_sql(f"SET {name} = 0")
    for table in TABLES[database]:
        connection.exec_driver_sql(f"TRUNCATE {table}")


def url_of(bench: BenchCloud, database: str) -> str:
    """SQLAlchemy's URL of a database, over MariaDB's socket: the benchmark takes no port."""
    return f"mysql+pymysql://root@localhost/{database}?unix_socket={bench.run}/mysql.sock"


def databases_file(bench: BenchCloud) -> Path:
    """The file with the connections, as a person writes it."""
    file = bench.run / "databases.ini"
    file.write_text(
        f"[cell cell1]\nconnection = {url_of(bench, 'nova')}\n"
        f"[placement]\nconnection = {url_of(bench, 'placement')}\n"
    )
    file.chmod(0o600)
    return file


def server_seconds(bench: BenchCloud, *more: str) -> float:
    """What MariaDB, and these services, have used of the processors so far."""
    services = process.running(bench.run)
    return sum(
        sum(member.cpu_times()[:2])
        for name in ("mariadb", *more)
        for member in services[name].processes
    )


def load() -> float:
    """How busy the machine is."""
    return round(os.getloadavg()[0], 1)


def exponent(measured: list[Measured]) -> float | None:
    """How the seconds of CPU grow between the two largest fleets: with the hosts' power."""
    ours = [one for one in measured if one.way == "wholecard audit"]
    if len(ours) < 2:
        return None
    less, more = ours[-2:]
    work = [one.cpu_seconds + one.server_seconds for one in (less, more)]
    return round(math.log(work[1] / work[0]) / math.log(more.hosts / less.hosts), 3)


def show_one(console: Console, one: Measured) -> None:
    """A figure as it comes."""
    console.print(f"  {one.way}: {one.seconds:.2f} s, load {one.load}")


def show(console: Console, measured: list[Measured]) -> None:
    """A line for each way and number of hosts."""
    table = Table(title=f"an audit of hosts with {CARDS} cards, half given; best of {RUNS}")
    for name in ("hosts", "way", "s", "CPU s", "servers' CPU s", "MiB", "found"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for one in measured:
        shown = f"> {CUT_OFF:.0f}" if one.cut_off else f"{one.seconds:.2f}"
        table.add_row(str(one.hosts), one.way, shown,
                      f"{one.cpu_seconds:.2f}" if one.cpu_seconds else "",
                      f"{one.server_seconds:.2f}", f"{one.mib:.0f}" if one.mib else "",
                      str(one.found))  # fmt: skip
    console.print(table)
    console.print(f"exponent of the CPU's seconds: {exponent(measured)}")


if __name__ == "__main__":
    main()

"""A real OpenStack without hypervisors: the lab's control plane, computes with nova's fake driver.

Placement, MariaDB, RabbitMQ and nova's services are those of the lab, in a folder of their own.
sysfs and libvirt are what the fake driver says of its domains (`computeside.py`); nova and
Placement are read from MariaDB, as an operator's audit reads them.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench_cloud import BenchCloud, cloud, ini, start_control, wait_for_cards
from openstack.connection import Connection
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from simulator.simulated_views import SimulatedFacts
from wholecard.audit.record import Domain
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.audit.views.combined_views import CombinedViews
from wholecard.audit.views.databases_file import Databases, read_databases
from wholecard.audit.views.nova_database import NovaDatabase
from wholecard.audit.views.placement_database import PlacementDatabase
from wholecard.audit.views.read_only_database import ReadOnlyDatabase
from wholecard.audit.views.source import Views
from wholecard.guest.image.sandbox import Mount
from wholecard.lab import lab as labs
from wholecard.lab.base import process
from wholecard.lab.base.folder import LabFolder, default_folder
from wholecard.lab.control import service_settings
from wholecard.lab.control.services import PYTHON

NAME = "fakecloud"
HOSTS = ("gpu-00", "gpu-01", "gpu-02")
SCRIPTS = "/opt/tree"
# Seconds. nova-compute corrects itself so often here, not each minute.
PERIOD = 2
# What an audit waits before its second look: a run of each nova-compute, and its time.
WAIT = 4.0
STARTED = 300.0

# A call that dies with its nova-conductor is not waited for long, and there are cards enough for
# more servers than stock quotas allow.
EVERYWHERE = (
    ("DEFAULT", "rpc_response_timeout", "20"),
    ("quota", "instances", "-1"),
    ("quota", "cores", "-1"),
    ("quota", "ram", "-1"),
)
Told = Mapping[str, Any]


@dataclass(frozen=True)
class FakeCloud:
    """A cloud that runs; `cards` on each host."""

    bench: BenchCloud
    conn: Connection
    cards: int

    # Its processes.

    def start_compute(self, host: str) -> None:
        """Start nova-compute of a host; it may not be up yet."""
        inside = self.bench.control.inside("nova-compute").with_mounts(
            Mount(Path(__file__).parent, SCRIPTS)
        )
        command = [PYTHON, "-W", "ignore", f"{SCRIPTS}/computeside.py", host, str(self.cards)]
        log = self.bench.folder.logs / f"{host}.out"
        process.start(inside, self.bench.run, host, command, log)

    def restart_compute(self, host: str) -> str:
        """Kill nova-compute of a host, start it, and wait until it reports; the unit's name."""
        self.bench.control_stop(host)
        before = self._reports(host)
        self.start_compute(host)
        # One report of the process before may still be in nova-conductor.
        process.wait_until(
            lambda: self._reports(host) >= before + 2, timeout=STARTED, every=0.5,
            what=f"nova-compute of {host} reports", log=self.bench.folder.logs / f"{host}.log",
        )  # fmt: skip
        return "nova-compute.service"

    def start_that_fails(self, host: str) -> str:
        """Kill nova-compute of a host, start it, and wait until it has ended; what it logged."""
        log = self.bench.folder.logs / f"{host}.log"
        self.bench.control_stop(host)
        known = len(log.read_text())
        self.start_compute(host)
        process.wait_until(
            lambda: host not in process.running(self.bench.run), timeout=STARTED, every=0.5,
            what=f"nova-compute of {host} ends", log=log,
        )  # fmt: skip
        return log.read_text()[known:]

    def _reports(self, host: str) -> int:
        """How often nova-compute of a host has reported that it is up."""
        statement = "SELECT report_count FROM services WHERE host = ? AND deleted = 0"
        return int(self.rows("cell1", statement, host)[0][0])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No nova-compute does anything: what it would correct at once stays as it is."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        services = process.running(self.bench.run)
        for host in HOSTS:
            for member in services[host].processes:
                member.send_signal(number)

    # Its tables.

    @cached_property
    def databases(self) -> Databases:
        """nova's and Placement's databases, by the account that only reads."""
        return read_databases(self.bench.run / "databases.ini")

    @cached_property
    def _engines(self) -> Mapping[str, Engine]:
        placement = self.databases.placement
        assert placement is not None
        api = self.databases.api
        assert api is not None
        urls = {"placement": placement.url, "api": api.url}
        urls.update({name: database.url for name, database in self.databases.cells})
        return {name: create_engine(url, poolclass=NullPool) for name, url in urls.items()}

    def rows(self, database: str, statement: str, *values: Any) -> list[Any]:
        """The rows of a SELECT in `cell1`, `api` or `placement`; its values are `?`."""
        with self._engines[database].connect() as connection:
            statement = statement.replace("?", "%s")
            return [tuple(row) for row in connection.exec_driver_sql(statement, values)]

    def build_requests(self) -> int:
        """How many servers are to be built that no cell has yet."""
        return int(self.rows("api", "SELECT COUNT(*) FROM build_requests")[0][0])

    def sql(self, database: str, *statements: str) -> None:
        """Raw SQL of a person with all rights."""
        name = "nova" if database == "cell1" else database
        self.bench.control.sql(";\n".join([f"USE {name}", *statements, ""]))

    # Its hosts, and the audit.

    def told(self) -> Told:
        """What each host says of its devices and domains."""
        folder = self.bench.run / "computes"
        return {host: json.loads((folder / f"{host}.json").read_text()) for host in HOSTS}

    def domains(self, host: str) -> tuple[Domain, ...]:
        """The domains of a host, as a repair asks."""
        return SimulatedFacts(self.told()).facts((host,))[host].domains or ()

    def audit(self, wait: float | None, told: Callable[[], Told] | None = None) -> AuditReport:
        """An audit now; `told` in place of what the hosts say."""
        placement = self.databases.placement
        assert placement is not None

        @contextmanager
        def look(hosts: tuple[str, ...] | None) -> Iterator[Views]:
            views = CombinedViews(
                NovaDatabase(self.databases), PlacementDatabase(ReadOnlyDatabase(placement)),
                SimulatedFacts((told or self.told)()), hosts, may_be_gone=hosts is not None,
            )  # fmt: skip
            try:
                yield views
            finally:
                views.close()

        return audit_views(look, wait, AuditWatcher())


@contextmanager
def fake_cloud(cards: int) -> Iterator[FakeCloud]:
    """Such a cloud with `HOSTS`; at the end its processes are ended and its files removed."""
    folder = LabFolder(default_folder().top, NAME)
    try:
        with cloud(NAME) as bench:
            for service in ("nova-api", "nova-conductor", "nova-scheduler"):
                bench.write_row(service, EVERYWHERE)
            start_control(bench)
            bench.restart("placement", "nova-conductor", "nova-scheduler")
            running = FakeCloud(bench, bench.connect(), cards)
            for host in HOSTS:
                _configure(bench, host)
                running.start_compute(host)
            wait_for_cards(bench, len(HOSTS), cards)
            yield running
    finally:
        if not os.environ.get("WHOLECARD_KEEP"):
            labs.clean(folder, keep_cache=True)
            folder.lock.unlink(missing_ok=True)


def _configure(bench: BenchCloud, host: str) -> None:
    """What one host's nova-compute has beside the configuration that all have."""
    folder = f"/lab/computes/{host}"
    (bench.run / f"computes/{host}/lock").mkdir(parents=True)
    # nova-compute refuses a second start without it (nova/compute/manager.py,
    # _ensure_existing_node_identity); `gpu_cards.py` says the same of the node.
    identity = bench.run / f"computes/{host}/compute_id"
    identity.write_text(str(uuid.uuid5(uuid.NAMESPACE_DNS, host)))
    options = (
        ("DEFAULT", "host", host),
        ("DEFAULT", "state_path", folder),
        ("DEFAULT", "instances_path", f"{folder}/instances"),
        ("DEFAULT", "log_file", f"{host}.log"),
        ("DEFAULT", "report_interval", "1"),
        ("DEFAULT", "periodic_fuzzy_delay", "0"),
        ("DEFAULT", "update_resources_interval", str(PERIOD)),
        ("DEFAULT", "sync_power_state_interval", "-1"),
        ("DEFAULT", "shelved_offload_time", "0"),
        ("oslo_concurrency", "lock_path", f"{folder}/lock"),
        *EVERYWHERE,
    )
    service_settings.write_private(bench.run / f"etc/computes/{host}.conf", ini(options))


def wait_for(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether it holds within so many seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True

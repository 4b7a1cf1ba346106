"""What the audit reads of a simulated cloud: nova's and Placement's files, and faked hosts.

The databases are read by the audit's own views. The clock is the simulation's, not SQLite's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from support import hosts
from wholecard.audit.record import CloudViews, Domain, HostViews
from wholecard.audit.views import read_only_database
from wholecard.audit.views.combined_views import CombinedViews, HostFacts
from wholecard.audit.views.databases_file import Database, Databases
from wholecard.audit.views.nova_cell import SERVICE_DOWN_TIME
from wholecard.audit.views.nova_database import NovaDatabase
from wholecard.audit.views.placement_database import PlacementDatabase
from wholecard.audit.views.read_only_database import ReadOnlyDatabase
from wholecard.audit.views.source import Views
from wholecard.host.facts.host import Host

IDS = "10de:2330"
# Nine tenths of a look at so small a cloud would be SQLAlchemy's, which compiles each statement
# once an engine; here an engine serves all audits of a world.
setattr(read_only_database, "_engine", lru_cache(8)(read_only_database._engine))  # noqa: B010


def databases(folder: Path) -> Databases:
    """The files of a world."""

    def database(name: str, file: str) -> Database:
        return Database(name, make_url(f"sqlite+pysqlite:///{folder}/{file}.sqlite"))

    return Databases(
        (("cell1", database("nova's cell cell1", "cell1")),),
        database("Placement's database", "placement"),
    )


@dataclass(frozen=True)
class SimulatedFacts:
    """A `FactsView` of faked hypervisors, as nova's side tells them."""

    told: Mapping[str, Any]

    def facts(self, hosts: Sequence[str]) -> Mapping[str, HostFacts]:
        """See `FactsView`."""
        return {host: self._facts(self.told[host]) for host in hosts if host in self.told}

    @staticmethod
    def _facts(told: Mapping[str, Any]) -> HostFacts:
        domains = tuple(
            Domain(uuid, f"instance-{uuid[:8]}", one["state"], tuple(one["hostdevs"]))
            for uuid, one in told["domains"].items()
        )
        drivers = told.get("drivers", {})
        devices = tuple(
            (address, node, drivers.get(address, "vfio-pci"))
            for address, node in sorted(told["devices"].items())
        )
        return HostFacts(sysfs_of(devices), domains, ())


_SYSFS: dict[tuple[tuple[str, int, str], ...], Host] = {}


def sysfs_of(devices: tuple[tuple[str, int, str], ...]) -> Host:
    """The host with these cards, each by its address, NUMA node and driver."""
    if devices not in _SYSFS:
        _SYSFS[devices] = hosts.host(
            *(hosts.bound(address, IDS, numa_node=node, driver=driver)
              for address, node, driver in devices)
        )  # fmt: skip
    return _SYSFS[devices]


@dataclass(frozen=True)
class Clocked:
    """Views by another clock than the database's own."""

    views: CombinedViews
    now: datetime

    def cloud_views(self) -> CloudViews:
        """See `Views`."""
        cloud = self.views.cloud_views()
        services = {
            host: replace(
                service,
                is_up=not service.forced_down
                and self.now - (service.last_seen_up or self.now)
                <= timedelta(seconds=SERVICE_DOWN_TIME),
            )
            for host, service in cloud.services.items()
        }
        return replace(cloud, services=services, now=self.now)

    def host_views(self) -> Iterator[HostViews]:
        """See `Views`."""
        return self.views.host_views()


def opening(
    folder: Path, told: Callable[[], Mapping[str, Any]]
) -> Callable[[tuple[str, ...] | None], AbstractContextManager[Views]]:
    """What an audit opens: `told` is nova's side's answer to `hosts`."""
    files = databases(folder)
    assert files.placement is not None
    placement = files.placement

    @contextmanager
    def opened(only: tuple[str, ...] | None) -> Iterator[Views]:
        answer = told()
        views = CombinedViews(
            NovaDatabase(files), PlacementDatabase(ReadOnlyDatabase(placement)),
            SimulatedFacts(answer["hosts"]), only,
        )  # fmt: skip
        try:
            yield Clocked(views, datetime.fromisoformat(answer["now"]))
        finally:
            views.close()

    return opened

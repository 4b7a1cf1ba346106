"""The views of one cloud, from whatever sources a person has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wholecard.audit.views.combined_views import (
    CombinedViews,
    FactsView,
    NovaView,
    sentence,
)
from wholecard.audit.views.databases_file import Databases, read_databases
from wholecard.audit.views.host_facts import FactsInOrder, FleetFacts, SavedFacts
from wholecard.audit.views.nova_cell import SERVICE_DOWN_TIME
from wholecard.audit.views.nova_database import NovaDatabase
from wholecard.audit.views.placement_database import PlacementDatabase
from wholecard.audit.views.placement_view import PlacementView
from wholecard.audit.views.read_only_database import ReadOnlyDatabase
from wholecard.core import UsageError, WholecardError
from wholecard.fleet import Ssh, Watcher

if TYPE_CHECKING:
    from openstack.connection import Connection

    from wholecard.audit.views.cloud_apis import CloudApis

_NO_HOSTS = "No facts of hosts were asked for: name --ssh or --facts."
_NO_PLACEMENT = "Neither Placement's database nor a cloud was named."


@dataclass(frozen=True)
class AuditSources:
    """Where an audit reads.

    `cloud` is an entry of clouds.yaml (`clouds_file`, else the SDK's own search), empty for none;
    with `conn`, a connection that is open already, it is only its name.
    `databases` is the file of `databases_file.py`. nova and Placement are read from their
    databases where the file names them, and through the cloud's API else. `hosts` are
    hypervisor's host names, None for all; one that neither nova nor Placement has is refused, or
    left out where `hosts_may_be_gone`, as in the second look of an audit.

    `facts` are saved facts by hypervisor's host name. With `over_ssh` the other hosts are asked,
    by the names in `ssh_names` where those differ, `jobs` of them side by side, each for `timeout`
    seconds at most. `service_down_time` is nova's, in seconds.
    """

    cloud: str = ""
    clouds_file: Path | None = None
    databases: Path | None = None
    hosts: tuple[str, ...] | None = None
    hosts_may_be_gone: bool = False
    facts: Mapping[str, Path] = field(default_factory=dict)
    over_ssh: bool = False
    ssh_names: Mapping[str, str] = field(default_factory=dict)
    ssh_config: Path | None = None
    sudo: bool = False
    jobs: int = 16
    timeout: float | None = None
    service_down_time: int = SERVICE_DOWN_TIME
    conn: Connection | None = None


def open_views(sources: AuditSources, watcher: Watcher | None = None) -> CombinedViews:
    """The views of these sources; `close()` ends their connections.

    nova is needed: without it WholecardError, or UsageError where no source of it was named.
    Placement that cannot be read is `unread` on every host, with the reason. `watcher` is told
    what happens on hosts that are asked over ssh.
    """
    named = read_databases(sources.databases) if sources.databases else Databases()
    if not named.cells and not sources.cloud:
        raise UsageError(
            "nova cannot be read: no database of it and no cloud was named",
            resolution="Name --databases FILE with nova's cells, or --cloud NAME of clouds.yaml.",
        )
    cloud = None
    if sources.cloud and not (named.cells and named.placement):
        # The SDK takes a second to load, which an audit of databases alone does not wait for.
        from wholecard.audit.views.cloud_apis import CloudApis  # noqa: PLC0415

        cloud = CloudApis(sources.cloud, sources.clouds_file, sources.conn)
    nova: NovaView
    if named.cells or cloud is None:
        nova = NovaDatabase(named, sources.service_down_time)
    else:
        nova = cloud.nova()
    return CombinedViews(
        nova,
        _placement(named, cloud),
        _hosts(sources, watcher or Watcher()),
        sources.hosts,
        may_be_gone=sources.hosts_may_be_gone,
    )


@contextmanager
def opened_views(sources: AuditSources, watcher: Watcher | None = None) -> Iterator[CombinedViews]:
    """`open_views` for a block, at whose end the connections are closed."""
    views = open_views(sources, watcher)
    try:
        yield views
    finally:
        views.close()


def _placement(named: Databases, cloud: CloudApis | None) -> PlacementView | str:
    """A reader that has answered once, or the reason why there is none."""
    try:
        view: PlacementView
        if named.placement is not None:
            view = PlacementDatabase(ReadOnlyDatabase(named.placement))
        elif cloud is not None:
            view = cloud.placement()
        else:
            return _NO_PLACEMENT
        view.managed_hosts()
    except UsageError:
        raise
    except WholecardError as error:
        return sentence(f"{error.brief}: {error.details}" if error.details else error.brief)
    return view


def _hosts(sources: AuditSources, watcher: Watcher) -> FactsView | str:
    views: list[SavedFacts | FleetFacts] = []
    if sources.facts:
        views.append(SavedFacts(sources.facts))
    if sources.over_ssh:
        ssh = Ssh(sources.ssh_config, sources.sudo)
        views.append(FleetFacts(ssh, sources.ssh_names, sources.jobs, sources.timeout, watcher))
    return FactsInOrder(tuple(views)) if views else _NO_HOSTS

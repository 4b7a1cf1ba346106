"""What the checks ask about servers and migrations: where one belongs, and what is in flight."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime

from wholecard.audit.record import (
    ENDED,
    CloudViews,
    ComputeService,
    HostViews,
    Instance,
    Migration,
)

# nova/conf/compute.py, update_resources_interval: 0 is every run of the periodic tasks, which
# oslo.service starts every 60 s. After one run nova has corrected what it corrects by itself.
PERIOD = 60.0
# Between the ends of two runs is more: up to 5 % by chance (oslo_service/periodic_task.py,
# _nearest_boundary), and the run itself, with all tasks before it. What is younger than this is
# looked at again after a period; a row that nova frees at its next run is no finding before.
_ONE_RUN = 1.5 * PERIOD

# A migration in a status of progress whose server does nothing, or a server that is built on no
# host: after this long nobody works on it.
_ABANDONED = 3600.0

# nova/compute/manager.py, rebuild_instance: while an evacuated server is built again.
_EVACUATION = "evacuation"


class Place(enum.Enum):
    """What a server has to do with a host."""

    HOME = "home"
    MOVING = "moving"
    ELSEWHERE = "elsewhere"
    GONE = "gone"


class CloudCase:
    """What concerns more than one host, indexed.

    On the `second_look` a thing's age is no longer a reason to wait: it was there before the wait.
    """

    def __init__(self, views: CloudViews, second_look: bool = False):
        self.views = views
        self.second_look = second_look
        self.instances = views.instances
        self._migrations = {row.uuid: row for row in views.migrations}
        self._of_server: dict[str, list[Migration]] = {}
        for row in views.migrations:
            self._of_server.setdefault(row.instance_uuid, []).append(row)

    def instance(self, uuid: str) -> Instance | None:
        """The server, None where nova has none of that id."""
        return self.instances.get(uuid)

    def migration(self, uuid: str) -> Migration | None:
        """The migration of that uuid, None where nova has none."""
        return self._migrations.get(uuid)

    def migrations_of(self, server: str) -> list[Migration]:
        """The migrations of a server, in nova's order."""
        return self._of_server.get(server, [])

    def service_of(self, host: HostViews) -> ComputeService | None:
        """The host's nova-compute, None where nova has none or it was not read."""
        name = host.compute_node.host if host.compute_node else host.host
        return self.views.services.get(name)

    def place(self, server: str, host: HostViews) -> Place:
        """Whether a server belongs to this host, moves from or to it, is elsewhere, or is gone."""
        instance = self.instances.get(server)
        if instance is None or instance.deleted:
            return Place.GONE
        if server in self._of_server:
            if self._moves(instance, host):
                return Place.MOVING
        elif instance.vm_state == "resized":
            # VERIFY_RESIZE, and its migration was not read: both hosts are legitimate.
            return Place.MOVING
        return Place.HOME if is_at(instance, host) else Place.ELSEWHERE

    def _moves(self, instance: Instance, host: HostViews) -> bool:
        return any(_touches(row, host) for row in self.in_progress(instance))

    def in_progress(self, instance: Instance) -> Iterator[Migration]:
        """The migrations of this server that are neither at their end nor abandoned."""
        return (row for row in self.migrations_of(instance.uuid) if self.is_live(row))

    def is_live(self, row: Migration) -> bool:
        """Whether a migration legitimately holds what it holds.

        `finished` is VERIFY_RESIZE: nova waits for confirm or revert, and the server owns twice.
        An evacuation is over for us when the server is up again, though nova-compute of the old
        host sets it to `completed` only when it starts (nova/compute/manager.py,
        _destroy_evacuated_instances).
        """
        instance = self.instances.get(row.instance_uuid)
        if instance is None or instance.deleted or row.status in ENDED - {"done"}:
            return False
        if instance.task_state is not None:
            return True
        if row.migration_type == _EVACUATION:
            return instance.node == row.source_node
        if row.status == "done":
            return False
        if row.status == "finished":
            return instance.vm_state == "resized"
        age = self.age(row.updated_at or row.created_at)
        return age is None or age < _ABANDONED

    def waits_at(self, server: str, host: HostViews) -> bool:
        """Whether the server is in VERIFY_RESIZE and this is the host that it moved to.

        Its own allocation is this host's alone then: the migration's uuid has the other host's. Of
        a resize on one host nothing is said, for nova corrects its allocations at the end
        (nova/compute/pci_placement_translator.py, `same_host_instances`).
        """
        instance = self.instances.get(server)
        if instance is None or instance.vm_state != "resized" or instance.task_state is not None:
            return False
        moves = list(self.in_progress(instance))
        return bool(moves) and is_at(instance, host) and all(
            row.status == "finished" and row.source_node != row.dest_node for row in moves
        )  # fmt: skip

    def age(self, moment: datetime | None) -> float | None:
        """Seconds since then by the database's clock; None where one of the two is not known."""
        now = self.views.now
        return None if now is None or moment is None else (now - moment).total_seconds()

    def young(self, moment: datetime | None, what: str) -> str:
        """Why a thing may pass by itself: nova-compute has not run since it changed."""
        age = None if self.second_look else self.age(moment)
        if age is None or age >= _ONE_RUN:
            return ""
        return f"{what} changed {max(0, int(age))} s ago"

    def unborn(self, consumer: str) -> str:
        """Why a consumer that nova does not know may still become a server: it is being created.

        Its allocation is made by the scheduler, before it is in the cell's database
        (nova/compute/resource_tracker.py, _remove_deleted_instances_allocations).
        """
        if self.second_look or consumer in self.instances:
            return ""
        return "a server that is being created has its allocation before nova lists it"

    def activity(self, server: str) -> str:
        """What nova does with a server now, empty for nothing; or that it changed just now."""
        instance = self.instances.get(server)
        if instance is None:
            return ""
        changed = [(row.updated_at, f"migration {row.id} of the server")
                   for row in self.migrations_of(server)]  # fmt: skip
        changed.append((instance.updated_at or instance.created_at, "the server"))
        young = filter(None, (self.young(*change) for change in changed))
        return self.work(server) or next(young, "")

    def work(self, server: str) -> str:
        """What nova does with a server now, empty for nothing."""
        instance = self.instances.get(server)
        if instance is None or instance.deleted:
            return ""
        if instance.task_state is not None:
            return f"nova works on the server (task_state {instance.task_state})"
        if instance.vm_state == "building" and not self.is_never_built(instance):
            return "nova builds the server"
        for row in self.in_progress(instance):
            if row.status != "finished":
                return f"migration {row.id} of the server is {row.status}"
        return ""

    def is_never_built(self, instance: Instance) -> bool:
        """Whether nova has given up the server's build, or lost it, before it had a host.

        nova-compute clears the task_state when it begins a build and claims at once, which sets the
        host; one that is killed in between leaves a server that no nova-compute looks for
        (nova/compute/manager.py, _do_build_and_run_instance; _init_instance and
        _check_instance_build_time ask for the servers of a host).
        """
        if instance.was_never_built:
            return True
        if instance.vm_state != "building" or instance.task_state or instance.host or instance.node:
            return False
        age = self.age(instance.updated_at or instance.created_at)
        return age is not None and age >= _ABANDONED

    def server_text(self, server: str) -> str:
        """`server train-1 (4f3e…)`: its name, where known, and its id."""
        instance = self.instances.get(server)
        if instance is not None and instance.name:
            return f"server {instance.name} ({server})"
        return f"server {server}"

    def where_text(self, server: str) -> str:
        """Where the server is, as the end of a sentence: `is on gpu-02`, `is deleted`."""
        instance = self.instances.get(server)
        if instance is None:
            return "is unknown to nova"
        if instance.deleted:
            return "is deleted"
        node = instance.node or instance.host
        return f"is on {node}" if node else self._on_no_host(instance)

    def _on_no_host(self, instance: Instance) -> str:
        if instance.vm_state is None:
            return "is in a cell of nova's that was not read"
        if instance.was_never_built:
            return "is on no host, for its build failed"
        if self.is_never_built(instance):
            return "is on no host, for nova-compute ended as it began its build"
        return f"is on no host ({instance.vm_state})"


def is_at(instance: Instance, host: HostViews) -> bool:
    """Whether nova says that the server is on this host."""
    if instance.node is not None:
        return instance.node == host.host
    node = host.compute_node
    return instance.host is not None and node is not None and instance.host == node.host


def _touches(row: Migration, host: HostViews) -> bool:
    """Whether the host is where the migration comes from or goes to."""
    if host.host in (row.source_node, row.dest_node):
        return True
    name = host.compute_node.host if host.compute_node else None
    by_source = row.source_node is None and row.source_compute == name
    by_dest = row.dest_node is None and row.dest_compute == name
    return name is not None and (by_source or by_dest)

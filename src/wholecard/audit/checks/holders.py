"""nova's rows against nova's servers: who holds a device, and whether that server is here.

nova-compute itself frees at each run what is held for a server that is neither on its host nor in a
migration of it (nova/pci/manager.py, clean_usage): what is older than one run stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.audit.checks.cloud_case import Place
from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.record import Disagreement, Migration, PciDevice
from wholecard.nova.known_bugs import FAILED_MOVE_KEEPS_ROWS

_EVACUATION = "evacuation"


def holders(case: HostCase) -> Iterator[Disagreement]:
    """Each held row whose server is gone, elsewhere, or does nothing with it."""
    for row in (case.rows or {}).values():
        if not row.is_held:
            continue
        server = row.instance_uuid
        if not server:
            yield _held_by_nobody(case, row)
            continue
        place = case.place(server)
        if place is Place.HOME:
            if row.status == "claimed":
                yield from _claimed(case, row, server)
        elif place is Place.GONE:
            # Its domain still has the device: libvirt's check says so, for the domain goes first.
            if not _runs_here(case, row.address, server):
                yield _held_by_deleted(case, row, server)
        elif place is Place.ELSEWHERE:
            yield _held_on_old_host(case, row, server)


def _held_by_nobody(case: HostCase, row: PciDevice) -> Disagreement:
    return case.disagreement(
        "WC511", row.address,
        f"nova's row is {row.status} and names no server.",
        f"Restart nova-compute on {case.name}. If the row stays, wholecard repair plan frees it.",
        row=row, pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
    )  # fmt: skip


def _held_by_deleted(case: HostCase, row: PciDevice, server: str) -> Disagreement:
    cloud = case.cloud
    known = "is deleted" if cloud.instance(server) else "does not exist in nova"
    pending = cloud.activity(server) or cloud.young(row.updated_at or row.created_at, "the row")
    return case.disagreement(
        "WC511", row.address,
        f"nova's row is {row.status} for {cloud.server_text(server)}, which {known}.",
        _until_nova_compute_runs(case),
        server=server, row=row, pending="" if case.is_down else pending,
    )  # fmt: skip


def _held_on_old_host(case: HostCase, row: PciDevice, server: str) -> Disagreement:
    moved = _last_migration(case, server)
    message = (
        f"nova's row is {row.status} for {case.cloud.server_text(server)}, which "
        f"{case.cloud.where_text(server)}; no migration of it is in progress."
    )
    fix = _until_nova_compute_runs(case)
    if moved is not None and moved.status == "error":
        # It need not be the last one: nova-compute keeps the row all the same.
        message += (
            f" Its {moved.migration_type} (migration {moved.id}) is in error: nova-compute keeps "
            "what a move in error has claimed."
        )
        fix = (
            "wholecard repair plan frees the row. Neither the next run of nova-compute nor a "
            f"restart does ({FAILED_MOVE_KEEPS_ROWS.link})."
        )
    elif moved is not None:
        message += f" Its last {moved.migration_type} (migration {moved.id}) is {moved.status}."
    if _runs_here(case, row.address, server):
        message += " Its domain still runs here, with the device."
    return case.disagreement(
        "WC515", row.address, message, fix, server=server, row=row, migration=moved,
        pending=_still_in_work(case, row, server),
    )  # fmt: skip


def _still_in_work(case: HostCase, row: PciDevice, server: str) -> str:
    """Why the row may change by itself; nothing does on a host that is down, but for a boot."""
    cloud, instance = case.cloud, case.cloud.instance(server)
    starting = instance is not None and instance.node is None and instance.host is None
    if case.is_down:
        return cloud.activity(server) if starting else ""
    return cloud.activity(server) or cloud.young(row.updated_at, "the row")


def _claimed(case: HostCase, row: PciDevice, server: str) -> Iterator[Disagreement]:
    """A claim of a server that is here: it becomes an allocation when the server is built.

    While nova builds or moves it, a claim is as it should be and nothing is said. Of one that nova
    has just built or moved it is not known yet.
    """
    cloud = case.cloud
    if cloud.work(server):
        return
    since = f" since {row.updated_at:%Y-%m-%d %H:%M} UTC" if row.updated_at else ""
    yield case.disagreement(
        "WC519", row.address,
        f"nova's row is claimed for {cloud.server_text(server)}{since}, and nova neither "
        "builds nor moves it.",
        f"Restart nova-compute on {case.name}: it reads its claims again. If the row stays, "
        "wholecard repair plan shows what to change.",
        server=server, row=row,
        pending=cloud.activity(server) or cloud.young(row.updated_at, "the row"),
    )  # fmt: skip


def _runs_here(case: HostCase, address: str, server: str) -> bool:
    return any(domain.uuid == server for domain in case.users.get(address, ()))


def _last_migration(case: HostCase, server: str) -> Migration | None:
    """The server's newest migration away from this host, or to it; one in error comes first."""
    node = case.host.compute_node
    hosts = {case.name, node.host if node else case.name}
    rows = [
        row for row in case.cloud.migrations_of(server)
        if {row.source_node, row.dest_node, row.source_compute, row.dest_compute} & hosts
    ]  # fmt: skip
    return max(rows, key=lambda row: (row.status == "error", row.id)) if rows else None


def _until_nova_compute_runs(case: HostCase) -> str:
    """What frees the row: the next run of nova-compute, its start, or a repair."""
    if case.is_down:
        return (
            f"Start nova-compute on {case.name}: it frees the device as it starts. If the host "
            "never comes back, wholecard repair plan frees the row."
        )
    return (
        f"nova-compute on {case.name} frees it at its next run, or when it is restarted. If the "
        "row stays, wholecard repair plan frees it."
    )

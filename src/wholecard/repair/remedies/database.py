"""Rows of nova's database, where nothing else reaches them."""

from __future__ import annotations

from dataclasses import replace

from wholecard.core import Action
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.remedies.case import RepairCase

_FREED = (("status", "available"), ("instance_uuid", None), ("request_id", None))
_UNDO = "the whole former row is written back"


def free_row(case: RepairCase) -> Action | None:
    """Give a row back to nova, as nova/objects/pci_device.py, free, does."""
    if not _reached(case) or case.held_by_domain:
        return None
    change = replace(_change(case), values=_FREED)
    return _action(change, case, _why(case))


def mark_deleted(case: RepairCase) -> Action | None:
    """Finish what `deleted` has half of, as nova's soft_delete does (oslo.db, SoftDeleteMixin).

    Only for a row without a server. A running nova-compute has the row in memory, and has to be
    restarted after it.
    """
    if not _reached(case) or case.fact("row_instance") or case.held_by_domain:
        return None
    change = _change(case)
    values = (("deleted", change.row_id), ("deleted_at", case.stamp))
    return _action(replace(change, values=values), case, _why(case))


def claim_row(case: RepairCase) -> Action | None:
    """Give a free row to the server whose running domain has the device."""
    server, request = case.disagreement.server, case.fact("request_id")
    if not (case.fact("row_id") and server) or case.fact("domain") != server:
        return None
    values: tuple[tuple[str, str | int | None], ...] = (
        ("status", "allocated"), ("instance_uuid", server),
    )  # fmt: skip
    if request:
        values = (*values, ("request_id", request))
    elif case.fact("row_instance") not in ("", server):
        # Its request_id is another server's.
        return None
    change = replace(_change(case), values=values, holder=server, host_is_off=False)
    return _action(change, case, "the running domain of this server alone has the device")


def _why(case: RepairCase) -> str:
    if case.kept_by_nova:
        return "nova-compute keeps it for a migration in error, also over a restart"
    if case.compute_is_up:
        return "a restart of nova-compute did not correct it"
    return "nova-compute is down, and nothing else reaches the row"


def _reached(case: RepairCase) -> bool:
    """Whether nova-compute cannot do it: it is down, was restarted and did not, or never does."""
    known = case.fact("row_id") and case.fact("row_status")
    beyond = case.options.beyond_restart or case.kept_by_nova
    return bool(known) and (not case.compute_is_up or beyond)


def _change(case: RepairCase) -> DatabaseRowChange:
    return DatabaseRowChange(
        cell=case.fact("cell"),
        row_id=int(case.fact("row_id")),
        host=case.host,
        address=case.disagreement.address,
        status=case.fact("row_status"),
        instance=case.fact("row_instance") or None,
        updated=case.fact("row_updated") or None,
        stamp=case.stamp,
        host_is_off=case.is_off,
    )


def _action(change: DatabaseRowChange, case: RepairCase, why: str) -> Action:
    return Action(
        change.kind, case.disagreement.subject, f"{case.disagreement.rule}: {why}", change, _UNDO
    )

"""nova's rows against the host's devices: there, the same device, selected, and one row each."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.record import Disagreement, PciDevice
from wholecard.core.releases import LATEST
from wholecard.nova.match import Device, DeviceSysfs, MatchError, Spec, assign, rules_for
from wholecard.nova.match.device import devices_of
from wholecard.pci import Function


def gone(case: HostCase) -> Iterator[Disagreement]:
    """Each row whose device the host does not have."""
    if case.rows is None or case.functions is None:
        return
    for address, row in case.rows.items():
        if address in case.functions:
            continue
        if row.is_held:
            fix = (
                "nova keeps the row as long as the server has it. Delete or cold-migrate the "
                "server, then restart nova-compute. A VF needs sriov_numvfs written again first."
            )
        else:
            fix = (
                f"nova-compute on {case.name} reads its devices only when it starts: restart it, "
                "and it removes the row. If the device should be there, look for it: wholecard "
                "inspect."
            )
        yield case.disagreement(
            "WC510", address,
            f"nova's row is {row.status}"
            + (f" for {case.cloud.server_text(row.instance_uuid)}" if row.instance_uuid else "")
            + ", and the host has no such device.",
            fix, server=row.instance_uuid or "", row=row,
            pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
        )  # fmt: skip


def other_device(case: HostCase) -> Iterator[Disagreement]:
    """Each row with the ids or the type of another device than the host has there."""
    if case.rows is None or case.functions is None:
        return
    for address, row in case.rows.items():
        function = case.functions.get(address)
        if function is None or not function.vendor or not function.device:
            continue
        if _differs(row, function):
            yield _differing(case, row, function)


def _differs(row: PciDevice, function: Function) -> bool:
    """Whether the row has other ids or another type than the function.

    What is compared first is cheap; `devices_of` knows what nova calls a function's type.
    """
    if row.vendor_id != function.vendor or row.product_id != function.device:
        return True
    if row.dev_type == "type-PCI" and function.physfn is None and not function.sriov_total:
        return False
    return row.dev_type not in _types(function)


def _types(function: Function) -> tuple[str, ...]:
    """What nova may call it: sysfs does not show whether a VF has a vDPA device."""
    device_type = devices_of([function])[0].dev_type
    return (device_type, "vdpa") if device_type == "type-VF" else (device_type,)


def _differing(case: HostCase, row: PciDevice, function: Function) -> Disagreement:
    wait = (
        "nova writes the new facts when the server goes (it waits as long as the device is in "
        "use). Compare the two, for the server may have another device than it asked for."
        if row.is_held else
        f"nova-compute on {case.name} reads its devices only when it starts: restart it, and it "
        "writes them, if device_spec still selects the device."
    )  # fmt: skip
    return case.disagreement(
        "WC533", row.address,
        f"nova's row says {row.vendor_id}:{row.product_id} {row.dev_type}, and the host has "
        f"{function.ids} {_types(function)[0]} at this address.",
        wait, server=row.instance_uuid or "", row=row,
        pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
    )  # fmt: skip


def contradictions(case: HostCase) -> Iterator[Disagreement]:
    """Rows that contradict themselves, and second rows for one device.

    A row that nova removed keeps its last status, has its own id in `deleted`, and a time in
    `deleted_at` (nova/db/main/api.py, pci_device_destroy).
    """
    for row in case.host.devices or ():
        if what := _contradicts(row):
            yield _contradiction(case, row, f"nova's row {row.id} contradicts itself: {what}.")
    for row in case.doubles:
        other = (case.rows or {})[row.address]
        yield _contradiction(
            case, row, f"The device has two rows in nova: {other.id}, and {row.id} of the "
            f"compute node {row.compute_node_id}."
        )  # fmt: skip


def _contradicts(row: PciDevice) -> str:
    """What of the row cannot be true together, empty for a sound one."""
    if row.deleted == 0:
        if row.deleted_at is not None:
            return "deleted_at has a time and deleted is 0"
        if row.status in _REMOVED:
            return f"its status is {row.status} and it is not deleted"
        if row.instance_uuid is not None and not row.is_held:
            return f"it is {row.status} and names server {row.instance_uuid}"
    elif row.deleted_at is None:
        return f"deleted is {row.deleted} and deleted_at is NULL"
    elif row.is_held:
        return f"it is deleted and still {row.status}"
    return ""


_REMOVED = frozenset({"removed", "deleted"})


def _contradiction(case: HostCase, row: PciDevice, message: str) -> Disagreement:
    return case.disagreement(
        "WC516", row.address, message,
        f"Restart nova-compute on {case.name}. If the row stays, wholecard repair plan corrects "
        "it.",
        server=row.instance_uuid or "", row=row,
        pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
    )  # fmt: skip


def unselected(case: HostCase) -> Iterator[Disagreement]:
    """Each device in use that nova-compute's device_spec does not select any more.

    nova keeps the row and the provider until the server goes (nova/pci/manager.py, _set_hvdevs).
    """
    if case.rows is None or case.host.device_specs is None:
        return
    rows = [row for row in case.rows.values() if row.is_held]
    specs = _specs(case.host.device_specs, case) if rows else None
    if specs is None:
        return
    for row in rows:
        if assign(_device(row), specs) is None:
            yield case.disagreement(
                "WC517", row.address,
                f"{case.cloud.server_text(row.instance_uuid or '').capitalize()} has the device, "
                "and device_spec of nova-compute does not select it. nova removes the device when "
                "the server goes.",
                "If the card is to stay, write its device_spec back before the next restart of "
                f"nova-compute on {case.name}.",
                server=row.instance_uuid or "", row=row,
            )  # fmt: skip


def _specs(texts: tuple[str, ...], case: HostCase) -> list[Spec] | None:
    """The specs, None where nova would refuse one: lint says that."""
    rules = rules_for(LATEST.nova)
    sysfs = DeviceSysfs([_device(row) for row in (case.rows or {}).values()])
    try:
        return [spec for text in texts for spec in Spec.parse(text, rules, sysfs)]
    except MatchError:
        return None


def _device(row: PciDevice) -> Device:
    return Device(
        row.address, row.vendor_id, row.product_id, row.dev_type,  # type: ignore[arg-type]
        row.parent_addr, row.numa_node,
    )  # fmt: skip

"""What each of the four places says of one device, in a few words: shown side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wholecard.audit.record import ConsumerAllocation, PciDevice, View

if TYPE_CHECKING:
    from wholecard.audit.checks.host_case import DeviceProvider, HostCase

_NOT_READ = "not read"
_NOTHING = "—"


def what_views_say(
    case: HostCase,
    address: str,
    row: PciDevice | None,
    device: DeviceProvider | None,
    allocation: ConsumerAllocation | None,
) -> Mapping[View, str]:
    """A text for each view; of the host where no device is meant."""
    return {
        View.SYSFS: _sysfs(case, address),
        View.LIBVIRT: _libvirt(case, address),
        View.NOVA: _nova(case, address, row),
        View.PLACEMENT: _placement(case, device, allocation),
    }


def _sysfs(case: HostCase, address: str) -> str:
    if case.functions is None:
        return _NOT_READ
    function = case.functions.get(address)
    if function is None:
        return "no such device" if address else _NOTHING
    node = "" if function.numa_node is None else f", NUMA node {function.numa_node}"
    return f"{function.ids}, {function.driver or 'no driver'}{node}"


def _libvirt(case: HostCase, address: str) -> str:
    if case.host.domains is None:
        return _NOT_READ
    users = case.users.get(address, ())
    return ", ".join(f"{domain.name or domain.uuid} {domain.uuid}" for domain in users) or _NOTHING


def _nova(case: HostCase, address: str, row: PciDevice | None) -> str:
    if case.rows is None:
        return _NOT_READ
    if row is None:
        return "no row" if address else _NOTHING
    text = row.status if not row.deleted else f"{row.status}, deleted"
    return f"{text}: {_named(case, row.instance_uuid)}" if row.instance_uuid else text


def _named(case: HostCase, consumer: str) -> str:
    """A server with its name, a migration as such, anything else by its id alone."""
    migration = case.cloud.migration(consumer)
    if migration is not None:
        return f"migration {migration.id} ({migration.status}) {consumer}"
    instance = case.cloud.instance(consumer)
    return f"{instance.name} {consumer}" if instance is not None and instance.name else consumer


def _placement(
    case: HostCase, device: DeviceProvider | None, allocation: ConsumerAllocation | None
) -> str:
    if not case.has_placement:
        return _NOT_READ
    if device is None:
        if allocation is None:
            return "no provider" if case.providers else _NOTHING
        consumer = _named(case, allocation.consumer)
        return f"{allocation.used} {allocation.resource_class}: {consumer}"
    inventories = device.provider.inventories or ()
    held = ", ".join(_named(case, row.consumer) for row in device.allocations)
    amounts = ", ".join(
        f"{row.used} of {row.total} used" + (f", {row.reserved} reserved" if row.reserved else "")
        for row in inventories
    )
    return f"{amounts or 'no inventory'}: {held}" if held else amounts or "no inventory"

"""Placement's providers of devices against nova's rows and the host: what nova-compute reports.

nova/compute/pci_placement_translator.py is the source of all of it. Where a host reports no device
in Placement ([pci] report_in_placement), these checks have nothing to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache

from wholecard.audit.checks.cloud_case import Place
from wholecard.audit.checks.host_case import MANAGED, DeviceProvider, HostCase
from wholecard.audit.record import Disagreement, PciDevice
from wholecard.cloud.placement.provider_tree import LIVE_MIGRATABLE, ONE_TIME_USE, Inventory
from wholecard.nova.match.placement import is_class_of_ids, resource_class_for

_OWNER = "OWNER_NOVA"
# Its inventory and its traits raise the generation of a new provider to this
# (nova/scheduler/client/report.py, update_from_provider_tree); the row is written last.
_WRITTEN = 2
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})  # oslo.utils, bool_from_string
_NEXT_RUN = (
    "nova-compute writes it again when it reads Placement again, within 5 minutes "
    "([compute] resource_provider_association_refresh), or when it is restarted."
)


def without_row(case: HostCase) -> Iterator[Disagreement]:
    """Each provider for which nova has no row: the device is gone, or nova does not know it."""
    if case.rows is None:
        return
    for device in (case.providers or {}).values():
        if device.rows or _is_used_by_a_guest(case, device):
            continue
        if case.functions is not None and device.address not in case.functions:
            held = ", ".join(row.consumer for row in device.allocations)
            yield case.disagreement(
                "WC525", device.address,
                f"Placement has the provider {device.provider.name}, and the host has no such "
                "device." + (f" It is still allocated to {held}." if held else ""),
                "Restart nova-compute: it removes providers without a device, unless something "
                "is allocated. wholecard repair plan removes what is left.",
                device=device, allocation=next(iter(device.allocations), None),
                pending=_goes_soon(case, device),
            )  # fmt: skip
        else:
            yield case.disagreement(
                "WC526", device.address,
                f"Placement offers {device.provider.name}, and nova's pci_devices has no row for "
                "it: a server that is sent here is refused.",
                "If device_spec of this host selects the device, restart nova-compute; it makes "
                "the row. If not, it removes the provider as it starts.",
                device=device, allocation=next(iter(device.allocations), None),
                pending=_goes_soon(case, device),
            )  # fmt: skip


def _goes_soon(case: HostCase, device: DeviceProvider) -> str:
    """Why a provider without a row may pass by itself.

    The row of a device that left device_spec goes with its server, then the allocation, and the
    provider with nova-compute's next run, which removes each provider that it marked and has no
    device for (nova/compute/pci_placement_translator.py,
    _remove_managed_rps_from_tree_not_in_view).
    """
    for row in device.allocations:
        if reason := case.cloud.activity(row.consumer):
            return reason
    if reason := _young(case, device):
        return reason
    marked = MANAGED in device.provider.traits and not device.allocations
    if not marked or case.cloud.second_look or case.is_down:
        return ""
    return "nova-compute removes a provider without a device at its next run"


def _is_used_by_a_guest(case: HostCase, device: DeviceProvider) -> bool:
    """Whether a guest of this host has it: the row is what is missing, and WC513 says so."""
    return any(
        case.place(domain.uuid) is Place.HOME for domain in case.users.get(device.address, ())
    )


def without_provider(case: HostCase) -> Iterator[Disagreement]:
    """Each row that nova has reported, and Placement does not have."""
    if case.rows is None or case.providers is None:
        return
    missing = [row for row in case.rows.values() if _was_reported(case, row)]
    if missing and case.host.providers is None:
        yield case.disagreement(
            "WC527", "", f"nova has reported {len(missing)} devices of this host in Placement, "
            "and Placement has no provider of the host.",
            f"Restart nova-compute on {case.name}: it makes its providers.",
        )  # fmt: skip
        return
    for row in missing:
        yield case.disagreement(
            "WC527", row.address,
            "nova has reported the device in Placement, and Placement has no provider of it: no "
            "server gets it.",
            f"Restart nova-compute on {case.name}: it makes the provider and its allocation.",
            row=row, pending=case.cloud.young(row.updated_at or row.created_at, "the row"),
        )  # fmt: skip


def _was_reported(case: HostCase, row: PciDevice) -> bool:
    """Whether nova has made a provider of the device, and Placement has none now."""
    if case.provider_of(row) is not None or row.address in case.foreign:
        return False
    return '"rp_uuid"' in row.extra_info


def wrong(case: HostCase) -> Iterator[Disagreement]:
    """Each provider whose parent, inventory, traits or reserved amount are not nova's."""
    tree = case.host.providers
    if tree is None or not case.providers:
        return
    root = tree.root.uuid
    marked = any(_OWNER in device.provider.traits for device in case.providers.values())
    for device in case.providers.values():
        if device.provider.parent_uuid != root:
            yield _wrong_parent(case, device, tree.root.name)
        if device.rows:
            yield from _wrong_inventory(case, device)
            yield from _wrong_traits(case, device, marked)
            yield from _reserved(case, device)


def _wrong_parent(case: HostCase, device: DeviceProvider, root: str) -> Disagreement:
    return case.disagreement(
        "WC528", device.address,
        f"{device.provider.name} is not directly below {root}, but below "
        f"{device.provider.parent_uuid or 'nothing'}.",
        "nova-compute does not move providers. wholecard repair plan sets the parent "
        "(Placement API 1.37).",
        device=device,
    )  # fmt: skip


def _wrong_inventory(case: HostCase, device: DeviceProvider) -> Iterator[Disagreement]:
    inventories = device.provider.inventories or ()
    count = len(device.rows)
    if len(inventories) == 1:
        inventory = inventories[0]
        wanted = _wanted_class(device, inventory)
        # Devices that device_spec no longer selects stay counted as long as they are used.
        if not wanted and inventory.total in (count, max(count, inventory.used)):
            return
        message = (
            f"{device.provider.name} has the class {inventory.resource_class}, and nova's row "
            f"is {device.rows[0].vendor_id}:{device.rows[0].product_id} ({wanted})."
            if wanted else
            f"{device.provider.name} has a total of {inventory.total}, and nova has "
            f"{count} of its devices."
        )  # fmt: skip
    else:
        classes = ", ".join(row.resource_class for row in inventories) or "no inventory"
        message = f"{device.provider.name} has {classes}, where nova writes one resource class."
    yield case.disagreement(
        "WC529", device.address, message, _NEXT_RUN, device=device,
        pending=_young(case, device),
    )  # fmt: skip


def _wanted_class(device: DeviceProvider, inventory: Inventory) -> str:
    """The class that nova makes of the row's ids, where Placement has one made of other ids.

    A class of device_spec's own choice has another form, and is not in nova's database.
    """
    row = device.rows[0]
    return _other_class(inventory.resource_class, row.vendor_id, row.product_id)


@lru_cache(maxsize=4096)
def _other_class(resource_class: str, vendor: str, product: str) -> str:
    if not is_class_of_ids(resource_class):
        return ""
    wanted = resource_class_for(None, vendor, product)
    return "" if wanted == resource_class else wanted


def _wrong_traits(case: HostCase, device: DeviceProvider, marked: bool) -> Iterator[Disagreement]:
    traits, wrong_ones = device.provider.traits, []
    if MANAGED not in traits:
        wrong_ones.append(f"lacks {MANAGED}")
    if marked and _OWNER not in traits:
        wrong_ones.append(f"lacks {_OWNER}, which the host's other devices have")
    if any(_is_migratable(row) != (LIVE_MIGRATABLE in traits) for row in _settled(device)):
        has = "has" if LIVE_MIGRATABLE in traits else "lacks"
        wrong_ones.append(f"{has} {LIVE_MIGRATABLE}, unlike its row")
    if wrong_ones:
        yield case.disagreement(
            "WC530", device.address, f"{device.provider.name} {', and '.join(wrong_ones)}.",
            _NEXT_RUN, device=device, pending=_young(case, device),
        )  # fmt: skip


def _settled(device: DeviceProvider) -> Iterator[PciDevice]:
    """The rows whose tags are nova-compute's: of a device in use they wait until the server goes
    (nova/pci/manager.py, `stale`)."""
    return (row for row in device.rows if row.status == "available")


def _is_migratable(row: PciDevice) -> bool:
    # Parsed only where it can matter: the key is rare.
    if "live_migratable" not in row.extra_info:
        return False
    try:
        value = json.loads(row.extra_info).get("live_migratable", "")
    except (ValueError, AttributeError):
        return False
    return str(value).strip().lower() in _TRUE


def _reserved(case: HostCase, device: DeviceProvider) -> Iterator[Disagreement]:
    """An inventory whose reserved amount keeps a free device from everybody.

    One-time-use devices are reserved as long as a server has them, and until they are cleaned.
    """
    for inventory in device.provider.inventories or ():
        if not inventory.reserved:
            continue
        free = sum(map(case.is_free, device.rows))
        if not free or inventory.total - inventory.reserved - inventory.used >= free:
            continue
        # A server that is on its way in or out has the device in one of the two places only.
        pending = next(
            filter(None, (case.cloud.activity(row.consumer) for row in device.allocations)), ""
        ) or _young(case, device)  # fmt: skip
        if ONE_TIME_USE in device.provider.traits:
            message = (
                f"{device.provider.name} is one_time_use: its last server is gone, and it stays "
                "reserved until it is cleaned."
            )
            fix = "Clean it: wholecard handover --once resets the card, checks it and frees it."
        else:
            message = (
                f"{device.provider.name} has {inventory.reserved} of {inventory.total} reserved, "
                "and no server uses it: no server can get it."
            )
            fix = (
                "If nobody keeps the device away on purpose, wholecard repair plan sets reserved "
                "back."
            )
        yield case.disagreement(
            "WC532", device.address, message, fix, device=device, pending=pending
        )


def _young(case: HostCase, device: DeviceProvider) -> str:
    """Why nova-compute may not have finished with the device: its row or its provider is new."""
    for row in device.rows:
        if reason := case.cloud.young(row.updated_at or row.created_at, "the row"):
            return reason
    generation = device.provider.generation
    if case.cloud.second_look or case.is_down or generation is None or generation > _WRITTEN:
        return ""
    return "the provider is new, and nova-compute writes it in several steps"

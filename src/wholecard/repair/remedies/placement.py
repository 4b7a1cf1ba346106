"""What Placement's API can put right: allocations, reserved amounts, providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wholecard.cloud.placement.provider_tree import ONE_TIME_USE
from wholecard.core import Action
from wholecard.repair.operations.allocations import (
    AllocationChange,
    AllocationGuard,
    ConsumerChange,
    Holding,
)
from wholecard.repair.operations.placement import Consumer
from wholecard.repair.operations.provider import ProviderRemoval
from wholecard.repair.operations.provider_parent import ProviderParentChange
from wholecard.repair.operations.reserved import ReservedChange
from wholecard.repair.remedies.case import ManualStep, RepairCase, address_of

_UNDO = "each consumer gets back what it held, with the same project, user and type"


def drop_consumer(case: RepairCase) -> Action | None:
    """Take what it holds on this host from a consumer that is no server, or an ended migration."""
    if case.held_by_domain or _is_servers_own(case):
        return None
    found, removed = _held_here(case)
    if not removed:
        return None
    if case.fact("migration"):
        server, nova = case.disagreement.server, ""
    else:
        server, nova = found.uuid, "unknown"
    guard = AllocationGuard(case.host, _addresses(case, removed), server, nova, case.is_off)
    change = _change(found, removed=removed)
    return _action(case, (change,), guard, "the consumer is neither a server nor a migration in "
                   "progress")  # fmt: skip


def give_to_server(case: RepairCase) -> Action | None:
    """Give a server what a dead migration of it holds on the host where the server is.

    As nova does itself where a migration is rolled back (nova/conductor/tasks/migrate.py,
    revert_allocation_for_migration).
    """
    server = case.disagreement.server
    if not (case.fact("migration") and server and _is_servers_own(case)):
        return None
    found, moved = _held_here(case)
    receiver = case.placement.consumer(server)
    if not moved or any(row.provider in receiver.held for row in moved):
        return None
    addresses = case.addresses if case.held_by_domain else ()
    guard = AllocationGuard(case.host, addresses, server, "home", case.is_off)
    changes = (_change(found, removed=moved), _change(receiver, added=moved, owner=found))
    return _action(case, changes, guard, "the server itself is here, and the migration is at its "
                   "end")  # fmt: skip


def give_to_holder(case: RepairCase) -> Action | None:
    """Give a device in Placement to the server that has it, from the one that it is counted for."""
    server = case.disagreement.server
    if case.fact("consumer") in ("", server) or case.fact("row_instance") != server:
        return None
    if case.fact("domain") != server or not _is_one_device(case):
        return None
    found, here = _held_here(case)
    moved = tuple(row for row in here if row.provider == case.fact("provider"))
    receiver = case.placement.consumer(server)
    if not moved or receiver.generation is None or moved[0].provider in receiver.held:
        return None
    guard = AllocationGuard(case.host, case.addresses, server, "holder", case.is_off)
    changes = (_change(found, removed=moved), _change(receiver, added=moved))
    return _action(case, changes, guard, "nova's row and the running domain are this server's")


def drop_old_host(case: RepairCase) -> Action | None:
    """Take from a server what it holds of a host that it has left.

    As nova does itself at the end of a move (nova/scheduler/client/report.py,
    remove_provider_tree_from_instance_allocation): all providers of the host's tree, and no other.
    """
    if case.held_by_domain:
        return None
    found, removed = _held_here(case)
    # A server that holds nothing anywhere else would have nothing left.
    if not removed or {row.provider for row in removed} == set(found.held):
        return None
    guard = AllocationGuard(case.host, (), found.uuid, "elsewhere", case.is_off)
    change = _change(found, removed=removed)
    return _action(case, (change,), guard, "the server is on another host")


def drop_device(case: RepairCase) -> Action | None:
    """Take one device's provider from a server that does not have the device."""
    if case.held_by_domain or "WC513" in case.beside or not _is_one_device(case):
        return None
    found, here = _held_here(case)
    removed = tuple(row for row in here if row.provider == case.fact("provider"))
    if not removed:
        return None
    guard = AllocationGuard(case.host, case.addresses, "", "", case.is_off)
    change = _change(found, removed=removed)
    return _action(
        case, (change,), guard, "neither nova nor libvirt gives the device to the server"
    )


def add_device(case: RepairCase) -> Action | None:
    """Add a device's provider to the allocation of the server that has the device.

    Only to an allocation that exists: one that is gone altogether is written by nova-manage first,
    which does not touch one that has a card alone (nova/cmd/manage.py, _heal_instance_allocations).
    """
    server = case.disagreement.server
    known = case.fact("provider") and case.fact("resource_class") and server
    if not known or case.fact("row_instance") != server or not _is_one_device(case):
        return None
    if not case.held_by_domain or (case.compute_is_up and not case.options.beyond_restart):
        return None
    receiver = case.placement.consumer(server)
    if receiver.generation is None or case.fact("provider") in receiver.held:
        return None
    added = (Holding(case.fact("provider"), _name(case), case.fact("resource_class"), 1),)
    guard = AllocationGuard(case.host, case.addresses, receiver.uuid, "holder", case.is_off)
    change = _change(receiver, added=added)
    return _action(case, (change,), guard, "nova and libvirt give the device to the server")


def free_reserved(case: RepairCase) -> Action | ManualStep | None:
    """Set `reserved` back to 0; a card for one use has to be cleaned before."""
    known = all(case.fact(name) for name in ("provider", "resource_class", "reserved"))
    if not known or case.held_by_domain or case.fact("used") not in ("", "0"):
        return None
    if ONE_TIME_USE in case.placement.traits(case.fact("provider")):
        return case.by_hand(
            "Clean the card: wholecard handover --once. It sets reserved back after its checks.",
            "nova reserved it after its last server, whose data may still be in it.",
        )
    change = ReservedChange(
        case.fact("provider"), _name(case), case.fact("resource_class"),
        int(case.fact("reserved")), 0, case.host, case.addresses, case.is_off,
    )  # fmt: skip
    reason = f"{case.disagreement.rule}: nobody uses it, and nova never lowers reserved"
    return Action(change.kind, change.name, reason, change, "reserved is set to what it was")


def set_parent(case: RepairCase) -> Action | None:
    """Put a device's provider directly below its host's."""
    provider = case.fact("provider")
    tree = case.placement.tree(provider) if provider else {}
    root = next((uuid for uuid, name in tree.items() if name == case.host), None)
    if root is None:
        return None
    change = ProviderParentChange(provider, tree[provider], case.placement.parent(provider), root)
    reason = f"{case.disagreement.rule}: nova-compute makes it there, and never moves it"
    return Action(change.kind, change.name, reason, change, "it is put where it was")


def remove_provider(case: RepairCase) -> Action | None:
    """Delete a device's provider that nobody uses, where nova-compute does not do it."""
    if case.compute_is_up and not case.options.beyond_restart:
        return None
    if not case.fact("provider") or case.held_by_domain or case.fact("used") not in ("", "0"):
        return None
    change = ProviderRemoval(
        case.fact("provider"), _name(case), case.host, case.addresses, case.is_off
    )
    reason = f"{case.disagreement.rule}: nova does not have this device, and nobody holds it"
    undo = "the provider is made again with its uuid, inventories, traits and aggregates"
    return Action(change.kind, change.name, reason, change, undo)


def joined(actions: Iterable[Action], held: Mapping[str, Consumer]) -> Action:
    """Actions that have a consumer in common as one, which does what all of them would.

    `held` are the consumers as they were read.
    """
    actions = list(actions)
    by_consumer: dict[str, list[ConsumerChange]] = {}
    guards: dict[AllocationGuard, None] = {}
    for action in actions:
        if isinstance(action.do, AllocationChange):
            guards.update(dict.fromkeys(action.do.guards))
            for change in action.do.changes:
                by_consumer.setdefault(change.consumer, []).append(change)
    changes = tuple(_union(rows, held[uuid]) for uuid, rows in sorted(by_consumer.items()))
    together = AllocationChange(changes, tuple(guards))
    reason = "; ".join(dict.fromkeys(action.reason for action in actions))
    return Action(together.kind, _subject(changes), reason, together, _UNDO)


def _union(rows: list[ConsumerChange], found: Consumer) -> ConsumerChange:
    removed = dict.fromkeys(row for change in rows for row in change.removed)
    added = dict.fromkeys(row for change in rows for row in change.added)
    owner = Consumer(found.uuid, {}, None, rows[0].project, rows[0].user, rows[0].type)
    return _change(found, removed=tuple(removed), added=tuple(added), owner=owner)


def _action(
    case: RepairCase, changes: tuple[ConsumerChange, ...], guard: AllocationGuard, why: str
) -> Action:
    change = AllocationChange(changes, (guard,))
    reason = f"{case.disagreement.rule}: {why}"
    return Action(change.kind, _subject(changes), reason, change, _UNDO)


def _subject(changes: tuple[ConsumerChange, ...]) -> str:
    return f"of {', '.join(change.consumer for change in changes)}"


def _change(
    found: Consumer,
    *,
    removed: tuple[Holding, ...] = (),
    added: tuple[Holding, ...] = (),
    owner: Consumer | None = None,
) -> ConsumerChange:
    """`owner` is whose it is to be, where it holds nothing yet."""
    whose = found if found.generation is not None or owner is None else owner
    held = {(uuid, name) for uuid, amounts in found.held.items() for name in amounts}
    gone = {(row.provider, row.resource_class) for row in removed}
    # nova's own words for its consumers; a migration's are not a server's.
    kind = "INSTANCE" if whose is not found and whose.type else whose.type
    return ConsumerChange(
        found.uuid, found.generation, whose.project, whose.user, kind,
        _sorted(removed), _sorted(added), not added and held == gone,
    )  # fmt: skip


def _sorted(rows: Iterable[Holding]) -> tuple[Holding, ...]:
    return tuple(sorted(rows, key=lambda row: (row.name, row.resource_class)))


def _held_here(case: RepairCase) -> tuple[Consumer, tuple[Holding, ...]]:
    """The consumer, and what it holds in the tree of this host."""
    found = case.placement.consumer(case.fact("consumer") or case.disagreement.server)
    names = case.placement.tree(case.fact("provider")) if case.fact("provider") else {}
    rows = [
        Holding(uuid, names[uuid], resource_class, used)
        for uuid, amounts in found.held.items() if uuid in names
        for resource_class, used in amounts.items()
    ]  # fmt: skip
    return found, _sorted(rows)


def _is_one_device(case: RepairCase) -> bool:
    """Whether the provider is one device's, and not a PF's with several VFs to count."""
    return bool(case.addresses) and case.fact("total") == "1"


def _is_servers_own(case: RepairCase) -> bool:
    """Whether the server that the migration moved has the device here itself, or lacks it here."""
    row = case.fact("row_instance")
    has = bool(row) and row == case.disagreement.server
    return bool(case.fact("migration")) and (has or case.fact("lacks_allocation") == "yes")


def _addresses(case: RepairCase, rows: Iterable[Holding]) -> tuple[str, ...]:
    named = (address_of(case.host, row.name) for row in rows)
    return tuple(sorted({*case.addresses, *(each for each in named if each)}))


def _name(case: RepairCase) -> str:
    uuid = case.fact("provider")
    return case.placement.tree(uuid).get(uuid, case.disagreement.address)

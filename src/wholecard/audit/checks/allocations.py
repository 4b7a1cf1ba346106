"""Placement's allocations against nova's servers, migrations and rows.

During a migration the migration's uuid holds what the server has on the source, and the server's id
what it gets on the destination (nova/compute/pci_placement_translator.py, update_allocations).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wholecard.audit import fact_names as names
from wholecard.audit.checks.cloud_case import Place
from wholecard.audit.checks.host_case import DeviceProvider, HostCase
from wholecard.audit.record import ConsumerAllocation, Disagreement, Migration, View

VGPU = "VGPU"
# Live migration claims by another way (nova/compute/resource_tracker.py, _move_claim).
_CLAIMING_MOVES = frozenset({"migration", "resize", "evacuation"})


def consumers(case: HostCase) -> Iterator[Disagreement]:
    """Each consumer that holds a device here and is no server of this host: one finding each."""
    for consumer, held in _held_by_strangers(case).items():
        migration = case.cloud.migration(consumer)
        if migration is not None:
            if not case.cloud.is_live(migration):
                yield _dead_migration(case, migration, held)
            continue
        place = case.place(consumer)
        if place is Place.GONE:
            yield _nobody(case, consumer, held)
        elif place is Place.ELSEWHERE:
            yield _on_two_hosts(case, consumer, held)


def _held_by_strangers(case: HostCase) -> dict[str, list[ConsumerAllocation]]:
    """What those hold here who are no servers of this host, devices first.

    Of the host's own provider it counts only where its consumer has cards: the rest of Placement
    is for `nova-manage placement audit`.
    """
    tree = case.host.providers
    if tree is None:
        return {}
    held: dict[str, list[ConsumerAllocation]] = {}
    for provider in tree.below:
        if provider.uuid not in case.novas:
            continue
        for row in case.allocations.get(provider.uuid, ()):
            if not _is_at_home(case, row.consumer):
                held.setdefault(row.consumer, []).append(row)
    for row in case.allocations.get(tree.root.uuid, ()):
        if row.consumer not in held and _has_cards_elsewhere(case, row.consumer):
            held[row.consumer] = [row]
    return held


def _is_at_home(case: HostCase, consumer: str) -> bool:
    instance = case.cloud.instances.get(consumer)
    return instance is not None and not instance.deleted and instance.node == case.name


def _has_cards_elsewhere(case: HostCase, consumer: str) -> bool:
    instance = case.cloud.instances.get(consumer)
    if instance is None or instance.node == case.name or instance.deleted:
        return False
    return bool(instance.pci_requests or instance.vgpus)


def devices(case: HostCase) -> Iterator[Disagreement]:
    """Each device for which nova's row and Placement's allocation name different servers."""
    for device in (case.providers or {}).values():
        if not device.allocations and not device.holders:
            continue
        used = device.counted()
        if used != device.holders:
            yield from _differences(case, device, used)


def vgpus(case: HostCase) -> Iterator[Disagreement]:
    """Each server of this host that has mediated devices and too few VGPU in Placement."""
    if not case.has_placement or case.host.providers is None:
        return
    for domain in case.domains.values():
        instance = case.cloud.instance(domain.uuid)
        if instance is None or not instance.vgpus or not domain.mdevs:
            continue
        if case.place(domain.uuid) is not Place.HOME:
            continue
        counted = _counted(case, domain.uuid)
        if counted < min(instance.vgpus, len(domain.mdevs)):
            yield case.disagreement(
                "WC523", "",
                f"{case.cloud.server_text(domain.uuid).capitalize()} has {len(domain.mdevs)} "
                f"mediated devices, and Placement counts {counted} VGPU for it.",
                "wholecard repair plan writes the allocation again; nova-manage placement "
                "heal_allocations refuses servers with VGPU.",
                server=domain.uuid, pending=case.cloud.activity(domain.uuid),
            )  # fmt: skip


def _counted(case: HostCase, server: str) -> int:
    """How many VGPU Placement counts for the server or a migration of it."""
    rows = (row for row in case.shared_allocations() if row.resource_class == VGPU)
    return sum(row.used for row in rows if _belongs(case, row.consumer, server))


def _belongs(case: HostCase, consumer: str, server: str) -> bool:
    migration = case.cloud.migration(consumer)
    return consumer == server or (migration is not None and migration.instance_uuid == server)


def _differences(
    case: HostCase, device: DeviceProvider, used: dict[str, int]
) -> Iterator[Disagreement]:
    """What is left of the differences when other findings' consequences are taken away."""
    twice = [
        server for server in _with_more(used, device.holders)
        if case.place(server) is Place.HOME or case.cloud.waits_at(server, case.host)
    ]  # fmt: skip
    short = [
        server for server in _with_more(device.holders, used) if case.place(server) is Place.HOME
    ]
    if twice and short:
        # The device of one is counted for the other; libvirt's check says it where it has a domain.
        if not _users(case, device) - set(short):
            yield _two_servers(case, device, short[0], twice[0])
        return
    for server in twice:
        yield from _without_device(case, device, server)
    for server in short:
        yield from _not_allocated(case, device, server)


def _with_more(counts: Mapping[str, int], others: Mapping[str, int]) -> Iterator[str]:
    """Those that have more in the first than in the second."""
    return (server for server, count in counts.items() if count > others.get(server, 0))


def _users(case: HostCase, device: DeviceProvider) -> set[str]:
    """The servers whose active domains have the device; of a PF's provider, its VFs."""
    addresses = {device.address, *(row.address for row in device.rows)}
    return {domain.uuid for address in addresses for domain in case.users.get(address, ())}


def _two_servers(
    case: HostCase, device: DeviceProvider, holder: str, consumer: str
) -> Disagreement:
    cloud = case.cloud
    row = next(row for row in device.rows if row.instance_uuid == holder)
    return case.disagreement(
        "WC514", row.address,
        f"nova gives the device to {cloud.server_text(holder)}, and Placement counts it for "
        f"{cloud.server_text(consumer)}." + _start_fails(case, device),
        "Look which domain has the device (libvirt's column), then correct the other place: "
        "wholecard repair plan.",
        server=holder, row=row, device=device, allocation=_allocation(device, consumer),
        pending=cloud.activity(holder) or cloud.activity(consumer),
    )  # fmt: skip


def _start_fails(case: HostCase, device: DeviceProvider) -> str:
    """A sentence where nova-compute cannot start because of it, else empty."""
    if not case.fails_start(device):
        return ""
    return (
        f" nova-compute on {case.name} corrects nothing until this is repaired, and would not "
        "start again (ReshapeFailed in its log)."
    )


def _without_device(case: HostCase, device: DeviceProvider, server: str) -> Iterator[Disagreement]:
    """An allocation of a server that has no row, unless its domain or the row's absence says so."""
    users = _users(case, device)
    if server in users or not (device.rows or users):
        return
    cloud, allocation = case.cloud, _allocation(device, server)
    yield case.disagreement(
        "WC524", device.address,
        f"Placement counts the device for {cloud.server_text(server)}, and nova's row does not."
        + _left_by_a_move(case, device, server),
        "If the server's domain lacks the device too, wholecard repair plan takes it out of the "
        "allocation; else it writes the row.",
        server=server, device=device, allocation=allocation,
        pending=cloud.activity(server) or _young_row(case, device),
    )  # fmt: skip


def _left_by_a_move(case: HostCase, device: DeviceProvider, server: str) -> str:
    """A sentence where nova itself did it, empty where it cannot have.

    The server moved to this host and has another card here. `MOVE_TAKES_OTHER_CARD` in
    nova/known_bugs.py.
    """
    moves = [
        row for row in case.cloud.migrations_of(server)
        if row.dest_node == case.name and row.migration_type in _CLAIMING_MOVES
    ]  # fmt: skip
    others = any(other.holders.get(server) for other in (case.providers or {}).values()
                 if other is not device)  # fmt: skip
    if not moves or not others:
        return ""
    newest = max(moves, key=lambda row: row.id)
    return (
        f" nova itself leaves this: at its {newest.migration_type} {newest.id} to this host the "
        "server got another card than Placement had allocated, and kept both in its allocation."
    )


def _not_allocated(case: HostCase, device: DeviceProvider, server: str) -> Iterator[Disagreement]:
    """A row of a server without allocation, unless a dead migration of it has the allocation."""
    cloud = case.cloud
    rows = [row for row in device.rows if row.instance_uuid == server and row.is_held]
    if _held_by_migration(case, device, server) or any(map(case.is_of_a_port, rows)):
        return
    fix = _how_to_allocate(case, server)
    for row in rows:
        yield case.disagreement(
            "WC523", row.address,
            f"nova gives the device to {cloud.server_text(server)}, and Placement has no "
            "allocation of it for this server: the scheduler can offer it to another."
            + _start_fails(case, device),
            fix, server=server, row=row, device=device, allocation=None,
            pending=cloud.activity(server) or _young_row(case, device),
        )  # fmt: skip


def _held_by_migration(case: HostCase, device: DeviceProvider, server: str) -> bool:
    consumers = (row.consumer for row in device.allocations if row.consumer != server)
    return any(_belongs(case, consumer, server) for consumer in consumers)


def _how_to_allocate(case: HostCase, server: str) -> str:
    if any(row.consumer == server for row in case.shared_allocations()):
        return (
            f"nova-compute on {case.name} adds it at its next run, or when it is restarted. If it "
            "stays, wholecard repair plan adds it."
        )
    return (
        "nova does not write it again for a server whose whole allocation is gone. wholecard "
        "repair plan writes it again."
    )


def _young_row(case: HostCase, device: DeviceProvider) -> str:
    ages = (case.cloud.young(row.updated_at or row.created_at, "the row") for row in device.rows)
    return next(filter(None, ages), "")


def _allocation(device: DeviceProvider, consumer: str) -> ConsumerAllocation | None:
    return next((row for row in device.allocations if row.consumer == consumer), None)


def _what(case: HostCase, held: Iterable[ConsumerAllocation]) -> tuple[str, DeviceProvider | None]:
    """What is held as text (`0000:41:00.0, 0000:c1:00.0`), and the first device of it."""
    devices = {device.provider.uuid: device for device in (case.providers or {}).values()}
    own = [devices[row.provider_uuid] for row in held if row.provider_uuid in devices]
    own.sort(key=lambda device: device.address)
    if own:
        return ", ".join(device.address for device in own), own[0]
    return ", ".join(f"{row.used} {row.resource_class}" for row in held), None


def _dead_migration(
    case: HostCase, migration: Migration, held: list[ConsumerAllocation]
) -> Disagreement:
    what, device = _what(case, held)
    server = migration.instance_uuid
    cloud = case.cloud
    is_home = case.place(server) is Place.HOME
    has = is_home and device is not None and device.holders.get(server)
    # Parts of cards and a host's own resources have no row: what counts is where the server is.
    own = any(row.consumer == server for row in case.shared_allocations())
    lacks = is_home and device is None and not own
    message = (
        f"Placement counts {what} for {migration.migration_type} {migration.id} ({migration.uuid}) "
        f"of {cloud.server_text(server)}. The migration has ended ({migration.status}): nobody "
        "gives this back."
    )
    if has:
        message += " The server itself has the device here, without an allocation of its own."
    elif lacks:
        message += " The server itself is here, and Placement counts nothing here for it."
    return case.disagreement(
        "WC521", device.address if device else "", message,
        "wholecard repair plan "
        + ("gives the allocation to the server." if has or lacks else
           "removes it. By hand:\n"
           f"    openstack resource provider allocation delete {migration.uuid}"),
        server=server, device=device, allocation=_first(device, held), migration=migration,
        more={names.LACKS_ALLOCATION: "yes"} if lacks else {},
        pending=cloud.activity(server) if cloud.instance(server) else "",
    )  # fmt: skip


def _nobody(case: HostCase, consumer: str, held: list[ConsumerAllocation]) -> Disagreement:
    what, device = _what(case, held)
    cloud = case.cloud
    known = "a server that is deleted" if cloud.instance(consumer) else (
        "neither a server nor a migration of nova"
    )  # fmt: skip
    return case.disagreement(
        "WC520", device.address if device else "",
        f"Placement counts {what} for {consumer}, which is {known}.",
        "wholecard repair plan removes the allocation. By hand:\n"
        f"    openstack resource provider allocation delete {consumer}",
        server=consumer, device=device, allocation=_first(device, held),
        pending=cloud.activity(consumer) or cloud.unborn(consumer),
    )  # fmt: skip


def _on_two_hosts(case: HostCase, server: str, held: list[ConsumerAllocation]) -> Disagreement:
    what, device = _what(case, held)
    cloud = case.cloud
    others = sorted(cloud.views.holdings.get(server, frozenset()) - {case.name})
    also = f" Its allocation also names {', '.join(others)}." if others else ""
    instance = cloud.instance(server)
    if instance is not None and cloud.is_never_built(instance):
        # nova/compute/api.py, `_local_delete_cleanup`.
        fix = (
            "Delete the server, or let its owner do it: nova then removes the allocation.\n"
            f"    openstack server delete {server}"
        )
    else:
        fix = _how_to_leave(case)
    return case.disagreement(
        "WC522", device.address if device else "",
        f"Placement counts {what} here for {cloud.server_text(server)}, which "
        f"{cloud.where_text(server)}; no migration of it is in progress.{also}",
        fix, server=server, device=device, allocation=_first(device, held),
        pending=cloud.activity(server),
    )  # fmt: skip


def _how_to_leave(case: HostCase) -> str:
    return (
        f"Start nova-compute on {case.name}: it removes the allocation of a server that was "
        "evacuated as it starts. If the host never comes back, wholecard repair plan removes this "
        "host's part."
        if case.is_down else
        "wholecard repair plan removes this host's part of the allocation, if no domain of the "
        "server runs here."
    )  # fmt: skip


def _first(device: DeviceProvider | None, held: list[ConsumerAllocation]) -> ConsumerAllocation:
    """The consumer's allocation of that device, else the first of what it holds."""
    if device is None:
        return held[0]
    return next(row for row in held if row.provider_uuid == device.provider.uuid)


def domains_without_rows(case: HostCase) -> Iterator[Disagreement]:
    """Where nova's database was not read: a domain's device that Placement counts for nobody."""
    if case.rows is not None or View.LIBVIRT in case.host.unread:
        return
    for device in (case.providers or {}).values():
        for domain in case.users.get(device.address, ()):
            if device.allocations or case.place(domain.uuid) is not Place.HOME:
                continue
            yield case.disagreement(
                "WC523", device.address,
                f"Domain {domain.name} of {case.cloud.server_text(domain.uuid)} has the device, "
                "and Placement has no allocation of it.",
                "Give nova's database to the audit, for it decides what is repaired.",
                server=domain.uuid, device=device, pending=case.cloud.activity(domain.uuid),
            )  # fmt: skip

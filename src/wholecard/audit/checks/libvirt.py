"""libvirt's domains against nova's rows and servers: who really has a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wholecard.audit.checks.cloud_case import Place
from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.fact_names import REQUEST_ID
from wholecard.audit.record import Disagreement, Domain, Instance, PciDevice, View


def domains_without_device(case: HostCase) -> Iterator[Disagreement]:
    """Each server of this host whose active domain lacks a device that nova gives it.

    nova takes the devices from a guest that is suspended, and a domain that is off has none: only
    an active domain is compared, while nova does nothing with its server.
    """
    for row in (case.rows or {}).values():
        if row.status != "allocated" or row.instance_uuid is None:
            continue
        domain = case.domains.get(row.instance_uuid)
        if domain is not None and domain.is_active and row.address not in domain.hostdevs:
            yield from _lacks(case, row, domain)
    for domain in case.domains.values():
        yield from _lacks_vgpu(case, domain)


def devices_of_domains(case: HostCase) -> Iterator[Disagreement]:
    """Each device that an active domain has and nova does not give to its server."""
    for address, users in case.users.items():
        row = (case.rows or {}).get(address)
        if len(users) == 1 and row is not None and row.instance_uuid == users[0].uuid:
            if not row.is_held:
                yield from _free_in_nova(case, address, row, users[0])
            elif case.place(users[0].uuid) is Place.GONE:
                yield _unknown(case, address, row, users[0])
            continue
        if len(users) > 1:
            yield _two_domains(case, address, row, users)
            continue
        yield from _not_its_own(case, address, row, users[0])


def mdevs_missing(case: HostCase) -> Iterator[Disagreement]:
    """Each mediated device that an active domain names and the host does not have.

    The other way round is no damage: nova keeps a mediated device for the next server.
    """
    if case.host.mdevs is None:
        return
    here = {mdev.uuid for mdev in case.host.mdevs if mdev.active}
    for domain in case.domains.values():
        if not domain.is_active:
            continue
        for mdev in domain.mdevs:
            if mdev not in here:
                yield case.disagreement(
                    "WC541", mdev,
                    f"Domain {domain.name} has the mediated device {mdev}, which the host does "
                    "not have.",
                    f"Start it on {case.name}, then hard-reboot the server (nova does not make it "
                    f"again by itself):\n    mdevctl start --uuid {mdev}",
                    server=domain.uuid, pending=case.cloud.activity(domain.uuid),
                )  # fmt: skip


def _is_gone(case: HostCase, address: str) -> bool:
    return case.functions is not None and address not in case.functions


def _lacks(case: HostCase, row: PciDevice, domain: Domain) -> Iterator[Disagreement]:
    # The device is with another domain, or gone: that is the finding.
    if row.address in case.users or _is_gone(case, row.address):
        return
    if case.place(domain.uuid) is not Place.HOME or case.is_of_a_port(row):
        return
    yield case.disagreement(
        "WC512", row.address,
        f"nova gives the device to {case.cloud.server_text(domain.uuid)}, and its domain "
        f"{domain.name} runs without it.",
        f"Hard-reboot the server, which defines the domain again with its devices:\n"
        f"    openstack server reboot --hard {domain.uuid}",
        server=domain.uuid, row=row,
        pending=case.cloud.activity(domain.uuid)
        or case.cloud.young(row.updated_at or row.created_at, "the row"),
    )  # fmt: skip


def _lacks_vgpu(case: HostCase, domain: Domain) -> Iterator[Disagreement]:
    instance = case.cloud.instance(domain.uuid)
    if instance is None or not domain.is_active or len(domain.mdevs) >= instance.vgpus:
        return
    if case.place(domain.uuid) is not Place.HOME:
        return
    yield case.disagreement(
        "WC512", "",
        f"{case.cloud.server_text(domain.uuid).capitalize()} asks for {instance.vgpus} VGPU, and "
        f"its domain {domain.name} has {len(domain.mdevs)} mediated devices.",
        f"Hard-reboot the server:\n    openstack server reboot --hard {domain.uuid}",
        server=domain.uuid, pending=case.cloud.activity(domain.uuid),
    )  # fmt: skip


def _two_domains(
    case: HostCase, address: str, row: PciDevice | None, users: list[Domain]
) -> Disagreement:
    names = " and ".join(f"{domain.name} ({domain.uuid})" for domain in users)
    return case.disagreement(
        "WC514", address,
        f"The device is in {len(users)} active domains: {names}.",
        "Find out which server the device belongs to, and stop the other one first.",
        server=users[0].uuid, row=row,
    )  # fmt: skip


def _not_its_own(
    case: HostCase, address: str, row: PciDevice | None, domain: Domain
) -> Iterator[Disagreement]:
    """A domain has the device, and nova has no row, a free row, or another server's."""
    place = case.place(domain.uuid)
    if place is Place.MOVING:
        return
    if place is Place.HOME:
        other = row.instance_uuid if row is not None and row.is_held else None
        if other and case.place(other) in (Place.HOME, Place.MOVING):
            yield _other_holds(case, address, row, domain, other)
        else:
            yield from _free_in_nova(case, address, row, domain)
        return
    if case.rows is not None and _concerns_nova(case, row, domain, place):
        yield _unknown(case, address, row, domain)


def _concerns_nova(case: HostCase, row: PciDevice | None, domain: Domain, place: Place) -> bool:
    """Whether a domain that is no server of this host is nova's business: a guest of the
    operator's own, with a device that nova does not know, is not."""
    return row is not None or place is Place.ELSEWHERE or domain.uuid in case.cloud.instances


def _other_holds(
    case: HostCase, address: str, row: PciDevice | None, domain: Domain, other: str
) -> Disagreement:
    cloud = case.cloud
    return case.disagreement(
        "WC514", address,
        f"nova gives the device to {cloud.server_text(other)}, and domain {domain.name} of "
        f"{cloud.server_text(domain.uuid)} has it.",
        "Do not start or reboot either server before it is known whose device it is. "
        "wholecard repair plan shows both sides.",
        server=other, row=row, pending=cloud.activity(domain.uuid) or cloud.activity(other),
    )  # fmt: skip


def _free_in_nova(
    case: HostCase, address: str, row: PciDevice | None, domain: Domain
) -> Iterator[Disagreement]:
    cloud = case.cloud
    instance = cloud.instance(domain.uuid)
    if row is None and not (instance and _misses_rows(case, instance, address)):
        return
    if row is None:
        seen = "nova's pci_devices has no row for it"
    elif row.is_held:
        seen = f"nova's row is {row.status} for {row.instance_uuid or 'nobody'}"
    else:
        seen = f"nova's row is {row.status}"
    yield case.disagreement(
        "WC513", address,
        f"Domain {domain.name} of {cloud.server_text(domain.uuid)} has the device, and {seen}: "
        "nova can give it to a second server." + _freed_by_a_revert(case, domain.uuid),
        "wholecard repair plan writes the row back. Until then keep new servers off the host:\n"
        f"    openstack compute service set --disable {case.name} nova-compute",
        server=domain.uuid, row=row, more=_request(case, instance),
        pending=cloud.activity(domain.uuid)
        or (cloud.young(row.updated_at or row.created_at, "the row") if row else ""),
    )  # fmt: skip


def _freed_by_a_revert(case: HostCase, server: str) -> str:
    """A sentence where nova itself can have done it (`REVERT_FREES_ROWS`), else empty."""
    moves = case.cloud.migrations_of(server)
    last = max(moves, key=lambda row: row.id) if moves else None
    if last is None or last.status != "reverted" or last.source_node != case.name:
        return ""
    return (
        f" nova itself can leave this: its {last.migration_type} {last.id} was reverted to this "
        "host."
    )


def _request(case: HostCase, instance: Instance | None) -> Mapping[str, str]:
    """The request of the flavor of which the server has too few rows; none where several are."""
    requests = instance.pci_requests if instance is not None else None
    held = [row.request_id for row in (case.rows or {}).values() if row.is_held]
    unmet = [
        request.request_id
        for request in requests or ()
        if request.alias_name is not None and held.count(request.request_id) < request.count
    ]
    return {REQUEST_ID: unmet[0]} if len(unmet) == 1 else {}


def _misses_rows(case: HostCase, instance: Instance, address: str) -> bool:
    """Whether nova's requests of the server are more than its rows here.

    Cyborg's devices and those attached by hand have no row, and this is no damage.
    """
    if case.rows is None or address in case.foreign:
        return False
    if instance.pci_requests is None:
        return case.host.has(View.PLACEMENT) and not case.foreign
    wanted = sum(request.count for request in instance.pci_requests)
    held = sum(row.instance_uuid == instance.uuid and row.is_held for row in case.rows.values())
    return held < wanted


def _unknown(case: HostCase, address: str, row: PciDevice | None, domain: Domain) -> Disagreement:
    cloud = case.cloud
    return case.disagreement(
        "WC542", address,
        f"Domain {domain.name} has the device, and {cloud.server_text(domain.uuid)} "
        f"{cloud.where_text(domain.uuid)}.",
        f"Look at the domain on {case.name}. If nobody needs it, end it there (virsh destroy) "
        "before anything else is changed:\n"
        f"    virsh dominfo {domain.uuid}",
        server=domain.uuid, row=row, pending=cloud.activity(domain.uuid),
    )  # fmt: skip

"""Mediated devices: the parents of those that a domain has, against what Placement counts.

nova, nova/virt/libvirt/driver.py: `_allocate_mdevs` makes each device on the parent whose provider
is allocated; `_update_provider_tree_for_vgpu` removes no provider of a parent that is gone. A
device without a server is no damage: nova keeps it for the next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from wholecard.audit.checks.cloud_case import Place
from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.record import Disagreement, Domain
from wholecard.nova.match.mdevs import libvirt_name, nova_parent

_PCI = re.compile(r"pci_([0-9a-f]{4})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])")


def parents(case: HostCase) -> Iterator[Disagreement]:
    """Each server of this host whose devices are of other parents than Placement counts."""
    names = _parents_in_placement(case)
    if not names or case.host.mdevs is None:
        return
    parent_of = {mdev.uuid: libvirt_name(nova_parent(mdev.parent)) for mdev in case.host.mdevs}
    for domain in case.domains.values():
        if domain.is_active and domain.mdevs and case.place(domain.uuid) is Place.HOME:
            has = Counter(parent_of[uuid] for uuid in domain.mdevs if uuid in parent_of)
            # Cyborg's parents have no provider of nova's.
            known = Counter({name: count for name, count in has.items() if name in names.values()})
            yield from _compared(case, domain, known, _counted(case, domain.uuid, names))


def _compared(
    case: HostCase, domain: Domain, has: Counter[str], counted: Counter[str]
) -> Iterator[Disagreement]:
    server = case.cloud.server_text(domain.uuid)
    more, less = has - counted, counted - has
    instance = case.cloud.instance(domain.uuid)
    if more and less:
        yield case.disagreement(
            "WC534", "",
            f"{server.capitalize()} has a mediated device of {_listed(more)}, and Placement counts "
            f"it at {_listed(less)}: the one parent is offered beyond what it has, the other is "
            "not given.",
            "Find out who made the device. Delete it from the domain (virsh detach-device), then "
            f"hard-reboot the server:\n    openstack server reboot --hard {domain.uuid}",
            server=domain.uuid, pending=case.cloud.activity(domain.uuid),
        )  # fmt: skip
    elif more and not counted and instance is not None and not instance.vgpus:
        # One that asks for VGPU is compared by its flavor (allocations.vgpus).
        yield case.disagreement(
            "WC523", "",
            f"{server.capitalize()} has a mediated device of {_listed(more)}, and Placement counts "
            "none for it: nova can give it to a second server.",
            "Write the allocation again with openstack resource provider allocation set, the "
            "server's other resources included.",
            server=domain.uuid, pending=case.cloud.activity(domain.uuid),
        )  # fmt: skip


def without_parent(case: HostCase) -> Iterator[Disagreement]:
    """Each provider of a parent that the host does not have any more: nova keeps it for ever."""
    if case.functions is None:
        return
    for uuid, name in _parents_in_placement(case).items():
        match = _PCI.fullmatch(name)
        address = "{}:{}:{}.{}".format(*match.groups()) if match else ""
        if not address or address in case.functions:
            continue
        held = ", ".join(row.consumer for row in case.allocations.get(uuid, ()))
        yield case.disagreement(
            "WC535", address,
            f"Placement has the provider {case.name}_{name}, and the host has no such parent: a "
            "server that is sent there is refused."
            + (f" It is still allocated to {held}." if held else ""),
            "Where the VFs are missing after a reboot, make them, and restart nova-compute. Where "
            "the card is gone for good:\n"
            f"    openstack resource provider delete {uuid}",
        )  # fmt: skip


def _parents_in_placement(case: HostCase) -> dict[str, str]:
    """nova's providers of parents: their uuids, and the names that libvirt has for them."""
    tree, prefix = case.host.providers, f"{case.name}_"
    devices = {device.provider.uuid for device in (case.providers or {}).values()}
    return {
        provider.uuid: provider.name.removeprefix(prefix)
        for provider in (tree.below if tree else ())
        if provider.uuid in case.novas and provider.uuid not in devices
    }


def _counted(case: HostCase, server: str, names: dict[str, str]) -> Counter[str]:
    """How many devices of each parent Placement counts for the server, in whatever class."""
    counted: Counter[str] = Counter()
    for uuid, name in names.items():
        for row in case.allocations.get(uuid, ()):
            migration = case.cloud.migration(row.consumer)
            if row.consumer == server or (migration and migration.instance_uuid == server):
                counted[name] += row.used
    return counted


def _listed(counts: Counter[str]) -> str:
    return " and ".join(sorted(counts))

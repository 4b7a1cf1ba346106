"""What is seen at each station of the way while a server with cards runs."""

from __future__ import annotations

import re

from openstack.connection import Connection

from wholecard.cloud.placement.resource_providers import allocations, providers
from wholecard.core import RunError
from wholecard.guest.proof import hostdev
from wholecard.lab.lab import Lab
from wholecard.lab.node.node import LabNode
from wholecard.lab.report.record import ServerRecord, Station
from wholecard.lab.scenario import views
from wholecard.lab.scenario.prove_cards import Booted

_CLAIM = re.compile(r"(Attempting claim|Claim successful|Took [\d.]+ seconds to (?:spawn|build)).*")


def seen(lab: Lab, conn: Connection, booted: Booted, record: ServerRecord) -> list[Station]:
    """The seven stations, each with a few lines of evidence."""
    outcome = booted.outcome
    asked = (f"POST http://127.0.0.1:{lab.settings.ports['nova-api']}/v2.1/servers, "
             f"flavor {record.flavor} ({record.asked})")  # fmt: skip
    states = ", ".join(f"{state.state} {state.seconds:.1f} s" for state in outcome.states)
    node = lab.node(outcome.host or "")
    return [
        Station("api", "nova-api", (asked, f"server {outcome.id}", f"then {states}")),
        Station("amqp", "AMQP (RabbitMQ)", _queues(lab)),
        Station("scheduler", "nova-scheduler, Placement", _claimed(conn, outcome.id)),
        Station("compute", "nova-compute",
                (f"host {outcome.host}", *_compute_log(node, outcome.id))),
        Station("kvm", "KVM (libvirt, QEMU)", _domain(node, outcome.id)),
        Station("vfio", "VFIO", _groups(node, outcome.id)),
        Station("card", "cards", tuple(
            f"{row.host_address} {row.name} {row.ids} is {row.guest_address} in the guest"
            for row in record.rows
        )),
    ]  # fmt: skip


def _queues(lab: Lab) -> tuple[str, ...]:
    """The queues of nova's services with their consumers, as the broker lists them."""
    try:
        consumers = lab.control.queues()
    except RunError as error:
        return (f"not read: {error.brief}",)
    lines = [f"queue {name}: {count} consumers" for name, count in consumers.items()
             if name.startswith(("conductor", "scheduler", "compute"))
             and "fanout" not in name]  # fmt: skip
    return tuple(sorted(lines)) or ("no queue of nova's services",)


def _claimed(conn: Connection, server_id: str) -> tuple[str, ...]:
    names = {provider.uuid: provider.name for provider in providers(conn)}
    return tuple(
        f"allocated {row.amount} {row.resource_class} of {names.get(row.provider_uuid, '?')}"
        for row in allocations(conn, server_id)
    )


def _compute_log(node: LabNode, server_id: str) -> tuple[str, ...]:
    answer = node.ssh(
        ["grep", "-F", server_id, "/var/log/nova/nova-compute.log"], timeout=600, check=False
    )
    matches = [_CLAIM.search(line) for line in answer.stdout.splitlines()]
    return tuple(dict.fromkeys(match.group(0)[:90] for match in matches if match))


def _domain(node: LabNode, server_id: str) -> tuple[str, ...]:
    xml = views.domain_xml(node, server_id)
    state = node.virsh("domstate", server_id, timeout=600)
    kind = re.search(r"<domain type='(\w+)'", xml)
    name = re.search(r"<name>([^<]+)</name>", xml)
    return (
        f"domain {name[1] if name else '?'} is {state.stdout.strip()}",
        f"type {kind[1] if kind else '?'}, {len(hostdev.parse(xml))} <hostdev> elements",
    )


def _groups(node: LabNode, server_id: str) -> tuple[str, ...]:
    files = views.vfio_files(node, server_id)
    return tuple(f"QEMU holds {name}" for name in files) or ("no VFIO file is open",)

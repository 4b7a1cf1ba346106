"""The four views of the cards: nova's database, Placement, libvirt and sysfs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from openstack.connection import Connection

from wholecard.cloud.placement.resource_providers import providers, providers_text
from wholecard.core import Finding, Severity
from wholecard.lab.control.services import Control
from wholecard.lab.lab import Lab
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.cloud_plan import all_free

_ROWS = """select node.host, device.address, device.vendor_id, device.product_id,
device.dev_type, device.status, ifnull(device.instance_uuid, '')
from nova.pci_devices device join nova.compute_nodes node on node.id = device.compute_node_id
where device.deleted = 0 order by node.host, device.address;"""

_DRIVERS = """for f in "$@"; do d=$(readlink "/sys/bus/pci/devices/$f/driver") || d=none
echo "$f ${d##*/}"; done"""


@dataclass(frozen=True)
class DeviceRow:
    """One row of nova's `pci_devices`, with the host of its compute node."""

    host: str
    address: str
    ids: str
    dev_type: str
    status: str
    instance: str


def device_rows(control: Control) -> tuple[DeviceRow, ...]:
    """nova's view of the functions, from its database, for nova has no API for it."""
    rows = control.sql(_ROWS)[1:]
    return tuple(
        DeviceRow(
            row[0], row[1], f"{row[2]}:{row[3]}", row[4], row[5], row[6] if len(row) > 6 else ""
        )
        for row in rows
    )


def drivers(node: LabNode, addresses: list[str]) -> dict[str, str]:
    """Each function's driver in sysfs now; `none` without one."""
    answer = node.ssh(["sh", "-c", _DRIVERS, "sh", *addresses], timeout=600)
    return dict(line.split() for line in answer.stdout.splitlines())


def free_findings(lab: Lab, conn: Connection) -> tuple[list[Finding], str]:
    """What is not free again after a server is gone, and three of the views as text."""
    rows = device_rows(lab.control)
    bound = {
        f"{spec.name} {address}": driver
        for spec in lab.nodes
        for address, driver in drivers(
            lab.node(spec.name), [row.address for row in rows if row.host == spec.name]
        ).items()
    }
    current = providers(conn)
    findings = _rows_in_use(rows)
    findings += [
        _held(function, f"its driver is {driver}, not vfio-pci")
        for function, driver in bound.items()
        if driver != "vfio-pci"
    ]
    if not all_free(current, len(lab.nodes)):
        findings.append(_held("Placement", "not every unit of the cards is free"))
    text = "\n".join(
        ["nova.pci_devices:", *(f"  {row.host} {row.address} {row.ids} {row.dev_type} {row.status}"
                                for row in rows),
         "Placement:", *("  " + line for line in providers_text(current).splitlines()),
         "sysfs:", *(f"  {function} {driver}" for function, driver in bound.items())]
    )  # fmt: skip
    return findings, text


def _rows_in_use(rows: Sequence[DeviceRow]) -> list[Finding]:
    if not rows:
        return [_held("cards", "nova's database has no row for any of them")]
    return [
        _held(
            f"{row.host} {row.address}",
            f"nova's database has it {row.status} for {row.instance or 'no server'}",
        )
        for row in rows
        if row.status != "available" or row.instance
    ]


def domain_xml(node: LabNode, server_id: str) -> str:
    """libvirt's XML of a server's domain."""
    return node.virsh("dumpxml", server_id).stdout


def vfio_files(node: LabNode, server_id: str) -> tuple[str, ...]:
    """The VFIO groups that the server's QEMU has open, as `/dev/vfio/N`, sorted."""
    script = (
        f"pid=$(pgrep -f -- {shlex.quote('-uuid ' + server_id)} | head -n1); "
        'ls -l "/proc/$pid/fd" | sed -n "s/.* //p" | grep "^/dev/vfio/" | sort -u'
    )
    answer = node.ssh(["sh", "-c", script], timeout=600, check=False)
    return tuple(answer.stdout.split())


def _held(subject: str, message: str) -> Finding:
    return Finding("WC501", subject, Severity.ERROR, message, "wholecard lab down, then up")

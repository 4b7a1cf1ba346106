"""The four views of the cards: nova's database, Placement, libvirt and sysfs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from openstack.connection import Connection

from wholecard.cloud.placement.resource_providers import providers, providers_text
from wholecard.core import Finding, Severity
from wholecard.lab.control.services import Control
from wholecard.lab.node.node import LabNode
from wholecard.lab.scenario.cloud_plan import all_free

_ROWS = """select address, vendor_id, product_id, dev_type, status, ifnull(instance_uuid, '')
from nova.pci_devices where deleted = 0 order by address;"""

_DRIVERS = """for f in "$@"; do d=$(readlink "/sys/bus/pci/devices/$f/driver") || d=none
echo "$f ${d##*/}"; done"""


@dataclass(frozen=True)
class DeviceRow:
    """One row of nova's `pci_devices`."""

    address: str
    ids: str
    dev_type: str
    status: str
    instance: str


def device_rows(control: Control) -> tuple[DeviceRow, ...]:
    """nova's view of the functions, from its database, for nova has no API for it."""
    rows = control.sql(_ROWS)[1:]
    return tuple(
        DeviceRow(row[0], f"{row[1]}:{row[2]}", row[3], row[4], row[5] if len(row) > 5 else "")
        for row in rows
    )


def drivers(node: LabNode, addresses: list[str]) -> dict[str, str]:
    """Each function's driver in sysfs now; `none` without one."""
    answer = node.ssh(["sh", "-c", _DRIVERS, "sh", *addresses], timeout=30)
    return dict(line.split() for line in answer.stdout.splitlines())


def free_findings(control: Control, conn: Connection, node: LabNode) -> tuple[list[Finding], str]:
    """What is not free again after a server is gone, and three of the views as text."""
    rows = device_rows(control)
    bound = drivers(node, [row.address for row in rows])
    current = providers(conn)
    findings = _rows_in_use(rows)
    findings += [
        _held(address, f"its driver is {driver}, not vfio-pci")
        for address, driver in bound.items()
        if driver != "vfio-pci"
    ]
    if not all_free(current):
        findings.append(_held("Placement", "not every unit of the cards is free"))
    text = "\n".join(
        ["nova.pci_devices:", *(f"  {row.address} {row.ids} {row.dev_type} {row.status}"
                                for row in rows),
         "Placement:", *("  " + line for line in providers_text(current).splitlines()),
         "sysfs:", *(f"  {address} {driver}" for address, driver in bound.items())]
    )  # fmt: skip
    return findings, text


def _rows_in_use(rows: Sequence[DeviceRow]) -> list[Finding]:
    if not rows:
        return [_held("cards", "nova's database has no row for any of them")]
    return [
        _held(row.address, f"nova's database has it {row.status} for {row.instance or 'no server'}")
        for row in rows
        if row.status != "available" or row.instance
    ]


def domain_xml(node: LabNode, server_id: str) -> str:
    """libvirt's XML of a server's domain."""
    return node.ssh(["virsh", "-c", "qemu:///system", "dumpxml", server_id], timeout=60).stdout


def vfio_files(node: LabNode, server_id: str) -> tuple[str, ...]:
    """The VFIO groups that the server's QEMU has open, as `/dev/vfio/N`, sorted."""
    script = (
        f"pid=$(pgrep -f -- {shlex.quote('-uuid ' + server_id)} | head -n1); "
        'ls -l "/proc/$pid/fd" | sed -n "s/.* //p" | grep "^/dev/vfio/" | sort -u'
    )
    answer = node.ssh(["sh", "-c", script], timeout=30, check=False)
    return tuple(answer.stdout.split())


def _held(subject: str, message: str) -> Finding:
    return Finding("WC501", subject, Severity.ERROR, message, "wholecard lab down, then up")

"""Repairs of the lab: its nodes as a repair asks them, and what a rollback has to bring back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openstack.connection import Connection

from wholecard.audit.checks.cloud_case import PERIOD
from wholecard.audit.record import Domain, View
from wholecard.audit.views.host_facts import SavedFacts
from wholecard.core import WholecardError
from wholecard.lab.lab import Lab
from wholecard.lab.scenario.audits import audit_lab, save_facts
from wholecard.lab.scenario.restart import start_compute, stop_compute
from wholecard.repair.changing.journal import RepairJournal
from wholecard.repair.database.accounts import CellDatabases
from wholecard.repair.operations.operation import RepairContext
from wholecard.repair.remedies.case import RepairOptions
from wholecard.repair.request import RepairRequest

# The first microversion whose allocations have their consumer's type (placement: 1.38), and the
# last without: nova names no type, which is read as `unknown` and cannot be written.
ALLOCATIONS, WITHOUT_TYPES = "1.38", "1.36"


class LabHosts:
    """The lab's nodes; one that does not run cannot be read."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def domains(self, host: str) -> tuple[Domain, ...]:
        facts = SavedFacts(save_facts(self._lab, (host,))).facts((host,)).get(host)
        if facts is None:
            raise WholecardError(f"{host} does not answer")
        if facts.domains is None:
            raise WholecardError(f"{host}: no domains", facts.unread.get(View.LIBVIRT, ""))
        return facts.domains

    def restart_compute(self, host: str) -> str:
        node = self._lab.node(host)
        stop_compute(self._lab, node)
        start_compute(self._lab, node)
        return "nova-compute.service"


def repair_of(
    lab: Lab, conn: Connection, state: Path, options: RepairOptions | None = None
) -> RepairRequest:
    """A repair of what an audit of the whole lab finds; its journals are in `state`."""
    databases = CellDatabases.read(lab.folder.run / "databases-repair.ini")
    return RepairRequest(
        RepairContext(conn, databases, LabHosts(lab)),
        lambda: audit_lab(lab, wait=PERIOD),
        RepairJournal(state),
        options or RepairOptions(),
    )


def rows(lab: Lab) -> list[list[str]]:
    """Every column of every row of nova's PCI devices."""
    return lab.control.sql("select * from nova.pci_devices order by id;")


def allocation(conn: Connection, consumer: str) -> dict[str, Any]:
    """What Placement has of a consumer, without the generations, which count the writes."""
    answer = conn.placement.get(f"/allocations/{consumer}", microversion=ALLOCATIONS)
    assert answer.status_code == 200, answer.text
    data = dict(answer.json())
    data.pop("consumer_generation", None)
    for provider in data["allocations"].values():
        del provider["generation"]
    return data


def without_provider(conn: Connection, consumer: str, provider: str) -> None:
    """Take one provider out of a consumer's allocation, as a hand with the API could."""
    whole = conn.placement.get(f"/allocations/{consumer}", microversion=WITHOUT_TYPES).json()
    del whole["allocations"][provider]
    for left in whole["allocations"].values():
        del left["generation"]
    answer = conn.placement.put(f"/allocations/{consumer}", json=whole, microversion=WITHOUT_TYPES)
    assert answer.status_code == 204, answer.text

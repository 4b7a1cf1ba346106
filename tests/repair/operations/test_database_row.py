"""A row of nova's database is changed under guards, and written back byte for byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.repair_bench import ADDRESS, WHEN, A, B, Bench
from wholecard.audit.record import Domain
from wholecard.core import UsageError, WholecardError
from wholecard.repair.changing.apply import rollback
from wholecard.repair.database.accounts import CellDatabases
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.operations.guards import GuardError

FREED = (("status", "available"), ("instance_uuid", None), ("request_id", None))
STAMP = "2026-11-30T06:00:00"


def freeing(**fields: object) -> DatabaseRowChange:
    values: dict[str, object] = {
        "cell": "cell1", "row_id": 1, "host": "gpu-01", "address": ADDRESS, "status": "allocated",
        "instance": A, "updated": WHEN, "values": FREED, "stamp": STAMP,
    }  # fmt: skip
    return DatabaseRowChange(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _rows(bench: Bench) -> None:
    """A row that server A has, and one that is free."""
    bench.add_row(1, status="allocated", instance_uuid=A, request_id="r1", numa_node=1)
    bench.add_row(2, "0000:c1:00.0")


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (freeing(), ("available", None, None, 0)),
        (freeing(values=(("deleted", 1), ("deleted_at", STAMP))), ("allocated", A, "r1", 1)),
    ],
)
def test_update_and_back(
    bench: Bench, change: DatabaseRowChange, after: tuple[object, ...]
) -> None:
    """The columns are set with a new updated_at, and rollback restores the row byte for byte."""
    before = bench.rows()
    bench.apply(change)
    assert bench.state_of(1) == after
    assert bench.sql("SELECT updated_at FROM pci_devices WHERE id = 1") == [
        ("2026-11-30 06:00:00.000000",)
    ]
    assert bench.rows()[1:] == before[1:]
    assert bench.rollback().notes == ()
    assert bench.rows() == before


def test_delete_and_back(bench: Bench) -> None:
    """A deleted row is inserted again with its id and all of its columns."""
    before = bench.rows()
    bench.apply(freeing(values=()))
    assert bench.rows() == before[1:]
    assert bench.rollback().notes == ()
    assert bench.rows() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pci_devices SET status = 'claimed'",
        f"UPDATE pci_devices SET instance_uuid = '{B}'",
        "UPDATE pci_devices SET updated_at = '2026-11-29 10:41:00.000000'",
        "DELETE FROM pci_devices WHERE id = 1",
    ],
)
def test_changed_since_the_audit(bench: Bench, statement: str) -> None:
    """A row that differs in status, owner or time, or is gone, is not touched."""
    bench.sql(statement)
    before = bench.rows()
    with pytest.raises(WholecardError, match="changed since"):
        bench.apply(freeing())
    assert (bench.rows(), bench.status) == (before, "clean")


@pytest.mark.parametrize("read", [2, 3])
def test_raw_sql_behind_the_back(bench: Bench, read: int) -> None:
    """A column that raw SQL changed after the row was kept is seen, whatever updated_at says."""

    def foreign_hand(number: int) -> None:
        # The second read of the domains is before the transaction, the third is within it.
        if number == read == 2:
            bench.sql("UPDATE pci_devices SET request_id = 'r2' WHERE id = 1")
        elif number == read:
            with pytest.raises(Exception, match="locked"):
                bench.sql("UPDATE pci_devices SET request_id = 'r2' WHERE id = 1")

    bench.hosts.at_read = foreign_hand
    if read == 2:
        with pytest.raises(GuardError, match="changed since the audit"):
            bench.apply(freeing())
        assert bench.state_of(1) == ("allocated", A, "r2", 0)
        bench.rollback()
        assert bench.status == "clean"


@pytest.mark.parametrize("state", ["running", "shut off"])
@pytest.mark.parametrize("read", [1, 2, 3])
def test_a_domain_has_it(bench: Bench, read: int, state: str) -> None:
    """A device that a domain names is not freed, whether it is seen first or in the transaction."""
    before = bench.rows()

    def attach(number: int) -> None:
        if number == read:
            bench.hosts.by_host["gpu-01"] = (Domain(B, "instance-2", state, (ADDRESS,)),)

    bench.hosts.at_read = attach
    with pytest.raises(GuardError, match="instance-2"):
        bench.apply(freeing())
    assert bench.rows() == before


def test_domains_that_cannot_be_read(bench: Bench) -> None:
    """A host that does not answer keeps its rows, unless it has no power and nova says so too."""
    bench.hosts.by_host.pop("gpu-01")
    with pytest.raises(GuardError, match="cannot be read") as caught:
        bench.apply(freeing())
    assert "--powered-off gpu-01" in caught.value.resolution
    with pytest.raises(GuardError, match="its nova-compute is up"):
        bench.apply(freeing(host_is_off=True))
    bench.change(services={"gpu-01": {"state": "down", "updated_at": WHEN}})
    bench.apply(freeing(host_is_off=True))
    assert bench.state_of(1)[0] == "available"


def test_a_row_for_the_domain_that_has_it(bench: Bench) -> None:
    """A free row goes to the server whose running domain alone has the device, and to no other."""
    bench.sql("UPDATE pci_devices SET status = 'available', instance_uuid = NULL WHERE id = 1")
    claim = freeing(status="available", instance=None, holder=A,
                    values=(("status", "allocated"), ("instance_uuid", A)))  # fmt: skip
    for domains in ((), (Domain(B, "b", "running", (ADDRESS,)),),
                    (Domain(A, "a", "shut off", (ADDRESS,)),)):  # fmt: skip
        bench.hosts.by_host["gpu-01"] = domains
        with pytest.raises(GuardError, match="is not with the running domain"):
            bench.apply(claim)
    bench.hosts.by_host["gpu-01"] = (Domain(A, "a", "running", (ADDRESS,)),)
    bench.apply(claim)
    assert bench.state_of(1) == ("allocated", A, "r1", 0)
    bench.rollback()
    bench.sql("UPDATE pci_devices SET request_id = NULL WHERE id = 1")
    with pytest.raises(GuardError, match="names no request_id"):
        bench.apply(claim)


def test_a_physical_function(bench: Bench) -> None:
    """A PF with rows of VFs is left to nova, which changes their rows together."""
    bench.sql("UPDATE pci_devices SET dev_type = 'type-PF' WHERE id = 1")
    bench.sql("UPDATE pci_devices SET parent_addr = ? WHERE id = 2", ADDRESS)
    with pytest.raises(GuardError, match="PF with rows of VFs"):
        bench.apply(freeing())
    assert bench.state_of(1)[0] == "allocated"


def test_rollback_of_a_row_that_is_anothers(bench: Bench) -> None:
    """A row that nova gave to another server since is left, also with --discard-edits."""
    bench.apply(freeing())
    bench.sql("UPDATE pci_devices SET status = 'allocated', instance_uuid = ? WHERE id = 1", B)
    with pytest.raises(WholecardError, match="changed since it was applied"):
        bench.rollback()
    (note,) = bench.rollback(discard_edits=True).notes
    assert f"nova has given the device to server {B}" in note
    assert bench.state_of(1)[1] == B


def test_rollback_beside_a_new_row(bench: Bench) -> None:
    """A deleted row for which nova has made a new one is not restored, and that is said."""
    bench.apply(freeing(values=()))
    bench.add_row(9)
    (note,) = bench.rollback().notes
    assert "nova has a new row for the device" in note
    assert [row[4] for row in bench.rows()] == [2, 9]


def test_another_database(bench: Bench) -> None:
    """A row of this id that has another address is not touched: it is another database."""
    with pytest.raises(GuardError, match="changed since") as caught:
        bench.apply(freeing(row_id=2))
    assert "is it another database?" in caught.value.details


def test_without_an_account(bench: Bench) -> None:
    """Without an account that may write, the error has the file and the GRANTs."""
    bench.write_file.write_text("[cell other]\nconnection = sqlite:////nowhere\n[cell x]\n"
                                "connection = sqlite:////nowhere\n")  # fmt: skip
    with pytest.raises(UsageError, match="the database of the cell cell1") as caught:
        bench.apply(freeing())
    assert str(bench.write_file) in caught.value.details
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON nova_cell1.pci_devices" in caught.value.details
    assert "--databases-write FILE" in caught.value.resolution
    assert bench.status == "clean"


def test_rollback_without_an_account(bench: Bench) -> None:
    """A rollback that writes a row is refused before anything is undone, and can be run again."""
    bench.apply(freeing())
    context = replace(bench.context, databases=CellDatabases())
    with pytest.raises(UsageError, match="has no account for it"):
        rollback(context, bench.journal, discard_edits=True)
    assert (bench.status, bench.state_of(1)[0]) == ("applied", "available")


def test_the_only_cell(bench: Bench) -> None:
    """A row of a cell without a name is in the only database of the file."""
    bench.apply(freeing(cell=""))
    assert bench.state_of(1)[0] == "available"
    assert CellDatabases().engines == {}

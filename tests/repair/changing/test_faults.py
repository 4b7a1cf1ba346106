"""A repair that is killed at any point is finished or undone, and nothing is lost."""

from __future__ import annotations

import logging
import shutil
import traceback
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from support.openstack_api import PASSWORD
from support.repair_bench import (
    ADDRESS,
    CARD1,
    CARD2,
    CLASS,
    MIGRATION,
    ROOT1,
    ROOT2,
    SECRET,
    WHEN,
    A,
    B,
    Bench,
    holding,
)
from support.repair_cloud import provider
from support.repair_faults import killed, points_of, refused
from wholecard.core import UsageError, WholecardError
from wholecard.repair.changing.apply import apply
from wholecard.repair.database.accounts import CellDatabases, DatabaseError
from wholecard.repair.operations.allocations import (
    AllocationChange,
    AllocationGuard,
    ConsumerChange,
    Holding,
)
from wholecard.repair.operations.database_row import DatabaseRowChange
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.repair.operations.provider import ProviderRemoval
from wholecard.repair.operations.reserved import ReservedChange

STAMP = "2026-11-30T06:00:00"
GONE = "10000000-0000-4000-8000-0000000000c1"


def row(number: int, **fields: object) -> DatabaseRowChange:
    values: dict[str, object] = {
        "cell": "cell1", "row_id": number, "host": "gpu-01", "address": ADDRESS,
        "status": "allocated", "instance": A, "updated": WHEN, "stamp": STAMP,
    }  # fmt: skip
    return DatabaseRowChange(**(values | fields))  # type: ignore[arg-type]


CHANGES: tuple[RepairOperation, ...] = (
    row(1, values=(("status", "available"), ("instance_uuid", None), ("request_id", None))),
    row(2, address="0000:c1:00.0", status="removed", instance=None),
    AllocationChange(
        (
            ConsumerChange(MIGRATION, 1, "P", "U", "MIGRATION",
                           (Holding(CARD1, f"gpu-01_{ADDRESS}", CLASS, 1),), (), True),
            ConsumerChange(B, 1, "P", "U", "INSTANCE",
                           (Holding(ROOT1, "gpu-01", "VCPU", 1),), ()),
        ),
        (AllocationGuard("gpu-01", (ADDRESS,)),),
    ),
    ReservedChange(CARD2, f"gpu-02_{ADDRESS}", CLASS, 1, 0, "gpu-02", (ADDRESS,)),
    ProviderRemoval(GONE, "gpu-01_0000:C1:00.0", "gpu-01", ("0000:c1:00.0",)),
)  # fmt: skip


@pytest.fixture
def broken(bench: Bench) -> Bench:
    """A cloud with one of each to repair."""
    bench.add_row(1, status="allocated", instance_uuid=A, request_id="r1")
    bench.add_row(2, "0000:c1:00.0", status="removed", dev_id=None)
    bench.change(
        consumers={MIGRATION: holding(CARD1, type="MIGRATION"), B: holding(ROOT1, ROOT2, CARD2)},
        providers={CARD2: provider(f"gpu-02_{ADDRESS.upper()}", ROOT2, reserved=1, total=2),
                   GONE: provider("gpu-01_0000:C1:00.0", ROOT1, aggregates=["agg"])},
    )  # fmt: skip
    state = bench.cloud.state
    # ReservedChange wants a card that nobody uses.
    del state["consumers"][B]["held"][CARD2]
    bench.cloud.write(state)
    bench.save()
    return bench


def _points(names: list[str]) -> list[int]:
    """All statements and calls of APIs, and some of the journal's own system calls.

    Those are all tried in `tests/cloud/changing/`, for the journal and the engine are the same.
    """
    return [n for n, name in enumerate(names, 1) if " " in name or n % 9 == 0]


def test_killed_apply(broken: Bench) -> None:
    """Killed before any system call, statement or API call, apply is finished, and is undone."""
    before = broken.seen()
    names = points_of(broken.cloud, lambda: broken.apply(*CHANGES))
    after = broken.seen()
    assert {"SQL UPDATE", "SQL DELETE", "SQL COMMIT"} <= set(names)
    assert {name.partition(" ")[0] for name in names} >= {"before", "after", "rename"}
    states = set()
    for number, at in enumerate(_points(names)):
        broken.restore()
        assert killed(broken.cloud, lambda: broken.apply(*CHANGES), at)
        states.add(broken.status)
        # Every other one is not finished before it is undone.
        if number % 2:
            if broken.finish() is None and broken.status == "clean":
                broken.apply(*CHANGES)
            assert (broken.seen(), broken.status) == (after, "applied"), names[at - 1]
        elif broken.status != "clean":
            broken.rollback()
            assert (broken.seen(), broken.status) == (before, "clean"), names[at - 1]
    assert states >= {"clean", "applying"}


def test_killed_rollback(broken: Bench) -> None:
    """Killed at any point, a rollback is finished by the next."""
    before = broken.seen()
    broken.apply(*CHANGES)
    applied = shutil.copytree(broken.journal.folder, broken.folder / "applied")
    broken.save()
    names = points_of(broken.cloud, broken.rollback)
    assert {"SQL UPDATE", "SQL INSERT"} <= set(names)
    for at in _points(names)[::3]:
        broken.restore()
        shutil.copytree(applied, broken.journal.folder)
        assert killed(broken.cloud, broken.rollback, at)
        if broken.status != "clean":
            broken.rollback()
        assert (broken.seen(), broken.status) == (before, "clean"), names[at - 1]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OperationalError("UPDATE", {}, Exception(f"lost connection, password {SECRET}")),
    ],
)
def test_refused_at_each_point(broken: Bench, error: Exception) -> None:
    """A disk that is full, or a database that is gone, at any point leaves nothing undone."""
    before = broken.seen()
    names = points_of(broken.cloud, lambda: broken.apply(*CHANGES))
    only = "SQL" if isinstance(error, OperationalError) else ""
    for at in [n for n, name in enumerate(names, 1) if name.startswith(only) and n % 8 == 0]:
        broken.restore()
        refused(broken.cloud, lambda: broken.apply(*CHANGES), at, error)
        if broken.status != "clean":
            broken.rollback()
        assert (broken.seen(), broken.status) == (before, "clean"), names[at - 1]


def test_two_at_once(broken: Bench) -> None:
    """A second repair of the same cloud is refused as long as the first one runs."""
    other = replace(broken.journal, folder=broken.folder / "other")
    shared = broken.folder / "shared"
    seen: list[str] = []

    def second(number: int) -> None:
        # The third read is within the first transaction.
        if number != 3:
            return
        for journal in (broken.journal, replace(other, shared=shared)):
            with pytest.raises(WholecardError, match="another apply or rollback is running"):
                apply(broken.context, journal, broken.plan(*CHANGES), ("WC515",))
            seen.append(journal.folder.name)

    broken.hosts.at_read = second
    journal = replace(broken.journal, shared=shared)
    apply(broken.context, journal, broken.plan(CHANGES[0]), ("WC515",))
    assert seen == ["state", "other"]


def test_database_gone(broken: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A database that goes in the middle is told without its password, and can be gone on with."""
    caplog.set_level(logging.DEBUG)
    hidden = broken.folder / "hidden"

    def vanish(number: int) -> None:
        if number == 8:
            broken.database.rename(hidden)
            broken.database.mkdir()

    before = broken.seen()
    broken.hosts.at_read = vanish
    with pytest.raises(DatabaseError, match=r"cannot (change|read) row") as caught:
        broken.apply(*CHANGES)
    assert "unable to open" in caught.value.details
    broken.database.rmdir()
    hidden.rename(broken.database)
    broken.finish()
    assert broken.status == "applied"
    broken.rollback()
    assert broken.seen() == before


def test_nothing_secret(broken: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """No password is in a journal, a log, an exception or a representation, also as it fails."""
    caplog.set_level(logging.DEBUG)
    broken.apply(*CHANGES)
    broken.rollback()
    broken.write_file.write_text(
        f"[cell cell1]\nconnection = mysql+pymysql://w:{SECRET}@127.0.0.1:1/nova\n"
    )
    databases = CellDatabases.read(broken.write_file)
    context = RepairContext(broken.conn, databases, broken.hosts)
    with pytest.raises(DatabaseError) as caught:
        apply(context, broken.journal, broken.plan(*CHANGES), ("WC515",))
    with pytest.raises(UsageError, match="database of the cell cell2"):
        databases.engine("cell2")
    chain = f"{caught.value} {caught.value.details} {caught.value.__cause__!r} {databases!r}"
    texts = [caplog.text, chain, "".join(traceback.format_exception(caught.value))]
    texts += [path.read_text() for path in broken.journal.folder.rglob("*") if path.is_file()]
    assert len(texts) > 5
    for text in texts:
        assert SECRET not in text
        assert PASSWORD not in text
    assert (broken.journal.folder / "0001").stat().st_mode & 0o777 == 0o700

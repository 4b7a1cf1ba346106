"""A row of nova's `pci_devices`, changed or deleted in one guarded transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Connection, column, func, literal_column, select, table

from wholecard.cloud.client.errors import GoneError
from wholecard.core import State, Step
from wholecard.repair.database import rows
from wholecard.repair.database.accounts import DatabaseError
from wholecard.repair.database.rows import TABLE, Row, time_text
from wholecard.repair.operations.guards import (
    GuardError,
    refuse_held,
    refuse_other_holder,
)
from wholecard.repair.operations.operation import RepairContext, RepairOperation

# Columns whose value is a time; a plan has them as ISO text.
_TIMES = ("updated_at", "deleted_at")

_AGAIN = "Nothing of it was changed. Run wholecard audit, and plan again."


@dataclass(frozen=True)
class DatabaseRowChange(RepairOperation):
    """Set columns of one row, or delete it (`values` is empty then).

    `status`, `instance` and `updated` (ISO text) are the row's as the audit read them: raw SQL does
    not touch `updated_at`, so all three guard it, and in the transaction the whole row has to be
    what the journal has. `stamp` is the `updated_at` that is left. `holder` is the server whose
    running domain has to have the device; without one no domain of the host may have it.
    """

    kind: ClassVar[str] = "change-database-row"

    cell: str
    row_id: int
    host: str
    address: str
    status: str
    instance: str | None
    updated: str | None
    values: tuple[tuple[str, str | int | None], ...] = ()
    stamp: str = ""
    holder: str = ""
    host_is_off: bool = False

    @property
    def is_deletion(self) -> bool:
        """Whether the row is deleted."""
        return not self.values

    def describe(self) -> str:
        """The SQL that does the same, but for the guards that are no SQL."""
        conditions = [f"id = {self.row_id}", f"status = {_sql(self.status)}"]
        for name, value in (("instance_uuid", self.instance), ("updated_at", self.updated)):
            conditions.append(f"{name} IS NULL" if value is None else f"{name} = {_sql(value)}")
        where = " AND ".join(conditions)
        if self.is_deletion:
            return f"{self.cell}: DELETE FROM {TABLE} WHERE {where};"  # noqa: S608 -- it is shown
        columns = ", ".join(f"{name} = {_sql(value)}" for name, value in self._assigned.items())
        return f"{self.cell}: UPDATE {TABLE} SET {columns}\n  WHERE {where};"  # noqa: S608 -- as above

    @property
    def state_before(self) -> State:
        """As the audit read it."""
        return {
            "row": "present",
            "status": self.status,
            "instance_uuid": self.instance,
            "updated_at": self.updated,
        }

    @property
    def state_after(self) -> State:
        """What it leaves; of a row that is deleted nothing."""
        if self.is_deletion:
            return dict.fromkeys(self.state_before)
        names = {name: value for name, value in self.values if name in self.state_before}
        texts = {name: None if value is None else str(value) for name, value in names.items()}
        return {**self.state_before, **texts, "updated_at": self.stamp}

    def look(self, context: RepairContext) -> State:
        """The row's state as it is now."""
        return self._state(self._read(context))

    def begin(self, context: RepairContext, state: State) -> dict[str, Any]:
        """The whole row too, for this is what a rollback writes back."""
        row = self._read(context)
        if self._state(row) != state or row is None:
            raise self._changed(f"{state} became {self._state(row)}")
        return {"found": state, "row": rows.to_json(row)}

    def check(self, context: RepairContext) -> None:
        """No domain may have it; or only the server's own, which runs."""
        if self.holder:
            refuse_other_holder(context, self.host, self.address, self.holder)
            self._refuse_without_request(self._read(context))
        else:
            refuse_held(context, self.host, (self.address,), off=self.host_is_off)

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:
        """Change it, unless an interrupted run did; guarded before and within the transaction."""
        if step.present == self.state_after:
            return {}
        self.check(context)
        with context.databases.transaction(self.cell, f"change row {self.row_id}") as connection:
            row = rows.read_row(connection, self.row_id, lock=True)
            if row is None or rows.to_json(row) != step.begun["row"]:
                raise self._changed("It is not the row that the journal has.")
            self._refuse_dependents(connection, row)
            self.check(context)
            if self.is_deletion:
                changed = rows.delete_row(connection, row)
            else:
                changed = rows.update_row(connection, row, self._typed(row))
            if not changed:
                raise self._changed("It changed while the guards were read.")
        return {}

    def give_back(self, context: RepairContext, step: Step) -> str | None:
        """Write the former row back, with its times; a row that is another's now is left."""
        former = rows.from_json(step.begun["row"])
        try:
            with context.databases.transaction(
                self.cell, f"give back row {self.row_id}"
            ) as connection:
                return self._write_back(connection, former)
        except DatabaseError as error:
            # nova has made a row of its own for the device since, and only one can count.
            if error.taken:
                return f"{self._name} is not restored: nova has a new row for the device"
            raise

    def _write_back(self, connection: Connection, former: Row) -> str | None:
        row = rows.read_row(connection, self.row_id, lock=True)
        if row is not None and rows.to_json(row) == rows.to_json(former):
            return None
        if self.is_deletion:
            if row is not None:
                return f"{self._name} is not restored: another row has its id"
            rows.insert_row(connection, former)
            return None
        if row is None:
            raise GoneError(f"{self._name} is gone", resolution="nova deleted it.")
        owner = row["instance_uuid"]
        if owner not in (None, former["instance_uuid"], dict(self.values).get("instance_uuid")):
            return f"{self._name} is not restored: nova has given the device to server {owner}"
        changed = {name: value for name, value in former.items() if row[name] != value}
        if not rows.update_row(connection, row, changed):
            raise self._changed("It changed while it was written back.")
        return None

    @property
    def _name(self) -> str:
        return f"row {self.row_id} of {TABLE} ({self.host} {self.address})"

    @property
    def _assigned(self) -> dict[str, str | int | None]:
        return {**dict(self.values), "updated_at": self.stamp}

    def _typed(self, row: Row) -> dict[str, Any]:
        """The columns' new values, times in the type that the driver gave for this row."""
        as_text = any(isinstance(row[name], str) for name in (*_TIMES, "created_at") if name in row)
        values: dict[str, Any] = dict(self._assigned)
        for name in _TIMES:
            if values.get(name) is not None:
                moment = datetime.fromisoformat(str(values[name]))
                # As SQLAlchemy's own type writes it to SQLite.
                values[name] = f"{moment:%Y-%m-%d %H:%M:%S.%f}" if as_text else moment
        return values

    def _read(self, context: RepairContext) -> Row | None:
        with context.databases.transaction(self.cell, f"read row {self.row_id}") as connection:
            row = rows.read_row(connection, self.row_id)
        if row is not None and str(row["address"]).lower() != self.address.lower():
            raise self._changed(f"Its address is {row['address']}: is it another database?")
        return row

    def _state(self, row: Row | None) -> State:
        if row is None:
            return dict.fromkeys(self.state_before)
        return {
            "row": "present",
            "status": row["status"],
            "instance_uuid": row["instance_uuid"],
            "updated_at": time_text(row["updated_at"]),
        }

    def _refuse_dependents(self, connection: Connection, row: Row) -> None:
        """A PF that is freed frees its VFs too (nova/objects/pci_device.py, free): nova does it."""
        if row.get("dev_type") != "type-PF":
            return
        pci_devices = table(TABLE, *map(column, ("compute_node_id", "parent_addr", "deleted")))
        query = select(func.count(literal_column("1"))).where(
            pci_devices.c.compute_node_id == row["compute_node_id"],
            pci_devices.c.parent_addr == row["address"],
            pci_devices.c.deleted == 0,
        )
        if connection.execute(query).scalar_one():
            raise GuardError(
                f"{self._name} is a PF with rows of VFs",
                "nova changes their rows together.",
                "Restart nova-compute on the host, or delete the server that has it.",
            )

    def _refuse_without_request(self, row: Row | None) -> None:
        """Without `request_id` nova leaves the device out of the domain at the next hard reboot.

        nova/objects/instance.py, get_pci_devices.
        """
        if "request_id" in dict(self.values) or row is None or row["request_id"] is not None:
            return
        raise GuardError(
            f"{self._name} names no request_id, and which request of the server it is for is not "
            "known",
            "",
            f"Migrate the server to another host: wholecard migrate {self.holder}",
        )

    def _changed(self, details: str) -> GuardError:
        return GuardError(f"{self._name} was changed since the audit", details, _AGAIN)


def _sql(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"

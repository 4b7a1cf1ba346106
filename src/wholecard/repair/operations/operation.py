"""What every repair has: the cloud, the cells' databases, the hosts, and its guards."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from openstack.connection import Connection

from wholecard.audit.record import Domain
from wholecard.cloud.client.errors import CloudError, GoneError, api_errors
from wholecard.core import Operation, State, Step
from wholecard.repair.database.accounts import CellDatabases


class Hosts(Protocol):
    """The hypervisor hosts, as a repair asks them."""

    def domains(self, host: str) -> tuple[Domain, ...]:
        """The host's domains as libvirt has them at this moment. Raises WholecardError."""

    def restart_compute(self, host: str) -> str:
        """Restart nova-compute there; the name of its unit. Raises WholecardError."""


@dataclass(frozen=True)
class RepairContext:
    """What operations work with: the cloud's APIs, accounts that may write, the hosts."""

    conn: Connection
    databases: CellDatabases
    hosts: Hosts


@dataclass(frozen=True)
class RepairOperation(Operation[RepairContext]):
    """A repair. It keeps what it found, and gives that back when it is undone.

    What can only be guarded by more than its values is guarded by `check`, for all operations of a
    plan before the first of them begins, and by each again while it is done.
    """

    def to_json(self) -> dict[str, Any]:
        """The fields, those of records in it too, with a key `op` that names the kind."""
        return {"op": self.kind, **asdict(self)}

    def check(self, context: RepairContext) -> None:
        """Raises GuardError where it must not be done, WholecardError where that is not known."""

    def begin(self, context: RepairContext, state: State) -> dict[str, Any]:  # noqa: ARG002
        """What is given back when it is undone."""
        return {"found": state}

    def former(self, context: RepairContext, step: Step) -> State:  # noqa: ARG002 -- the log has it
        """What was there when it was begun."""
        found: State = step.begun["found"]
        return found

    def undo(self, context: RepairContext, step: Step) -> str | None:
        """Give back what was there; what is gone or refused for good becomes a note."""
        try:
            with api_errors(context.conn, f"undo {step.name}"):
                return self.give_back(context, step)
        except GoneError as gone:
            return f"{gone.brief}: nothing of it is restored"
        except CloudError as error:
            # What may pass keeps the journal for the next rollback; what lasts does not stop it.
            if not error.lasting:
                raise
            reason = " ".join(error.details.split())
            return f"{step.name} is not undone: {reason or error.brief}"

    @abstractmethod
    def give_back(self, context: RepairContext, step: Step) -> str | None:
        """Put what was there, or do nothing where it is there; a note where something is left."""

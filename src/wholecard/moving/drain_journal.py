"""What is written down of one host's drain, on the operator's machine.

`$XDG_STATE_HOME/wholecard/drain/CLOUD/HOST/` has `drain.json` (what was asked), `servers/` (each
server's move), `service/` (the engine's journal of the disabled service), and `stop` where a person
asked a running drain to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from openstack.connection import Connection
from pydantic import TypeAdapter, ValidationError

from wholecard.cloud.changing.apply import apply, finish, rollback
from wholecard.cloud.changing.journal import CloudJournal
from wholecard.cloud.client.compute_services import ComputeService
from wholecard.cloud.operations.operation import values
from wholecard.cloud.operations.services import SetServiceStatus
from wholecard.core import Action, Plan, WholecardError
from wholecard.core.json_text import encode
from wholecard.core.state_folder import state_folder
from wholecard.moving.journal import MoveJournal
from wholecard.transaction.atomic_files import make_directories, write_atomically
from wholecard.transaction.journal_store import APPLIED
from wholecard.transaction.os_errors import explained


@dataclass(frozen=True)
class DrainEntry:
    """What was asked of a drain. `started` is seconds UTC; `over` is whether nothing is left."""

    host: str
    reason: str
    started: float
    to: tuple[str, ...] = ()
    live_only: bool = False
    over: bool = False


_ENTRY = TypeAdapter(DrainEntry)


@dataclass(frozen=True)
class DrainJournal:
    """One host's drain."""

    folder: Path

    @property
    def servers(self) -> MoveJournal:
        """The moves of its servers."""
        return MoveJournal(self.folder / "servers")

    @property
    def service(self) -> CloudJournal:
        """What was done to its service."""
        operations = {SetServiceStatus.kind: SetServiceStatus}
        return CloudJournal(self.folder / "service", operations=operations)

    def read(self) -> DrainEntry | None:
        """The last drain, None where there was none. Raises WholecardError where damaged."""
        path = self.folder / "drain.json"
        try:
            return _ENTRY.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise WholecardError(
                f"cannot read {path}", str(error).splitlines()[0],
                f"Move the folder {self.folder} away; the servers' state is in nova.",
            ) from error  # fmt: skip

    def write(self, entry: DrainEntry) -> None:
        """Keep it, whole or not at all."""
        with explained():
            make_directories(self.folder)
            data = encode(_ENTRY.dump_python(entry, mode="json"))
            write_atomically(self.folder / "drain.json", f"{data}\n".encode(), 0o600)

    @property
    def stop_asked(self) -> bool:
        """Whether a person asked the running drain to end."""
        return (self.folder / "stop").exists()

    def ask_stop(self) -> None:
        """Ask it."""
        with explained():
            make_directories(self.folder)
            write_atomically(self.folder / "stop", b"", 0o600)

    def forget_stop(self) -> None:
        """A new run begins, or the drain is over."""
        (self.folder / "stop").unlink(missing_ok=True)

    @property
    def holds_service(self) -> bool:
        """Whether the service is disabled by us, so that a rollback enables it."""
        return bool(self.service.in_effect())

    def disable(self, conn: Connection, service: ComputeService, reason: str) -> bool:
        """Disable the service with the reason, unless it is disabled; whether we did it now.

        A run that was killed while it did so is finished. Raises WholecardError.
        """
        journal = self.service
        newest = journal.newest()
        if newest is not None and newest.state != APPLIED:
            finish(conn, journal)
            return True
        if service.status == "disabled":
            return False
        why = f"no server comes to it while it is drained: {reason}"
        self.set_status(conn, service, "disabled", reason, why)
        return True

    def set_status(
        self, conn: Connection, service: ComputeService, status: str, reason: str, why: str
    ) -> None:
        """Set the service's status through the engine. Raises WholecardError."""
        now = {"status": service.status}
        if service.disabled_reason:
            now["reason"] = service.disabled_reason
        changes = values(now, {"status": status, "reason": reason or None})
        change = SetServiceStatus(service.host, service.id, changes)
        undo = f"the service is {service.status} again"
        plan = Plan((Action(change.kind, service.host, why, change, undo),))
        apply(conn, self.service, plan, Path("drain"))

    def enable(self, conn: Connection) -> tuple[str, ...]:
        """Give the service back what it was; notes. Raises WholecardError."""
        return rollback(conn, self.service).notes if self.holds_service else ()


def drain_journal(cloud: str, host: str) -> DrainJournal:
    """The journal of that host of that cloud. Raises UsageError for names that are no folder's."""
    return DrainJournal(state_folder("drain", cloud, host))

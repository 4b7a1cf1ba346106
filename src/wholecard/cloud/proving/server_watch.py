"""One server of a proof while it is waited for: nova's state, its console, its report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openstack.connection import Connection

from wholecard.cloud.client import servers
from wholecard.cloud.client.errors import CloudError
from wholecard.guest.proof.console import ConsoleReader
from wholecard.guest.proof.record import Proof
from wholecard.guest.proof.report import ProofError

# The ends of a server: no report comes after them.
_ENDED = frozenset({"ERROR", "SHUTOFF", "DELETED", "SOFT_DELETED"})
_END_CHARACTERS = 1500


@dataclass(frozen=True)
class ServerProgress:
    """What a person sees of a server meanwhile; `seconds` since it was asked for."""

    name: str
    state: str
    console_bytes: int
    records: int
    seconds: float


@dataclass
class ServerWatch:
    """A server of which the report is waited for.

    `grace` is for how many seconds a report that is not ours, or cannot be read, is given the
    chance that ours comes after it.
    """

    name: str
    id: str
    nonce: str
    timeout: float
    grace: float
    asked_at: float = field(default_factory=time.monotonic)
    state: servers.ServerState | None = None
    proof: Proof | None = None
    error: ProofError | None = None
    active_at: float | None = None
    reported_at: float | None = None
    console: str = ""
    trouble: str = ""
    done: bool = False
    _wrong_since: float | None = None

    def __post_init__(self) -> None:
        self._reader = ConsoleReader(self.nonce)

    def poll(self, conn: Connection) -> None:
        """Ask nova once; `done` is set where nothing more is to be waited for.

        A service that does not answer, or fails, is asked again until the time is over. Raises
        CloudError for what lasts: a server that nova refuses to show.
        """
        late = time.monotonic() - self.asked_at >= self.timeout
        try:
            self._look(conn)
        except CloudError as error:
            if error.http_status is not None and error.http_status < 500:
                raise
            self.trouble = error.brief
        self.done = self.done or late

    def _look(self, conn: Connection) -> None:
        self.state = servers.state(conn, self.id)
        self.trouble = ""
        if self.state is None:
            self.trouble, self.done = "nova does not know the server any more", True
            return
        status = self.state.status
        if status == "ACTIVE" and self.active_at is None:
            self.active_at = time.monotonic()
        if self.active_at is not None:
            self._read(servers.console(conn, self.id))
        self.done = self.done or status in _ENDED

    def _read(self, text: str) -> None:
        self.console = text
        try:
            self.proof, self.error = self._reader.read(text), None
        except ProofError as error:
            self.error = error
        if self.error is not None or self._is_foreign:
            self._wrong_since = self._wrong_since or time.monotonic()
            self.done = time.monotonic() - self._wrong_since >= self.grace
            return
        self._wrong_since = None
        if self.proof is not None and self.proof.complete:
            self.reported_at, self.done = time.monotonic(), True

    @property
    def _is_foreign(self) -> bool:
        """Whether the last proof is another's: whole, and without this server's nonce."""
        proof = self.proof
        return proof is not None and proof.complete and proof.nonce != self.nonce

    @property
    def status(self) -> str:
        """nova's last word."""
        return self.state.status if self.state else "GONE"

    @property
    def progress(self) -> ServerProgress:
        """For a person who waits."""
        task = f"/{self.state.task}" if self.state and self.state.task else ""
        state = self.trouble or (f"{self.status}{task}" if self.state else "REQUEST")
        records = self.proof.records if self.proof else 0
        return ServerProgress(self.name, state, len(self.console), records,
                              time.monotonic() - self.asked_at)  # fmt: skip

    @property
    def console_end(self) -> str:
        """The console's last lines, where no report came."""
        return "" if self.reported_at is not None else self.console[-_END_CHARACTERS:]

    def seconds_until(self, moment: float | None) -> float | None:
        """From the request to that moment."""
        return None if moment is None else moment - self.asked_at

"""What we asked nova to move, on the operator's machine: one file for each server.

nova's own state of a server is the truth; the file says only what we asked for, so that a run that
was killed is taken up, and nobody confirms a migration that somebody else began. A move does not
survive in the transaction engine's journal, for it cannot be undone by putting values back: nova
ends it, and `revert` is a move of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from wholecard.core import WholecardError
from wholecard.core.json_text import encode
from wholecard.moving.record import End, Method
from wholecard.transaction.atomic_files import make_directories, write_atomically
from wholecard.transaction.locks import locked
from wholecard.transaction.os_errors import explained

# Where a move is: before the request, after nova took it, in its end, over.
BEGUN, ASKED, ENDING, DONE, FAILED = "begun", "asked", "ending", "done", "failed"
OVER = frozenset({DONE, FAILED})


@dataclass(frozen=True)
class MoveEntry:
    """One server's move. `request_id` is nova's, empty until it answered; `started` seconds UTC.

    `cards` are what the server held before, by resource class. `ended` is as in MoveReport.
    """

    server: str
    name: str
    source: str
    source_node: str
    destination: str
    destination_node: str
    method: Method
    end: End
    state: str
    started: float
    status: str = "ACTIVE"
    request_id: str = ""
    cards: Mapping[str, int] = field(default_factory=dict)
    ended: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.state in OVER


_ENTRY = TypeAdapter(MoveEntry)


@dataclass(frozen=True)
class MoveJournal:
    """The moves in one folder."""

    folder: Path

    def read(self, server: str) -> MoveEntry | None:
        """The server's last move, None where it has none. Raises WholecardError where damaged."""
        return self._read(self.folder / f"{server}.json")

    def entries(self) -> tuple[MoveEntry, ...]:
        """All moves, in the order in which they began."""
        rows = (self._read(path) for path in sorted(self.folder.glob("*.json")))
        return tuple(sorted((row for row in rows if row), key=lambda row: row.started))

    def write(self, entry: MoveEntry) -> None:
        """Keep it, whole or not at all."""
        with explained():
            make_directories(self.folder)
            data = encode(_ENTRY.dump_python(entry, mode="json"))
            write_atomically(self.folder / f"{entry.server}.json", f"{data}\n".encode(), 0o600)

    def clear(self) -> None:
        """Forget the moves of an earlier drain."""
        for path in self.folder.glob("*.json"):
            path.unlink(missing_ok=True)

    @contextmanager
    def lock(self, name: str, what: str) -> Iterator[None]:
        """Keep other runs out of `name`. Raises WholecardError where one of them holds it.

        `what` completes the sentence "another run of wholecard …".
        """
        with explained():
            make_directories(self.folder)
        brief = f"another run of wholecard {what}"
        with locked(self.folder / f"{name}.lock", brief, "Wait until it has ended."):
            yield

    def _read(self, path: Path) -> MoveEntry | None:
        try:
            return _ENTRY.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise WholecardError(
                f"cannot read {path}",
                str(error).splitlines()[0],
                "Look at the server in nova, end its migration by hand, and move the file away.",
            ) from error

"""One operation on a host: what it changes, what it needs, and how what it left has drifted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Operation, Step
from wholecard.pci import Address
from wholecard.transaction.backup import Backup

AS_APPLIED = "as-applied"
EDITED = "edited"
CHANGED = "changed"
GONE = "gone"
NEW = "new"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class HostContext:
    """The host below `root`, in the boot with this id.

    `descriptor` holds the lock; a tool that inherits it keeps the lock when this process is killed.
    `backup` is that of the journal which is undone.
    """

    root: Path
    descriptor: int
    boot: str
    backup: Backup


@dataclass(frozen=True)
class Drift:
    """How one thing is now that an action left.

    `kind` is `file`, `output`, `binding` or `slice`; `state` is `as-applied`, `edited` (a file,
    with its diff in `detail`), `changed` (anything else, by somebody since), `gone`, `new` (an
    output that came since) or `unreadable`.
    """

    kind: str
    subject: str
    state: str
    detail: str = ""


class HostOperation(Operation[HostContext]):
    """An operation on a host, as plain data. One that changes no files need only be done."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> HostOperation:
        """The inverse of `to_json`, without its `op`. Raises ValueError, TypeError, KeyError."""
        raise NotImplementedError

    @property
    def is_private(self) -> bool:
        """Whether a file of it may hold passwords."""
        return False

    @property
    def sets_kernel_args(self) -> bool:
        """Whether it works from the next boot on alone."""
        return False

    def targets(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002 -- for those that have files
        """The files that it changes, as absolute paths: they are backed up."""
        return ()

    @property
    def writes(self) -> tuple[str, ...]:
        """The files that Wholecard itself writes."""
        return ()

    @property
    def creates(self) -> tuple[str, ...]:
        """The files whose directories are made where they are missing."""
        return self.writes

    def space(self, root: Path) -> Iterator[tuple[Path, int]]:  # noqa: ARG002 -- as above
        """Directories, and how many bytes are needed in each beside the backup."""
        yield from ()

    def functions_taken(self, root: Path) -> tuple[Address, ...]:  # noqa: ARG002 -- as above
        """The functions whose driver changes when it is done."""
        return ()

    def functions_given_back(
        self,
        context: HostContext,  # noqa: ARG002 -- as above
        begun: Mapping[str, Any],  # noqa: ARG002 -- as above
    ) -> tuple[Address, ...]:
        """The functions whose driver changes when it is undone; `begun` is the log's record."""
        return ()

    def mdevs_taken(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002 -- as above
        """The mediated devices, by UUID, that end when it is done."""
        return ()

    def mdevs_given_back(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002 -- as above
        """The mediated devices that end when it is undone."""
        return ()

    def refuse_undo(self, root: Path, step: Step) -> None:
        """Raises WholecardError where it must not be undone, before anything is touched."""

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """How what it left is now; `done` is the log's record of it."""
        yield from ()

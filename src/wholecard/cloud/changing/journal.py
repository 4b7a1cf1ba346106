"""The journal of a cloud, on the operator's machine: what was planned and how far it came.

`$XDG_STATE_HOME/wholecard/cloud/CLOUD/NNNN/` holds `plan.json`, in which each operation has what
was there when it was planned, and `log.jsonl`, in which each has what was there when it was begun.
Nothing secret is in either: names, ids, the addresses of the cloud and the values that the site
file has; the plan is its writer's alone to read all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from wholecard.cloud.changing.target import CloudIdentity
from wholecard.cloud.operations.registry import OPERATIONS, Operations, plan_from_json
from wholecard.core import Plan, WholecardError
from wholecard.core.state_folder import state_folder
from wholecard.transaction import journal_store
from wholecard.transaction.atomic_files import make_directories, write_atomically
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.journal_store import APPLIED, JournalEntry
from wholecard.transaction.locks import locked
from wholecard.transaction.os_errors import explained

# No cloud's name begins with a dot, see `default_folder`.
LOCKS = ".locks"

DAMAGE = (
    "Nothing was touched. Restore the journal's folder from a backup of this machine; or undo by "
    "hand what its log says was begun, and move the folder away."
)


@dataclass(frozen=True)
class AppliedCloudPlan:
    """What one apply was about: the plan, the cloud, the site file, the time."""

    plan: Plan
    cloud: CloudIdentity
    site: str
    time: float

    def about(self) -> dict[str, Any]:
        """`{"site"}`."""
        return {"site": self.site}


@dataclass(frozen=True)
class CloudJournalEntry(JournalEntry):
    """One journal of a cloud."""

    operations: Operations

    def read(self) -> AppliedCloudPlan:
        """The plan and what it was made for. Raises WholecardError where it cannot be read."""

        def build(data: dict[str, Any]) -> AppliedCloudPlan:
            return AppliedCloudPlan(
                plan=plan_from_json(data["plan"], self.operations),
                cloud=TypeAdapter(CloudIdentity).validate_python(data["cloud"]),
                site=TypeAdapter(str).validate_python(data["site"]),
                time=float(data["time"]),
            )

        applied = unpack(self.directory / "plan.json", build, DAMAGE)
        self.refuse_strange(len(applied.plan.actions))
        return applied


@dataclass(frozen=True)
class CloudJournal(journal_store.Journal[CloudJournalEntry]):
    """All journals of one cloud, in `folder`."""

    command = "wholecard cloud"
    system = "on this cloud from this machine"
    elsewhere = "Name another folder of journals with --state."

    operations: Operations = field(default_factory=lambda: OPERATIONS)
    # The folder with the journals of all clouds, None where there is only this one; and nova's
    # addresses, by which runs under other names of the same cloud are known.
    shared: Path | None = None
    addresses: tuple[str, ...] = ()

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Keep others out of this folder, and of this cloud under whatever name they have for it.

        Raises WholecardError where one of them runs. No run waits for another, so that none waits
        for ever.
        """
        with super().lock() as descriptor, locked_cloud(self.shared, self.addresses):
            yield descriptor

    def unfinished_elsewhere(self, here: CloudIdentity) -> CloudJournalEntry | None:
        """An unfinished journal of the same cloud under another name, None where there is none.

        A journal that cannot be read is passed over: which cloud it is for is not known, and the
        commands of its own name tell of it.
        """
        folders = sorted(self.shared.glob("*")) if self.shared else []
        for folder in folders:
            if folder == self.folder or folder.name == LOCKS:
                continue
            with contextlib.suppress(WholecardError):
                entry = replace(self, folder=folder).newest()
                if entry is not None and entry.state != APPLIED:
                    cloud = entry.read().cloud
                    if cloud.compute in self.addresses or not cloud.differences(here):
                        return entry
        return None

    def entry(self, number: int, directory: Path) -> CloudJournalEntry:
        """The journal with this number."""
        return CloudJournalEntry(number, directory, self.operations)

    def nothing(self) -> dict[str, Any]:
        """No site file."""
        return {"site": None}

    def begin(self, applied: AppliedCloudPlan) -> CloudJournalEntry:
        """Begin a journal; its folder appears whole, before anything is changed."""
        plan, cloud = applied.plan.to_json(), applied.cloud.__dict__
        data = pack({**applied.__dict__, "plan": plan, "cloud": cloud})
        return self.add(lambda draft: write_atomically(draft / "plan.json", data, 0o600))


@contextmanager
def locked_cloud(shared: Path | None, addresses: tuple[str, ...]) -> Iterator[None]:
    """Hold the lock of the cloud with these addresses of nova; nothing where they are not known.

    `shared` is the folder with the folders of all clouds. Raises WholecardError where another run
    holds it.
    """
    if shared is None or not addresses:
        yield
        return
    folder = shared / LOCKS / hashlib.sha256(repr(addresses).encode()).hexdigest()
    with explained("XDG_STATE_HOME names another folder for it."):
        make_directories(folder)
    with locked(
        folder / "lock",
        "another apply or rollback is running on this cloud, under another name of "
        "clouds.yaml or with another --state",
        "Wait until it has ended.",
    ):
        yield


def default_folder(cloud: str) -> Path:
    """`$XDG_STATE_HOME/wholecard/cloud/CLOUD`. Raises UsageError for a name no folder can have."""
    return state_folder("cloud", cloud)


def shared_folder() -> Path:
    """The folder with the folders of all clouds, and the locks by cloud that they share."""
    return state_folder("cloud")

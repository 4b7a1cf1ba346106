"""A cloud of a few cells in a file, and a change of them, to be killed at every point."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from wholecard.cloud.operations.operation import Creation, Held, Value
from wholecard.core import State
from wholecard.core.plan import HALF
from wholecard.transaction.atomic_files import write_atomically


def connection(
    keystone: str = "http://127.0.0.1/v3",
    region: str = "R",
    compute: str = "http://127.0.0.1/compute/v2.1",
) -> Connection:
    """A connection that is never used; the journal asks it for the cloud's addresses alone."""
    loader = OpenStackConfig(load_yaml_config=False, load_envvars=False)
    auth = {"auth_url": keystone, "username": "u", "password": "x", "project_name": "p"}
    found = loader.get_one(
        auth_type="password", auth=auth, region_name=region, compute_endpoint_override=compute
    )
    return Connection(config=found)


@dataclass(frozen=True)
class SetCells(Held):
    """Put values into the file `place`; what is None is not in it."""

    kind: ClassVar[str] = "set-cells"

    place: str
    changes: tuple[Value, ...]
    note: str | None = None

    def describe(self) -> str:
        return f"set {self.changes}"

    def look(self, conn: Connection) -> State:
        cells = read(Path(self.place))
        return {name: cells.get(name) for name, _, _ in self.changes}

    def holder(self, conn: Connection) -> str | None:
        return self.place

    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """One write for each value, as an API has one call for each; always with the holder."""
        assert holder == self.place
        for name, value in sorted(state.items()):
            cells = {**read(Path(self.place)), name: value}
            kept = {key: each for key, each in cells.items() if each is not None}
            write_atomically(Path(self.place), json.dumps(kept).encode(), 0o644)
        return self.note


@dataclass(frozen=True)
class MakeCell(Creation):
    """Make the cell `name`, in two writes: one that has no mark yet, and its mark."""

    kind: ClassVar[str] = "make-cell"

    place: str
    name: str

    @property
    def state_before(self) -> State:
        return {self.name: None}

    @property
    def state_after(self) -> State:
        return {self.name: "made"}

    def describe(self) -> str:
        return f"make {self.name}"

    def look(self, conn: Connection) -> State:
        found = read(Path(self.place)).get(self.name)
        return {self.name: HALF if found == "bare" else found}

    def make(self, conn: Connection) -> str | None:
        for value in ("bare", "made"):
            cells = {**read(Path(self.place)), self.name: value}
            write_atomically(Path(self.place), json.dumps(cells).encode(), 0o644)
        return f"id of {self.name}"

    def made(self, conn: Connection) -> str | None:
        return f"id of {self.name}" if read(Path(self.place)).get(self.name) == "made" else None

    def unmake(self, conn: Connection, made: str | None, half: bool) -> str | None:
        """Every undo of a whole one has its id; of one that was cut off there may be none."""
        if made != f"id of {self.name}" and not half:
            return f"{self.name} stays"
        kept = {key: each for key, each in read(Path(self.place)).items() if key != self.name}
        write_atomically(Path(self.place), json.dumps(kept).encode(), 0o644)
        return None


def read(place: Path) -> dict[str, Any]:
    """The cells that are there."""
    found: dict[str, Any] = json.loads(place.read_text())
    return found

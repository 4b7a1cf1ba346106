"""A cloud of a few cells in a file, and a change of them, to be killed at every point."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from wholecard.cloud.change import State, Value, Values
from wholecard.host.files import write_atomically


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
class SetCells(Values):
    """Put values into the file `place`; what is None is not in it."""

    op: ClassVar[str] = "set-cells"

    place: str
    changes: tuple[Value, ...]
    note: str | None = None

    def describe(self) -> str:
        return f"set {self.changes}"

    def look(self, conn: Connection) -> State:
        cells = read(Path(self.place))
        return {name: cells.get(name) for name, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """One write for each value, as an API has one call for each."""
        for name, value in sorted(state.items()):
            cells = {**read(Path(self.place)), name: value}
            kept = {key: each for key, each in cells.items() if each is not None}
            write_atomically(Path(self.place), json.dumps(kept).encode(), 0o644)
        return self.note


def read(place: Path) -> dict[str, Any]:
    """The cells that are there."""
    found: dict[str, Any] = json.loads(place.read_text())
    return found

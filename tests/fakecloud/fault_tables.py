"""The simulator's faults, in the MariaDB of a cloud that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from fakecloud.fake_cloud import FakeCloud
from simulator.world_faults import WORLD_FAULTS, Card, Tables

# MariaDB refuses an UPDATE with a SELECT of the same table (its error 1093).
NOT_HERE = frozenset({"wrong parent"})
FAULTS = tuple(name for name in WORLD_FAULTS if name not in NOT_HERE)
# In what the hosts say: the fake driver's own domains are not touched, nothing is to be repaired.
OF_HOSTS = frozenset(
    {"device of a row gone", "device detached", "second domain", "guest unknown to nova"}
)
# Left to a person: nova's row has nothing to be made from.
A_PERSONS = frozenset({"row of a device in use is deleted"})


@dataclass
class FaultTables(Tables):
    """`told` is what the hosts say, which faults change."""

    cloud: FakeCloud | None = None

    @classmethod
    def of(cls, cloud: FakeCloud) -> FaultTables:
        """The tables and hosts of a cloud at this moment."""
        return cls(cloud.bench.run, cast("dict[str, Any]", cloud.told()), cloud=cloud)

    def rows(self, name: str, statement: str, *values: Any) -> list[Any]:
        """The rows of a SELECT."""
        assert self.cloud is not None
        return self.cloud.rows(name, statement, *values)

    def sql(self, name: str, *statements: str) -> None:
        """Raw SQL, from SQLite's to MariaDB's."""
        assert self.cloud is not None
        for ours, theirs in (
            ("INSERT OR IGNORE", "INSERT IGNORE"),
            ("INSERT OR REPLACE", "REPLACE"),
        ):
            statements = tuple(each.replace(ours, theirs) for each in statements)
        self.cloud.sql(name, *statements)

    def choices(self, on: str) -> list[Card]:
        """The cards on which such a fault can be injected; all of a host with two servers."""
        servers = self.rows(
            "cell1",
            "SELECT uuid, host FROM instances WHERE deleted = 0 AND vm_state = 'active'"
            " AND host IS NOT NULL ORDER BY id",
        )
        gone = self.rows("cell1", "SELECT uuid FROM instances WHERE deleted != 0 LIMIT 1")
        found = []
        for host in sorted(self.told):
            here = {uuid for uuid, at in servers if at == host}
            away = [uuid for uuid, at in servers if at != host]
            if not (here and away and gone):
                continue
            for card in self.cards(host):
                card.away = away[0]
                wanted = {None} if on == "free" else here - {card.other}
                if card.other in here and card.holder in wanted:
                    found.append(card)
        return found

    @contextmanager
    def kept_row(self, card: Card) -> Iterator[None]:
        """nova's row of a card is put back afterwards, as it was."""
        where = f"pci_devices WHERE id = {card.row}"
        self.sql("cell1", f"CREATE OR REPLACE TABLE kept_row AS SELECT * FROM {where}")
        try:
            yield
        finally:
            self.sql("cell1", f"DELETE FROM {where}",
                     "INSERT INTO pci_devices SELECT * FROM kept_row",
                     "DROP TABLE kept_row")  # fmt: skip

"""A cloud that real nova made in peace: two hosts with six cards, three of them with servers."""

from __future__ import annotations

from pathlib import Path

from simulator.nova_process import NovaProcess
from simulator.simulated_views import opening
from simulator.world_faults import Card, Tables
from wholecard.audit.compare import compare

HOST = "gpu-01"
HOSTS = ["gpu-01", "gpu-02"]
GIVEN = 3


class SoundWorld:
    """What boots of a day ago made; a server was deleted on each host since."""

    def __init__(self, folder: Path, nova: NovaProcess) -> None:
        self.folder, self.nova = folder, nova
        self._boot()
        nova.tell("periodic", hosts=HOSTS)
        nova.tell("tick", seconds=86400)
        nova.tell("periodic", hosts=HOSTS)
        nova.tell("tick", seconds=50)
        answer = nova.tell("hosts")
        self.moment = answer["now"]
        self.tables = Tables(folder, answer["hosts"])
        self.tables.keep()

    def _boot(self) -> None:
        here = self._servers()
        while min(len(servers) for servers in here.values()) <= GIVEN:
            self.nova.tell("run", move="boot", args=[1])
            here = self._servers()
        for servers in here.values():
            for uuid in servers[GIVEN:]:
                self.nova.tell("run", move="delete", args=[uuid])

    def _servers(self) -> dict[str, list[str]]:
        rows = self.nova.tell("servers")["servers"]
        return {host: [uuid for uuid in sorted(rows) if rows[uuid]["host"] == host]
                for host in HOSTS}  # fmt: skip

    def restore(self) -> None:
        """Tables, hypervisors and clock as they were; nova-compute's memory is not touched."""
        self.tables.restore()
        self.nova.tell("set", now=self.moment)
        for host, one in self.tables.told.items():
            self.nova.tell("devices", host=host, devices=one["devices"])
            self.nova.tell("domains", host=host, domains=one["domains"])

    def found(self) -> dict[str, set[str]]:
        """The rules by host and address, at a second look."""
        tables = self.tables
        look = opening(self.folder, lambda: {"now": self.moment, "hosts": tables.told})
        says: dict[str, set[str]] = {}
        with look(None) as views:
            for host in compare(views, second_look=True):
                for row in host.disagreements:
                    assert not row.pending, row
                    says.setdefault(f"{row.host} {row.address}", set()).add(row.rule)
        return says

    def card(self, on: str, number: int) -> Card:
        """The host's given or free card of that number; its `other` server has the third one."""
        cards = [card for card in self.tables.cards(HOST) if bool(card.holder) == (on == "given")]
        return cards[number]

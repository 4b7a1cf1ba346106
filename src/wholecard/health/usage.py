"""Card-seconds of projects: how long servers had cards, times how many.

What counts: for each server whose flavor asks for cards by `pci_passthrough:alias`, the seconds
from its first start on a host (`launched_at`) to its deletion (`terminated_at`), as nova's own
os-simple-tenant-usage counts hours (nova/api/openstack/compute/simple_tenant_usage.py,
`_hours_for`), times the cards of the flavor that the server has now.

A server that is stopped, paused or suspended has its cards and counts. So does one that is shelved
and offloaded, though its cards are free. Not counted: what a flavor asks for as mediated devices
(`resources:VGPU`) or through a Neutron port or Cyborg; the destination's cards before a resize is
confirmed; time before `since`; deleted servers that were archived before they were read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from wholecard.explain.evidence.requested_devices import EXTRA_SPEC
from wholecard.health.record import CloudCards, CloudServer


class CardSeconds:
    """Counts from `since` on, by project; each reading of the cloud adds what is new in it.

    Between two readings a server counts with the cards that it has at the later one, so that a
    resize changes the rate and not what was counted. `counted_to` is when the last reading was.
    """

    def __init__(self, since: datetime) -> None:
        self.counted_to = since
        self._totals: dict[str, float] = {}

    def add(self, cloud: CloudCards) -> dict[str, float]:
        """Count a reading in; the totals by project's id, in seconds."""
        now = max(cloud.now or self.counted_to, self.counted_to)
        # One that is in both lists was deleted between the two requests.
        finished = {server.id: server for server in cloud.finished}
        for server in {**cloud.servers, **finished}.values():
            self._totals.setdefault(server.project, 0.0)
            if server.launched_at is not None:
                start = max(server.launched_at, self.counted_to)
                end = min(server.terminated_at or now, now)
                seconds = max(0.0, (end - start).total_seconds())
                self._totals[server.project] += seconds * server.cards
        self.counted_to = now
        return dict(self._totals)


def cards_now(servers: Iterable[CloudServer]) -> dict[str, int]:
    """How many cards each project's servers have now, by their flavors."""
    counts: dict[str, int] = {}
    for server in servers:
        counts[server.project] = counts.get(server.project, 0) + server.cards
    return counts


def cards_of(extra_specs: Mapping[str, str], aliases: Collection[str] = ()) -> int:
    """How many cards a flavor asks for: the counts of `pci_passthrough:alias`.

    Text that nova cannot read counts nothing. An alias may mean a device that is no card (a NIC's
    VF, a card's audio): `aliases` are then the ones to count.
    """
    total = 0
    for part in extra_specs.get(EXTRA_SPEC, "").split(","):
        name, _, count = part.partition(":")
        count = count.strip() or "1"
        if name.strip() and count.isdigit() and (not aliases or name.strip() in aliases):
            total += int(count)
    return total

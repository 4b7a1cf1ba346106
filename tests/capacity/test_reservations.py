"""What Blazar would reserve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.capacity_stock import flavor, host, machine, split
from wholecard.capacity.record import HostStock
from wholecard.capacity.reservations import reservable
from wholecard.cloud.placement.provider_tree import Inventory
from wholecard.nova.flavor.server_request import ServerRequest

SLOTS = (*machine(), Inventory("CUSTOM_CARDS", 8))


@pytest.mark.parametrize(
    ("own", "asked", "servers"),
    [
        (host(), flavor("g", 1), 16),
        (host(machine=machine(used=128)), flavor("g", 1), 16),
        (host(cards=(split(),)), flavor("v", 0, resources__VGPU="1"), 0),
        (host(cards=(split(),)), flavor("v", 0, resources1__VGPU="1"), 16),
        (host(machine=SLOTS), flavor("g", 1, resources__CUSTOM_CARDS="1"), 8),
        (host(machine=SLOTS), flavor("g", 4, resources__CUSTOM_CARDS="4"), 2),
        (host(machine=SLOTS), flavor("g", 1, resources__CUSTOM_CARDS="9"), 0),
        (host(), flavor("g", 1, hw__cpu_policy="dedicated"), 0),
        (host(machine=machine(pinned=16)), flavor("g", 1, hw__cpu_policy="dedicated"), 2),
        (host(), flavor("g", 1, trait__CUSTOM_A="required"), 0),
        (host(traits=frozenset({"CUSTOM_A"})), flavor("g", 1, trait__CUSTOM_A="forbidden"), 0),
        (host(machine=None), flavor("g", 1), 0),
        (host(), replace(flavor("g", 1), disk_gb=10), 0),
    ],
    ids=["alias", "use is not seen", "card below", "numbered group", "class of the host",
         "four of it", "more than it has", "no PCPU", "PCPU", "trait", "forbidden", "not known",
         "disk"],
)  # fmt: skip
def test_reservable(own: HostStock, asked: ServerRequest, servers: int) -> None:
    """It counts sizes and `resources:` in the host's own inventories, and not what is used."""
    assert reservable(own, asked) == servers


def test_max_unit() -> None:
    """One server gets no more of a class than its max_unit."""
    own = host(machine=(*machine(), Inventory("CUSTOM_CARDS", 8, max_unit=2)))
    assert reservable(own, flavor("g", 1, resources__CUSTOM_CARDS="3")) == 0

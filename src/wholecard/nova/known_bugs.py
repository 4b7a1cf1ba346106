"""nova's own faults with cards, by the release that mended them, and what to do until then.

Source: the commits that close the bugs, their messages and tests, and the first release that
contains each. Point releases of an older series may have the mend as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core.capabilities import Capability

# Stands in `KnownBug.said` for what differs from one log to another.
_ANYTHING = "…"


@dataclass(frozen=True)
class KnownBug:
    """A bug of nova's tracker, mended in that major version; until then `what` happens.

    `do` is how to avoid it or to get out of it. `said` is what nova's log, or the server's fault,
    says of it, `…` where that differs; empty where nova says nothing that would prove it.
    """

    bug: int
    mended: int
    what: str
    do: str
    said: str = ""

    @property
    def link(self) -> str:
        """Where the bug is told."""
        return f"https://bugs.launchpad.net/nova/+bug/{self.bug}"

    def is_in(self, major: int) -> bool:
        """Whether that major version still has it."""
        return major < self.mended

    def is_said_in(self, text: str) -> bool:
        """Whether a text has its words, in their order."""
        at = 0
        for part in self.said.split(_ANYTHING):
            found = text.find(part.strip(), at)
            if found < 0:
                return False
            at = found + len(part.strip())
        return bool(self.said)


FAULTS: tuple[KnownBug, ...] = (
    # nova/pci/manager.py, `_set_hvdevs`: "remove the device by force".
    KnownBug(
        1633120, 19,
        "nova-compute deletes its rows of devices that no device_spec gives any more, those in "
        "use too: all of them where it finds no device_spec, as under a wrong name",
        "Empty cards of servers before their device_spec goes, and let `wholecard nova lint` look "
        "at the names. Afterwards: put device_spec right, delete the servers that had such cards "
        "and make them again",
        "Trying to remove device with … ownership … because of",
    ),
    # A claim takes a PF's VFs out of their pool, where only those that are available stand.
    KnownBug(
        1969496, 26,
        "after a fault a PF is available and its VFs are not: the PF is found, and its claim fails",
        "Where no server holds one of that PF's VFs: stop nova-compute, set the status of their "
        "rows in nova's table pci_devices to available, start it again",
        "Attempt to consume PCI device … from empty pool",
    ),
    KnownBug(
        1986838, 26,
        "a claim of a device fails on the compute, is logged, and the server is ACTIVE without it",
        "Ask for cards of one kind by one alias and a count, not by two aliases. Delete a server "
        "that came up without its card and make it again",
        "Failed to allocate PCI devices for instance",
    ),
    KnownBug(
        1941005, 26,
        "a resize asks for the cards of the old flavor",
        "Resize only to flavors that ask for the same cards; else make a new server",
    ),
    # The claim was given back, and the server's list of devices was not.
    KnownBug(
        1860555, 30,
        "a server that goes on to another host takes the devices that it had claimed on the first "
        "along in its list",
        "Delete the server and make it again. With PciPassthroughFilter, or with cards in "
        "Placement, fewer hosts are tried in vain",
    ),
    KnownBug(
        2098496, 32,
        "with pci_in_placement a server may get more VFs than it asked for",
        "Give whole cards, or VFs without pci_in_placement; compare `virsh dumpxml` with the "
        "flavor",
    ),
    # The commit's own words for what to do; nova/compute/pci_placement_translator.py.
    KnownBug(
        2115905, 32,
        "with report_in_placement a server whose device has left device_spec cannot be deleted",
        "Empty a card of servers before its device_spec goes. Afterwards: put the device_spec "
        "back, restart nova-compute, delete the server, then take the device_spec out",
        "Failed to delete resource provider … Resource provider has allocations",
    ),
    KnownBug(
        2115729, 32,
        "of the devices that have gone only half leave the database each time",
        "Wait: each of nova-compute's periodic tasks deletes half of the rest",
    ),
    KnownBug(
        2140631, Capability.CARDS_COUNTED.since,
        "under unified limits a quota does not see what an alias asks for",
        "Make the flavors with cards private and give them to projects one by one: `openstack "
        "flavor set --project`",
    ),
)  # fmt: skip


def by_bug(number: int) -> KnownBug:
    """The fault of that number in nova's tracker. Raises KeyError where there is none."""
    for fault in FAULTS:
        if fault.bug == number:
            return fault
    raise KeyError(number)

"""nova's known bugs with cards, by the release that fixed them, and what to do until then.

Source: the commits that close the bugs, their messages and tests, and the first release that
contains each; `source` of a bug that no commit closes. Point releases of an older series may have
the fix as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core.capabilities import Capability

# In `KnownBug.message`: text that differs from one log to another.
_ANYTHING = "…"


@dataclass(frozen=True)
class KnownBug:
    """A bug of nova, fixed in that major version; from `since` until then `what` happens.

    `bug` is its number in nova's tracker, None where no report of it is known; then `source` is
    nova's code. `fixed` is None where nova's master branch still has it. `do` is how to avoid it or
    to recover from it. `message` is what nova's log, or the server's fault, says about it, `…`
    where that differs; empty where no message proves it.
    """

    bug: int | None
    fixed: int | None
    what: str
    do: str
    message: str = ""
    since: int = 0
    source: str = ""

    @property
    def link(self) -> str:
        """The bug's page in nova's tracker, or the code that has it."""
        if self.bug is None:
            return f"nova, {self.source}"
        return f"https://bugs.launchpad.net/nova/+bug/{self.bug}"

    @property
    def name(self) -> str:
        """`known bug 1969496`; `known bug without a report`."""
        return f"known bug {self.bug or 'without a report'}"

    def is_in(self, major: int) -> bool:
        """Whether that major version has it."""
        return major >= self.since and (self.fixed is None or major < self.fixed)

    def is_in_log(self, text: str) -> bool:
        """Whether a text of nova's has its message."""
        start = 0
        for part in self.message.split(_ANYTHING):
            index = text.find(part.strip(), start)
            if index < 0:
                return False
            start = index + len(part.strip())
        return bool(self.message)


# Read in nova 34.0.0, stable/2025.1 to 2026.1 and master of 2026-08-21: `_move_claim` makes the
# requests anew from the flavor, so they lack the `rp_uuids` that `prep_resize` and
# `rebuild_instance` have just put into the server's. `PciDeviceStats._get_rp_uuids_for_request`
# gives any pool then, and `update_allocations` in pci_placement_translator.py only adds. Seen on
# 34.0.0: tests/simulator/golden/moves.json, "migrate", "confirm", "evacuate", "migrate one time".
MOVE_TAKES_OTHER_CARD = KnownBug(
    None, None,
    "with pci_in_placement a cold migration, resize or evacuation takes any free card of the kind "
    "on the destination, and not the one that Placement allocated: the server's allocation then "
    "has both cards. If the card that it takes is reserved or allocated in Placement, for example "
    "because it is for one use, the move fails and the server is ERROR",
    "Audit after each move: `wholecard repair plan` takes the other card out of the allocation",
    # A server's fault has 255 characters of it, which end after this.
    "Resource provider inventory and allocation data migration failed … Unable to allocate "
    "inventory",
    since=Capability.PCI_IN_PLACEMENT.since,
    source="nova/compute/resource_tracker.py, _move_claim",
)  # fmt: skip

# Read in nova 34.0.0: `_update_available_resource` hands the migrations of
# `MigrationList.get_in_progress_and_error` to `PciDevTracker.clean_usage`, at each run and at the
# start, and nothing takes a record out of `error`. Seen on 34.0.0 in the lab: a cold migration
# whose disk could not be copied left the destination's rows allocated, and the next resize found
# no host; an aborted live migration left them on both hosts.
FAILED_MOVE_KEEPS_ROWS = KnownBug(
    None, None,
    "a cold migration, resize or live migration that ends in `error` keeps the devices that it "
    "claimed on the destination, as long as the server exists: neither the periodic task of "
    "nova-compute nor its restart frees them",
    "Audit after a move that failed: `wholecard repair plan` frees the rows (WC515)",
    source="nova/compute/resource_tracker.py, _update_available_resource",
)  # fmt: skip

# Read in nova 34.0.0: the destination sets the migration to `reverted` and casts to the source,
# which sets the server's host back only then; a run of its periodic task in between finds the
# server in neither list (`clean_usage`). Seen on 34.0.0: with real services whose task runs every
# two seconds, and in the simulator with a run between the two.
REVERT_FREES_ROWS = KnownBug(
    None, None,
    "while a cold migration or resize is reverted, a run of nova-compute's periodic task on the "
    "source can free the devices that the server gets back: its rows are available, and another "
    "server can get the same card",
    "Audit after a revert: `wholecard repair plan` gives the row back to the server (WC513)",
    source="nova/compute/resource_tracker.py, drop_move_claim_at_dest",
)  # fmt: skip

KNOWN_BUGS: tuple[KnownBug, ...] = (
    # nova/pci/manager.py, `_set_hvdevs`: "remove the device by force".
    KnownBug(1633120, 19,
        "nova-compute deletes its rows of devices that no device_spec matches any more, even if "
        "servers use them; it deletes all rows if it finds no device_spec, for example because "
        "the option has a wrong name",
        "Before you remove a device_spec, remove the servers from its cards, and check the names "
        "with `wholecard nova lint`. Afterwards: correct device_spec, delete the servers that had "
        "such cards and create them again",
        "Trying to remove device with … ownership … because of"),
    # A claim takes a PF's VFs out of their pool, which has only the available ones.
    KnownBug(1969496, 26,
        "after an error a PF is available and its VFs are not: nova chooses it and cannot claim it",
        "If no server uses a VF of that PF: stop nova-compute, set the status of the VFs' rows in "
        "nova's table pci_devices to available, start nova-compute again",
        "Attempt to consume PCI device … from empty pool"),
    KnownBug(1986838, 26,
        "nova-compute cannot claim a device, logs that, and the server is ACTIVE without it",
        "Request cards of one kind with one alias and a count, not with two aliases. Delete a "
        "server that has started without its card and create it again",
        "Failed to allocate PCI devices for instance"),
    KnownBug(1941005, 26,
        "a resize requests the cards of the old flavor",
        "Resize only to flavors that request the same cards, or create a new server"),
    # nova released the claim, but did not clear the server's list of devices.
    KnownBug(1860555, 30,
        "a server that is tried on another host keeps the devices that it had claimed on the first "
        "host in its list",
        "Delete the server and create it again. With PciPassthroughFilter, or with cards in "
        "Placement, nova tries fewer hosts without a free card"),
    KnownBug(2098496, 32,
        "with pci_in_placement a server may get more VFs than it requested",
        "Give whole cards, or VFs without pci_in_placement; compare `virsh dumpxml` with the "
        "flavor"),
    # What to do is in the commit's message; nova/compute/pci_placement_translator.py.
    KnownBug(2115905, 32,
        "with report_in_placement a server whose device has left device_spec cannot be deleted",
        "Before you remove a device_spec, remove the servers from its cards. Afterwards: put the "
        "device_spec back, restart nova-compute, delete the server, then remove the device_spec",
        "Failed to delete resource provider … Resource provider has allocations"),
    KnownBug(2115729, 32,
        "nova-compute deletes only half of the removed devices from the database each time",
        "Wait: each run of nova-compute's periodic task deletes half of the rest"),
    KnownBug(2140631, Capability.CARDS_COUNTED.since,
        "with unified limits a quota does not count what an alias requests",
        "Make the flavors with cards private and add projects one by one: `openstack flavor set "
        "--project`"),
    MOVE_TAKES_OTHER_CARD,
    FAILED_MOVE_KEEPS_ROWS,
    REVERT_FREES_ROWS,
)  # fmt: skip


def by_bug(number: int) -> KnownBug:
    """The bug of that number in nova's tracker.

    Raises KeyError where the table has none.
    """
    return {bug.bug: bug for bug in KNOWN_BUGS}[number]

"""nova's own faults with cards, by the release that mended them: what no configuration avoids.

Source: the commits that close the bugs, and the first release that contains each. Point releases
of an older series may have the mend as well.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A bug of nova's tracker, mended in that major version; until then `what` happens."""

    bug: int
    mended: int
    what: str


FAULTS: tuple[Fault, ...] = (
    Fault(
        1633120, 19,
        "nova-compute that finds no device_spec deletes its rows of devices, those in use too",
    ),
    Fault(
        1969496, 26,
        "after a fault a PF is available and its VFs are not: claims end in an empty pool",
    ),
    Fault(
        1986838, 26,
        "a claim of a device fails on the compute, is logged, and the server is ACTIVE without it",
    ),
    Fault(
        1941005, 26,
        "a resize asks for the cards of the old flavor",
    ),
    Fault(
        1860555, 30,
        "a server that goes on to another host leaves its device claimed on the first",
    ),
    Fault(
        2098496, 32,
        "a server with VFs has more of them in libvirt than it asked for",
    ),
    Fault(
        2115905, 32,
        "a server whose device has left device_spec cannot be deleted",
    ),
    Fault(
        2115729, 32,
        "of the devices that have gone only half leave the database each time",
    ),
    Fault(
        2140631, 34,
        "under unified limits a quota does not see what an alias asks for",
    ),
)  # fmt: skip

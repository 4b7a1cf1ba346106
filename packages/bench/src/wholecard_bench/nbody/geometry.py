"""How a device is filled: which bodies a group of threads has, and how many slices of the others.

65,536 bodies in groups of 512 are 128 groups, and a card with 132 multiprocessors holds 1,188. So
the bodies that attract are cut into slices, a group has one slice, and the sums are added in the
order of the slices.
"""

from __future__ import annotations

from dataclasses import dataclass

# A slice's sums are written and read once: 32 bytes a body, which take as long as some 24
# interactions (16 on an H200, 21 on an A100, by their memory's speed).
_INTERACTIONS_A_SLICE = 24


@dataclass(frozen=True)
class Launch:
    """The grid of the kernel `forces`: `rows` times `slices` groups of `threads` threads.

    A slice has `slice_bodies` bodies (the last one may have fewer). `balance` is the time that a
    perfect division would take as a share of what this one takes: 1 is best. `speed` counts the
    slices' sums too.
    """

    threads: int
    bodies_a_thread: int
    rows: int
    slices: int
    slice_bodies: int
    balance: float
    speed: float

    @property
    def groups(self) -> int:
        """All groups of the grid."""
        return self.rows * self.slices


def plan_launch(
    bodies: int, own_bodies: int, places: int, threads: int, bodies_a_thread: int
) -> Launch:
    """The fastest grid for a device's `own_bodies` of all `bodies`.

    `places` is how many groups of the kernel the device holds at once: its multiprocessors times
    what each has registers for.
    """
    tiles = -(-bodies // threads)
    launches = (
        _launch(bodies, own_bodies, -(-tiles // slices), places, threads, bodies_a_thread)
        for slices in range(1, min(tiles, 512) + 1)
    )
    return max(launches, key=lambda launch: launch.speed)


def _launch(
    bodies: int, own_bodies: int, slice_tiles: int, places: int, threads: int, bodies_a_thread: int
) -> Launch:
    rows = -(-own_bodies // (threads * bodies_a_thread))
    tiles = -(-bodies // threads)
    slices = -(-tiles // slice_tiles)
    # A place takes the next group when it is free, so the last round is what is not shared evenly.
    rounds = -(-(rows * slices) // places)
    taken = rounds * places * slice_tiles * threads
    useful = bodies * own_bodies / (threads * bodies_a_thread)
    balance = useful / taken
    speed = 1 / (1 / balance + slices * _INTERACTIONS_A_SLICE / bodies)
    return Launch(threads, bodies_a_thread, rows, slices, slice_tiles * threads, balance, speed)

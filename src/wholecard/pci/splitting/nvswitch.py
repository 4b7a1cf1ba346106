"""HGX boards: which sets of their GPUs Fabric Manager can connect for one server.

In Fabric Manager's shared mode (FABRIC_MODE=1) a server's GPUs have NVLink only if they are
exactly one of the partitions that it knows, and that one is active; two partitions with a GPU in
common exclude each other. Members are module ids (`nvidia-smi -q`, "Module Id"), which do not
follow the order of PCI addresses. What Fabric Manager itself lists (`fmpm -l`) comes before the
tables here: it reads them from a file that an operator may replace. Not run on hardware.
"""

from __future__ import annotations

import re

from wholecard.core.record import dataclass
from wholecard.pci.address import Address, parse_numbers
from wholecard.pci.splitting.record import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Gpus = frozenset[int]

_HOPPER = Source(
    "NVIDIA HGX Shared NVSwitch GPU Passthrough Virtualization Integration Guide, WP-12736-002, as "
    "kubeswift-io/kubeswift b9312530 quotes it; fmpm -l of two H100 hosts as users published it",
    "2026-11-30",
)
_BLACKWELL = Source(
    "Ubicloud, GPU virtualization on HGX B200 (2025): the table of its HGX B200", "2026-11-30"
)

# `fmpm -l` answers with some 15 of them; a file of somebody else's gets no further.
_MOST = 1024
_MODULE = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True)
class Partition:
    """A set of GPUs, by module id, that can have NVLink among each other."""

    number: int
    gpus: Gpus

    @property
    def size(self) -> int:
        """How many GPUs it has."""
        return len(self.gpus)


@dataclass(frozen=True)
class Board:
    """A board's partitions as it comes; `inferred` says what no source names."""

    name: str
    ids: tuple[str, ...]
    partitions: tuple[Partition, ...]
    source: Source
    inferred: str = ""


def _tree(first: int, pairs: Sequence[tuple[int, int]]) -> tuple[Partition, ...]:
    """All eight, two halves, the pairs, each alone: numbered from `first` in this order."""
    sets = [range(1, 9), range(1, 5), range(5, 9), *pairs, *((gpu,) for gpu in range(1, 9))]
    return tuple(Partition(first + n, frozenset(gpus)) for n, gpus in enumerate(sets))


# As of 30 November 2026. Boards of which no source that was read has a table are not here: HGX A100
# (20b0, 20b2), and the boards of 16 GPUs (HGX-2, two HGX A100 together). Their own fmpm -l is read.
BOARDS = (
    Board("HGX H100, H200, H800", ("10de:2330", "10de:2335", "10de:2324"),
          _tree(0, ((1, 3), (2, 4), (5, 7), (6, 8))), _HOPPER,
          "H200's and H800's are the H100's"),
    Board("HGX B200, B300", ("10de:2901", "10de:3182"),
          _tree(1, ((1, 2), (3, 4), (5, 6), (7, 8))), _BLACKWELL, "B300's are the B200's"),
)  # fmt: skip


def board_of(ids: str) -> Board | None:
    """The board whose GPUs have these ids, None where no table is known."""
    return next((board for board in BOARDS if ids in board.ids), None)


def read_partitions(data: Any) -> tuple[Partition, ...]:
    """The partitions in the JSON of `fmpm -l`. Raises ValueError for anything else."""
    rows = data.get("partitionInfo") if isinstance(data, dict) else None
    if not isinstance(rows, list) or len(rows) > _MOST:
        raise ValueError("no list partitionInfo, as fmpm -l prints it")
    partitions = tuple(map(_read_partition, rows))
    if len({partition.number for partition in partitions}) != len(partitions):
        raise ValueError("two partitions have one partitionId")
    return partitions


def _read_partition(row: Any) -> Partition:
    try:
        number, gpus = row["partitionId"], [gpu["physicalId"] for gpu in row["gpuInfo"]]
        is_whole = len(set(gpus)) == len(gpus) == row["numGpus"] > 0
    except (KeyError, TypeError) as error:
        raise ValueError(f"a partition without {error}") from error
    if not is_whole or not all(type(value) is int for value in (number, *gpus)):
        raise ValueError(f"partition {str(number)[:40]} does not list its GPUs by their numbers")
    return Partition(number, frozenset(gpus))


def read_modules(texts: Iterable[str]) -> dict[str, int]:
    """Module ids by address, from `0000:17:00.0=3` each. Raises ValueError."""
    places: dict[str, int] = {}
    for text in texts:
        address, equals, number = text.partition("=")
        if parse_numbers(address) is None or not equals or not _MODULE.fullmatch(number):
            raise ValueError(f"{text[:40]!r} is not ADDRESS=MODULE")
        places[str(Address.parse(address))] = int(number)
    if len(set(places.values())) != len(places):
        raise ValueError("two GPUs have one module id")
    return places


def of_size_text(partitions: Iterable[Partition], size: int) -> str:
    """The module ids of the partitions with so many GPUs: `0 1; 2 3`, or `none`."""
    same = (each.gpus for each in partitions if each.size == size)
    return "; ".join(" ".join(map(str, sorted(gpus))) for gpus in same) or "none"


def partition_of(partitions: Iterable[Partition], gpus: Gpus) -> Partition | None:
    """The partition that has exactly these GPUs, None where there is none."""
    return next((partition for partition in partitions if partition.gpus == gpus), None)


def free_partitions(partitions: Iterable[Partition], taken: Gpus) -> tuple[Partition, ...]:
    """Those that can still be given while the GPUs `taken` are."""
    return tuple(partition for partition in partitions if not partition.gpus & taken)


def choose(partitions: Sequence[Partition], size: int, taken: Gpus) -> Partition | None:
    """The free partition of that size whose use leaves the most room; None only where none is free.

    The most room is: the most free partitions of the largest size, then of the next one, and so
    on; of equals the lowest number. On partitions that halve again and again (8, 4, 2, 1) this is
    the buddy system's best fit: it breaks the smallest free block that is large enough.
    """
    candidates = [each for each in free_partitions(partitions, taken) if each.size == size]
    if not candidates:
        return None
    sizes = sorted({partition.size for partition in partitions}, reverse=True)

    def room(candidate: Partition) -> tuple[list[int], int]:
        left = free_partitions(partitions, taken | candidate.gpus)
        counts = [sum(partition.size == size for partition in left) for size in sizes]
        return counts, -candidate.number

    return max(candidates, key=room)


def place(
    partitions: Sequence[Partition], sizes: Sequence[int], taken: Gpus = frozenset()
) -> tuple[Partition, ...] | None:
    """A partition for each size, none with a GPU of another or of `taken`; None where none is left.

    All sizes are known from the start, so every arrangement is tried; of those that fit it is the
    one that gives the lowest numbers to the largest sizes.
    """
    order = sorted(range(len(sizes)), key=lambda index: -sizes[index])

    def placed(rest: Sequence[int], taken: Gpus) -> tuple[Partition, ...] | None:
        if not rest:
            return ()
        for partition in free_partitions(partitions, taken):
            if partition.size == sizes[rest[0]]:
                more = placed(rest[1:], taken | partition.gpus)
                if more is not None:
                    return (partition, *more)
        return None

    found = placed(order, taken)
    if found is None:
        return None
    return tuple(partition for _, partition in sorted(zip(order, found)))

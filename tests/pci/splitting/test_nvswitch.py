"""Boards' partitions, and the chooser: what it guarantees and what no chooser can."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from splitting_page import FIGURES

from wholecard.pci.splitting.nvswitch import (
    BOARDS,
    Board,
    Partition,
    board_of,
    choose,
    free_partitions,
    partition_of,
    place,
    read_modules,
    read_partitions,
)

H100 = BOARDS[0].partitions
# Not a table of NVIDIA's: 16 GPUs that halve again and again, as the boards of eight do.
SIXTEEN = tuple(
    Partition(number, frozenset(range(first, first + size)))
    for number, (size, first) in enumerate(
        (size, first) for size in (16, 8, 4, 2, 1) for first in range(1, 17, size)
    )
)
TREES = {board.name: board.partitions for board in BOARDS} | {"a model of 16": SIXTEEN}
ORDERS, EVENTS = 10_000, 30


Taken = frozenset[int]
Chooser = Callable[[int, Taken], "Partition | None"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_is_a_tree(board: Board) -> None:
    """Eight GPUs in partitions of 8, 4, 2 and 1, each size all of the board, and each in a half."""
    everything = frozenset(range(1, 9))
    for size in (8, 4, 2, 1):
        same = [partition.gpus for partition in board.partitions if partition.size == size]
        assert frozenset.union(*same) == everything
        assert sum(map(len, same)) == 8
    assert len(board.partitions) == 15
    for one in board.partitions:
        for other in board.partitions:
            common = one.gpus & other.gpus
            assert common in (frozenset(), one.gpus, other.gpus)


def test_pairs_differ_between_boards() -> None:
    """GPUs 1 and 3 are a pair on an HGX H100, 1 and 2 on an HGX B200; their numbers differ too."""
    hopper, blackwell = board_of("10de:2335"), board_of("10de:2901")
    assert hopper is not None
    assert blackwell is not None
    assert partition_of(hopper.partitions, frozenset({1, 3})) == Partition(3, frozenset({1, 3}))
    assert partition_of(hopper.partitions, frozenset({1, 2})) is None
    assert partition_of(blackwell.partitions, frozenset({1, 2})) == Partition(4, frozenset({1, 2}))
    assert board_of("10de:20b2") is None


def test_the_smallest_free_block_is_broken() -> None:
    """With GPU 1 given, GPU 3 is next for a server with one: its pair is broken already."""
    assert choose(H100, 1, frozenset({1})) == Partition(9, frozenset({3}))
    assert choose(H100, 2, frozenset({1})) == Partition(4, frozenset({2, 4}))
    assert choose(H100, 4, frozenset({1})) == Partition(2, frozenset({5, 6, 7, 8}))
    assert choose(H100, 8, frozenset({1})) is None
    assert [each.number for each in free_partitions(H100, frozenset(range(1, 8)))] == [14]


def test_best_fit() -> None:
    """Whatever is taken, the choice is in the smallest free block that has room for it."""
    for number in range(256):
        taken = frozenset(gpu for gpu in range(1, 9) if number >> (gpu - 1) & 1)
        free = free_partitions(H100, taken)

        def block(partition: Partition, free: tuple[Partition, ...] = free) -> int:
            return max(each.size for each in free if partition.gpus <= each.gpus)

        for size in (1, 2, 4, 8):
            blocks = [block(partition) for partition in free if partition.size == size]
            chosen = choose(H100, size, taken)
            assert (chosen is None) == (not blocks)
            assert chosen is None or block(chosen) == min(blocks)


@given(
    st.lists(st.frozensets(st.integers(1, 6), min_size=1), max_size=12),
    st.frozensets(st.integers(1, 6)),
    st.integers(1, 6),
)
def test_any_partitions(sets: list[Taken], taken: Taken, size: int) -> None:
    """Of partitions that overlap in any way the choice is free, of its size, and leaves most."""
    partitions = [Partition(number, gpus) for number, gpus in enumerate(sets)]
    candidates = [each for each in free_partitions(partitions, taken) if each.size == size]
    chosen = choose(partitions, size, taken)
    assert (chosen in candidates) if candidates else (chosen is None)

    def room(partition: Partition) -> list[int]:
        left = free_partitions(partitions, taken | partition.gpus)
        return [sum(each.size == some for each in left) for some in range(6, 0, -1)]

    assert chosen is None or room(chosen) == max(map(room, candidates))


@pytest.mark.parametrize("name", TREES)
def test_without_deletions_only_too_few_gpus_refuse(name: str) -> None:
    """In every state that boots alone can reach, a size is refused only if fewer GPUs are free.

    All states are tried. So no other order or choice would have placed what is refused.
    """
    partitions = TREES[name]
    sizes = sorted({partition.size for partition in partitions})
    count = max(sizes)
    states, new = set[Taken](), {frozenset[int]()}
    while new:
        states |= new
        reached = set()
        for taken in new:
            for size in sizes:
                chosen = choose(partitions, size, taken)
                assert (chosen is None) == (count - len(taken) < size)
                if chosen is not None:
                    assert not chosen.gpus & taken
                    reached.add(taken | chosen.gpus)
        new = reached - states
    assert frozenset(range(1, count + 1)) in states


def test_orders_of_boots_and_deletions() -> None:
    """10,000 seeded orders: every server is on a partition, and a refusal means none is free.

    Counted are boots, refusals, and those refusals that other places for the servers that are
    there would have avoided. A chooser that moves no server cannot avoid all of them; best fit has
    fewer than first fit and than a choice at random.
    """
    best: Chooser = cache(lambda size, taken: choose(H100, size, taken))
    counts = {
        "best fit": _counted(lambda seed: best),
        "first fit": _counted(
            lambda seed: lambda size, taken: next(iter(_free(size, taken)), None)
        ),
        "at random": _counted(_random_place),
    }
    assert counts == FIGURES
    avoidable = [count[2] for count in counts.values()]
    assert avoidable == sorted(avoidable)


def test_what_no_chooser_can_avoid() -> None:
    """Eight servers with one GPU each, one of each pair deleted: four GPUs are free, and no pair.

    Every chooser is there, for all GPUs were given; only moving a server would help.
    """
    taken = frozenset({3, 4, 7, 8})
    assert choose(H100, 2, taken) is None
    assert _packs((2, 1, 1, 1, 1))


def test_sets_beside_each_other() -> None:
    """Sizes that are known together have a place if any arrangement has; the largest come first."""
    everything = [frozenset({1, 2, 3, 4}), frozenset({5, 7}), frozenset({6}), frozenset({8})]
    placed = place(H100, (1, 4, 1, 2))
    assert placed is not None
    assert [each.gpus for each in placed] == [everything[i] for i in (2, 0, 3, 1)]
    assert place(H100, (4, 4, 1)) is None
    assert place(H100, (4,), frozenset({1, 8})) is None
    # The first pair that is free leaves no place for the other: a second one is tried.
    overlapping = [Partition(n, frozenset(gpus)) for n, gpus in enumerate([(1, 2), (2, 3), (1, 4)])]
    placed = place(overlapping, (2, 2))
    assert placed is not None
    assert [each.number for each in placed] == [1, 2]


def test_module_ids() -> None:
    """Module ids by address."""
    assert read_modules(["0000:17:00.0=3", "0000:18:00.0=12"]) == {
        "0000:17:00.0": 3, "0000:18:00.0": 12,
    }  # fmt: skip
    for wrong in ("0000:17:00.0", "17=3", "0000:17:00.0=1234", "0000:17:00.0=-1"):
        with pytest.raises(ValueError, match="is not ADDRESS=MODULE"):
            read_modules([wrong])


def test_a_listing_of_fabric_manager() -> None:
    """`fmpm -l` is read: numbers, GPUs by physicalId; more keys are left alone."""
    data = {
        "version": 16909068, "numPartitions": 2, "maxNumPartitions": 15,
        "partitionInfo": [_row(0, 1, 2), _row(7, 1)],
    }  # fmt: skip
    assert read_partitions(data) == (
        Partition(0, frozenset({1, 2})), Partition(7, frozenset({1})),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "no list partitionInfo"),
        ({"partitionInfo": {}}, "no list partitionInfo"),
        ({"partitionInfo": [{}] * 2000}, "no list partitionInfo"),
        ({"partitionInfo": [{"partitionId": 1}]}, "a partition without 'gpuInfo'"),
        ({"partitionInfo": [5]}, "a partition without"),
        ({"partitionInfo": [{"partitionId": 1, "numGpus": 0, "gpuInfo": []}]}, "partition 1 does"),
        ({"partitionInfo": [{"partitionId": 1, "numGpus": 2, "gpuInfo": [{"physicalId": 1}]}]},
         "partition 1 does not list its GPUs"),
        ({"partitionInfo": [{"partitionId": True, "numGpus": 1, "gpuInfo": [{"physicalId": 1}]}]},
         "partition True does not list"),
        ({"partitionInfo": [{"partitionId": 3, "numGpus": 1, "gpuInfo": [{"physicalId": 1}]}] * 2},
         "two partitions have one partitionId"),
    ],
)  # fmt: skip
def test_no_listing(data: object, said: str) -> None:
    """Anything else is refused with what is wrong."""
    with pytest.raises(ValueError, match=said):
        read_partitions(data)


def _row(number: int, *gpus: int) -> dict[str, object]:
    info = [{"physicalId": gpu, "uuid": "", "pciBusId": ""} for gpu in gpus]
    return {"partitionId": number, "isActive": 0, "numGpus": len(gpus), "gpuInfo": info}


def _counted(place_of: Callable[[int], Chooser]) -> tuple[int, ...]:
    rows = [_run(seed, place_of(seed)) for seed in range(ORDERS)]
    return tuple(map(sum, zip(*rows, strict=True)))


def _run(seed: int, place: Chooser) -> tuple[int, int, int]:
    """Boots asked for, refused, and refused though another arrangement would have had room."""
    order = random.Random(seed)
    servers: list[Partition] = []
    taken = frozenset[int]()
    asked = refused = avoidable = 0
    for _ in range(EVENTS):
        if servers and order.random() < 0.45:
            taken -= servers.pop(order.randrange(len(servers))).gpus
            continue
        asked += 1
        size = order.choice((1, 1, 2, 2, 4, 8))
        chosen = place(size, taken)
        if chosen is not None:
            assert chosen in _free(size, taken)
            servers.append(chosen)
            taken |= chosen.gpus
            continue
        assert not _free(size, taken)
        refused += 1
        avoidable += _packs(tuple(sorted((*(server.size for server in servers), size))))
    return asked, refused, avoidable


@cache
def _free(size: int, taken: Taken) -> tuple[Partition, ...]:
    return tuple(each for each in H100 if each.size == size and not each.gpus & taken)


def _random_place(seed: int) -> Chooser:
    choice = random.Random(-seed - 1)

    def place(size: int, taken: Taken) -> Partition | None:
        free = _free(size, taken)
        return choice.choice(free) if free else None

    return place


@cache
def _packs(sizes: Sequence[int]) -> bool:
    """Whether an empty board has a partition for each size, by trying all of them."""

    def placed(left: tuple[int, ...], taken: Taken) -> bool:
        return not left or any(
            placed(left[1:], taken | partition.gpus) for partition in _free(left[0], taken)
        )

    return placed(tuple(sorted(sizes, reverse=True)), frozenset())

"""Which server goes to which host, so that no two are promised the same card.

A pure function. Each host has amounts that are free, each server needs amounts, and a list of hosts
that could take it alone. It is a first fit that moves earlier ones over where that makes room, as
augmenting paths do it for a bipartite matching; with one kind of card and equal servers it finds
the most that is possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """What a server needs, by resource class, and the hosts that could take it, the best first."""

    server: str
    amounts: Mapping[str, int]
    hosts: Sequence[str]


def assigned(needs: Sequence[Need], free: Mapping[str, Mapping[str, int]]) -> dict[str, str | None]:
    """The host of each server by its id, None for one that finds no room beside the others.

    Of a host of which nothing is known nothing is counted: nova decides.
    """
    left = {host: dict(amounts) for host, amounts in free.items()}
    placed: dict[str, str] = {}
    by_id = {need.server: need for need in needs}
    # Those with the fewest hosts first, and of these the largest.
    order = sorted(needs, key=lambda need: (len(need.hosts), -sum(_cards(need)), need.server))
    for need in order:
        _place(need, by_id, left, placed, set())
    return {need.server: placed.get(need.server) for need in needs}


def _cards(need: Need) -> list[int]:
    return [n for name, n in need.amounts.items() if name.startswith(("CUSTOM_", "VGPU"))]


def _place(
    need: Need, needs: Mapping[str, Need], left: dict[str, dict[str, int]],
    placed: dict[str, str], tried: set[str],
) -> bool:  # fmt: skip
    """Put the server somewhere; where no host has room, move one that is there to another host."""
    for host in need.hosts:
        if _fits(need, left.get(host, {})):
            _take(need, host, left, placed)
            return True
    for host in need.hosts:
        if host in tried:
            continue
        tried.add(host)
        for other in [name for name, at in placed.items() if at == host]:
            moved = needs[other]
            _give(moved, host, left, placed)
            if _fits(need, left.get(host, {})):
                _take(need, host, left, placed)
                if _place(moved, needs, left, placed, tried):
                    return True
                _give(need, host, left, placed)
            _take(moved, host, left, placed)
    return False


def _fits(need: Need, left: Mapping[str, int]) -> bool:
    return not left or all(left.get(name, 0) >= count for name, count in need.amounts.items())


def _take(need: Need, host: str, left: dict[str, dict[str, int]], placed: dict[str, str]) -> None:
    _add(need, left.setdefault(host, {}), -1)
    placed[need.server] = host


def _give(need: Need, host: str, left: dict[str, dict[str, int]], placed: dict[str, str]) -> None:
    _add(need, left.setdefault(host, {}), 1)
    del placed[need.server]


def _add(need: Need, left: dict[str, int], sign: int) -> None:
    for name, count in need.amounts.items():
        if name in left:
            left[name] += sign * count

"""Hosts with boards of eight H100, whose GPUs have module ids in another order than addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support import sites
from wholecard.host.facts.host import Host
from wholecard.site.boards import with_sets
from wholecard.site.model import Site

__all__ = ["ADDRESSES", "IDS", "MODULES", "board_host", "board_site", "server_modules"]

IDS = "10de:2330"
ADDRESSES = tuple(f"0000:{bus:02x}:00.0" for bus in range(0x81, 0x89))
MODULES = dict(zip(ADDRESSES, (2, 4, 3, 1, 7, 5, 8, 6), strict=True))


def board_host() -> Host:
    """The facts of a host with one board."""
    return sites.host(sites.function(address, IDS) for address in ADDRESSES)


def raw_site(*splits: tuple[int, Mapping[str, Any]], **more: Any) -> Site:
    """A site as its file has it: so many hosts of each split; an empty split gives cards whole."""
    cards: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    for number, (count, sets) in enumerate(splits):
        names = [f"gpu-{len(hosts) + each + 1:02}" for each in range(count)]
        hosts |= {name: {"facts": f"{name}.json", "modules": MODULES} for name in names}
        cards[f"board{number}"] = {
            "match": [{"vendor": "10de", "product": "2330", "hosts": names}],
            "give": {"policy": "partitions", "sets": sets} if sets else "whole",
        }
    return Site.model_validate({"release": "2026.2", "cards": cards, "hosts": hosts, **more})


def board_site(*splits: tuple[int, Mapping[str, Any]], **more: Any) -> tuple[Site, dict[str, Host]]:
    """The same with its sets as kinds, and the facts of its hosts."""
    site = with_sets(raw_site(*splits, **more))
    return site, dict.fromkeys(site.hosts, board_host())


def server_modules(addresses: list[str]) -> frozenset[int]:
    """The module ids of a server's GPUs."""
    return frozenset(MODULES[address] for address in addresses)

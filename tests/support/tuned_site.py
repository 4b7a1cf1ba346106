"""A host of two NUMA nodes with eight H100 as facts, for the flavors of the pages' examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from support import hosts
from support.hosts import GIB
from support.small_cloud import card
from wholecard.host.facts.host import Cpu, Host, HugePagePool, Memory
from wholecard.site.model import Site

DOCS = Path(__file__).parents[2] / "docs/how-to"
NODES = ((0, "0-47,96-143"), (1, "48-95,144-191"))
DEDICATED, SHARED = "2-47,50-95,98-143,146-191", "0-1,48-49,96-97,144-145"


def facts(gib_of_pages: int = 900, isolated: str = DEDICATED) -> Host:
    """96 cores with two threads each, 1 TiB on each node, so many pages of 1 GiB, four cards."""
    pages = tuple(HugePagePool(GIB, gib_of_pages, gib_of_pages, node) for node, _ in NODES)
    whole = HugePagePool(GIB, 2 * gib_of_pages, 2 * gib_of_pages)
    return hosts.host(
        *(card(f"0000:{bus:02x}:00.0", node) for node in (0, 1)
          for bus in range(0x19 + 0x80 * node, 0x59 + 0x80 * node, 0x10)),
        group=hosts.by_slot,
        cpu=Cpu(
            "GenuineIntel", sockets=2, cores=96, threads=192, physical_bits=52, nodes=NODES,
            isolated=isolated,
        ),
        memory=Memory(2048 * GIB, tuple((node, 1024 * GIB) for node, _ in NODES), (whole, *pages)),
    )  # fmt: skip


def example(page: str) -> dict[str, Any]:
    """The site file of a how-to page: its first YAML block with flavors."""
    text = (DOCS / page).read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    data = next(block for block in blocks if "flavors:" in block and "release:" in block)
    # Every value of a site file is read as text.
    return dict(yaml.load(data, Loader=yaml.BaseLoader))


def site(data: dict[str, Any], **flavors: dict[str, Any]) -> Site:
    """The site of that data, for the newest nova, with more flavors."""
    merged = {**data.get("flavors", {}), **flavors}
    return Site.model_validate({**data, "release": "2026.2", "flavors": merged})

"""The query that nova sends to Placement for a flavor of cards.

Captured from real boots of nova 34.0.0 by `boots_bench.py` (its JSON keeps it), where the suffixes
begin with the id of the server's PCI request: `tests/benchmarks` compares.
"""

from __future__ import annotations

from bench_cloud import CARD_CLASS

REQUEST_ID = "3ede84db-d028-4ad5-8122-154a595aaf49"


def nova_query(cards: int, request_id: str = REQUEST_ID) -> tuple[tuple[str, str], ...]:
    """Pairs in nova's order (sorted by name) for `pci_passthrough:alias=h100:CARDS`."""
    suffixes = [f"{request_id}-{number}" for number in range(cards)]
    pairs = [
        ("limit", "1000"),
        ("resources", "DISK_GB:1,MEMORY_MB:1024,VCPU:1"),
        ("root_required", "OWNER_NOVA,!COMPUTE_STATUS_DISABLED"),
        *((f"resources{suffix}", f"{CARD_CLASS}:1") for suffix in suffixes),
        *((f"required{suffix}", "OWNER_NOVA") for suffix in suffixes),
    ]
    if cards > 1:
        pairs.append(("group_policy", "none"))
    return tuple(sorted(pairs))

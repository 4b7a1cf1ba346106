"""How long the audit compares 10,000 hosts of 8 cards in memory; the goal is 2 s of CPU.

    PYTHONPATH=tests python benchmarks/audit_compare_bench.py

Reading is not in it: the views are made before the clock starts, a thousand hosts at a time. Half
of the cards are given, and all four views are there. `seconds` is what others call.
"""

from __future__ import annotations

import gc
import time

from rich.console import Console
from rich.table import Table

from support.audit_views import FixedViews, audit_cloud
from wholecard.audit.compare import compare

TARGET_SECONDS = 2.0
_BATCH = 1000


def seconds(views: FixedViews) -> float:
    """CPU seconds to compare these views, the best of three."""
    best = []
    for _ in range(3):
        start = time.process_time()
        found = sum(len(host.disagreements) for host in compare(views))
        best.append(time.process_time() - start)
        assert found == 0
    return min(best)


def main() -> None:
    """Measure and print."""
    table = Table("hosts", "devices", "CPU s", "goal")
    for hosts in (100, 1000, 10000):
        batch = min(hosts, _BATCH)
        views = audit_cloud(batch, cards=8, given=4)
        # The views are the tests' and would not be there: the collector need not walk them.
        gc.collect()
        gc.freeze()
        spent = seconds(views) * hosts / batch
        goal = f"{TARGET_SECONDS * hosts / 10000:.2f}"
        table.add_row(str(hosts), str(hosts * 8), f"{spent:.2f}", goal)
    Console().print(table)


if __name__ == "__main__":
    main()

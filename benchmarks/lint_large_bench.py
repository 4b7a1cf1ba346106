"""How long `nova lint` takes for the largest files of whatever is slow; the goal is 2 s of CPU.

    PYTHONPATH=tests python benchmarks/lint_large_bench.py

The files are those of tests/nova/lint/test_fuzz.py, which holds how their work grows.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.table import Table

from support.lint_hosts import hosts
from support.lint_large_files import LARGE
from wholecard.core.releases import LATEST
from wholecard.nova.conf.conf_file import ConfFile
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.lint import Facts, Service, lint

TARGET_SECONDS = 2.0


def seconds(data: bytes) -> float:
    """CPU seconds of reading and linting a file, the better of two."""
    best = []
    for _ in range(2):
        start = time.process_time()
        facts = (Facts("gpu-01", hosts()["gpu-01"]),)
        lint([Service(NovaConf((ConfFile.parse(data),)), LATEST, "compute", facts)])
        best.append(time.process_time() - start)
    return min(best)


def main() -> None:
    """Measure and print."""
    table = Table("file", "bytes", "CPU s", "goal")
    for large in LARGE:
        data = large.data()
        table.add_row(large.name, str(len(data)), f"{seconds(data):.2f}", f"{TARGET_SECONDS:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()

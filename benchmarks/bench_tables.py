"""The figures of both benchmarks as the documentation's tables.

python benchmarks/bench_tables.py candidates|boots FILE
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def candidates_table(result: Mapping[str, Any]) -> str:
    """Median seconds (of CPU in brackets) by settings and hosts, and how many hosts it offers."""
    rows = {(row["row"], row["hosts"]): row for row in result["rows"]}
    sizes = sorted({hosts for _, hosts in rows})
    heads = ["settings", *(f"{hosts} host{'s' if hosts > 1 else ''}" for hosts in sizes)]
    lines = [heads, ["---", *("---:" for _ in sizes)]]
    for name in dict.fromkeys(row["row"] for row in result["rows"]):
        cells = [_candidates_cell(rows.get((name, hosts)), result) for hosts in sizes]
        lines.append([name, *cells])
    return _markdown(lines)


def _candidates_cell(row: Mapping[str, Any] | None, result: Mapping[str, Any]) -> str:
    if row is None:
        return "not tried"
    if row["cut_off"]:
        return f"cut off at {result['cut_off_seconds']:.0f} s"
    offered = "" if row["hosts_offered"] == row["hosts"] else f", {row['hosts_offered']} offered"
    cpu = statistics.median(row["cpu_seconds"])
    return f"{row['median']:.2f} s ({cpu:.2f}){offered}"


def boots_table(result: Mapping[str, Any]) -> str:
    """What became of the servers, by settings; each turn of a repeated row on its own."""
    lines = [
        ["settings", "ACTIVE", "not ACTIVE", "conflicts", "most for one boot", "s"],
        ["---", "---:", "---", "---:", "---:", "---:"],
    ]
    for name in dict.fromkeys(row["row"] for row in result["rows"]):
        turns = [row for row in result["rows"] if row["row"] == name]
        reasons = [f"{count} {why}" for row in turns for why, count in row["reasons"].items()]
        lines.append(
            [
                name,
                ", ".join(str(row["active"]) for row in turns),
                "; ".join(reasons),
                ", ".join(str(row["conflicts"]) for row in turns),
                ", ".join(str(row["conflicts_per_boot_max"]) for row in turns),
                f"{statistics.median(row['seconds'] for row in turns):.0f}",
            ]
        )
    return _markdown(lines)


def _markdown(lines: list[list[str]]) -> str:
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


if __name__ == "__main__":
    table = {"candidates": candidates_table, "boots": boots_table}[sys.argv[1]]
    print(table(json.loads(Path(sys.argv[2]).read_text())), end="")

"""The figures of the boots as a picture for the documentation.

    python benchmarks/bench_picture.py BOOTS.json > docs/images/boots.svg

It takes what `boots_bench.py` wrote.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 960, 310, 250, 66, 34, 20
STYLE = """
  .page { fill: #f6f7f9; stroke: #d9dee5 } .bar { fill: #1f5fbf } .last { fill: #17703c }
  .rest { fill: #e3e7ed } .title { font-weight: 650; font-size: 16px } .end { text-anchor: end }
  text { font: 14px system-ui, "Segoe UI", Roboto, Arial, sans-serif; fill: #1b2430 }
  .soft { fill: #5b6675 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #161b22; stroke: #323c48 } .bar { fill: #7fb0f5 } .last { fill: #6fd398 }
    .rest { fill: #2a323d } text { fill: #e4e9f0 } .soft { fill: #9aa7b6 }
  }
"""


def picture(result: Mapping[str, Any]) -> str:
    """An SVG: a bar a row, as long as the servers that got their card (medians of the turns)."""
    names = list(dict.fromkeys(row["row"] for row in result["rows"]))
    height = TOP + STEP * len(names) + 18
    boots = result["boots"]
    heading = (f"{boots} servers asked for at once, {result['hosts']} hosts of "
               f"{result['cards_per_host']} cards: how many get one")  # fmt: skip
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="t"><title id="t">{escape(heading)}</title><style>{STYLE}</style>',
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        f'<text class="title" x="24" y="32">{escape(heading)}</text>',
    ]
    for number, name in enumerate(names):
        turns = [row for row in result["rows"] if row["row"] == name]
        parts += _bar(name, turns, boots, TOP + STEP * number, last=name == names[-1])
    return "\n".join([*parts, "</svg>", ""])


def _bar(name: str, turns: list[Mapping[str, Any]], boots: int, top: int, last: bool) -> list[str]:
    whole = WIDTH - LEFT - RIGHT
    active, conflicts = (statistics.median(turn[key] for turn in turns)
                         for key in ("active", "conflicts"))  # fmt: skip
    line = top + BAR - 5
    times = f" (median of {len(turns)})" if len(turns) > 1 else ""
    word = "conflict" if conflicts == 1 else "conflicts"
    return [
        f'<text class="end" x="{LEFT - 12}" y="{line}">{escape(name)}</text>',
        f'<rect class="rest" x="{LEFT}" y="{top}" width="{whole}" height="{BAR}"/>',
        f'<rect class="{"last" if last else "bar"}" x="{LEFT}" y="{top}" '
        f'width="{whole * active / boots:.0f}" height="{BAR}"/>',
        f'<text x="{LEFT + whole + 12}" y="{line}">{active:g}<tspan class="soft">, '
        f"{conflicts:g} {word}{times}</tspan></text>",
    ]


if __name__ == "__main__":
    print(picture(json.loads(Path(sys.argv[1]).read_text())), end="")

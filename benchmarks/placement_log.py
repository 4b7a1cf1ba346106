"""Placement's own log of requests, read back: which were asked, which conflicted.

Source of the format: placement 16, `placement/requestlog.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

_LINE = re.compile(
    r'placement\.requestlog .*"(?P<method>[A-Z]+) (?P<path>\S+)" status: (?P<status>\d+)'
)
_CLAIM = re.compile(r"(?:/placement)?/allocations/(?P<consumer>[0-9a-f-]{36})$")


@dataclass(frozen=True)
class Call:
    """One request: its method, its path with the query, the status of its answer."""

    method: str
    path: str
    status: int


def calls(lines: Iterable[str]) -> list[Call]:
    """The requests of a log, in its order; other lines are left out."""
    matches = (_LINE.search(line) for line in lines)
    return [
        Call(match["method"], match["path"], int(match["status"])) for match in matches if match
    ]


def conflicts(log: Iterable[Call]) -> Counter[str]:
    """How often Placement refused a claim (409), by consumer (a server's id)."""
    count: Counter[str] = Counter()
    for call in log:
        claim = _CLAIM.search(call.path)
        if claim and call.method == "PUT" and call.status == 409:
            count[claim["consumer"]] += 1
    return count


def candidate_queries(log: Iterable[Call]) -> list[tuple[tuple[str, str], ...]]:
    """The queries of `GET /allocation_candidates`, each as pairs in the order they were sent."""
    return [
        tuple((unquote(key), value) for key, value in parse_qsl(call.path.partition("?")[2]))
        for call in log
        if call.method == "GET" and "/allocation_candidates?" in call.path
    ]

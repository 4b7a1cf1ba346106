"""What a check of the audit is asked about: one host's views beside the whole cloud's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wholecard.audit.record import CloudViews, Disagreement, HostViews


@dataclass(frozen=True, slots=True)
class HostCase:
    """One host, and the cloud that it is in."""

    views: HostViews
    cloud: CloudViews


# A check says what disagrees on a host; it stays silent where a view that it needs was not read.
Check = Callable[[HostCase], Iterator[Disagreement]]

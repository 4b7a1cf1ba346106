"""The four views compared, host by host: nothing of a host is kept but what disagrees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wholecard.audit.checks.cloud_case import CloudCase
from wholecard.audit.checks.host_case import HostCase
from wholecard.audit.checks.registry import CHECKS
from wholecard.audit.record import Disagreement, HostViews, View
from wholecard.audit.views.source import Views

# Checks for each set of views that were read: a host mostly has all four.
_VIEWS = tuple(View)


@dataclass(frozen=True, slots=True)
class HostComparison:
    """What disagrees on one host, in the order of addresses; `devices` are nova's rows."""

    host: str
    devices: int
    disagreements: tuple[Disagreement, ...]
    unread: Mapping[View, str]


def compare(views: Views, second_look: bool = False) -> Iterator[HostComparison]:
    """Each host's comparison as it is read. Raises WholecardError where nova cannot be read.

    On the `second_look` nothing is pending because it is new: see `CloudCase`.
    """
    cloud = CloudCase(views.cloud_views(), second_look)
    for host in views.host_views():
        yield compare_host(host, cloud)


def compare_host(host: HostViews, cloud: CloudCase) -> HostComparison:
    """One host beside the cloud."""
    case = HostCase(host, cloud)
    read = frozenset(view for view in _VIEWS if _was_read(case, view))
    found = [
        disagreement
        for check in CHECKS if read.issuperset(check.views)
        for disagreement in check.run(case)
    ]  # fmt: skip
    if found:
        # A key is said once: two checks may come to the same thing from two sides.
        found = sorted({row.key: row for row in found}.values(), key=_order)
    return HostComparison(host.host, len(case.rows or ()), tuple(found), host.unread)


def _was_read(case: HostCase, view: View) -> bool:
    if view is View.SYSFS:
        return case.functions is not None
    if view is View.LIBVIRT:
        return case.host.domains is not None
    if view is View.NOVA:
        return case.rows is not None
    return case.has_placement


def _order(row: Disagreement) -> tuple[str, str, str]:
    return row.address, row.rule, row.server

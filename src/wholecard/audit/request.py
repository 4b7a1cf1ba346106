"""The entry point of the audit: sources in, a report out.

Nothing is called broken after one look. The views are read one after the other while servers come
and go, so whatever disagrees is read a second time, at the hosts concerned alone: after two
seconds where nothing is in flight there, and after one run of nova-compute's periodic task where
something is. Only what disagrees in both looks, with nothing in flight any more, counts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wholecard.audit.checks.cloud_case import PERIOD, CloudCase
from wholecard.audit.compare import HostComparison, compare, compare_host
from wholecard.audit.fact_names import ROW_UPDATED
from wholecard.audit.record import Disagreement, View
from wholecard.audit.report import AuditReport
from wholecard.audit.views.source import Views

if TYPE_CHECKING:
    from wholecard.audit.views.open_views import AuditSources

# Opens the views of these hosts, of all where it is None.
Look = Callable[[tuple[str, ...] | None], AbstractContextManager[Views]]

# What neither servers' comings and goings nor a start of nova-compute change: one look is enough.
STEADY = frozenset({"WC516", "WC517", "WC528", "WC531", "WC533", "WC540"})

# Seconds before a second look where nothing is known to be in flight: nova writes to Placement and
# to its database one after the other, and the audit may have read between the two.
_BREATH = 2.0

# So many more objects than before, and the garbage collector looks for cycles: some ten batches.
_OBJECTS = 200_000


class AuditWatcher:
    """Told what the audit does; this one is told in vain."""

    def look(self, hosts: int, again: bool) -> None:
        """A look begins, at about so many hosts: as many as nova has computes."""

    def host(self, name: str) -> None:
        """A host was compared."""

    def wait(self, seconds: float, hosts: int) -> None:
        """The audit waits so long before it looks at so many hosts again."""


@dataclass(frozen=True)
class AuditRequest:
    """Where the views come from, and how long to wait before the second look.

    `wait` is in seconds; None does not wait, and what is pending is called in flight. `computes`
    are nova-compute's configuration files by hypervisor's host name, by the empty name those of
    every other host: what WC517 needs.
    """

    sources: AuditSources
    wait: float | None = PERIOD
    computes: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def audit(request: AuditRequest, watcher: AuditWatcher | None = None) -> AuditReport:
    """Read and compare. Raises WholecardError where nova cannot be read at all."""
    # Late: whoever has views already needs no database's driver and no SDK.
    from wholecard.audit.views.device_specs import WithDeviceSpecs  # noqa: PLC0415
    from wholecard.audit.views.open_views import opened_views  # noqa: PLC0415

    @contextmanager
    def look(hosts: tuple[str, ...] | None) -> Iterator[Views]:
        sources = request.sources
        if hosts is not None:
            sources = replace(sources, hosts=hosts, hosts_may_be_gone=True)
        with opened_views(sources) as views:
            yield WithDeviceSpecs(views, request.computes) if request.computes else views

    return audit_views(look, request.wait, watcher or AuditWatcher())


def compare_views(views: Views) -> AuditReport:
    """One look at views that are at hand; what is pending is `in_flight`."""
    found = _Look()
    for host in compare(views):
        found.add(host)
    return _report(found, found.settled, found.pending, 0.0)


def audit_views(
    look: Look,
    wait: float | None,
    watcher: AuditWatcher,
    sleep: Callable[[float], None] = time.sleep,
) -> AuditReport:
    """`audit` of whatever views `look` opens; `sleep` is how it waits."""
    began = time.monotonic()
    first = _one_look(look, None, watcher)
    doubtful = [row for row in first.settled if row.rule not in STEADY]
    pending = first.pending if wait is not None else []
    if not doubtful and not pending:
        return _report(first, first.settled, first.pending, time.monotonic() - began)
    hosts = tuple(sorted({row.host for row in (*doubtful, *pending)}))
    if pending and wait:
        watcher.wait(wait, len(hosts))
        sleep(wait)
    else:
        sleep(_BREATH if wait is None else min(wait, _BREATH))
    second = _one_look(look, hosts, watcher, waited=bool(pending))
    found, in_flight = _seen_twice(first, second, hosts, keep_pending=wait is None)
    return _report(first, found, in_flight, time.monotonic() - began)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """The garbage collector seldom walks what an audit makes: none of it has cycles.

    It would walk every server of the cloud again and again: a fifth of a large audit's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass
class _Look:
    """What one look gave."""

    hosts: int = 0
    devices: int = 0
    settled: list[Disagreement] = field(default_factory=list)
    pending: list[Disagreement] = field(default_factory=list)
    unread: dict[View, tuple[str, int]] = field(default_factory=dict)

    def add(self, host: HostComparison) -> None:
        self.hosts += 1
        self.devices += host.devices
        for row in host.disagreements:
            (self.pending if row.pending else self.settled).append(row)
        for view, reason in host.unread.items():
            first, count = self.unread.get(view, (reason, 0))
            self.unread[view] = first, count + 1


def _one_look(
    look: Look, hosts: tuple[str, ...] | None, watcher: AuditWatcher, waited: bool = False
) -> _Look:
    found = _Look()
    with _rarely_collected(), look(hosts) as views:
        cloud = CloudCase(views.cloud_views(), second_look=waited)
        count = len(cloud.views.services) if hosts is None else len(hosts)
        watcher.look(count, again=hosts is not None)
        for host in views.host_views():
            found.add(compare_host(host, cloud))
            watcher.host(host.host)
    return found


def _seen_twice(
    first: _Look, second: _Look, hosts: Iterable[str], keep_pending: bool
) -> tuple[list[Disagreement], list[Disagreement]]:
    """What counts, and what is in flight, in the order of hosts.

    A thing that only the second look has is new, and was seen once: in flight.
    """
    again = frozenset(hosts)
    before = {row.key: row for row in (*first.settled, *first.pending)}
    counts = [row for row in first.settled if row.host not in again or row.rule in STEADY]
    known = {row.key for row in counts}
    in_flight = list(first.pending if keep_pending else second.pending)
    known.update(row.key for row in in_flight)
    for row in second.settled:
        if row.key in known:
            continue
        changed = _what_changed(before.get(row.key), row)
        (in_flight if changed else counts).append(replace(row, pending=changed))
    counts.sort(key=lambda row: (row.host, row.address, row.rule))
    return counts, in_flight


def _what_changed(earlier: Disagreement | None, row: Disagreement) -> str:
    """Why a disagreement of the second look is not the one of the first, empty if it is."""
    if earlier is None:
        return "it began during the audit"
    if earlier.facts.get(ROW_UPDATED) != row.facts.get(ROW_UPDATED):
        return "nova changed the row during the audit"
    return ""


def _report(
    look: _Look, found: Iterable[Disagreement], in_flight: Iterable[Disagreement], seconds: float
) -> AuditReport:
    return AuditReport(
        look.hosts,
        look.devices,
        tuple(found),
        look.unread,
        seconds,
        in_flight=tuple(in_flight),
    )

"""Hosts and cloud read again and again, with what has to be remembered between two readings."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wholecard.core import WholecardError
from wholecard.fleet import Watcher
from wholecard.health.card_states import card_rows, state_findings
from wholecard.health.record import CardRow, CloudCards, HostAnswer
from wholecard.health.request import HealthRequest, read_cloud_of, read_hosts
from wholecard.health.usage import CardSeconds, cards_now
from wholecard.host.facts.card_health import HostHealth

CLOUD = "cloud"
HOST = "host"

# Lines of a log by the card's slot and the kind.
Lines = Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class SourceState:
    """How the last reading of one source went; `last_success` is seconds since 1970, 0 for never.

    `host` is empty for the cloud. `error` says why it failed.
    """

    source: str
    host: str
    up: bool
    last_success: float
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Reading:
    """All that one scrape shows. What a source did not give is not in it."""

    sources: tuple[SourceState, ...] = ()
    answers: tuple[HostAnswer, ...] = ()
    cards: tuple[CardRow, ...] = ()
    findings: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict)
    lines: Mapping[str, Lines] = field(default_factory=dict)
    project_cards: Mapping[str, int] = field(default_factory=dict)
    card_seconds: Mapping[str, float] = field(default_factory=dict)


class Sources:
    """The hosts and the cloud of a request; `read` asks them all once more.

    Not safe for several threads: one reads, and others get the `Reading` that it returned.
    """

    def __init__(self, request: HealthRequest, usage_since: datetime | None = None) -> None:
        self._request = request
        self._usage = CardSeconds(usage_since or datetime.now(UTC).replace(tzinfo=None))
        self._lines = LineCounts()
        self._successes: dict[tuple[str, str], float] = {}

    def read(self, watcher: Watcher | None = None) -> Reading:
        """Ask every source. One that fails is in `sources` with up False; nothing is raised."""
        answers = read_hosts(self._request, watcher)
        states = [
            self._state(HOST, answer.host, answer.error, answer.seconds) for answer in answers
        ]
        cloud = None
        if self._request.cloud:
            cloud, state = self._read_cloud()
            states.append(state)
        rows = card_rows(answers, cloud, cloud_expected=bool(self._request.cloud))
        return Reading(
            tuple(states),
            answers,
            rows,
            card_findings(answers, rows),
            {a.host: self._lines.add(a.host, a.health) for a in answers if a.health is not None},
            cards_now(cloud.servers.values()) if cloud else {},
            self._usage.add(cloud) if cloud else {},
        )

    def _read_cloud(self) -> tuple[CloudCards | None, SourceState]:
        start = time.monotonic()
        try:
            cloud = read_cloud_of(self._request, self._usage.counted_to)
        except WholecardError as error:
            return None, self._state(CLOUD, "", error.brief, time.monotonic() - start)
        return cloud, self._state(CLOUD, "", "", time.monotonic() - start)

    def _state(self, source: str, host: str, error: str, seconds: float) -> SourceState:
        if not error:
            self._successes[source, host] = time.time()
        last = self._successes.get((source, host), 0.0)
        return SourceState(source, host, not error, last, seconds, error)


class LineCounts:
    """Lines of the hosts' logs, counted once each although every answer has them again."""

    def __init__(self) -> None:
        self._boots: dict[str, str] = {}
        self._marks: dict[tuple[str, str], tuple[str, float]] = {}
        self._counts: dict[str, Counter[tuple[str, str]]] = {}

    def add(self, host: str, health: HostHealth) -> Lines:
        """Count an answer in; the host's lines since boot. A reboot begins at zero."""
        if self._boots.get(host) != health.boot_id:
            self._boots[host] = health.boot_id
            self._counts[host] = Counter()
            for source in ("kernel", "qemu"):
                self._marks.pop((host, source), None)
        counts = self._counts[host]
        before = {source: self._marks.get((host, source)) for source in ("kernel", "qemu")}
        for event in health.events:
            mark = before[event.source]
            if mark is None or event.order > mark:
                counts[event.slot, event.kind] += 1
                newest = self._marks.get((host, event.source), event.order)
                self._marks[host, event.source] = max(newest, event.order)
        return dict(counts)


def card_findings(
    answers: tuple[HostAnswer, ...], rows: tuple[CardRow, ...]
) -> dict[tuple[str, str, str, str], int]:
    """How many findings by host, card, rule and severity; a port's count for each card below."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    of_host = {answer.host: answer.findings for answer in answers}
    of_state = list(state_findings(rows))
    for row in rows:
        parts = (*row.card.functions, *row.card.ports)
        named = {f"{row.host} {name}" for name in (row.card.slot, *(p.address for p in parts))}
        for finding in (*of_host[row.host], *of_state):
            if finding.subject in named:
                counts[row.host, row.card.slot, finding.rule, finding.severity.value] += 1
    return dict(counts)

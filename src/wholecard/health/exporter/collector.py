"""A reading as Prometheus' metric families. A scrape asks nobody: it shows the last reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from wholecard.cloud.placement.card_state import CardState
from wholecard.health.exporter import metrics
from wholecard.health.exporter.metrics import METRICS, Metric
from wholecard.health.exporter.reading import Reading
from wholecard.health.record import CardRow, HostAnswer
from wholecard.host.facts.card_events import KINDS
from wholecard.host.facts.card_health import CardHealth, Errors, FunctionHealth

# A metric, its labels' values and its value.
Sample = tuple[Metric, tuple[str, ...], float]


class CardCollector(Collector):
    """Shows what `newest` returns, None while nothing has been read yet."""

    def __init__(self, newest: Callable[[], Reading | None]) -> None:
        self._newest = newest

    def collect(self) -> Iterator[Family]:
        """Every family that has a sample, in the order of `METRICS`."""
        reading = self._newest()
        families = {metric: _family(metric) for metric in METRICS}
        for metric, labels, value in samples(reading) if reading else ():
            families[metric].add_metric(labels, value)
        yield from (family for family in families.values() if family.samples)

    def describe(self) -> Iterator[Family]:
        """The families without samples, so that registering reads nothing."""
        return (_family(metric) for metric in METRICS)


def samples(reading: Reading) -> Iterator[Sample]:
    """All samples of a reading. Pure."""
    for state in reading.sources:
        labels = (state.source, state.host)
        yield metrics.SOURCE_UP, labels, float(state.up)
        yield metrics.SOURCE_READ, labels, state.last_success
        yield metrics.SOURCE_SECONDS, labels, state.seconds
    for row in reading.cards:
        yield from _card(row)
        yield from _lines(reading, row.host, row.card.slot)
    for found, count in reading.findings.items():
        yield metrics.CARD_FINDINGS, found, float(count)
    for answer in reading.answers:
        yield from _ports(answer)
    for project, count in reading.project_cards.items():
        yield metrics.PROJECT_CARDS, (project,), float(count)
    for project, seconds in reading.card_seconds.items():
        yield metrics.CARD_SECONDS, (project,), seconds


def _family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    kind = GaugeMetricFamily if metric.kind == "gauge" else CounterMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


def _card(row: CardRow) -> Iterator[Sample]:
    card, at = row.card, (row.host, row.card.slot)
    model = card.model or card.ids
    yield metrics.CARD_INFO, (*at, model, card.ids, card.functions[0].driver or ""), 1.0
    for state in CardState:
        yield metrics.CARD_STATE, (*at, model, state.value), float(row.state is state)
    if row.server:
        yield metrics.CARD_GIVEN, (*at, model, row.project), 1.0
    if card.link is not None:
        slot = card.link.slot_lanes or card.link.card_lanes
        yield metrics.LINK_LANES, at, float(card.link.lanes)
        yield metrics.LINK_LANES_MAX, at, float(min(card.link.card_lanes, slot))
    for function in card.functions:
        if function.config in ("alive", "dead"):
            yield metrics.RESPONDING, (*at, function.address), float(function.config == "alive")
        yield from _errors((*at, function.address), function.errors)


def _lines(reading: Reading, host: str, slot: str) -> Iterator[Sample]:
    """Every kind, with 0 too: Prometheus' `increase` does not see a series that begins with 1."""
    counts = reading.lines.get(host, {})
    for kind in KINDS:
        yield metrics.LOG_EVENTS, (host, slot, kind), float(counts.get((slot, kind), 0))


def _ports(answer: HostAnswer) -> Iterator[Sample]:
    """The ports above cards, each once; one that is above several belongs to none."""
    above: dict[str, list[tuple[CardHealth, FunctionHealth]]] = {}
    for card in answer.health.cards if answer.health else ():
        for port in card.ports:
            above.setdefault(port.address, []).append((card, port))
    for address, cards in above.items():
        card, port = cards[0]
        slot = card.slot if len(cards) == 1 else ""
        yield from _errors((answer.host, slot, address), port.errors)
        for severity, count in _by_severity(port.received):
            yield metrics.PORT_ERRORS, (answer.host, address, severity), count


def _errors(at: tuple[str, str, str], errors: Errors | None) -> Iterator[Sample]:
    for severity, count in _by_severity(errors):
        yield metrics.PCI_ERRORS, (*at, severity), count


def _by_severity(errors: Errors | None) -> tuple[tuple[str, float], ...]:
    if errors is None:
        return ()
    return (
        ("correctable", float(errors.correctable)),
        ("nonfatal", float(errors.nonfatal)),
        ("fatal", float(errors.fatal)),
    )

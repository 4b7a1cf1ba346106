"""What one scrape shows, as text: every metric, and nothing of a source that failed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from support.golden import compare
from support.health_reports import MODEL, SERVER, SLOT, answer, card, cloud, line, part, provider
from support.health_reports import server as nova_server
from support.promtool import promtool
from wholecard.health.card_states import card_rows
from wholecard.health.exporter.collector import CardCollector
from wholecard.health.exporter.metrics import METRICS
from wholecard.health.exporter.reading import LineCounts, Reading, SourceState, card_findings
from wholecard.health.record import CloudCards, HostAnswer
from wholecard.health.usage import CardSeconds, cards_now
from wholecard.host.facts.card_health import CardLink, Errors

SICK = card(
    errors=Errors(120, 1, 1, (("correctable BadTLP", 120), ("nonfatal UnsupReq", 1),
                              ("fatal DLP", 1))),
    link=CardLink(f"{SLOT}.0", 8, 16, "0000:40:01.1", 16),
)  # fmt: skip


def reading(answers: Iterable[HostAnswer], known: CloudCards | None = None) -> Reading:
    """A reading of these answers, at 10 s for the hosts and 20 s for the cloud."""
    answers = tuple(answers)
    lines = LineCounts()
    rows = card_rows(answers, known)
    states = [SourceState("host", a.host, not a.error, 10.0 if not a.error else 0.0, 0.5)
              for a in answers]  # fmt: skip
    if known is not None:
        states.append(SourceState("cloud", "", True, 20.0, 1.5))
    return Reading(
        tuple(states), answers, rows, card_findings(answers, rows),
        {a.host: lines.add(a.host, a.health) for a in answers if a.health},
        cards_now(known.servers.values()) if known else {},
        CardSeconds(known.now).add(known) if known and known.now else {},
    )  # fmt: skip


def scraped(newest: Reading | None) -> str:
    """The text of a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CardCollector(lambda: newest))
    return generate_latest(registry).decode()


def test_scrape() -> None:
    """A host with a card in order and a broken one, a host that failed, and a cloud."""
    given = provider(used=1, holders=(SERVER,))
    other = card("0000:61:00", ports=(part("0000:60:01.1", received=Errors(0, 0, 0)),))
    answers = [
        answer(SICK, other, events=(line("aer-fatal", 7.0), line("aer-fatal", 8.0))),
        HostAnswer("gpu-02", error="no answer", seconds=0.5),
    ]
    text = scraped(reading(answers, cloud(given, servers=(nova_server(),))))
    compare("scrape.prom", text, Path(__file__).parent / "golden")


def test_lint() -> None:
    """Prometheus' own linter has nothing to say about names, units and help."""
    text = scraped(reading([answer(SICK)], cloud(provider(), servers=(nova_server(),))))
    checked = promtool("check", "metrics", stdin=text)
    assert (checked.status, checked.stdout, checked.stderr) == (0, "", "")


def test_every_metric_is_shown() -> None:
    """A record without a sample, or a sample without a record, would be wrong on the page."""
    text = scraped(reading([answer(SICK)], cloud(provider(used=1, holders=(SERVER,)),
                                                 servers=(nova_server(),))))  # fmt: skip
    assert re.findall(r"^# TYPE (\S+)", text, re.M) == [metric.name for metric in METRICS]


def test_before_the_first_reading() -> None:
    """A scrape before anything was read is empty, and no error."""
    assert scraped(None) == ""


def test_shared_port() -> None:
    """The errors of a port above two cards count once, and for none of them."""
    port = part("0000:40:01.1", Errors(9, 0, 0))
    cards = (card(ports=(port,)), card("0000:42:00", ports=(port,)))
    text = scraped(reading([answer(*cards)]))
    found = re.findall(r'errors_total{address="0000:40:01.1",(.*)severity="correctable"} 9', text)
    assert found == ['card="",host="gpu-01",']


def test_sleeping_card() -> None:
    """A card that sleeps neither answers nor fails to."""
    asleep = card(functions=(part(config="asleep"),))
    assert "function_responding" not in scraped(reading([answer(asleep)]))


def test_names_with_quotes() -> None:
    """A model's name cannot break out of its label."""
    odd = card()
    odd = type(odd)(odd.slot, 'a"} 1\nb', odd.ids, odd.functions)
    text = scraped(reading([answer(odd)]))
    assert promtool("check", "metrics", stdin=text).status == 0
    assert MODEL not in text

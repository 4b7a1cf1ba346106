"""Hosts' answers to `health`: asked over ssh or here, read, compared with earlier ones."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from wholecard.core import Finding, Severity, UsageError, WholecardError
from wholecard.core.input_files import parse_json, read_json_input
from wholecard.core.json_records import Reader, record_reader
from wholecard.core.record import replace
from wholecard.fleet import Fleet, HostResult, Ssh, Watcher
from wholecard.health.record import HostAnswer
from wholecard.host.checks.card_health import check_health, with_links
from wholecard.host.facts.card_events import CardEvent
from wholecard.host.facts.card_health import (
    SCHEMA,
    CardHealth,
    CardLink,
    Errors,
    FunctionHealth,
    HostHealth,
)
from wholecard.host.facts.health import read_host_health

_COMMAND = ("health", "--json")


def ask_hosts(
    hosts: Sequence[str],
    ssh: Ssh,
    jobs: int = 16,
    timeout: float | None = None,
    watcher: Watcher | None = None,
    earlier: Mapping[str, HostHealth] | None = None,
) -> tuple[HostAnswer, ...]:
    """The answers of these hosts, in their order; one that fails has its `error`.

    Raises KeyboardInterrupt when Ctrl-C has ended it.
    """
    fleet = Fleet(hosts, ssh, jobs, timeout)
    results = fleet.run(_COMMAND, watcher or Watcher())
    if fleet.interrupted:
        raise KeyboardInterrupt
    return tuple(_answer(result, (earlier or {}).get(result.host)) for result in results)


def ask_here(earlier: Mapping[str, HostHealth] | None = None, root: str = "/") -> HostAnswer:
    """This machine's answer, under its own name. Raises WholecardError as `inspect`."""
    start = time.monotonic()
    health = with_links(*read_host_health(root))
    name = health.hostname or socket.gethostname()
    before = (earlier or {}).get(name)
    return judged(name, health, before, time.monotonic() - start)


def judged(
    host: str, health: HostHealth, earlier: HostHealth | None = None, seconds: float = 0.0
) -> HostAnswer:
    """The answer with its findings: all since boot, or what is new since an earlier answer."""
    new, since = health, "boot"
    if earlier is not None and earlier.boot_id == health.boot_id:
        new = only_new(health, earlier)
        since = datetime.fromtimestamp(earlier.taken_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    findings = (_of_host(host, finding) for finding in check_health(new, since))
    return HostAnswer(host, health, tuple(findings), seconds=seconds)


def only_new(now: HostHealth, earlier: HostHealth) -> HostHealth:
    """Counters without what they had in an earlier answer of the same boot, and later lines only.

    Links, power states and first bytes stay: they are as they are now.
    """
    before = {card.slot: card for card in earlier.cards}
    marks = {source: _mark(earlier, source) for source in ("kernel", "qemu")}
    return replace(
        now,
        cards=tuple(_card_since(card, before.get(card.slot)) for card in now.cards),
        events=tuple(event for event in now.events if event.order > marks[event.source]),
    )


def read_earlier(path: Path) -> dict[str, HostHealth]:
    """The hosts' health of an earlier `health --json`. Raises UsageError."""
    try:
        hosts = read_json_input(path)["hosts"]
        return {
            str(name): read_health(entry["health"])
            for name, entry in hosts.items()
            if entry["health"] is not None
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"{path} is no answer of health",
            error.strerror if isinstance(error, OSError) and error.strerror else reason,
            "Write one: wholecard health --on HOSTS --json > FILE",
        ) from error


def read_health(data: Any) -> HostHealth:
    """The inverse of `HostHealth.to_json`; every value is checked. Raises ValueError, KeyError."""
    if not isinstance(data, dict) or data["schema"] != SCHEMA:
        raise ValueError("it is of another release of Wholecard")
    known = {name: data[name] for name in HostHealth.__annotations__ if name in data}
    health: HostHealth = _reader()(known, "health")
    return health


@cache
def _reader() -> Reader:
    errors = record_reader(Errors)
    function = record_reader(FunctionHealth, kinds={"Errors": errors})
    link = record_reader(CardLink)
    card = record_reader(CardHealth, kinds={"FunctionHealth": function, "CardLink": link})
    event = record_reader(CardEvent)
    return record_reader(HostHealth, kinds={"CardHealth": card, "CardEvent": event})


def _answer(result: HostResult, earlier: HostHealth | None) -> HostAnswer:
    if result.error is not None:
        return HostAnswer(result.host, error=result.error.brief, seconds=result.seconds)
    try:
        data = parse_json(result.stdout)
        error = data.get("error") if isinstance(data, dict) else None
        if error:
            return HostAnswer(result.host, error=str(error["brief"]), seconds=result.seconds)
        health = read_health(data)
    except (ValueError, KeyError, TypeError) as error:
        why = f"its answer cannot be read: {error}"
        return HostAnswer(result.host, error=why, seconds=result.seconds)
    return judged(result.host, health, earlier, result.seconds)


def _of_host(host: str, finding: Finding) -> Finding:
    return Finding(
        finding.rule, f"{host} {finding.subject}", finding.severity, finding.message, finding.fix
    )


def no_answer(answer: HostAnswer) -> Finding:
    """The finding for a host that did not answer."""
    return Finding(
        "WC588", answer.host, Severity.WARNING,
        f"The health of {answer.host} was not read: {answer.error}.",
        f"Run wholecard --on {answer.host} host health",
    )  # fmt: skip


def _card_since(now: CardHealth, before: CardHealth | None) -> CardHealth:
    if before is None:
        return now
    known = {part.address: part for part in (*before.functions, *before.ports)}
    return replace(
        now,
        functions=tuple(_part_since(part, known.get(part.address)) for part in now.functions),
        ports=tuple(_part_since(part, known.get(part.address)) for part in now.ports),
    )


def _part_since(now: FunctionHealth, before: FunctionHealth | None) -> FunctionHealth:
    if before is None:
        return now
    return replace(
        now,
        errors=_less(now.errors, before.errors),
        received=_less(now.received, before.received),
    )


def _less(now: Errors | None, before: Errors | None) -> Errors | None:
    if now is None or before is None:
        return now
    earlier = dict(before.kinds)
    kinds = ((name, count - earlier.get(name, 0)) for name, count in now.kinds)
    # A card that was taken out and put in again counts from zero.
    if now.correctable < before.correctable or now.fatal < before.fatal:
        return now
    return Errors(
        now.correctable - before.correctable,
        max(0, now.nonfatal - before.nonfatal),
        now.fatal - before.fatal,
        tuple((name, count) for name, count in kinds if count > 0),
    )


def _mark(health: HostHealth, source: str) -> tuple[str, float]:
    """The last line of a log that an answer has."""
    orders = (event.order for event in health.events if event.source == source)
    return max(orders, default=("", -1.0))


def here_or_error(earlier: Mapping[str, HostHealth] | None) -> HostAnswer:
    """This machine's answer; an error is in it, for the rest of a report to go on."""
    try:
        return ask_here(earlier)
    except WholecardError as error:
        return HostAnswer(socket.gethostname(), error=error.brief)

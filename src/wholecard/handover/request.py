"""The hand-over: cards that were used are cleaned, and given back or kept out.

Placement is the truth: a card is due when Placement counts nobody for it and has all of it
reserved. `reserved` is also what keeps it: nova gives no server a card without capacity. So the
hand-over may be killed at any moment: what it began is begun again, and only its last step, one
request at the generation that was read, ends the card's isolation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

from openstack.connection import Connection

from wholecard.core import WholecardError
from wholecard.core.rules import RULES
from wholecard.handover.cleaner import Cleaner
from wholecard.handover.listener import Listener
from wholecard.handover.notifications import Notification
from wholecard.handover.record import STAYING, CardRecord, CardState, HandoverStatus
from wholecard.handover.reserved_cards import (
    CardInventory,
    CardProvider,
    ConflictError,
    give_back,
    one_time_use_cards,
    read_card,
)
from wholecard.handover.store import Store, begun
from wholecard.host.cleaning.record import BUSY, CLEAN, NOT_CLEARED
from wholecard.transaction.os_errors import as_wholecard_error

# How often a card is given back after a conflict; after that at the next look.
_CONFLICTS = 6
# nova-compute frees a card some time after its notification: looks after one, in seconds.
SETTLING = (0.0, 5.0, 20.0, 60.0)
_NOTE = 200

Say = Callable[[str], None]


@dataclass(frozen=True)
class HandoverRequest:
    """`interval` is the seconds between two looks at Placement, `jobs` how many hosts work at once.

    Cards of one host are cleaned one after the other.
    """

    interval: float = 300.0
    jobs: int = 8


def look(
    conn: Connection,
    cleaner: Cleaner,
    store: Store,
    request: HandoverRequest,
    say: Say,
    hosts: frozenset[str] | None = None,
) -> HandoverStatus:
    """One look: every card that is due, of these hosts or of all, is cleaned and given back.

    The store is held. Raises CloudError where Placement does not answer; one host that does not
    answer is a card that waits.
    """
    store.count(rounds=1)
    due: dict[str, list[tuple[CardRecord, CardInventory]]] = {}
    present = set()
    for provider in one_time_use_cards(conn):
        if (hosts is not None and provider.host not in hosts) or not cleaner.reaches(provider.host):
            continue
        present.add((provider.host, provider.address))
        card = read_card(conn, provider)
        record = _noticed(store, provider, card)
        if card is not None and record is not None and record.state not in STAYING:
            due.setdefault(provider.host, []).append((record, card))
    _forget_gone(store, present, hosts, cleaner)
    with ThreadPoolExecutor(max(1, min(request.jobs, len(due)))) as threads:
        works = [threads.submit(_host_work, cleaner, store, cards) for cards in due.values()]
        for work in as_completed(works):
            for record in work.result():
                _finish(conn, store, record, say)
    return store.status()


def serve(
    conn: Connection,
    cleaner: Cleaner,
    store: Store,
    request: HandoverRequest,
    say: Say,
    listener: Listener | None,
    pause: Callable[[float], bool],
) -> None:
    """Look at every interval, and at once after a notification, until `pause` says to end.

    `pause(seconds)` waits and returns whether to end. Placement that does not answer is said and
    asked again.
    """
    looks = [_Look(time.monotonic(), None, periodic=True)]
    said = ""
    while not pause(0):
        now = time.monotonic()
        ready = [due for due in looks if due.at <= now]
        if ready:
            looks = [due for due in looks if due.at > now]
            _attempt(conn, cleaner, store, request, say, ready)
            if any(due.periodic for due in ready):
                looks.append(_Look(time.monotonic() + request.interval, None, periodic=True))
            if listener is not None:
                # Not before: what a killed hand-over had not done comes again.
                listener.acknowledge()
            continue
        left = min(due.at for due in looks) - now
        if listener is None:
            pause(left)
            continue
        events = listener.wait(min(left, 5.0))
        if listener.trouble not in ("", said):
            say(f"{listener.trouble}; Placement is asked every {request.interval:g} s meanwhile")
        said = listener.trouble
        if events:
            store.count(notifications=len(events))
            looks += _after(events, time.monotonic())
        else:
            listener.acknowledge()


@dataclass(frozen=True)
class _Look:
    """A look that is due at a time of the monotonic clock; `hosts` None for all hosts."""

    at: float
    hosts: frozenset[str] | None
    periodic: bool = False


def _after(events: Sequence[Notification], now: float) -> Iterator[_Look]:
    nodes = {event.node for event in events}
    hosts = None if None in nodes else frozenset(node for node in nodes if node)
    return (_Look(now + seconds, hosts) for seconds in SETTLING)


def _attempt(
    conn: Connection,
    cleaner: Cleaner,
    store: Store,
    request: HandoverRequest,
    say: Say,
    looks: Sequence[_Look],
) -> None:
    named = [due.hosts for due in looks if due.hosts is not None]
    hosts = frozenset().union(*named) if len(named) == len(looks) else None
    try:
        look(conn, cleaner, store, request, say, hosts)
    except WholecardError as error:
        store.count(failures=1)
        say(f"this look failed, the next one tries again: {error.brief}")


def _noticed(store: Store, provider: CardProvider, card: CardInventory | None) -> CardRecord | None:
    """The record of a card that is due; None for one that is not, whose record is brought along."""
    record = store.card(provider.host, provider.address)
    if record is not None and record.state is CardState.KEPT:
        return record
    if card is None or not card.waits:
        if record is not None and record.state is not CardState.GIVEN_BACK:
            # Somebody else gave it back, or a server has it: it was not ours any more.
            store.forget(record)
        return None
    if record is not None and record.provider == provider.uuid:
        if record.state is CardState.GIVEN_BACK:
            # Used again since.
            return replace(record, state=CardState.WAITING, tries=0)
        return record
    return CardRecord(provider.host, provider.address, provider.uuid, CardState.WAITING)


def _forget_gone(
    store: Store, present: set[tuple[str, str]], hosts: frozenset[str] | None, cleaner: Cleaner
) -> None:
    """Records of cards that Placement does not have any more."""
    for record in store.cards():
        looked = (hosts is None or record.host in hosts) and cleaner.reaches(record.host)
        if looked and (record.host, record.address) not in present:
            store.forget(record)


def _host_work(
    cleaner: Cleaner, store: Store, cards: Sequence[tuple[CardRecord, CardInventory]]
) -> list[CardRecord]:
    """Clean a host's cards; their records afterwards. In a thread of its own."""
    done = []
    for record, card in cards:
        if record.state is CardState.CLEAN and record.generation == card.generation:
            # It was cleaned after this use, and only giving it back is left.
            done.append(record)
            continue
        started = store.put(begun(record, card.generation))
        try:
            report = cleaner.clean(started.host, started.address)
        except (WholecardError, OSError) as fault:
            error = fault if isinstance(fault, WholecardError) else as_wholecard_error(fault)
            text = " ".join(f"{error.brief} {error.details}".split())[:_NOTE]
            done.append(replace(started, state=CardState.WAITING, rule="WC575", reason=text,
                                fix=error.resolution))  # fmt: skip
            continue
        done.append(_judged(started, report))
    return done


def _judged(record: CardRecord, report: dict[str, Any]) -> CardRecord:
    """The record after a host's report."""
    verdict = report["verdict"]
    states = {CLEAN: CardState.CLEAN, BUSY: CardState.WAITING,
              NOT_CLEARED: CardState.NOT_CLEARED}  # fmt: skip
    findings = [row for row in report.get("findings", ()) if row.get("rule") in RULES]
    first: dict[str, str] = findings[0] if findings else {}
    return replace(
        record,
        state=states.get(verdict, CardState.OUT),
        rule=first.get("rule", ""),
        reason=first.get("message", ""),
        fix=first.get("fix", ""),
        seen={
            "method": report.get("method", ""),
            "seconds": report.get("seconds", 0.0),
            "looked_at_bytes": sum(row["looked_at_bytes"] for row in report.get("memory", ())),
            "kept_pages": sum(row["kept"] for row in report.get("memory", ())),
            "overwritten_bytes": sum(row["overwritten_bytes"] for row in report.get("memory", ())),
        },
    )


def _finish(conn: Connection, store: Store, record: CardRecord, say: Say) -> None:
    """Keep what came out, count it, and give a clean card back."""
    store.put(record)
    if record.seen:
        store.count(cleanings=1, seconds_cleaning=float(record.seen["seconds"]))
    if record.state is CardState.CLEAN:
        _give_back(conn, store, record, say)
        return
    names = {CardState.NOT_CLEARED: "not_cleared", CardState.OUT: "out",
             CardState.WAITING: "failures"}  # fmt: skip
    store.count(**{names[record.state]: 1})
    say(f"{record.name}: {record.state.value}: {record.rule} {record.reason}")


def _give_back(conn: Connection, store: Store, record: CardRecord, say: Say) -> None:
    """Set `reserved` to 0; after a conflict only if the card still waits, and is still ours."""
    provider = CardProvider(record.provider, record.host, record.address)
    for _ in range(_CONFLICTS):
        try:
            card = read_card(conn, provider)
            if card is None or not card.waits:
                store.forget(record)
                say(f"{record.name}: somebody else gave it back, or a server has it")
                return
            give_back(conn, card)
        except ConflictError:
            store.count(conflicts=1)
            continue
        except WholecardError as error:
            # It stays clean, and is given back at the next look if nobody touched it until then.
            store.count(failures=1)
            say(f"{record.name}: clean, and not given back yet: {error.brief}")
            return
        store.put(replace(record, state=CardState.GIVEN_BACK))
        store.count(given_back=1)
        say(f"{record.name}: cleaned by {record.seen.get('method') or 'a reset'}, given back")
        return
    say(f"{record.name}: clean, and not given back yet: its provider changes all the time")

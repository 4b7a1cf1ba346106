"""`card replace | move | add | retire` as records: before the reboot, and after it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wholecard.core import Finding, Severity, UsageError
from wholecard.host.facts.host import Host
from wholecard.moving.card_change import CardChange, CardStore, Kind, Seen, StepState, steps
from wholecard.moving.card_identity import CardIdentity, card_named, identity
from wholecard.moving.renumbered import (
    Comparison,
    Prediction,
    Renumbered,
    Will,
    compared,
    predicted,
)
from wholecard.pci import Address
from wholecard.pci.function import Function, slot_path

CHANGED, HELD, OTHERWISE, NAMES_OLD = "WC595", "WC596", "WC597", "WC598"


@dataclass(frozen=True)
class CardRequest:
    """Which change, on which host. `slot` is the card's, `to` the place that it comes to."""

    kind: Kind
    host: str
    slot: str = ""
    to: str = ""
    cloud: str = ""
    site: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What else is known, each None where it was not read.

    `held` are addresses of this host that servers hold, with the server; `texts` are files that may
    name addresses (site.yaml, nova.conf), by name; `seen` is how far the change is.
    """

    held: Mapping[str, str] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)


@dataclass(frozen=True)
class CardReport:
    """What was planned, what changes or changed, and the checklist."""

    change: CardChange
    steps: tuple[StepState, ...]
    predictions: tuple[Prediction, ...] = ()
    comparison: Comparison | None = None
    findings: tuple[Finding, ...] = ()
    now: tuple[CardIdentity, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        change, found = self.change, self.comparison or Comparison()
        return {
            "kind": change.kind, "host": change.host,
            "card": vars(change.card) if change.card else None,
            "steps": [step.to_json() for step in self.steps],
            "predictions": [_prediction_json(row) for row in self.predictions],
            "renumbered": [_renumbered_json(row) for row in found.renumbered],
            "gone": [str(each.address) for each in found.gone],
            "new": [str(each.address) for each in found.new],
            "cards": [vars(card) for card in self.now],
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip


def _prediction_json(row: Prediction) -> dict[str, Any]:
    return {"address": str(row.function.address), "name": row.function.device_name,
            "will": row.will, "expected": str(row.expected) if row.expected else None}  # fmt: skip


def _renumbered_json(row: Renumbered) -> dict[str, Any]:
    return {"name": row.name, "before": str(row.before), "after": str(row.after),
            "recognised_by": row.how, "moved": row.moved}  # fmt: skip


def begin(request: CardRequest, before: Host, store: CardStore, around: Surroundings) -> CardReport:
    """Keep the facts and say what will change; nothing on the host changes.

    Raises UsageError for a card or a place that the host does not have, or where another change is
    under way.
    """
    card = None
    if request.kind is not Kind.ADD:
        if not request.slot:
            what = "Name the card by slot, place or serial number."
            raise UsageError(f"card {request.kind} needs --slot", resolution=what)
        card = identity(before, card_named(before, request.slot))
    to = _place(before, request.to) if request.to else ""
    change = CardChange(
        request.kind, request.host, time.time(), before.boot.boot_id, card, to, request.cloud,
        request.site,
    )  # fmt: skip
    store.begin(change, before)
    predictions = tuple(_predictions(before, change))
    findings = tuple(_held_now(change, around.held or {}))
    return CardReport(
        change, steps(change, around.seen), predictions, findings=findings,
        now=tuple(identity(before, each) for each in before.cards), notes=tuple(_notes(change)),
    )  # fmt: skip


def after(change: CardChange, before: Host, now: Host, around: Surroundings) -> CardReport:
    """Compare the host with what was planned. Pure: nothing is written."""
    comparison = compared(before, now)
    cards = tuple(identity(now, card) for card in now.cards)
    rebooted = before.boot.boot_id != now.boot.boot_id
    findings = [
        *_as_planned(change, cards, rebooted),
        *_other_cards(change, before, cards),
        *_addresses(before, comparison, now, around),
    ]
    rewrite = tuple(_rewrites(change, findings, around.texts))
    seen = Seen(around.seen.disabled, around.seen.servers, rebooted,
                not any(each.severity is Severity.ERROR for each in findings), rewrite)  # fmt: skip
    notes = [] if around.held is not None else [
        "Who holds which address was not read: name the cloud (--cloud)."]  # fmt: skip
    return CardReport(
        change, steps(change, seen), comparison=comparison, findings=tuple(findings), now=cards,
        notes=tuple(notes),
    )  # fmt: skip


def _predictions(before: Host, change: CardChange) -> Iterator[Prediction]:
    buses = change.card.buses if change.card else 0
    if change.card is not None and change.kind in (Kind.RETIRE, Kind.MOVE):
        yield from predicted(before, change.card.place, -buses)
    elif change.card is not None:
        # The new card may have a switch where the old one has none, or the other way round.
        yield from (Prediction(row.function, Will.MAY)
                    for row in predicted(before, change.card.place, None))  # fmt: skip
    if change.to_place:
        yield from predicted(before, change.to_place, buses or None)


def _notes(change: CardChange) -> Iterator[str]:
    if change.kind is Kind.ADD and not change.to_place:
        yield "Without --to it is not known which addresses may change: name the port."
    if change.kind is Kind.REPLACE:
        yield "With a card of the same model all addresses stay."
    if change.card is not None and not change.card.serial:
        yield ("The card's serial number is not known: only root may read it, and not every card "
               "has one. The same model in the same place then counts as the card.")  # fmt: skip


def _place(host: Host, text: str) -> str:
    """The place of an empty slot: behind the port that `text` names by address or path."""
    for function in host.functions:
        if function.is_bridge and text in (str(function.address), slot_path(function)):
            return f"{slot_path(function)}/00"
    ports = ", ".join(slot_path(each) for each in host.functions
                      if each.is_bridge and not _has_below(host, each))  # fmt: skip
    raise UsageError(
        f"the host has no port {text}", f"Ports with nothing behind them: {ports or 'none'}",
        "Name the port that the card is plugged into, by its address or its place.",
    )  # fmt: skip


def _has_below(host: Host, port: Function) -> bool:
    return any(port.address in each.parents for each in host.functions)


def _held_now(change: CardChange, held: Mapping[str, str]) -> Iterator[Finding]:
    """Servers that hold something of the host: an address of theirs may be another's after it."""
    for address, server in sorted(held.items()):
        yield Finding(
            HELD, f"{change.host} {address}", Severity.ERROR,
            f"the server {server} holds it: after the reboot the address may be another's",
            f"wholecard drain {change.host}",
        )  # fmt: skip


def _as_planned(
    change: CardChange, cards: tuple[CardIdentity, ...], rebooted: bool
) -> Iterator[Finding]:
    """Whether the card is where it was to be, and the old one is not."""

    def finding(message: str, severity: Severity = Severity.ERROR, fix: str = "") -> Finding:
        return Finding(OTHERWISE, f"{change.host} {change.kind}", severity, message, fix)

    if not rebooted:
        again = "Run --after once it has."
        yield finding("the host has not been started again since the change was begun", fix=again)
        return
    at = {card.place: card for card in cards}
    old = change.card
    if old is not None:
        here = at.get(old.place)
        judge = {Kind.REPLACE: _replaced, Kind.RETIRE: _retired, Kind.MOVE: _left}[change.kind]
        yield from judge(old, here, finding)
    if change.to_place:
        yield from _arrived(old, change.to_place, at.get(change.to_place), finding)


def _retired(old: CardIdentity, here: CardIdentity | None, finding: Any) -> Iterator[Finding]:
    if here is not None:
        yield finding(f"a card is still at {old.place}: {here.title}")


def _left(old: CardIdentity, here: CardIdentity | None, finding: Any) -> Iterator[Finding]:
    if here is not None and old.same_card(here) is not False:
        yield finding(f"the card is still at {old.place}")


def _arrived(
    old: CardIdentity | None, place: str, there: CardIdentity | None, finding: Any
) -> Iterator[Finding]:
    if there is None:
        yield finding(f"no card is at {place}", fix="See that it sits firmly, and its power.")
    elif old is not None and old.same_card(there) is False:
        yield finding(f"another card than {old.title} is at {place}: {there.title}")


def _replaced(old: CardIdentity, here: CardIdentity | None, finding: Any) -> Iterator[Finding]:
    if here is None:
        yield finding(f"no card is at {old.place}", fix="See that it sits firmly, and its power.")
        return
    same = old.same_card(here)
    if same:
        yield finding(f"the old card is still at {old.place}: serial {old.serial}")
    elif same is None:
        yield finding(f"whether the card at {old.place} is a new one is not known: one of the two "
                      "serial numbers is not", Severity.NOTE)  # fmt: skip
    elif here.ids != old.ids:
        yield finding(
            f"the new card is of another model: {here.title}, not {old.ids}", Severity.WARNING,
            "Add its model to the site file: card kinds, aliases, flavors.",
        )  # fmt: skip


def _other_cards(
    change: CardChange, before: Host, cards: tuple[CardIdentity, ...]
) -> Iterator[Finding]:
    """Cards that nobody wanted to change, and that are gone or came."""
    concerned = _places(change)
    old = {card.place: card for card in (identity(before, each) for each in before.cards)}
    new = {card.place: card for card in cards}
    for place in sorted(old.keys() - new.keys() - concerned):
        yield Finding(
            OTHERWISE, f"{change.host} {old[place].slot}", Severity.ERROR,
            f"a card that was not to change is gone: {old[place].title} at {place}",
            "See that it sits firmly, and its power: wholecard inspect shows what the host has.",
        )  # fmt: skip
    came = [new[place] for place in sorted(new.keys() - old.keys() - concerned)]
    if change.kind is not Kind.ADD or change.to_place:
        for card in came:
            yield Finding(
                OTHERWISE, f"{change.host} {card.slot}", Severity.WARNING,
                f"a card that was not planned is at {card.place}: {card.title}",
            )  # fmt: skip
    elif not came:
        yield Finding(OTHERWISE, f"{change.host} add", Severity.ERROR, "the host has no new card",
                      "See that it sits firmly, and its power.")  # fmt: skip


def _places(change: CardChange) -> frozenset[str]:
    """The places that the change is about."""
    return frozenset({change.card.place if change.card else "", change.to_place})


def _addresses(
    before: Host, comparison: Comparison, now: Host, around: Surroundings
) -> Iterator[Finding]:
    """What has another address, who still holds the old one, and which file still names it."""
    old_cards = {function.address for card in before.cards for function in card.functions}
    for row in comparison.renumbered:
        of_card = row.before in old_cards
        why = "it sits in another place" if row.moved else "its bus has another number"
        yield Finding(
            CHANGED, str(row.before), Severity.WARNING if of_card else Severity.NOTE,
            f"{row.name} is at {row.after} now: {why} ({row.how})",
            "nova-compute makes its row again when it starts: restart it." if of_card else "",
        )  # fmt: skip
    yield from _held(comparison, now, around.held or {})
    yield from _naming_old(comparison, now, around)


def _naming_old(comparison: Comparison, now: Host, around: Surroundings) -> Iterator[Finding]:
    moved = {str(row.before): f"it is {row.after} now" for row in comparison.renumbered}
    moved |= {str(each.address): "nothing of it is left" for each in comparison.gone}
    files = {file.path: file.text or "" for file in now.settings.files + now.settings.foreign}
    for name, text in sorted({**files, **around.texts}.items()):
        for address, what in sorted(moved.items()):
            if address in text:
                yield Finding(NAMES_OLD, name, Severity.ERROR, f"names {address}; {what}",
                              _rewrite(name, around))  # fmt: skip


def _rewrite(name: str, around: Surroundings) -> str:
    if name in around.texts:
        return f"Correct {name}; better name cards by ids or place, which stay (select: ids)."
    return "Write it again: wholecard host plan, then host apply."


def _held(comparison: Comparison, now: Host, held: Mapping[str, str]) -> Iterator[Finding]:
    """Rows of servers at whose address there is another function now, or none.

    nova keeps an allocated row until its server goes (nova/pci/manager.py, `_set_hvdevs`); a free
    one it deletes, and it makes one for each new address.
    """
    changed: dict[str, Renumbered | Function] = {str(row.before): row for row in
                                                 comparison.renumbered}  # fmt: skip
    changed |= {str(each.address): each for each in comparison.gone}
    for address, server in sorted(held.items()):
        if address not in changed:
            continue
        there = now.function(Address.parse(address))
        what = f"{there.device_name or there.ids} is there now" if there else "nothing is there now"
        yield Finding(
            HELD, address, Severity.ERROR,
            f"the server {server} holds this address, and {what}",
            "nova keeps the row until the server goes. Do not start the server here. Move it away "
            f"(wholecard migrate {server}) or delete it; then wholecard audit shows that the row "
            "is gone.",
        )  # fmt: skip


def _rewrites(
    change: CardChange, findings: Iterable[Finding], texts: Mapping[str, str]
) -> Iterator[str]:
    names = dict.fromkeys(each.subject for each in findings if each.rule == NAMES_OLD)
    for name in names:
        if name in texts:
            yield f"${{EDITOR}} {name}"
        else:
            yield f"wholecard --on {change.host} host plan  # {name}"

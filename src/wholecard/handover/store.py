"""The hand-over's state on disk: a file for each card, whole after a kill at any moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wholecard.core.state_folder import state_folder
from wholecard.handover.record import CardRecord, CardState, Counters, HandoverStatus
from wholecard.transaction.atomic_files import make_directories, remove, write_atomically
from wholecard.transaction.checksummed import pack, unpack
from wholecard.transaction.locks import locked
from wholecard.transaction.os_errors import explained

_DAMAGE = (
    "Remove this file: the card stays reserved in Placement, is found again at the next look and "
    "cleaned."
)


def default_folder(cloud: str) -> Path:
    """`$XDG_STATE_HOME/wholecard/handover/CLOUD`. Raises UsageError, see `state_folder`."""
    return state_folder("handover", cloud)


class Store:
    """A folder with the cards' files and the counters. Only its owner can read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cards = folder / "cards"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no second hand-over use this state meanwhile. Raises WholecardError."""
        with explained("Name another folder: --state DIR."):
            make_directories(self._cards)
        with locked(
            self.folder / "lock",
            "another hand-over works with this state",
            "Let it work, or end it. `wholecard handover status` needs no lock.",
        ):
            yield

    def card(self, host: str, address: str) -> CardRecord | None:
        """The card's record, None where it has none. Raises WholecardError where it is damaged."""
        path = self._path(host, address)
        return self._read(path) if path.exists() else None

    def cards(self) -> tuple[CardRecord, ...]:
        """All cards, by host and address."""
        files = sorted(self._cards.glob("*.json")) if self._cards.is_dir() else []
        found = [self._read(file) for file in files]
        return tuple(sorted(found, key=lambda card: (card.host, card.address)))

    def put(self, card: CardRecord) -> CardRecord:
        """Keep a card's record, with the time of its state."""
        card = replace(card, since=datetime.now(UTC).isoformat(timespec="seconds"))
        write_atomically(self._path(card.host, card.address), pack(card.to_json()), 0o600)
        return card

    def forget(self, card: CardRecord) -> None:
        """Remove a card's record."""
        remove(self._path(card.host, card.address))

    def counters(self) -> Counters:
        """What was done so far; zeros where nothing was, or the file is damaged."""
        path = self.folder / "counters.json"
        return unpack(path, lambda data: Counters(**data)) if path.exists() else Counters()

    def count(self, **more: float) -> None:
        """Add to the counters."""
        counters = self.counters().plus(**more)
        write_atomically(self.folder / "counters.json", pack(counters.__dict__), 0o600)

    def status(self) -> HandoverStatus:
        """All of it."""
        return HandoverStatus(self.cards(), self.counters())

    def _path(self, host: str, address: str) -> Path:
        # A host's name may have any sign; a file's name has 255 bytes.
        digest = hashlib.sha256(host.encode()).hexdigest()[:16]
        return self._cards / f"{digest}-{address}.json"

    def _read(self, path: Path) -> CardRecord:
        def build(data: dict[str, Any]) -> CardRecord:
            return CardRecord.from_json(data)

        return unpack(path, build, _DAMAGE)


def begun(card: CardRecord, generation: int) -> CardRecord:
    """The record when a cleaning begins, at the provider's generation."""
    tries = card.tries + 1 if card.state in (CardState.WAITING, CardState.CLEANING) else 1
    return replace(
        card, state=CardState.CLEANING, generation=generation, tries=tries,
        rule="", reason="", fix="", seen={},
    )  # fmt: skip

"""Cards split again at each boot, as they were requested: what the unit runs before nova-compute.

The kernel forgets VFs, types, mediated devices and MIG when the host goes down, so at each boot the
stored request is planned anew, by the function that `apply` uses, and applied through a journal.
That is one for each card and boot, in /run, which the next boot begins empty: a card whose driver
refuses is rolled back and does not keep the others waiting, and what a killed run left in this boot
is finished first. A power loss in the middle of an `apply` leaves its own journal unfinished; where
parts of cards are all that it lacks, they are there by now and it is finished too.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import Finding, Plan, RefusedError, Severity, UsageError, WholecardError
from wholecard.core.small_files import read_bytes
from wholecard.core.waiting import wait_until
from wholecard.host.card_split import CardSplit
from wholecard.host.changing.apply import HostSystem, apply_or_roll_back, finish
from wholecard.host.changing.journal import HOME, AppliedHostPlan, HostJournal, newest
from wholecard.host.checks.splits import check_splits
from wholecard.host.config_files import SPLITS
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect, read_boot_id
from wholecard.host.facts.split_state import SplitState, read_split_state
from wholecard.host.operations.registry import RUNTIME
from wholecard.host.planning.split_changes import stored_splits, what_is_missing
from wholecard.host.planning.splits import split_actions
from wholecard.transaction import engine
from wholecard.transaction.atomic_files import make_directories, under, write_atomically
from wholecard.transaction.engine import Progress, silent
from wholecard.transaction.journal_store import APPLYING

RESULT = "splits-boot.json"
AS_REQUESTED, MADE, FAILED, NOT_READY = "as-requested", "made", "failed", "not-ready"
# Seconds between two looks at what is not ready.
_INTERVAL = 1.0


@dataclass(frozen=True)
class CardResult:
    """What became of one card: `state` is `as-requested`, `made`, `failed` or `not-ready`.

    `actions` were done in `seconds`; `why` says what failed or is missing.
    """

    card: str
    state: str
    actions: int = 0
    seconds: float = 0.0
    why: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the card is split as requested."""
        return self.state in (AS_REQUESTED, MADE)


@dataclass(frozen=True)
class BootRun:
    """One run: the boot, when it began and ended (seconds since the epoch), and each card."""

    boot_id: str
    began: float
    ended: float
    cards: tuple[CardResult, ...]

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {**self.__dict__, "cards": [dict(card.__dict__) for card in self.cards]}


def run_splits(root: Path, wait: float = 0, progress: Progress = silent) -> BootRun:
    """Split the host's cards as stored, and keep the result for `status`.

    Waits up to `wait` seconds until each card's driver is there. Raises UsageError where nothing is
    stored, WholecardError where another run holds the lock.
    """
    splits = read_stored(root)
    if splits is None:
        raise UsageError(
            "no card of this host is to be split",
            f"There is no {SPLITS}.",
            "Request it first: apply --desired FILE.",
        )
    began = time.time()
    boot = read_boot_id(root)
    _wait_until_ready(root, splits, wait)
    host = inspect(root)
    cards = tuple(_split(root, host, split, boot, progress) for split in splits)
    if all(card.is_right for card in cards):
        _finish_apply(root, progress)
    run = BootRun(boot, round(began, 3), round(time.time(), 3), cards)
    place = under(root, f"/{HOME}/{RESULT}", follow=True)
    make_directories(place.parent)
    write_atomically(place, f"{json.dumps(run.to_json(), indent=2)}\n".encode(), 0o644)
    return run


def read_stored(root: Path) -> tuple[CardSplit, ...] | None:
    """The stored request; None where there is none. Raises UsageError where it is damaged."""
    data = read_bytes(str(under(root, SPLITS, follow=True))) if _has_splits(root) else None
    return None if data is None else stored_splits(data.decode("utf-8", "replace"))


def _has_splits(root: Path) -> bool:
    with contextlib.suppress(OSError, WholecardError):
        return under(root, SPLITS).is_file()
    return False


def last_run(root: Path) -> dict[str, Any] | None:
    """The last run as `BootRun.to_json`, of this boot or an earlier one; None for none."""
    try:
        data = json.loads(read_bytes(str(root / HOME / RESULT)) or b"null")
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and isinstance(data.get("cards"), list) else None


def check_stored(root: Path, host: Host) -> list[Finding]:
    """WC612: what is not as it was requested now, as the next run would make it."""
    splits = read_stored(root) or ()
    state = read_split_state(root, splits)
    # A snapshot, or an image: nothing runs there.
    is_copy = host.boot.boot_id != read_boot_id(Path("/"))
    return [
        finding for split in splits for finding in _not_as_requested(host, split, state, is_copy)
    ]


def _not_as_requested(
    host: Host, split: CardSplit, state: SplitState, is_copy: bool
) -> Iterator[Finding]:
    yield from check_splits(host, (split,), state)
    unread = any(mig.card == split.card and mig.mode is None for mig in state.mig)
    if is_copy and (unread or (split.made_by == "host" and not state.salt)):
        # Only a running host has the driver's answer, and the id from which UUIDs are made.
        return
    missing = what_is_missing(split, state)
    actions = split_actions(split, state) if not missing else ()
    if missing or actions:
        steps = ", ".join(dict.fromkeys(f"{action.kind} {action.subject}" for action in actions))
        yield Finding(
            "WC612",
            split.card,
            Severity.ERROR,
            f"{split.card} is not split as requested: {missing or f'to be done: {steps}'}.",
            "Run wholecard-host split; if it refuses, wholecard-host status says why.",
        )


def _wait_until_ready(root: Path, splits: Sequence[CardSplit], wait: float) -> None:
    """Returns when every card is ready, or when the time is over."""

    def probe() -> bool | None:
        state = read_split_state(root, splits)
        return None if any(what_is_missing(split, state) for split in splits) else True

    with contextlib.suppress(_NotReadyError):
        wait_until("the cards", probe, wait, interval=_INTERVAL, error=_NotReadyError)


class _NotReadyError(WholecardError):
    """The time is over; each card's result says what is missing."""


def _split(root: Path, host: Host, split: CardSplit, boot: str, progress: Progress) -> CardResult:
    started = time.monotonic()

    def result(state: str, actions: int = 0, why: str = "") -> CardResult:
        return CardResult(split.card, state, actions, round(time.monotonic() - started, 2), why)

    system = HostSystem(_journal(root, boot, split.card), host)
    try:
        engine.finish(system, progress)
        state = read_split_state(root, (split,))
        missing = what_is_missing(split, state)
        if missing:
            return result(NOT_READY, why=missing)
        findings = tuple(check_splits(host, (split,), state))
        if findings:
            raise RefusedError("refused", findings)
        actions = split_actions(split, state)
        plan = Plan(actions)
        applied = AppliedHostPlan(plan, (split.card,), (), boot, round(time.time(), 3))
        apply_or_roll_back(system, applied, progress)
    except WholecardError as error:
        # What a killed run left may be what fails; without it the next run begins anew.
        with contextlib.suppress(WholecardError):
            _undo_unfinished(system)
        return result(FAILED, why=f"{error.brief}. {error.details}".strip())
    return result(MADE if actions else AS_REQUESTED, len(actions))


def _undo_unfinished(system: HostSystem) -> None:
    entry = system.journal.newest()
    if entry is not None and entry.unfinished() is not None:
        engine.rollback(system)


def _journal(root: Path, boot: str, card: str) -> HostJournal:
    """The card's journals of this boot."""
    name = card.replace(":", "-")
    folder = under(root, f"/run/wholecard/splits/{boot or 'boot'}/{name}", follow=True)
    return HostJournal(folder, root)


def is_interrupted(root: Path) -> bool:
    """Whether an `apply` that stored a request is unfinished."""
    entry = newest(root)
    unfinished = entry is not None and entry.state == APPLYING
    return unfinished and read_stored(root) is not None


def _finish_apply(root: Path, progress: Progress) -> None:
    """Finish an interrupted `apply` that lacks nothing but parts of cards."""
    entry = newest(root)
    if entry is None or entry.state != APPLYING:
        return
    missing = [step for step in entry.steps() if step.done is None]
    if all(isinstance(step.action.do, RUNTIME) for step in missing):
        finish(root, progress)

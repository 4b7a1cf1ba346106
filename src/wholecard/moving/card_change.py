"""A change of a card: what was planned, its steps, and where it is. Written to one file a host."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wholecard.core import UsageError, WholecardError
from wholecard.core.json_text import encode
from wholecard.core.state_folder import state_folder
from wholecard.host.facts.host import Host
from wholecard.host.facts.saved import read_json
from wholecard.moving.card_identity import CardIdentity
from wholecard.transaction.atomic_files import make_directories, write_atomically
from wholecard.transaction.os_errors import explained


class Kind(enum.StrEnum):
    """What is done with a card."""

    REPLACE = "replace"
    MOVE = "move"
    ADD = "add"
    RETIRE = "retire"


@dataclass(frozen=True)
class CardChange:
    """One change. `card` is the one that is there now, None for `add`.

    `to_place` is where a card comes to, empty where the person did not say. `cloud` is empty where
    no cloud was named. `started` is seconds UTC, `boot_id` the boot in which it was begun.
    """

    kind: Kind
    host: str
    started: float
    boot_id: str
    card: CardIdentity | None = None
    to_place: str = ""
    cloud: str = ""
    site: str = ""


_CHANGE = TypeAdapter(CardChange)


@dataclass(frozen=True)
class CardStore:
    """The change of one host's card that is under way, with the host's facts before it."""

    folder: Path

    def read(self) -> tuple[CardChange, Host] | None:
        """The change and the facts before it, None where none is under way.

        Raises WholecardError where they are damaged.
        """
        try:
            change = _CHANGE.validate_json((self.folder / "change.json").read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise WholecardError(
                f"cannot read {self.folder / 'change.json'}", str(error).splitlines()[0],
                "Move the folder away, and begin the change again.",
            ) from error  # fmt: skip
        return change, read_json(self.folder / "before.json")

    def begin(self, change: CardChange, before: Host) -> None:
        """Keep both; the facts first. Raises UsageError where another change is under way."""
        known = self.read()
        if known is not None and known[0].kind is not change.kind:
            raise UsageError(
                f"a card of {change.host} is being changed: {known[0].kind}",
                resolution=f"End it: wholecard card {known[0].kind} {change.host} --after, or "
                "--forget.",
            )
        with explained():
            make_directories(self.folder)
            facts = "".join(before.without_secrets().to_lines()).encode()
            write_atomically(self.folder / "before.json", facts, 0o600)
            data = encode(_CHANGE.dump_python(change, mode="json"))
            write_atomically(self.folder / "change.json", f"{data}\n".encode(), 0o600)

    def forget(self) -> bool:
        """Forget the change; whether there was one."""
        there = (self.folder / "change.json").exists()
        for name in ("change.json", "before.json"):
            (self.folder / name).unlink(missing_ok=True)
        return there


def card_store(host: str) -> CardStore:
    """The store of that host. Raises UsageError for a name that is no folder's."""
    return CardStore(state_folder("cards", host))


@dataclass(frozen=True)
class StepState:
    """One step of the checklist. `done` is None where nobody can see it from here."""

    title: str
    command: str = ""
    done: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {"title": self.title, "command": self.command, "done": self.done}


@dataclass(frozen=True)
class Seen:
    """What is known of the progress: None is not known."""

    disabled: bool | None = None
    servers: int | None = None
    rebooted: bool | None = None
    compared: bool | None = None
    rewrite: tuple[str, ...] = field(default=())


_HANDS = {
    Kind.REPLACE: "Exchange the card at {place}",
    Kind.MOVE: "Move the card from {place} to {to}",
    Kind.ADD: "Put the new card into {to}",
    Kind.RETIRE: "Take the card out of {place}",
}


def steps(change: CardChange, seen: Seen) -> tuple[StepState, ...]:
    """The checklist, with what is done as far as it is seen."""
    host, kind = change.host, change.kind
    place = f"{change.card.place} ({change.card.slot})" if change.card else ""
    to = change.to_place or "its slot"
    cloud = f" --cloud {change.cloud}" if change.cloud else ""
    site = f" --site {change.site}" if change.site else " --site site.yaml"
    after = f"wholecard card {kind} {host} --after"
    empty = None if seen.servers is None or seen.disabled is None else (
        seen.disabled and not seen.servers)  # fmt: skip
    hands = _HANDS[kind].format(place=place, to=to)
    rows = [
        StepState(
            "Move the servers away, so that no server holds an address of this host",
            f"wholecard drain {host}{cloud} --reason 'card {kind}'",
            empty,
        ),
        StepState("Power off", f"ssh {host} systemctl poweroff", seen.rebooted),
        StepState(hands, "", seen.rebooted),
        StepState("Power on, and wait until the host answers", "", seen.rebooted),
        StepState("Compare the host with what was planned", after, seen.compared),
    ]
    rows += [StepState("Rewrite what names an old address", each, None) for each in seen.rewrite]
    rows += [
        StepState("Bind the card", f"wholecard --on {host} host plan, then host apply", None),
        StepState("Render device_spec, and restart nova-compute",
                  f"wholecard nova render{site} --role compute --host {host}", None),
        StepState("Prove the card, audit the host, give it servers again",
                  f"wholecard undrain {host}{cloud} --prove FLAVOR --image IMAGE", None),
    ]  # fmt: skip
    return tuple(rows)

"""One change of a cloud: a few named values, what they are before and what they are after.

Every operation on a cloud says what it found of its values and puts them as it is told. So doing it
twice does it once, it is undone by putting what stood there, and what somebody else put there
meanwhile is seen and left alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol, runtime_checkable

from openstack.connection import Connection

# Values by their names, None for what is not there.
State = dict[str, str | None]

# The value of an object of ours whose making was cut off.
HALF = "half made"

# Name, before, after.
Value = tuple[str, str | None, str | None]


@runtime_checkable
class CloudOperation(Protocol):
    """An operation on a cloud, as plain data; `op` names its kind."""

    op: ClassVar[str]

    @property
    def before(self) -> State:
        """What stood there when the plan was made."""

    @property
    def after(self) -> State:
        """What it leaves."""

    def look(self, conn: Connection) -> State:
        """What stands there of the same names; what is on an object that is not there is None."""

    def put(self, conn: Connection, state: State) -> str | None:
        """Make these of its values so; returns a note where something had to be left as it is."""

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""

    def to_json(self) -> dict[str, Any]:
        """The fields, with `op`."""


@runtime_checkable
class Creation(CloudOperation, Protocol):
    """A change that makes an object with our mark; `after` of its one value is that it is there."""

    def make(self, conn: Connection) -> str | None:
        """Make it; the id of what was made, None where somebody else had made it meanwhile."""

    def made(self, conn: Connection) -> str | None:
        """The id of the object of this name that has our mark and is whole."""

    def unmake(self, conn: Connection, made: str | None, half: bool) -> str | None:
        """Delete what we made, or return the note why it stays.

        `made` is its id where the journal knows it; an object with another is not that one. `half`
        is whether its making may have been cut off, so that it has no mark yet.
        """


@runtime_checkable
class Held(CloudOperation, Protocol):
    """A change of values that an object has, which is found by its name: another may come by it."""

    def holder(self, conn: Connection) -> str | None:
        """The id of the object, None where it is not there."""

    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """As every change's, on the object with that id, where it is known, and on no other.

        Raises GoneError where that one is not there, or not ours any more.
        """


class Fields:
    """The part of a Change that follows from its being a dataclass."""

    op: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The fields, with `op`."""
        fields: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return {"op": self.op, **fields}


class Values(Fields):
    """A Change whose field `changes` holds its values."""

    changes: tuple[Value, ...]

    @property
    def before(self) -> State:
        """What stood there when the plan was made."""
        return {name: before for name, before, _ in self.changes}

    @property
    def after(self) -> State:
        """What it leaves."""
        return {name: after for name, _, after in self.changes}


def values(now: Mapping[str, str], wished: Mapping[str, str | None]) -> tuple[Value, ...]:
    """What has to change of `now` for `wished` to hold, by name."""
    return tuple(
        (name, now.get(name), value)
        for name, value in sorted(wished.items())
        if now.get(name) != value
    )


def shown(value: str | None) -> str:
    """A value as a person reads it."""
    return "nothing" if value is None else repr(value)


def differing(now: Mapping[str, str], wished: Mapping[str, str]) -> list[str]:
    """One line for each wished value that is not so."""
    return [
        f"{name}: {shown(before)} instead of {shown(after)}"
        for name, before, after in values(now, wished)
    ]


def property_commands(what: str, changes: Sequence[Value], which: str) -> list[str]:
    """The openstack client's commands that unset and set these properties of a `what`."""
    commands = []
    for verb, chosen in (
        ("unset", [name for name, _, after in changes if after is None]),
        ("set", [f"{name}={after}" for name, _, after in changes if after is not None]),
    ):
        if chosen:
            properties = " ".join(f"--property {shlex.quote(each)}" for each in chosen)
            commands.append(f"openstack {what} {verb} {properties} {which}")
    return commands


def backwards(changes: Sequence[Value]) -> tuple[Value, ...]:
    """The changes that undo these."""
    return tuple((name, after, before) for name, before, after in changes)

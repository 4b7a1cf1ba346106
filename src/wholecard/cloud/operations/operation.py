"""One operation on a cloud: a few named values, what they are before and what they are after.

Each of them says what it found of its values and puts them as it is told. So doing it twice does it
once, it is undone by putting what was there, and what somebody else put there meanwhile is seen and
left alone.
"""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, GoneError, api_errors
from wholecard.core import Operation, State, Step
from wholecard.core.plan import HALF, shown

# Name, before, after.
Value = tuple[str, str | None, str | None]


class CloudOperation(Operation[Connection]):
    """An operation on a cloud; what is on an object that does not exist is None."""

    def begin(self, conn: Connection, state: State) -> dict[str, Any]:  # noqa: ARG002 -- see `Held`
        """What is given back when it is undone."""
        return {"found": state}

    def former(self, conn: Connection, step: Step) -> State:  # noqa: ARG002 -- the log has it
        """What was there when it was begun."""
        found: State = step.begun["found"]
        return found

    def undo(self, conn: Connection, step: Step) -> str | None:
        """Give back what differs; what is gone or refused for good becomes a note."""
        try:
            with api_errors(conn, f"undo {step.name}"):
                now = self.look(conn)
                # What of an object was half made is gone with it.
                wrong = {
                    name: None if value == HALF else value
                    for name, value in self.former(conn, step).items()
                    if now[name] != (None if value == HALF else value)
                }
                return self.give_back(conn, step, wrong) if wrong else None
        except GoneError as gone:
            return f"{gone.brief}: nothing of it is restored"
        except CloudError as error:
            # What may pass keeps the journal for the next rollback; what lasts does not stop it.
            if not error.lasting:
                raise
            reason = " ".join(error.details.split())
            return f"{step.name} is not undone: {reason or error.brief}"

    @abstractmethod
    def give_back(self, conn: Connection, step: Step, state: State) -> str | None:
        """Make these of its values so; a note where something had to be left as it is.

        Raises GoneError where the object does not exist any more, or is another one.
        """


class Creation(CloudOperation):
    """Makes an object with our mark; its one value after is that it exists."""

    name: str

    @property
    def state_before(self) -> State:
        """No such object."""
        return {self.name: None}

    @abstractmethod
    def make(self, conn: Connection) -> str | None:
        """Make it; the id of what was made, None where somebody else had made it meanwhile."""

    @abstractmethod
    def made(self, conn: Connection) -> str | None:
        """The id of the object of this name that has our mark and is whole."""

    @abstractmethod
    def unmake(self, conn: Connection, made: str | None, half: bool) -> str | None:
        """Delete what we made, or return the note why it stays.

        `made` is its id where the journal knows it; an object with another is not that one. `half`
        is whether its creation may have been interrupted, so that it has no mark yet.
        """

    def do(self, conn: Connection, step: Step) -> dict[str, Any]:
        """Make it, unless it exists; the log keeps its `id`, or that it is `theirs`."""
        created = self.make(conn) if step.present != self.state_after else None
        if created is None and not step.resumed:
            # What existed before us, or came before we made it, is not ours, though as planned.
            return {"theirs": True}
        if created is None and step.begun["found"] != self.state_after:
            created = self.made(conn)
        return {} if created is None else {"id": created}

    def former(self, conn: Connection, step: Step) -> State:
        """What was there before; what others made stays."""
        theirs = (step.done or {}).get("theirs")
        return self.state_after if theirs else super().former(conn, step)

    def give_back(self, conn: Connection, step: Step, state: State) -> str | None:
        """Delete it, or leave it where another object was there before."""
        # What was there before us and went is not made anew, nor is what came for it deleted.
        if None not in state.values():
            return None
        return self.unmake(conn, (step.done or {}).get("id"), step.half)


class Assignment(CloudOperation):
    """Puts values, each of them in one way whether it is done or undone."""

    @abstractmethod
    def put(self, conn: Connection, state: State) -> str | None:
        """Make these of its values so; a note where something had to be left as it is."""

    def do(self, conn: Connection, step: Step) -> dict[str, Any]:
        """Put the values that are not so yet."""
        after, present = self.state_after, step.present
        missing = {name: value for name, value in after.items() if present[name] != value}
        if missing:
            self.give_back(conn, step, missing)
        return {}

    def give_back(self, conn: Connection, step: Step, state: State) -> str | None:  # noqa: ARG002
        """Put these values."""
        return self.put(conn, state)


class Values(Assignment):
    """An operation whose field `changes` holds its values."""

    changes: tuple[Value, ...]

    @property
    def state_before(self) -> State:
        """What was there when the plan was made."""
        return {name: before for name, before, _ in self.changes}

    @property
    def state_after(self) -> State:
        """What it leaves."""
        return {name: after for name, _, after in self.changes}


class Held(Values):
    """Values of an object that is found by its name: another object may get the same name."""

    @abstractmethod
    def holder(self, conn: Connection) -> str | None:
        """The id of the object, None where it does not exist."""

    @abstractmethod
    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """As every assignment's, on the object with that id, where it is known, and on no other.

        Raises GoneError where that one does not exist, or is not ours any more.
        """

    def begin(self, conn: Connection, state: State) -> dict[str, Any]:
        """The object's `id` too, where it exists."""
        holder = self.holder(conn)
        return {"found": state, **({} if holder is None else {"id": holder})}

    def give_back(self, conn: Connection, step: Step, state: State) -> str | None:
        """Put these values on the object that was there when it was begun."""
        return self.put(conn, state, step.begun.get("id"))


def values(now: Mapping[str, str], desired: Mapping[str, str | None]) -> tuple[Value, ...]:
    """What has to change of `now` for `desired` to hold, by name."""
    return tuple(
        (name, now.get(name), value)
        for name, value in sorted(desired.items())
        if now.get(name) != value
    )


def differing(now: Mapping[str, str], desired: Mapping[str, str | None]) -> list[str]:
    """One line for each desired value that is not so."""
    return [
        f"{name}: {shown(before)} instead of {shown(after)}"
        for name, before, after in values(now, desired)
    ]


def property_commands(what: str, changes: Sequence[Value], which: str) -> list[str]:
    """The openstack client's commands that unset and set these properties of a `what`."""
    commands = []
    for verb, arguments in (
        ("unset", [name for name, _, after in changes if after is None]),
        ("set", [f"{name}={after}" for name, _, after in changes if after is not None]),
    ):
        if arguments:
            properties = " ".join(f"--property {shlex.quote(argument)}" for argument in arguments)
            commands.append(f"openstack {what} {verb} {properties} {which}")
    return commands


def backwards(changes: Sequence[Value]) -> tuple[Value, ...]:
    """The changes that undo these."""
    return tuple((name, after, before) for name, before, after in changes)

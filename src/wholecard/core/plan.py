"""A plan is a list of actions that compares by equality and prints as a diff."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, ClassVar, Generic, Optional, TypeVar

from wholecard.core.report_text import wrapped

# Values by their names, None for what does not exist.
State = dict[str, Optional[str]]

# The value of an object whose creation was interrupted.
HALF = "half made"

Context = TypeVar("Context")


class Operation(ABC, Generic[Context]):
    """One way of changing the world, as plain data: a file written, a tool run, an API called.

    Frozen dataclasses implement it, so that plans compare by equality. `transaction.engine` applies
    and undoes it; `context` is what the operations of one system need: a host's root, a cloud's
    connection. An operation without values to compare (a tool) keeps the states empty.
    """

    kind: ClassVar[str]
    # Whether it is undone after all others, also those that are late.
    is_undone_last: ClassVar[bool] = False

    @abstractmethod
    def describe(self) -> str:
        """What would change, as text: a unified diff for a file, a command line for a tool."""

    def describe_briefly(self) -> str:
        """As `describe`; what a person need not read each time (a fixed script) in one line."""
        return self.describe()

    def to_json(self) -> dict[str, Any]:
        """The fields, with a key `op` that names the kind."""
        return {"op": self.kind, **self.__dict__}

    @property
    def state_before(self) -> State:
        """What has to be there when it begins; of a name that is not here anything may be."""
        return {}

    @property
    def state_after(self) -> State:
        """What it leaves."""
        return {}

    def look(self, context: Context) -> State:  # noqa: ARG002 -- for those that have values
        """The present values of the same names. Raises WholecardError."""
        return {}

    def begin(self, context: Context, state: State) -> dict[str, Any]:  # noqa: ARG002 -- as above
        """What the log keeps before it is done for the first time; `state` is what `look` saw."""
        return {}

    @abstractmethod
    def do(self, context: Context, step: Step) -> dict[str, Any]:
        """Do it, also where an interrupted run did half of it; returns what the log keeps.

        Raises WholecardError or OSError.
        """

    def former(self, context: Context, step: Step) -> State:  # noqa: ARG002 -- as above
        """The values that undoing gives back, as the log knows them."""
        return self.state_before

    def is_late(self, context: Context, step: Step) -> bool:  # noqa: ARG002 -- as above
        """Whether it can be undone only after the earlier actions, on what they give back."""
        return False

    @abstractmethod
    def undo(self, context: Context, step: Step) -> str | None:
        """Undo it, also where half of it was done; a note where something was left as it is.

        Raises WholecardError or OSError.
        """

    def difference(
        self,
        context: Context,  # noqa: ARG002 -- for those that show more
        state: State,
        expected: Sequence[State],
    ) -> str:
        """How `state` differs from the states that were expected, the most likely one first."""
        lines = []
        for name, value in state.items():
            values = [other[name] for other in expected if name in other]
            if values and value not in values:
                allowed = " or ".join(dict.fromkeys(map(shown, values)))
                lines.append(f"{name} is {shown(value)}, and not {allowed}")
        return "\n".join(lines)


def shown(value: str | None) -> str:
    """A value as a person reads it."""
    return "nothing" if value is None else repr(value)


@dataclass(frozen=True)
class Action:
    """One change: what kind, on what, why, how it is done and how it is undone.

    `undo` is a sentence for the person; what was there before is kept by the journal.
    """

    kind: str
    subject: str
    reason: str
    do: Operation[Any]
    undo: str


@dataclass(frozen=True)
class Step:
    """An action as a journal plays it: its number, from 0, and what the log has of it.

    `begun` is empty, and `done` None, where the log has no such record. Before it is done,
    `present` are its values as `look` saw them, and `resumed` is whether an earlier run was
    interrupted in it. Before it is undone, `late` is what `Operation.is_late` said. While it is
    done, `keep` adds to what `begun` has, in the log, at once.
    """

    number: int
    action: Action
    begun: Mapping[str, Any] = field(default_factory=dict)
    done: Mapping[str, Any] | None = None
    present: State = field(default_factory=dict)
    resumed: bool = False
    late: bool = False
    keep: Callable[[Mapping[str, Any]], None] = field(default=lambda _: None, compare=False)

    @property
    def half(self) -> bool:
        """Whether it was begun and not done."""
        return bool(self.begun) and self.done is None

    @property
    def name(self) -> str:
        """`write-file /etc/default/grub`."""
        return f"{self.action.kind} {self.action.subject}"


@dataclass(frozen=True)
class Plan:
    """Actions in the order in which they are applied. An empty plan means: nothing to do."""

    actions: tuple[Action, ...]
    reboot_needed: bool = False

    def __str__(self) -> str:
        return self.text(full=True)

    def text(self, full: bool = False, width: int | None = None) -> str:
        """Each action with its reason and its way back; without `full`, fixed texts in a line.

        Reasons are wrapped at `width` columns; diffs and commands are never.
        """
        if not self.actions:
            return "Nothing to do: everything is as requested."
        parts = []
        for number, action in enumerate(self.actions, 1):
            parts.append(f"{number}. {action.kind} {action.subject}")
            for head, words in (("   why:  ", action.reason), ("   undo: ", action.undo)):
                parts += wrapped(words, " " * 9, head, width) if width else [f"{head}{words}"]
            text = action.do.describe() if full else action.do.describe_briefly()
            parts.extend("   " + line for line in text.splitlines())
        if self.reboot_needed:
            parts.append("A reboot is needed for this to take effect.")
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """`{"actions": [...], "reboot_needed": bool}`."""
        return {
            "actions": [{**action.__dict__, "do": action.do.to_json()} for action in self.actions],
            "reboot_needed": self.reboot_needed,
        }

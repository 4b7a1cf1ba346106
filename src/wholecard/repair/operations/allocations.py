"""What consumers hold in Placement: taken away, added, or moved from one to another, at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from wholecard.cloud.client.errors import CloudError
from wholecard.core import State, Step
from wholecard.repair.operations.guards import (
    GuardError,
    refuse_domain,
    refuse_held,
    refuse_known_server,
    refuse_other_holder,
    refuse_server_away,
    refuse_server_on,
)
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.repair.operations.placement import (
    TRIES,
    Consumer,
    Held,
    consumer,
    put_consumers,
)


@dataclass(frozen=True)
class Holding:
    """An amount of one class of one provider."""

    provider: str
    name: str
    resource_class: str
    used: int


@dataclass(frozen=True)
class ConsumerChange:
    """What one consumer loses and gets.

    `generation` is its own when this was planned, None for a consumer that held nothing; `project`,
    `user` and `type` are whose it is, or is to be. `is_emptied` is whether nothing is left to it.
    """

    consumer: str
    generation: int | None
    project: str
    user: str
    type: str
    removed: tuple[Holding, ...] = ()
    added: tuple[Holding, ...] = ()
    is_emptied: bool = False

    @property
    def before(self) -> State:
        """Its values when it was planned."""
        return {
            self.generation_key: None if self.generation is None else str(self.generation),
            **{self.key(row): str(row.used) for row in self.removed},
            **{self.key(row): None for row in self.added},
        }

    @property
    def after(self) -> State:
        """Placement counts the generation up with each change, and forgets who holds nothing."""
        generation = None if self.is_emptied else str((self.generation or 0) + 1)
        return {
            self.generation_key: generation,
            **{self.key(row): None for row in self.removed},
            **{self.key(row): str(row.used) for row in self.added},
        }

    @property
    def generation_key(self) -> str:
        """The name of its generation among the values of a state."""
        return f"generation of {self.consumer}"

    def key(self, row: Holding) -> str:
        """The name of an amount among the values of a state."""
        return f"{row.resource_class} of {row.name} held by {self.consumer}"

    def state(self, found: Consumer) -> State:
        """The same values as they are now."""
        state: State = {
            self.generation_key: None if found.generation is None else str(found.generation)
        }
        for row in (*self.removed, *self.added):
            used = found.held.get(row.provider, {}).get(row.resource_class)
            state[self.key(row)] = None if used is None else str(used)
        return state

    def held(self, held: Held, *, undo: bool = False) -> Held:
        """What it is left with, of what it holds."""
        gone, more = (self.added, self.removed) if undo else (self.removed, self.added)
        without = {(row.provider, row.resource_class) for row in gone}
        left = {
            uuid: {name: used for name, used in amounts.items() if (uuid, name) not in without}
            for uuid, amounts in held.items()
        }
        for row in more:
            left.setdefault(row.provider, {})[row.resource_class] = row.used
        return {uuid: amounts for uuid, amounts in left.items() if amounts}


@dataclass(frozen=True)
class AllocationGuard:
    """What has to be so on one host before a consumer loses something there.

    No domain has one of the `addresses`; without any, `server` has no domain there. By `nova`, the
    server is `unknown` to nova; on another host (`elsewhere`); the `holder`, whose own running
    domain alone has each address; a holder that is on this host (`home`); or anything (empty).
    """

    host: str
    addresses: tuple[str, ...] = ()
    server: str = ""
    nova: str = ""
    host_is_off: bool = False

    def check(self, context: RepairContext) -> None:
        """Raises GuardError where it is not so, CloudError where that cannot be read."""
        if self.nova == "home":
            refuse_server_away(context.conn, self.server, self.host)
        if self.nova in ("holder", "home"):
            for address in self.addresses:
                refuse_other_holder(context, self.host, address, self.server)
            return
        if self.addresses:
            refuse_held(context, self.host, self.addresses, off=self.host_is_off)
        if self.server and (not self.addresses or self.nova == "elsewhere"):
            refuse_domain(context, self.host, self.server, off=self.host_is_off)
        if self.nova == "unknown":
            refuse_known_server(context.conn, self.server)
        elif self.nova == "elsewhere":
            refuse_server_on(context.conn, self.server, self.host)


@dataclass(frozen=True)
class AllocationChange(RepairOperation):
    """Change what some consumers hold, all in one request.

    Placement refuses it where one of them was written since it was read, by its generation.
    """

    kind: ClassVar[str] = "change-allocations"

    changes: tuple[ConsumerChange, ...]
    guards: tuple[AllocationGuard, ...] = ()

    def describe(self) -> str:
        """What each consumer loses (`-`) and gets (`+`)."""
        lines = ["Placement: POST /allocations"]
        for change in self.changes:
            lines.append(f"consumer {change.consumer}, generation {change.generation}:")
            for sign, rows in (("-", change.removed), ("+", change.added)):
                lines += [f"  {sign} {row.used} {row.resource_class} of {row.name}" for row in rows]
        return "\n".join(lines)

    @property
    def state_before(self) -> State:
        """As it was planned."""
        return {name: value for each in self.changes for name, value in each.before.items()}

    @property
    def state_after(self) -> State:
        """What it leaves."""
        return {name: value for each in self.changes for name, value in each.after.items()}

    def look(self, context: RepairContext) -> State:
        """What they hold of these now."""
        return self._state(self._read(context))

    def former(self, context: RepairContext, step: Step) -> State:  # noqa: ARG002 -- the log has it
        """Without the generations: they never go back."""
        found: State = step.begun["found"]
        generations = {each.generation_key for each in self.changes}
        return {name: value for name, value in found.items() if name not in generations}

    def check(self, context: RepairContext) -> None:
        """What each of its hosts has to be like."""
        for guard in self.guards:
            guard.check(context)

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:
        """Change it; where somebody wrote meanwhile it is read and guarded again."""
        if step.present == self.state_after:
            return {}
        for _ in range(TRIES):
            self.check(context)
            found = self._read(context)
            state = self._state(found)
            if state != self.state_before:
                raise GuardError(
                    "the allocation was changed since the audit",
                    self.difference(context, state, [self.state_before]),
                    "Nothing of it was changed. Run wholecard audit, and plan again.",
                )
            left = [each.held(now.held) for each, now in zip(self.changes, found, strict=True)]
            if put_consumers(context.conn, self._owned(found), left):
                return {}
        raise self._restless()

    def give_back(self, context: RepairContext, step: Step) -> str | None:
        """Give back what each had; Placement refuses where a card is another's by now.

        What was not so when it was begun, or somebody took or gave since, is left.
        """
        former = self.former(context, step)
        for _ in range(TRIES):
            found = self._read(context)
            if all(self._state(found).get(name) == value for name, value in former.items()):
                return None
            left = [
                each.held(now.held, undo=True)
                for each, now in zip(self.changes, found, strict=True)
            ]
            if put_consumers(context.conn, self._owned(found), left):
                return None
        raise self._restless()

    def _read(self, context: RepairContext) -> list[Consumer]:
        return [consumer(context.conn, each.consumer) for each in self.changes]

    def _state(self, found: list[Consumer]) -> State:
        pairs = zip(self.changes, found, strict=True)
        return {name: value for each, now in pairs for name, value in each.state(now).items()}

    def _owned(self, found: list[Consumer]) -> list[Consumer]:
        """Whose they are, where Placement has forgotten it with the last that they held."""
        return [
            now if now.generation is not None
            else replace(now, project=each.project, user=each.user, type=each.type)
            for each, now in zip(self.changes, found, strict=True)
        ]  # fmt: skip

    def _restless(self) -> CloudError:
        return CloudError(
            f"the allocations were refused {TRIES} times, because others write the same ones",
            resolution="Try again.",
        )

"""Traits of hosts in Placement: custom traits created, and set beside those that others set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, GoneError, answer_read, api_errors
from wholecard.cloud.operations.operation import Assignment, Value, Values
from wholecard.cloud.placement.resource_providers import TRAITS_VERSION
from wholecard.core import State, Step

# nova-compute writes the same provider every minute; each of our tries reads it again.
TRIES = 10

_CREATED = 201
# The first in which Placement says since when a trait exists.
_VERSION = "1.15"


@dataclass(frozen=True)
class CreateTrait(Assignment):
    """Create a custom trait in Placement."""

    kind: ClassVar[str] = "create-trait"

    name: str

    def describe(self) -> str:
        """The command of the openstack client (osc-placement) that does the same."""
        return f"openstack trait create {self.name}"

    @property
    def state_before(self) -> State:
        """No such trait."""
        return {self.name: None}

    @property
    def state_after(self) -> State:
        """It is known."""
        return {self.name: "known"}

    def look(self, conn: Connection) -> State:
        """Whether Placement knows it."""
        answer = conn.placement.get(self._path, microversion=TRAITS_VERSION)
        if answer.status_code == 404:
            return {self.name: None}
        sdk.raise_from_response(answer)
        return {self.name: "known"}

    def do(self, conn: Connection, step: Step) -> dict[str, Any]:
        """Make it known; the log keeps whose it is, and since when it exists.

        Placement says 201 where it made the trait and 204 where it was there already
        (placement/handlers/trait.py, put_trait): then somebody else made it, or an interrupted run
        of ours, which nothing tells apart.
        """
        if step.present == self.state_after and not step.resumed:
            return {}
        answer = conn.placement.put(self._path, microversion=_VERSION)
        sdk.raise_from_response(answer)
        if answer.status_code != _CREATED:
            return {"whose": "unknown" if step.resumed else "theirs"}
        # Not the PUT's own header: that has the time as Placement's process knows it, cut to the
        # second; MySQL rounds it, and a GET says what the database has
        # (placement/objects/trait.py, create and get_by_name).
        return {"whose": "ours", "since": self._since(conn)}

    def undo(self, conn: Connection, step: Step) -> str | None:
        """Forget it, if it is known to be ours; a note where that is not known."""
        if step.begun["found"] == self.state_after:
            return None
        whose = (step.done or {}).get("whose", "unknown")
        if whose == "theirs":
            return None
        if whose == "unknown":
            with api_errors(conn, f"undo {step.name}"):
                if self.look(conn) == self.state_before:
                    return None
            return (
                f"trait {self.name} is left: whether Wholecard created it is not known; if nobody "
                f"needs it, openstack trait delete {self.name}"
            )
        return super().undo(conn, step)

    def give_back(self, conn: Connection, step: Step, state: State) -> str | None:
        """Forget it, unless it was deleted and made anew, or that cannot be known.

        Placement says since when a trait exists, to the second; one that some provider has is kept
        by Placement itself (placement/objects/trait.py, TraitInUse).
        """
        since, now = (step.done or {}).get("since"), self._since(conn)
        if not since or not now:
            return (
                f"trait {self.name} is left: since when it exists is not known, so somebody else "
                f"may have created it again; if nobody needs it, openstack trait delete {self.name}"
            )
        if since != now:
            return f"trait {self.name} is left: it was deleted and created again, at {now}"
        return self.put(conn, state)

    def former(self, conn: Connection, step: Step) -> State:
        """What was there before; what may be another's stays."""
        ours = (step.done or {}).get("whose") == "ours"
        return super().former(conn, step) if ours else self.state_after

    @property
    def _path(self) -> str:
        return f"/traits/{self.name}"

    def _since(self, conn: Connection) -> str | None:
        """When it was created, as Placement says it; None where it does not."""
        answer = conn.placement.get(self._path, microversion=_VERSION)
        sdk.raise_from_response(answer)
        return answer.headers.get("Last-Modified")

    def put(self, conn: Connection, state: State) -> str | None:  # noqa: ARG002 -- it goes, always
        """Forget it unless a provider has it."""
        answer = conn.placement.delete(self._path, microversion=_VERSION)
        if answer.status_code == 409:
            return f"trait {self.name} stays: a provider has it"
        if answer.status_code != 404:
            sdk.raise_from_response(answer)
        return None


@dataclass(frozen=True)
class SetHostTraits(Values):
    """Set traits of a host's root provider, by its id; a value is `set` or None.

    Placement takes the whole list at once, with the generation that it was read in: what others
    set stays, and where the provider changed meanwhile it is read and written again.
    """

    kind: ClassVar[str] = "set-host-traits"

    host: str
    provider: str
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The commands of the openstack client (osc-placement) that do the same."""
        added = [f"--trait {name}" for name, _, after in self.changes if after is not None]
        removed = [f"--trait {name}" for name, _, after in self.changes if after is None]
        return "\n".join(
            f"openstack resource provider trait set {' '.join(words)} {self.provider}"
            f"  # {self.host}, {comment}"
            for words, comment in ((added, "added to those it has"), (removed, "without these"))
            if words
        )

    def look(self, conn: Connection) -> State:
        """Which of them the provider has; none where it is gone, as after its host."""
        body = self._read(conn)
        having = () if body is None else body["traits"]
        return {name: "set" if name in having else None for name, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """Set and remove them, and leave all others as they are."""
        added = {name for name, value in state.items() if value is not None}
        for _ in range(TRIES):
            body = self._read(conn)
            if body is None:
                raise self._gone
            body["traits"] = sorted((set(body["traits"]) - state.keys()) | added)
            answer = conn.placement.put(self._path, json=body, microversion=TRAITS_VERSION)
            if answer.status_code == 404:
                raise self._gone
            if answer.status_code != 409:
                sdk.raise_from_response(answer)
                return None
        raise CloudError(
            f"the provider of {self.host} changed {TRIES} times while its traits were set",
            resolution="Try again.",
        )

    @property
    def _gone(self) -> GoneError:
        return GoneError(
            f"the provider of {self.host} is gone from Placement",
            resolution="If the host will return, wait until Placement has its provider. Then plan "
            "again.",
        )

    @property
    def _path(self) -> str:
        return f"/resource_providers/{self.provider}/traits"

    def _read(self, conn: Connection) -> dict[str, Any] | None:
        """Its traits and its generation, as Placement gives and takes them; None without it."""
        with answer_read(conn, f"read the traits of {self.host}"):
            answer = conn.placement.get(self._path, microversion=TRAITS_VERSION)
            if answer.status_code == 404:
                return None
            sdk.raise_from_response(answer)
            body: dict[str, Any] = answer.json()
            return {
                "resource_provider_generation": body["resource_provider_generation"],
                "traits": list(body["traits"]),
            }

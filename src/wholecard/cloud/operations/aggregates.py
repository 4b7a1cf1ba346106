"""Host aggregates: created with a mark in their metadata, completed, and given hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, answer_read, words_of
from wholecard.cloud.operations.operation import Creation, Held, Value, property_commands
from wholecard.cloud.operations.ownership import id_of, own_id, required, why_not_ours
from wholecard.core import State, Step
from wholecard.core.plan import HALF

# How we know our own aggregates again.
MARK, MADE = "wholecard", "made"
ZONE = "availability_zone"


@dataclass(frozen=True)
class Aggregate:
    """An aggregate as it is; the availability zone is among its metadata."""

    id: str
    name: str
    metadata: Mapping[str, str]
    hosts: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """Whether it carries our mark."""
        return self.metadata.get(MARK) == MADE


@dataclass(frozen=True)
class CreateAggregate(Creation):
    """Create an aggregate with our mark; its metadata and hosts are operations of their own."""

    kind: ClassVar[str] = "create-aggregate"

    name: str
    zone: str | None = None

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        zone = f" --zone {quote(self.zone)}" if self.zone else ""
        return f"openstack aggregate create{zone} --property {MARK}={MADE} {quote(self.name)}"

    @property
    def state_after(self) -> State:
        """An aggregate of ours."""
        return {self.name: MADE}

    def look(self, conn: Connection) -> State:
        """Whose the aggregate of this name is; a bare one may be ours without its mark yet."""
        aggregate = _find(conn, self.name)
        if aggregate is None or aggregate.ours:
            return {self.name: None if aggregate is None else MADE}
        bare = not aggregate.hosts and set(aggregate.metadata) <= {ZONE}
        return {self.name: HALF if bare else "not ours"}

    def do(self, conn: Connection, step: Step) -> dict[str, Any]:
        """As every creation; its id is logged at once, for the mark comes by a call of its own.

        Raises CloudError for a bare one that came while an interrupted run was away.
        """
        if step.present == self.state_after:
            return super().do(conn, step)
        aggregate, made = id_of(_find(conn, self.name)), step.begun.get("made")
        if aggregate not in (None, made):
            raise CloudError(
                f"there is an aggregate {self.name} without a mark, and it may be somebody else's",
                f"It is {aggregate}. Creating ours was interrupted, and its id is "
                f"{made or 'not known'}.",
                f"If nobody needs it: openstack aggregate delete {aggregate}. If it is ours: "
                f"openstack aggregate set --property {MARK}={MADE} {aggregate}. Then apply again.",
            )
        if aggregate is None:
            aggregate = self.make(conn)
            step.keep({"made": aggregate})
        _set_metadata(conn, aggregate, {MARK: MADE})
        return {"id": aggregate}

    def make(self, conn: Connection) -> str:
        """Create it, still without its mark; its id."""
        fields: dict[str, Any] = {"name": self.name, **({ZONE: self.zone} if self.zone else {})}
        return str(conn.compute.create_aggregate(**fields).id)

    def made(self, conn: Connection) -> str | None:
        """The id of the aggregate of this name that is ours."""
        return own_id(_find(conn, self.name))

    def unmake(self, conn: Connection, made: str | None, half: bool) -> str | None:
        """Delete it unless it is another one, or has something in it."""
        aggregate = _find(conn, self.name)
        if aggregate is None:
            return None
        # Interrupted before its mark was set; nova gives a mark to none as it is created.
        unmarked = half and set(aggregate.metadata) <= {ZONE}
        if unmarked and made is None:
            reason: str | None = (
                "it has no mark, and whether Wholecard created it is not known; if nobody "
                f"needs it, openstack aggregate delete {aggregate.id}"
            )
        else:
            reason = None if unmarked and aggregate.id == made else why_not_ours(aggregate, made)
        others = sorted({*aggregate.metadata} - {MARK, ZONE}) + list(aggregate.hosts)
        if reason is None and others:
            reason = f"it has {', '.join(others)}"
        if reason is not None:
            return f"aggregate {self.name} stays: {reason}"
        conn.compute.delete_aggregate(aggregate.id, ignore_missing=True)
        return None


@dataclass(frozen=True)
class AggregateValues(Held):
    """Values of an aggregate, by its name."""

    name: str
    changes: tuple[Value, ...]

    def holder(self, conn: Connection) -> str | None:
        """The aggregate's id."""
        return id_of(_find(conn, self.name))


@dataclass(frozen=True)
class SetAggregateMetadata(AggregateValues):
    """Set metadata of an aggregate, by its name; its availability zone is one of them."""

    kind: ClassVar[str] = "set-aggregate-metadata"

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""
        return "\n".join(property_commands("aggregate", self.changes, quote(self.name)))

    def look(self, conn: Connection) -> State:
        """These metadata as they are."""
        aggregate = _find(conn, self.name)
        metadata: Mapping[str, str] = {} if aggregate is None else aggregate.metadata
        return {key: metadata.get(key) for key, _, _ in self.changes}

    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """Set and remove them, the zone by a call of its own: nova may refuse that one.

        nova takes another zone, but none away: an empty one is refused, null among them
        (nova/compute/api.py, is_safe_to_update_az).
        """
        aggregate = required(_find(conn, self.name), f"aggregate {self.name}", holder)
        others = {key: value for key, value in state.items() if key != ZONE}
        if others:
            _set_metadata(conn, aggregate.id, others)
        if state.get(ZONE) is not None:
            _set_metadata(conn, aggregate.id, {ZONE: state[ZONE]})
        elif ZONE in state and ZONE in aggregate.metadata:
            kept = aggregate.metadata[ZONE]
            return (
                f"aggregate {self.name} keeps its availability zone {kept}: nova cannot remove a "
                "zone"
            )
        return None


@dataclass(frozen=True)
class AddHosts(AggregateValues):
    """Put hosts into an aggregate; a value is `member` or None."""

    kind: ClassVar[str] = "add-hosts"

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""
        return "\n".join(
            f"openstack aggregate {'remove' if after is None else 'add'} host "
            f"{quote(self.name)} {quote(host)}"
            for host, _, after in self.changes
        )

    def look(self, conn: Connection) -> State:
        """Which of the hosts are in it."""
        aggregate = _find(conn, self.name)
        hosts = () if aggregate is None else aggregate.hosts
        return {host: "member" if host in hosts else None for host, _, _ in self.changes}

    def put(self, conn: Connection, state: State, holder: str | None = None) -> str | None:
        """Add and remove them, one call each; of a host that has to stay a note says why.

        From nova 30 on one with servers stays in an aggregate with a zone (nova/compute/api.py,
        ensure_no_instances_need_to_move_az_when_host_removed).
        """
        aggregate = required(_find(conn, self.name), f"aggregate {self.name}", holder)
        notes = []
        for host, value in sorted(state.items()):
            if value is not None:
                conn.compute.add_host_to_aggregate(aggregate.id, host)
                continue
            try:
                conn.compute.remove_host_from_aggregate(aggregate.id, host)
            except sdk.NotFoundException:
                continue
            except (sdk.BadRequestException, sdk.ConflictException) as error:
                notes.append(f"host {host} stays in aggregate {self.name}: {words_of(conn, error)}")
        return "; ".join(notes) or None


def aggregates(conn: Connection) -> tuple[Aggregate, ...]:
    """The cloud's aggregates, by name. Raises CloudError."""
    with answer_read(conn, "list the aggregates"):
        return tuple(sorted(_list(conn), key=lambda aggregate: aggregate.name))


def _list(conn: Connection) -> list[Aggregate]:
    return [
        Aggregate(
            id=str(row.id),
            name=str(row.name),
            metadata={str(key): str(value) for key, value in (row.metadata or {}).items()},
            hosts=tuple(sorted(map(str, row.hosts or ()))),
        )
        for row in conn.compute.aggregates()
    ]


def _find(conn: Connection, name: str) -> Aggregate | None:
    return next((each for each in _list(conn) if each.name == name), None)


def _set_metadata(conn: Connection, aggregate: str, metadata: State) -> None:
    # Not the SDK's call, which takes keys as Python keywords. None removes a key.
    answer = conn.compute.post(
        f"/os-aggregates/{aggregate}/action", json={"set_metadata": {"metadata": metadata}}
    )
    sdk.raise_from_response(answer)

"""Quotas: nova's own (the `db` driver), and Keystone's limits (the `unified` driver).

Source: nova/quota.py, nova/limit/placement.py, nova/limit/utils.py; Keystone, "Unified limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk
from openstack.connection import Connection
from openstack.identity.v3._proxy import Proxy as Identity
from requests import Response

from wholecard.cloud.client.errors import NO_PROJECT, CloudError, GoneError, answer_read
from wholecard.cloud.operations.operation import Assignment, Value, Values
from wholecard.core import State
from wholecard.core.marks import MADE

UNLIMITED = -1


@dataclass(frozen=True)
class RegisteredLimit:
    """A resource that Keystone limits, with the limit of projects that have none of their own."""

    resource: str
    default: int
    ours: bool


@dataclass(frozen=True)
class LimitPlace:
    """Where Keystone keeps nova's limits: the service's id and the region's, None for no region."""

    service: str
    region: str | None


@dataclass(frozen=True)
class SetQuota(Values):
    """Set nova's quotas of a project, by its id; `name` is for the person.

    `default` is whether all of the project's quotas were the defaults. nova's API does not tell a
    quota that was set to the default from one that was never set, and unsets all of a project's at
    once, those of its users too, which are others' (nova/db/main/api.py,
    quota_destroy_all_by_project): so undone it is set to what it was, and never unset.
    """

    kind: ClassVar[str] = "set-quota"

    name: str
    project: str
    default: bool
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        words = " ".join(f"--{key} {after}" for key, _, after in self.changes)
        return f"openstack quota set {words} {self.project}  # {self.name}"

    def look(self, conn: Connection) -> State:
        """These quotas as they are; none where Keystone does not know the project any more."""
        try:
            now = read_quota(conn, self.project)
        except GoneError:
            return {key: None for key, _, _ in self.changes}
        return {key: str(now[key]) if key in now else None for key, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """Set them; what was default is set too when it is undone, which a note says."""
        quotas = {key: int(value) for key, value in state.items() if value is not None}
        # force: a quota below what is in use stops new servers and leaves those that run.
        body = {"quota_set": {**quotas, "force": True}}
        answer = conn.compute.put(f"/os-quota-sets/{self.project}", json=body)
        _refuse_gone(answer, self.project)
        sdk.raise_from_response(answer)
        if self.default and state.items() <= self.state_before.items():
            names = ", ".join(sorted(quotas))
            return (
                f"quotas of {self.name}: {names} set to the former default values; nova cannot "
                "unset single quotas"
            )
        return None


def read_quota(conn: Connection, project: str, defaults: bool = False) -> dict[str, int]:
    """All of a project's quotas, or what they are where none is set.

    Raises GoneError where Keystone has no such project, CloudError.
    """
    with answer_read(conn, f"read the quotas of the project {project}"):
        tail = "/defaults" if defaults else ""
        answer = conn.compute.get(f"/os-quota-sets/{project}{tail}")
        _refuse_gone(answer, project)
        sdk.raise_from_response(answer)
        return {
            key: value
            for key, value in answer.json()["quota_set"].items()
            if isinstance(value, int) and key != "id"
        }


def _refuse_gone(answer: Response, project: str) -> None:
    if answer.status_code == 400 and NO_PROJECT in answer.text:
        raise GoneError(f"the project {project} is gone", resolution="See who deleted it.")


@dataclass(frozen=True)
class RegisterLimit(Assignment):
    """Let Keystone limit a resource of nova's; `default` is for projects without a limit."""

    kind: ClassVar[str] = "register-limit"

    resource: str
    default: int
    service: str
    region: str | None

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        region = f" --region {self.region}" if self.region else ""
        return (
            f"openstack registered limit create --service {self.service}{region} "
            f"--default-limit {self.default} --description {MADE!r} {self.resource}"
        )

    @property
    def state_before(self) -> State:
        """It is not limited."""
        return {self.resource: None}

    @property
    def state_after(self) -> State:
        """It is limited, by us."""
        return {self.resource: f"{self.default}, made by Wholecard"}

    def look(self, conn: Connection) -> State:
        """Its default and whose it is."""
        registered = read_registered(conn, LimitPlace(self.service, self.region))
        limit = registered.get(self.resource)
        if limit is None:
            return {self.resource: None}
        return {self.resource: f"{limit.default}{', made by Wholecard' if limit.ours else ''}"}

    def put(self, conn: Connection, state: State) -> str | None:
        """Register it, or take it back unless somebody limits a project by it."""
        if state[self.resource] is not None:
            identity_of(conn).create_registered_limit(
                resource_name=self.resource,
                default_limit=self.default,
                service_id=self.service,
                region_id=self.region,
                description=MADE,
            )
            return None
        identity = identity_of(conn)
        for limit in _registered(conn, LimitPlace(self.service, self.region)):
            if limit.resource_name == self.resource and limit.description == MADE:
                try:
                    identity.delete_registered_limit(limit.id, ignore_missing=True)
                except (sdk.ForbiddenException, sdk.ConflictException):
                    return f"registered limit {self.resource} stays: a project has a limit of it"
        return None


@dataclass(frozen=True)
class SetLimit(Values):
    """Set Keystone's limits of a project for nova, by its id; `name` is for the person."""

    kind: ClassVar[str] = "set-limit"

    name: str
    project: str
    service: str
    region: str | None
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The commands of the openstack client that do the same."""
        region = f" --region {self.region}" if self.region else ""
        where = f"--project {self.project} --service {self.service}{region}"
        return "\n".join(
            f"openstack limit create {where} --resource-limit {after} {resource}  # {self.name}"
            if before is None
            else f"openstack limit set --resource-limit {after} ID  # {resource} of {self.name}, "
            f"ID by: openstack limit list {where} --resource-name {resource}"
            for resource, before, after in self.changes
        )

    def look(self, conn: Connection) -> State:
        """These limits as they are."""
        now = read_limits(conn, self.project, LimitPlace(self.service, self.region))
        return {key: str(now[key]) if key in now else None for key, _, _ in self.changes}

    def put(self, conn: Connection, state: State) -> str | None:
        """Create, change or delete them, one call each."""
        identity = identity_of(conn)
        limits = _limits(conn, self.project, LimitPlace(self.service, self.region))
        ids = {str(limit.resource_name): limit.id for limit in limits}
        ours = {str(limit.resource_name) for limit in limits if limit.description == MADE}
        notes = []
        for resource, value in sorted(state.items()):
            if value is None:
                if resource in ours:
                    identity.delete_limit(ids[resource], ignore_missing=True)
                elif resource in ids:
                    notes.append(
                        f"limit {resource} of {self.name} is left: Wholecard did not create it"
                    )
            elif resource in ids:
                identity.update_limit(ids[resource], resource_limit=int(value))
            else:
                identity.create_limit(
                    resource_name=resource,
                    resource_limit=int(value),
                    project_id=self.project,
                    service_id=self.service,
                    region_id=self.region,
                    description=MADE,
                )
        return "; ".join(notes) or None


def limit_place(conn: Connection) -> LimitPlace:
    """Where nova's limits belong: its service and the region of the connection.

    nova asks for limits of its endpoint's service and region (oslo.limit's `endpoint_id`, or the
    region by its name); where every limit so far has no region, it is none. Raises CloudError.
    """
    with answer_read(conn, "look for nova's limits in Keystone"):
        identity = identity_of(conn)
        services = [str(row.id) for row in identity.services() if row.type == "compute"]
        if not services:
            raise CloudError(
                "Keystone has no service of type compute", resolution="Register nova in Keystone."
            )
        limits = identity.registered_limits(service_id=services[0])
        regions = {limit.region_id for limit in limits}
    region = conn.config.get_region_name()
    return LimitPlace(services[0], None if regions == {None} or not region else str(region))


def read_registered(conn: Connection, place: LimitPlace) -> dict[str, RegisteredLimit]:
    """The resources of nova's that Keystone limits there, by name. Raises CloudError."""
    with answer_read(conn, "list Keystone's registered limits"):
        return {
            str(limit.resource_name): RegisteredLimit(
                str(limit.resource_name), int(limit.default_limit), limit.description == MADE
            )
            for limit in _registered(conn, place)
        }


def read_limits(conn: Connection, project: str, place: LimitPlace) -> Mapping[str, int]:
    """A project's own limits there, by resource. Raises CloudError."""
    with answer_read(conn, f"list Keystone's limits of the project {project}"):
        return {
            str(limit.resource_name): int(limit.resource_limit)
            for limit in _limits(conn, project, place)
        }


def _registered(conn: Connection, place: LimitPlace) -> list[Any]:
    limits = identity_of(conn).registered_limits(service_id=place.service)
    return [limit for limit in limits if limit.region_id == place.region]


def _limits(conn: Connection, project: str, place: LimitPlace) -> list[Any]:
    # By the URL's own filter: an administrator sees those of every project.
    limits = identity_of(conn).limits(service_id=place.service, project_id=project)
    mine = (place.region, project)
    return [limit for limit in limits if (limit.region_id, limit.project_id) == mine]


def identity_of(conn: Connection) -> Identity:
    """Keystone's v3 API; the SDK types it as either version."""
    identity: Any = conn.identity
    return identity  # type: ignore[no-any-return]

"""A resource provider without allocations, removed from Placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk

from wholecard.cloud.client.errors import CloudError, GoneError
from wholecard.core import State, Step
from wholecard.repair.operations.guards import GuardError, refuse_held
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.repair.operations.placement import (
    AGGREGATES_VERSION,
    INVENTORY_VERSION,
    TREE_VERSION,
    TRIES,
    is_concurrent,
    part_of,
    provider_row,
)


@dataclass(frozen=True)
class ProviderRemoval(RepairOperation):
    """Delete a device's provider with its inventories and traits.

    Placement itself refuses this for one with allocations or with providers below it
    (placement/objects/resource_provider.py, _delete). nova-compute makes it again at its next run
    where the device is one of its own.
    """

    kind: ClassVar[str] = "delete-provider"

    provider: str
    name: str
    host: str
    addresses: tuple[str, ...] = ()
    host_is_off: bool = False

    def describe(self) -> str:
        """The command of the openstack client (osc-placement) that does the same."""
        return f"openstack resource provider delete {self.provider}  # {self.name}"

    @property
    def state_before(self) -> State:
        """It exists, under its name."""
        return {"name": self.name}

    @property
    def state_after(self) -> State:
        """It does not."""
        return {"name": None}

    def look(self, context: RepairContext) -> State:
        """Its name, None where it does not exist."""
        row = provider_row(context.conn, self.provider)
        return {"name": None if row is None else str(row["name"])}

    def begin(self, context: RepairContext, state: State) -> dict[str, Any]:
        """All that Placement forgets with it."""
        row = provider_row(context.conn, self.provider) or {}
        return {
            "found": state,
            "parent": row.get("parent_provider_uuid"),
            "inventories": part_of(context.conn, self.provider, "inventories").get(
                "inventories", {}
            ),
            "traits": part_of(context.conn, self.provider, "traits").get("traits", []),
            "aggregates": part_of(context.conn, self.provider, "aggregates").get("aggregates", []),
        }

    def check(self, context: RepairContext) -> None:
        """No domain may have its device."""
        if self.addresses:
            refuse_held(context, self.host, self.addresses, off=self.host_is_off)

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:
        """Delete it."""
        if step.present == self.state_after:
            return {}
        self.check(context)
        answer = context.conn.placement.delete(f"/resource_providers/{self.provider}")
        if answer.status_code == 409:
            raise GuardError(
                f"the provider {self.name} is in use",
                " ".join(answer.text.split())[:400],
                "Nothing of it was changed. Run wholecard audit: what holds it has a finding of "
                "its own.",
            )
        if answer.status_code != 404:
            sdk.raise_from_response(answer)
        return {}

    def give_back(self, context: RepairContext, step: Step) -> str | None:
        """Make it again with the same uuid; a kill between the requests is finished by the next."""
        if step.begun["found"]["name"] is None:
            return None
        if self.look(context)["name"] is None:
            body = {"uuid": self.provider, "name": self.name}
            if step.begun["parent"]:
                body["parent_provider_uuid"] = step.begun["parent"]
            answer = context.conn.placement.post(
                "/resource_providers", json=body, microversion=TREE_VERSION
            )
            if answer.status_code == 409:
                return f"the provider {self.name} is not restored: nova made a new one of this name"
            sdk.raise_from_response(answer)
        for part in ("inventories", "traits", "aggregates"):
            self._put(context, part, step.begun[part])
        return None

    def _put(self, context: RepairContext, part: str, value: Any) -> None:
        path = f"/resource_providers/{self.provider}/{part}"
        version = AGGREGATES_VERSION if part == "aggregates" else INVENTORY_VERSION
        for _ in range(TRIES):
            body = part_of(context.conn, self.provider, part)
            if not body:
                raise GoneError(f"the provider {self.name} is gone again")
            if _same(body[part], value):
                return
            answer = context.conn.placement.put(
                path, json={**body, part: value}, microversion=version
            )
            if not is_concurrent(answer):
                sdk.raise_from_response(answer)
                return
        raise CloudError(
            f"the provider {self.name} changed {TRIES} times while it was restored",
            resolution="Try again.",
        )


def _same(now: Any, value: Any) -> bool:
    return bool(sorted(now) == sorted(value)) if isinstance(now, list) else bool(now == value)

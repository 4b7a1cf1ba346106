"""The reserved amount of one inventory in Placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk

from wholecard.cloud.client.errors import CloudError, GoneError
from wholecard.cloud.placement.provider_tree import ONE_TIME_USE
from wholecard.core import State, Step
from wholecard.repair.operations.guards import GuardError, refuse_held
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.repair.operations.placement import (
    INVENTORY_VERSION,
    TRIES,
    is_concurrent,
    part_of,
)


@dataclass(frozen=True)
class ReservedChange(RepairOperation):
    """Set `reserved` of an inventory, with the provider's generation."""

    kind: ClassVar[str] = "set-reserved"

    provider: str
    name: str
    resource_class: str
    before: int
    after: int
    host: str
    addresses: tuple[str, ...] = ()
    host_is_off: bool = False

    def describe(self) -> str:
        """The command of the openstack client (osc-placement) that does the same."""
        return (
            f"openstack resource provider inventory set --amend --resource "
            f"{self.resource_class}:reserved={self.after} {self.provider}  # {self.name}"
        )

    @property
    def state_before(self) -> State:
        """As the audit read it."""
        return {"reserved": str(self.before)}

    @property
    def state_after(self) -> State:
        """What it leaves."""
        return {"reserved": str(self.after)}

    def look(self, context: RepairContext) -> State:
        """The amount now, None without the inventory."""
        row = self._read(context)[0]
        return {"reserved": None if row is None else str(row["reserved"])}

    def check(self, context: RepairContext) -> None:
        """Nobody may use it, and it may not wait to be cleaned."""
        if self.addresses:
            refuse_held(context, self.host, self.addresses, off=self.host_is_off)
        used = part_of(context.conn, self.provider, "usages").get("usages", {})
        if used.get(self.resource_class, 0):
            raise GuardError(
                f"{self.name} is used", f"{used[self.resource_class]} {self.resource_class}."
            )
        if ONE_TIME_USE in part_of(context.conn, self.provider, "traits").get("traits", ()):
            raise GuardError(
                f"{self.name} is for one use: nova reserved it after its last server",
                "",
                "It has to be cleaned first: wholecard handover does that, and sets reserved back.",
            )

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:
        """Set it; guarded again each time that somebody else wrote the provider meanwhile."""
        if step.present != self.state_after:
            self._put(context, self.before, self.after, guarded=True)
        return {}

    def give_back(self, context: RepairContext, step: Step) -> str | None:
        """Reserve it again, also where a server has it by now: then it stays with that one."""
        found = step.begun["found"]["reserved"]
        if found is not None and self.look(context)["reserved"] != found:
            self._put(context, None, int(found), guarded=False)
        return None

    def _put(
        self, context: RepairContext, expected: int | None, value: int, *, guarded: bool
    ) -> None:
        path = f"/resource_providers/{self.provider}/inventories/{self.resource_class}"
        for _ in range(TRIES):
            if guarded:
                self.check(context)
            row, generation = self._read(context)
            if row is None:
                raise GoneError(f"{self.name} has no inventory of {self.resource_class}")
            if expected is not None and row["reserved"] != expected:
                raise GuardError(
                    f"reserved of {self.name} was changed since the audit",
                    f"It is {row['reserved']}, and not {expected}.",
                    "Nothing of it was changed. Run wholecard audit, and plan again.",
                )
            body = {**row, "reserved": value, "resource_provider_generation": generation}
            answer = context.conn.placement.put(path, json=body, microversion=INVENTORY_VERSION)
            if not is_concurrent(answer):
                sdk.raise_from_response(answer)
                return
        raise CloudError(
            f"the provider {self.name} changed {TRIES} times while its inventory was set",
            resolution="Try again.",
        )

    def _read(self, context: RepairContext) -> tuple[dict[str, Any] | None, int]:
        """The inventory, and the provider's generation."""
        body = part_of(context.conn, self.provider, "inventories")
        row = body.get("inventories", {}).get(self.resource_class)
        return row, int(body.get("resource_provider_generation", 0))

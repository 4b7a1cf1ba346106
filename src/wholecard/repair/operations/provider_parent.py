"""The parent of a resource provider in Placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk

from wholecard.cloud.client.errors import GoneError
from wholecard.core import State, Step
from wholecard.repair.operations.operation import RepairContext, RepairOperation
from wholecard.repair.operations.placement import provider_row

# The first that gives a provider that has a parent another one
# (placement/rest_api_version_history.rst).
_VERSION = "1.37"


@dataclass(frozen=True)
class ProviderParentChange(RepairOperation):
    """Put a provider below another one. What is allocated of it stays allocated."""

    kind: ClassVar[str] = "set-provider-parent"

    provider: str
    name: str
    before: str | None
    after: str | None

    def describe(self) -> str:
        """The command of the openstack client (osc-placement) that does the same."""
        return (
            f"openstack resource provider set --name {self.name} "
            f"--parent-provider {self.after} {self.provider}"
        )

    @property
    def state_before(self) -> State:
        """As it was planned."""
        return {"parent": self.before}

    @property
    def state_after(self) -> State:
        """What it leaves."""
        return {"parent": self.after}

    def look(self, context: RepairContext) -> State:
        """Its parent now."""
        return {"parent": self._read(context)["parent_provider_uuid"]}

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:
        """Set it."""
        if step.present != self.state_after:
            self._put(context, self.after)
        return {}

    def give_back(self, context: RepairContext, step: Step) -> str | None:
        """Set what it was."""
        parent = step.begun["found"]["parent"]
        if self.look(context)["parent"] != parent:
            self._put(context, parent)
        return None

    def _put(self, context: RepairContext, parent: str | None) -> None:
        answer = context.conn.placement.put(
            f"/resource_providers/{self.provider}",
            json={"name": self.name, "parent_provider_uuid": parent},
            microversion=_VERSION,
        )
        sdk.raise_from_response(answer)

    def _read(self, context: RepairContext) -> dict[str, Any]:
        row = provider_row(context.conn, self.provider)
        if row is None:
            raise GoneError(f"the provider {self.name} is gone")
        return row

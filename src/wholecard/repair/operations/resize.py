"""A resize or cold migration that waits for a decision, confirmed or reverted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk

from wholecard.cloud.client.errors import CloudError, answer_read
from wholecard.cloud.client.waiting import wait_until
from wholecard.core import State, Step
from wholecard.repair.operations.operation import RepairContext, RepairOperation

_OPEN = "to be decided"
# A revert starts the server again on its old host.
_SECONDS = 900.0


@dataclass(frozen=True)
class ResizeDecision(RepairOperation):
    """Confirm the resize of a server in VERIFY_RESIZE, or revert it. nova cannot undo either."""

    kind: ClassVar[str] = "decide-resize"

    server: str
    confirm: bool

    def describe(self) -> str:
        """The openstack client's command that does the same."""
        return f"openstack server resize {'confirm' if self.confirm else 'revert'} {self.server}"

    @property
    def state_before(self) -> State:
        """It waits."""
        return {"resize": _OPEN}

    @property
    def state_after(self) -> State:
        """It does not."""
        return {"resize": None}

    def look(self, context: RepairContext) -> State:
        """Whether it waits for a decision."""
        status, _ = self._read(context)
        return {"resize": _OPEN if status == "VERIFY_RESIZE" else None}

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:
        """Decide, and wait until nova has done it."""
        if step.present == self.state_before:
            word = "confirmResize" if self.confirm else "revertResize"
            answer = context.conn.compute.post(
                f"/servers/{self.server}/action", json={word: None}, microversion="2.1"
            )
            # An interrupted run asked already, and nova is at it.
            if not (step.resumed and answer.status_code == 409):
                sdk.raise_from_response(answer)

        def decided() -> bool | None:
            status, task = self._read(context)
            if status == "ERROR":
                raise CloudError(
                    f"server {self.server} went to ERROR while its resize was decided",
                    resolution=f"See why: openstack server show {self.server}",
                )
            return True if status != "VERIFY_RESIZE" and not task else None

        wait_until(f"the resize of server {self.server}", decided, _SECONDS)
        return {}

    def give_back(self, context: RepairContext, step: Step) -> str | None:  # noqa: ARG002
        """Nothing can be given back once nova was asked."""
        if self.look(context) == self.state_before:
            return None
        word = "confirmed" if self.confirm else "reverted"
        return f"the resize of server {self.server} was {word}; nova cannot undo that"

    def _read(self, context: RepairContext) -> tuple[str, str]:
        with answer_read(context.conn, f"read server {self.server}"):
            answer = context.conn.compute.get(f"/servers/{self.server}", microversion="2.1")
            sdk.raise_from_response(answer)
            row = answer.json()["server"]
            return str(row["status"]), str(row.get("OS-EXT-STS:task_state") or "")

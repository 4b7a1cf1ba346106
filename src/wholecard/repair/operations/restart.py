"""nova-compute restarted on its host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from wholecard.cloud.client.waiting import wait_until
from wholecard.core import Step
from wholecard.repair.operations.guards import service_seen
from wholecard.repair.operations.operation import RepairContext, RepairOperation

# A node that has to look through many servers at its start takes minutes.
_SECONDS = 600.0


@dataclass(frozen=True)
class RestartService(RepairOperation):
    """Restart nova-compute, and wait until it reports again.

    It does its first update_available_resource before it reports (nova/service.py, start): then it
    has read its rows again, and repaired what it repairs.
    """

    kind: ClassVar[str] = "restart-nova-compute"

    host: str

    def describe(self) -> str:
        """The command, by the name of the unit that most distributions give it."""
        return f"ssh {self.host} systemctl restart nova-compute"

    def do(self, context: RepairContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- twice is well
        """Restart it; servers run on meanwhile."""
        before = service_seen(context.conn, self.host)
        unit = context.hosts.restart_compute(self.host)

        if before is None:
            # nova has it under another name: what it reports cannot be waited for.
            return {"unit": unit}

        def reported() -> bool | None:
            now = service_seen(context.conn, self.host)
            return True if now is not None and now[0] == "up" and now != before else None

        wait_until(
            f"nova-compute on {self.host} to report after its restart",
            reported,
            _SECONDS,
            resolution=f"See its log on {self.host}: journalctl -u {unit}",
        )
        return {"unit": unit}

    def give_back(self, context: RepairContext, step: Step) -> str | None:  # noqa: ARG002
        """Nothing: a restart leaves nothing to undo."""
        return None

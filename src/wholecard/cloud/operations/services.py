"""nova-compute's service of a host: disabled with a reason, so that no server comes to it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, ClassVar

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.compute_services import compute_services
from wholecard.cloud.client.errors import GoneError
from wholecard.cloud.operations.operation import Value, Values
from wholecard.core import State

# From it on a service is changed by its id (nova, rest_api_version_history.rst).
_VERSION = "2.53"


@dataclass(frozen=True)
class SetServiceStatus(Values):
    """Set a service's `status` (enabled, disabled) and `reason`, by its id.

    nova keeps a reason only while the service is disabled, at most 255 characters of it.
    """

    kind: ClassVar[str] = "set-service-status"

    host: str
    service: str
    changes: tuple[Value, ...]

    def describe(self) -> str:
        """The command of the openstack client that does the same."""
        after = self.state_after
        if after.get("status") == "enabled":
            return f"openstack compute service set --enable {self.host} nova-compute"
        reason = shlex.quote(after.get("reason") or "")
        words = f"--disable --disable-reason {reason}"
        return f"openstack compute service set {words} {self.host} nova-compute"

    def look(self, conn: Connection) -> State:
        """Its status and reason. Raises GoneError where nova does not have it any more."""
        for service in compute_services(conn):
            if service.id == self.service:
                return {"status": service.status, "reason": service.disabled_reason or None}
        raise GoneError(
            f"nova has no service {self.service} of {self.host} any more",
            resolution="If the host was added again, its service has another id: drain it again.",
        )

    def put(self, conn: Connection, state: State) -> str | None:
        """Set what is given; enabling takes the reason away."""
        status = state.get("status") or self.look(conn)["status"]
        body: dict[str, Any] = {"status": status}
        reason = state.get("reason")
        if status == "disabled" and reason:
            body["disabled_reason"] = reason[:255]
        version = utils.maximum_supported_microversion(conn.compute, _VERSION)
        path = f"/os-services/{self.service}"
        response = conn.compute.put(path, json=body, microversion=version)
        sdk.raise_from_response(response)
        return None

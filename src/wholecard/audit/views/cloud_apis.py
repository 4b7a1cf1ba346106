"""The APIs of one cloud as views of nova and Placement, with one login."""

from __future__ import annotations

from pathlib import Path

from openstack.connection import Connection

from wholecard.audit.views.nova_api import NovaApi
from wholecard.audit.views.placement_api import PlacementApi
from wholecard.cloud.client.connection import connect


class CloudApis:
    """Logged in at the first use. Methods raise UsageError and CloudError as `connect` does.

    `conn` is a connection that is open already.
    """

    def __init__(
        self, cloud: str, clouds_file: Path | None, conn: Connection | None = None
    ) -> None:
        self._cloud = cloud
        self._file = clouds_file
        self._connection = conn

    def nova(self) -> NovaApi:
        """nova's API."""
        return NovaApi(self._connected())

    def placement(self) -> PlacementApi:
        """Placement's API."""
        return PlacementApi(self._connected())

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self._cloud, self._file)
        return self._connection

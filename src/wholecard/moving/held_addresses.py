"""Which PCI addresses of a host servers hold, by Placement; no database is needed."""

from __future__ import annotations

from openstack.connection import Connection

from wholecard.cloud.client.compute_services import hypervisors
from wholecard.cloud.client.server_details import servers_on
from wholecard.core import UsageError
from wholecard.explain.evidence.placement import provider_trees, taken
from wholecard.moving.card_change import Seen
from wholecard.moving.card_request import Surroundings
from wholecard.moving.drain_request import require_service


def surroundings(conn: Connection, host: str, texts: dict[str, str]) -> Surroundings:
    """What the cloud knows of a host (either name): who holds which address, and its service.

    Raises UsageError for a host that nova does not know, CloudError.
    """
    row = next((h for h in hypervisors(conn) if host in (h.hostname, h.service_host)), None)
    if row is None:
        raise UsageError(f"nova has no host {host}",
                         resolution="openstack hypervisor list shows its hosts.")  # fmt: skip
    tree = provider_trees(conn, [row.hostname]).get(row.hostname)
    held = None if tree is None else taken(tree)
    service = require_service(conn, row.service_host)
    seen = Seen(service.status == "disabled", len(servers_on(conn, row.service_host)))
    return Surroundings(held, texts, seen)

"""nova's versioned notifications: what is read of one, and which of them end a card's use.

Sources: nova, doc/notification_samples; oslo.messaging, _drivers/common.py (the envelope 2.0,
`{"oslo.version", "oslo.message"}` with the message as JSON text) and notify/messaging.py (topic
and routing key `TOPIC.PRIORITY`, on the exchange `[DEFAULT] control_exchange`, for nova `nova`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Each ends some server's use of some card. `instance.evacuate` is sent by nova-api when it begins.
OF_HOST = frozenset({
    "instance.delete.end", "instance.shelve_offload.end",
})  # fmt: skip
# The payload names the host where the server is now; the card was freed on another one.
OF_MOVES = frozenset({
    "instance.resize_confirm.end", "instance.resize_revert.end", "instance.live_migration_post.end",
    "instance.live_migration_rollback_dest.end", "instance.evacuate",
})  # fmt: skip


@dataclass(frozen=True)
class Notification:
    """A notification that ends a server's use of its cards.

    `node` is the hypervisor's host name on which a card may be free, None where it can be any.
    """

    event_type: str
    server: str
    node: str | None


def read(body: Any) -> Notification | None:
    """What a message says; None for one after which no card is free.

    Raises ValueError if it is malformed.
    """
    message = _opened(body)
    event_type = message.get("event_type")
    if event_type not in OF_HOST and event_type not in OF_MOVES:
        return None
    payload = message.get("payload")
    data = payload.get("nova_object.data") if isinstance(payload, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(data.get("uuid"), str):
        raise ValueError(f"a notification {event_type} without a server")  # noqa: TRY004 -- as below
    node = data.get("node")
    known = event_type in OF_HOST and isinstance(node, str) and node
    return Notification(str(event_type), data["uuid"], node if known else None)


def _opened(body: Any) -> Mapping[str, Any]:
    """The message in its envelope, or a message of format 1.0, which has none."""
    if isinstance(body, (str, bytes)):
        body = json.loads(body)
    if isinstance(body, Mapping) and "oslo.message" in body:
        body = json.loads(body["oslo.message"])
    if not isinstance(body, Mapping):
        raise ValueError("a message that is no object")  # noqa: TRY004 -- all are ValueError
    return body

"""nova's notifications as nova's documentation has them, in oslo.messaging's envelope."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wholecard.handover.notifications import Notification, read

# doc/notification_samples of openstack/nova at 00a030403f (2026-08-21), with what $ref names.
SAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden/notifications.json").read_text()
)
SERVER = "178b0921-8f85-4257-88b6-2e743b5a975c"


@pytest.mark.parametrize(
    ("sample", "event_type", "node"),
    [
        ("instance-delete-end", "instance.delete.end", "fake-mini"),
        ("instance-shelve_offload-end", "instance.shelve_offload.end", None),
        ("instance-resize_confirm-end", "instance.resize_confirm.end", None),
        ("instance-resize_revert-end", "instance.resize_revert.end", None),
        ("instance-live_migration_post-end", "instance.live_migration_post.end", None),
        ("instance-live_migration_rollback_dest-end",
         "instance.live_migration_rollback_dest.end", None),
        ("instance-evacuate", "instance.evacuate", None),
    ],
)  # fmt: skip
def test_samples(sample: str, event_type: str, node: str | None) -> None:
    """Each says which server's use has ended; only a deletion says on which host."""
    assert read(SAMPLES[sample]) == Notification(event_type, SERVER, node)
    assert read(json.dumps(SAMPLES[sample])) == Notification(event_type, SERVER, node)


def test_without_envelope() -> None:
    """A message of format 1.0 is read too."""
    message = json.loads(SAMPLES["instance-delete-end"]["oslo.message"])
    assert read(message) == Notification("instance.delete.end", SERVER, "fake-mini")


@pytest.mark.parametrize(
    "body", [{"event_type": "instance.create.end", "payload": {}}, {"event_type": None}, {}]
)
def test_others(body: Any) -> None:
    """What ends nobody's use is no notification for the hand-over."""
    assert read(body) is None


@pytest.mark.parametrize(
    "body", ["no JSON", [], {"oslo.message": "{"}, {"event_type": "instance.delete.end"},
             {"event_type": "instance.delete.end", "payload": {"nova_object.data": []}}]
)  # fmt: skip
def test_malformed(body: Any) -> None:
    """A malformed one is refused."""
    with pytest.raises(ValueError, match=r"."):
        read(body)

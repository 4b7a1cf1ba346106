"""nova's API as records, where there is no database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.openstack_api import Api, serving
from wholecard.audit.record import ComputeNode, Instance
from wholecard.audit.views.nova_api import NovaApi
from wholecard.audit.views.placement_view import Holdings
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError


def server(uuid: str, host: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": uuid, "name": f"name-{uuid}", "tenant_id": "p", "created": "2026-11-29T12:00:00Z",
        "updated": "2026-11-29T12:30:00Z", "OS-EXT-SRV-ATTR:host": host and f"c-{host}",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": host, "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:task_state": None, "OS-EXT-STS:power_state": 1,
        "flavor": {"extra_specs": {"resources:VGPU": "1"}}, **more,
    }  # fmt: skip


def migration(number: int, uuid: str, status: str) -> dict[str, Any]:
    return {
        "id": number, "uuid": uuid, "status": status, "instance_uuid": "s1",
        "migration_type": "live-migration", "source_compute": "c-gpu-01",
        "dest_compute": "c-gpu-02", "source_node": "gpu-01", "dest_node": "gpu-02",
        "created_at": "2026-11-29T12:00:00.000000",
        "updated_at": None,
    }  # fmt: skip


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Two hypervisors, four servers in two pages, four migrations, one service that is down."""
    with serving(tmp_path) as found:
        first = [server("s1", "gpu-01"), server("s2", "gpu-02")]
        second = [server("s3", None), server("s4", "gpu-02")]
        link = {"rel": "next", "href": f"{found.url}/compute/v2.1/servers/detail?marker=s2"}
        pages = iter(2 * [{"servers": first, "servers_links": [link]}, {"servers": second}])
        hypervisors = [
            {"id": f"u{number}", "hypervisor_hostname": f"gpu-0{number}", "state": "up",
             "status": "enabled", "service": {"host": f"c-gpu-0{number}"}}
            for number in (2, 1)
        ]  # fmt: skip
        services = [
            {"binary": "nova-compute", "host": "c-gpu-01", "state": "up", "status": "enabled",
             "forced_down": False, "updated_at": "2026-11-29T12:00:00.000000"},
            {"binary": "nova-compute", "host": "c-gpu-02", "state": "down", "status": "disabled",
             "forced_down": True, "updated_at": "2026-11-29T12:00:00.000000"},
        ]  # fmt: skip
        migrations = [migration(1, "m1", "completed"), migration(2, "m2", "error"),
                      migration(3, "m3", "running"), migration(4, "m4", "finished")]  # fmt: skip
        found.answers |= {
            "GET /compute/v2.1/servers/detail": lambda: (200, next(pages)),
            "GET /compute/v2.1/os-hypervisors/detail": (200, {"hypervisors": hypervisors}),
            "GET /compute/v2.1/os-services": (200, {"services": services}),
            "GET /compute/v2.1/os-migrations": (200, {"migrations": migrations}),
        }
        yield found


def test_hosts(api: Api) -> None:
    """The hypervisors are the compute nodes; rows of devices are not shown."""
    nova = NovaApi(connect("test", api.clouds))
    assert nova.compute_nodes() == {
        "gpu-01": ComputeNode(0, "u1", "c-gpu-01", "gpu-01"),
        "gpu-02": ComputeNode(0, "u2", "c-gpu-02", "gpu-02"),
    }
    assert nova.devices(["gpu-01"]) is None
    assert nova.unread_hosts() == {}


def test_cloud(api: Api) -> None:
    """All pages of servers, migrations that count, and services as nova's API judges them."""
    views = NovaApi(connect("test", api.clouds)).cloud_views(
        lambda: Holdings(["m1"], {"s1": frozenset("ab")})
    )
    assert sorted(views.instances) == ["s1", "s2", "s3", "s4"]
    assert views.instances["s1"] == Instance(
        "s1", "c-gpu-01", "gpu-01", "active", None, 1, False, "p", "name-s1", None, 1,
        datetime(2026, 11, 29, 12), datetime(2026, 11, 29, 12, 30),
    )  # fmt: skip
    assert views.instances["s3"].host is None
    assert [row.uuid for row in views.migrations] == ["m1", "m2", "m3", "m4"]
    assert (views.services["c-gpu-01"].is_up, views.services["c-gpu-02"].is_up) == (True, False)
    assert views.services["c-gpu-02"].disabled
    assert views.services["c-gpu-02"].forced_down
    assert views.holdings == {"s1": frozenset("ab")}
    assert views.now is not None
    assert views.now.tzinfo is None


def test_chosen_hosts(api: Api) -> None:
    """With hosts named, other hosts' servers are left out, but for those that hold something."""
    views = NovaApi(connect("test", api.clouds)).cloud_views(lambda: Holdings(["s3"]), ["gpu-01"])
    assert sorted(views.instances) == ["s1", "s3"]


def test_refused(api: Api) -> None:
    """A user who may not list all servers gets the API's refusal."""
    api.answers["GET /compute/v2.1/servers/detail"] = (403, {"forbidden": {"message": "no"}})
    with pytest.raises(CloudError, match="cannot list the servers: it is not allowed"):
        NovaApi(connect("test", api.clouds)).cloud_views(Holdings)

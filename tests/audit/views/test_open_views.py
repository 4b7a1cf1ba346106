"""All views of a cloud, from the sources that a person names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audit.views.conftest import FLEET, Sql
from support.nodes import APART, bare
from support.openstack_api import PASSWORD, serving
from support.tree import grow
from wholecard.audit.record import HostViews, View
from wholecard.audit.views import combined_views
from wholecard.audit.views.open_views import AuditSources, open_views, opened_views
from wholecard.core import UsageError, WholecardError
from wholecard.host.facts.given_devices import GivenDevices
from wholecard.host.facts.inspect import inspect


def read(sources: AuditSources) -> list[HostViews]:
    with opened_views(sources) as views:
        views.cloud_views()
        return list(views.host_views())


def test_hosts_in_order(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts come by name, whatever fits in one batch, each with nova's and Placement's view."""
    monkeypatch.setattr(combined_views, "BATCH", 2)
    hosts = read(AuditSources(databases=file))
    assert [host.host for host in hosts] == [FLEET.host(number) for number in range(3)]
    for number, host in enumerate(hosts):
        assert host.compute_node is not None
        assert [row.host for row in host.devices or ()] == [host.host] * 4
        assert host.providers is not None
        assert len(host.providers.below) == 4
        assert {row.consumer for row in host.allocations or ()} == {
            FLEET.server(number, server) for server in range(2)
        }
        reason = "No facts of hosts were asked for: name --ssh or --facts."
        assert host.unread == {View.SYSFS: reason, View.LIBVIRT: reason}


def test_chosen_hosts(file: Path) -> None:
    """Only the hosts that are named are read, and their servers."""
    with opened_views(AuditSources(databases=file, hosts=("gpu-00002",))) as views:
        servers = {FLEET.server(2, 0), FLEET.server(2, 1)}
        assert set(views.cloud_views().instances) == servers
        assert [host.host for host in views.host_views()] == ["gpu-00002"]


def test_unknown_host(file: Path) -> None:
    """A host that nobody has is refused with those that exist, or left out where it may be gone."""
    sources = AuditSources(databases=file, hosts=("gpu-00001", "gpu-7"))
    with pytest.raises(UsageError, match="neither nova nor Placement") as refused:
        read(sources)
    assert refused.value.details == "They have: gpu-00000, gpu-00001, gpu-00002"
    gone = AuditSources(databases=file, hosts=("gpu-00001", "gpu-7"), hosts_may_be_gone=True)
    assert [host.host for host in read(gone)] == ["gpu-00001"]


def test_host_of_placement_alone(file: Path, sql: Sql) -> None:
    """A host that nova has deleted and Placement still has is a host, without a compute node."""
    sql("nova", "DELETE FROM compute_nodes WHERE id = 2",
        "DELETE FROM pci_devices WHERE compute_node_id = 2")  # fmt: skip
    host = read(AuditSources(databases=file))[1]
    assert (host.host, host.compute_node, host.devices) == ("gpu-00001", None, ())
    assert host.providers is not None


def test_host_without_provider(file: Path, sql: Sql) -> None:
    """A host that Placement does not have: it was read, and there is nothing."""
    sql("placement", "DELETE FROM resource_providers WHERE root_provider_id = 6")
    host = read(AuditSources(databases=file))[1]
    assert (host.providers, host.allocations) == (None, ())
    assert host.has(View.PLACEMENT)


def test_stray_provider(file: Path, sql: Sql) -> None:
    """A device's provider without a parent is below the host that its name has, as it is."""
    sql("placement", "UPDATE resource_providers SET parent_provider_id = NULL,"
        " root_provider_id = id WHERE id = 7")  # fmt: skip
    hosts = read(AuditSources(databases=file))
    assert [host.host for host in hosts] == [FLEET.host(number) for number in range(3)]
    tree = hosts[1].providers
    assert tree is not None
    assert [row.parent_uuid for row in tree.below] == [*3 * [tree.root.uuid], None]
    assert tree.below[3].name == f"gpu-00001_{FLEET.address(0)}"
    assert {row.consumer for row in hosts[1].allocations or ()} == {
        FLEET.server(1, 0), FLEET.server(1, 1),
    }  # fmt: skip


def test_placement_not_given(file: Path) -> None:
    """Without Placement every host says why, and the rest is read."""
    file.write_text(file.read_text().partition("[placement]")[0])
    for host in read(AuditSources(databases=file)):
        assert (host.providers, host.allocations) == (None, None)
        assert host.unread[View.PLACEMENT] == (
            "Neither Placement's database nor a cloud was named."
        )
        assert host.devices


def test_placement_fails(file: Path) -> None:
    """A Placement that cannot be read is unread on every host, with the reason."""
    (file.parent / "placement.db").unlink()
    for host in read(AuditSources(databases=file)):
        assert host.unread[View.PLACEMENT].startswith("Cannot connect to Placement's database: ")


def test_nova_fails(file: Path) -> None:
    """Without nova there is no audit."""
    (file.parent / "nova.db").unlink()
    with pytest.raises(WholecardError, match="cannot connect to nova's cell cell1"):
        read(AuditSources(databases=file))


def test_gone_in_the_middle(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that goes away between two hosts is an error that says to run it again."""
    monkeypatch.setattr(combined_views, "BATCH", 1)
    with opened_views(AuditSources(databases=file)) as views:
        views.cloud_views()
        hosts = views.host_views()
        next(hosts)
        (file.parent / "placement.db").write_bytes(b"no database" * 1000)
        with pytest.raises(WholecardError, match="Placement's database") as error:
            list(hosts)
    assert "Nothing was changed" in error.value.resolution
    assert not caplog.text


def test_no_source() -> None:
    """Where neither a database nor a cloud is named, both options are."""
    with pytest.raises(UsageError, match="nova cannot be read") as refused:
        open_views(AuditSources())
    assert "--databases FILE" in refused.value.resolution
    assert "--cloud NAME" in refused.value.resolution


def test_facts(file: Path, tmp_path: Path) -> None:
    """Saved facts are the view of the host that they are named for; the others say what lacks."""
    facts = inspect(grow(tmp_path / "root", bare(APART))).without_secrets()
    saved = tmp_path / "a.json"
    saved.write_text(json.dumps({**facts.to_json(), **GivenDevices((), ()).to_json()}))
    one, two, _ = read(AuditSources(databases=file, facts={"gpu-00000": saved}))
    assert (one.sysfs, one.domains, one.mdevs, one.unread) == (facts, (), (), {})
    assert two.unread[View.LIBVIRT] == "No facts of it were given."


def test_api_alone(tmp_path: Path) -> None:
    """With a cloud alone, nova and Placement are read through their APIs; rows are unread."""
    with serving(tmp_path) as api:
        row = {"id": "u1", "hypervisor_hostname": "gpu-01", "state": "up", "status": "enabled",
               "service": {"host": "gpu-01"}}  # fmt: skip
        api.answers |= {
            "GET /compute/v2.1/os-hypervisors/detail": (200, {"hypervisors": [row]}),
            "GET /compute/v2.1/servers/detail": (200, {"servers": []}),
            "GET /compute/v2.1/os-services": (200, {"services": []}),
            "GET /compute/v2.1/os-migrations": (200, {"migrations": []}),
            "GET /placement/resource_providers": (403, {"errors": [{"detail": PASSWORD}]}),
        }
        with opened_views(AuditSources(cloud="test", clouds_file=api.clouds)) as views:
            (host,) = views.host_views()
    assert (host.host, host.devices, host.providers) == ("gpu-01", None, None)
    assert "name its databases" in host.unread[View.NOVA]
    assert "not allowed" in host.unread[View.PLACEMENT]
    assert PASSWORD not in str(host.unread)


def test_no_sdk() -> None:
    """Who reads databases alone does not wait for the SDK, which takes longer than 100 hosts."""
    code = "import sys, wholecard.audit.views.open_views; print('openstack' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, text=True, stdout=subprocess.PIPE
    )
    assert ran.stdout == "False\n"

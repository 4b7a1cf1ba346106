"""The whole report: hosts over a fake ssh, a cloud over HTTP, and sources that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.health_reports import (
    GPU,
    NOW,
    PROJECT,
    SERVER,
    SLOT,
    answers,
    card,
    fleet_of,
    health,
)
from support.openstack_api import PASSWORD, Api, serving
from wholecard.core import UsageError
from wholecard.core.report_text import WIDTH
from wholecard.health.request import HealthRequest, read_report
from wholecard.health.text import report_text
from wholecard.host.facts.card_health import Errors

ROOT_PROVIDER, CARD_PROVIDER = "11111111-0000-0000-0000-000000000001", "2-2"
PLACEMENT = "GET /placement/resource_providers"
SERVERS = "GET /compute/v2.1/servers/detail"


def nova_server(**fields: Any) -> dict[str, Any]:
    """A server as compute API 2.47 shows it to an administrator."""
    return {
        "id": SERVER, "tenant_id": PROJECT, "OS-EXT-SRV-ATTR:hypervisor_hostname": "gpu-01",
        "OS-EXT-SRV-ATTR:instance_name": "instance-00000007",
        "OS-SRV-USG:launched_at": "2026-11-30T11:00:00.000000", "OS-SRV-USG:terminated_at": None,
        "flavor": {"extra_specs": {"pci_passthrough:alias": "gpu:2"}}, **fields,
    }  # fmt: skip


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A cloud in which one server has one of its two cards."""
    with serving(tmp_path) as api:
        rows = [
            {"name": "gpu-01", "uuid": ROOT_PROVIDER, "root_provider_uuid": ROOT_PROVIDER},
            {"name": "gpu-01_0000:41:00.0", "uuid": CARD_PROVIDER,
             "parent_provider_uuid": ROOT_PROVIDER, "root_provider_uuid": ROOT_PROVIDER},
        ]  # fmt: skip
        inventory = {"total": 1, "reserved": 1, "allocation_ratio": 1.0, "max_unit": 1}
        own = f"{PLACEMENT}/{CARD_PROVIDER}"
        api.answers |= {
            PLACEMENT: (200, {"resource_providers": rows}),
            f"{own}/inventories": (200, {"inventories": {"CUSTOM_H100": inventory}}),
            f"{own}/usages": (200, {"usages": {"CUSTOM_H100": 1}}),
            f"{own}/traits": (200, {"traits": ["HW_PCI_ONE_TIME_USE"]}),
            f"{own}/allocations": (200, {"allocations": {SERVER: {}}}),
            SERVERS: (200, {"servers": [nova_server()]}),
        }
        yield api


def asked(api: Api, **fields: Any) -> HealthRequest:
    """A request for this cloud, with card-seconds from 10 o'clock on."""
    values: dict[str, Any] = {"usage_since": datetime(2026, 11, 30, 10), **fields}
    return HealthRequest(local=True, cloud="test", clouds_file=api.clouds, **values)


def test_cloud(api: Api) -> None:
    """Providers of functions are read, with who holds them; the host's own provider is not."""
    from wholecard.health.request import read_cloud_of  # noqa: PLC0415 -- it loads the SDK

    known = read_cloud_of(asked(api), NOW)
    (provider,) = known.providers
    assert (provider.host, provider.address) == ("gpu-01", "0000:41:00.0")
    assert (provider.used, provider.reserved, provider.one_time_use) == (1, 1, True)
    assert provider.holders == (SERVER,)
    assert (provider.is_dirty, provider.is_offered) == (False, False)
    (server,) = known.servers.values()
    assert (server.cards, server.project, server.domain) == (2, PROJECT, "instance-00000007")
    assert f"{PLACEMENT}/{ROOT_PROVIDER}/traits" not in api.asked
    assert "compute 2.47" in api.versions


def test_servers_without_cards(api: Api) -> None:
    """Servers whose flavor asks for no card are left out, also where specs are hidden."""
    from wholecard.health.request import read_cloud_of  # noqa: PLC0415 -- as above

    rows = [nova_server(flavor={"extra_specs": {}}), nova_server(id="b", flavor={})]
    api.answers[SERVERS] = (200, {"servers": rows})
    assert read_cloud_of(asked(api), NOW).servers == {}


def test_cloud_that_fails(api: Api) -> None:
    """A cloud that breaks is a finding without its secrets, and the hosts are still reported."""
    api.answers[SERVERS] = (503, {})
    report = read_report(asked(api))
    last = report.findings[-1]
    assert (last.rule, last.subject) == ("WC588", "test")
    assert [answer.error for answer in report.hosts] == [""]
    text = report_text(report, WIDTH)
    assert "The cloud was not read: test: cannot list the servers" in text
    assert PASSWORD not in text + str(report.to_json())


def test_unknown_cloud(api: Api) -> None:
    """A cloud that clouds.yaml does not have is called wrongly."""
    with pytest.raises(UsageError, match="no cloud prod"):
        read_report(replace(asked(api), cloud="prod"))


def test_nothing_asked() -> None:
    """Without a host there is nothing to report."""
    with pytest.raises(UsageError, match="no host is named"):
        read_report(HealthRequest())


def test_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host is asked by ssh; one that answers nonsense, or is not there, is a warning."""
    fleet = fleet_of(tmp_path / "fleet", "gpu-01", "gpu-02")
    monkeypatch.setenv("PATH", fleet.environment()["PATH"])
    answers(fleet, "gpu-01", health(card(errors=Errors(1, 0, 0))))
    answers(fleet, "gpu-02", "[]")
    report = read_report(HealthRequest(("gpu-01", "gpu-02", "gpu-03")))
    assert [(f.rule, f.subject) for f in report.findings] == [
        ("WC588", "gpu-02"), ("WC588", "gpu-03"), ("WC582", f"gpu-01 {GPU}"),
    ]  # fmt: skip
    assert [(row.host, row.card.slot, row.state.value) for row in report.cards] == [
        ("gpu-01", SLOT, "free"),
    ]  # fmt: skip
    assert "another release" in report.findings[0].message

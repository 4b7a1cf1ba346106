"""The list of a cloud's cards: what each is, and which servers have it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from support.capacity_stock import CLASS, H100, split
from support.fleet_database import Fleet, sqlite_fleet
from support.moving_cloud import give_trait, moving_cloud
from support.openstack_api import PASSWORD, serving
from wholecard.audit.record import CloudViews, HostViews, Instance, Migration, PciDevice
from wholecard.audit.views.open_views import AuditSources
from wholecard.capacity.cards import CardServer, ListedCard, list_cards, listed
from wholecard.capacity.record import CardUnits, Kind
from wholecard.cli.app import run_app
from wholecard.cloud.placement.provider_tree import ONE_TIME_USE

ONCE = Kind(CLASS, (ONE_TIME_USE,))


@pytest.mark.parametrize(
    ("units", "state"),
    [
        (CardUnits("a", H100, 1), "free"),
        (CardUnits("a", H100, 1, given=1), "given"),
        (CardUnits("a", H100, 1, reserved=1), "reserved"),
        (CardUnits("a", ONCE, 1, given=1), "given"),
        (CardUnits("a", ONCE, 1, reserved=1), "dirty"),
        (split(16, given=3), "given"),
        (split(16), "free"),
    ],
    ids=["free", "given", "reserved", "once and given", "once and dirty", "slices", "no slice"],
)
def test_state(units: CardUnits, state: str) -> None:
    """What a card is follows from its inventory, and whether it is for one use."""
    assert ListedCard("gpu-01", units).state == state


def test_databases(tmp_path: Path) -> None:
    """Each card with the server that has it, its project, and why its host gives nothing."""
    fleet = Fleet(2)
    file = sqlite_fleet(tmp_path, fleet)
    engine = create_engine(f"sqlite:///{tmp_path}/nova.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE services SET disabled = 1 WHERE host = 'gpu-00001'"))
    engine.dispose()
    rows = list_cards(AuditSources(databases=file))
    assert [row.state for row in rows[:8]] == ["given"] * 4 + ["free"] * 4
    assert [row.servers[0].id for row in rows[:4]] == [fleet.server(0, n % 2) for n in range(4)]
    assert {row.servers[0].project for row in rows if row.servers} == {"5f" * 16}
    # The generated services reported long ago.
    assert list(dict.fromkeys(row.closed for row in rows)) == [
        "nova-compute is down", "nova-compute is disabled",
    ]  # fmt: skip
    free = list_cards(AuditSources(databases=file), states=("free",))
    assert [row.units.name for row in free] == [row.units.name for row in rows if not row.servers]


def test_server_that_moves() -> None:
    """What a migration holds is the server's; a consumer that nova does not know has no name."""
    views = HostViews(
        "gpu-01",
        devices=(
            PciDevice(1, "gpu-01", 1, "0000:41:00.0", "10de", "2330", "type-PCI", "allocated", "m"),
            PciDevice(2, "gpu-01", 1, "0000:42:00.0", "10de", "2330", "type-PCI", "allocated", "x"),
        ),
    )
    train = Instance("s", "gpu-02", "gpu-02", "active", project_id="p", name="train")
    moving = Migration(1, "m", "finished", "migration", "s")
    cloud = CloudViews({"s": train}, (moving,))
    assert [row.servers for row in listed(views, cloud, {})] == [
        (CardServer("s", "train", "p"),), (CardServer("x"),),
    ]  # fmt: skip


def test_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table has a line for each card and counts them; a row has everything.

    The variables name the cloud and its file as for openstackclient.
    """
    with serving(tmp_path) as api:
        cloud = moving_cloud(api)
        server = cloud.add("train", "gpu-01")
        cloud.services["gpu-02"]["state"] = "down"
        give_trait(api, cloud.cards("gpu-02")[0], "CUSTOM_NVLINK")
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(api.clouds))
        monkeypatch.setenv("OS_CLOUD", "test")
        words = ["card", "list"]
        assert run_app(words) == 0
        out = capsys.readouterr().out
        assert run_app([*words, "--state", "given", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["cards"]
    assert row == {
        "host": "gpu-01", "card": "0000:41:00.0", "resource_class": CLASS, "traits": [],
        "state": "given", "servers": [server.id], "server_names": ["train"], "projects": [],
        "numa_node": None, "total": 1, "given": 1, "reserved": 0, "free": 0, "closed": "",
    }  # fmt: skip
    assert out.splitlines() == [
        "HOST    CARD          TYPE                  STATE  SERVER",
        "gpu-01  0000:41:00.0  CUSTOM_PCI_10DE_2330  given  train",
        "gpu-01  0000:42:00.0  CUSTOM_PCI_10DE_2330  free   -",
        "gpu-02  0000:41:00.0  CUSTOM_PCI_10DE_2330  free   -",
        "                        CUSTOM_NVLINK",
        "gpu-02  0000:42:00.0  CUSTOM_PCI_10DE_2330  free   -",
        "",
        "4 cards: 3 free, 1 given.",
        "gpu-02: nova-compute is down.",
    ]
    assert PASSWORD not in out

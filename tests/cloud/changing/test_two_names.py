"""One cloud with two names in clouds.yaml: two folders of journals, one lock."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support.openstack_api import Api
from support.openstack_objects import AGGREGATES, TRAITS, Cloud
from wholecard.cloud.changing.apply import apply, finish, rollback
from wholecard.cloud.changing.journal import LOCKS, CloudJournal
from wholecard.cloud.changing.target import nova_addresses
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.operations.aggregates import CreateAggregate
from wholecard.cloud.operations.operation import CloudOperation
from wholecard.cloud.operations.traits import SetHostTraits
from wholecard.core import Action, Plan, WholecardError
from wholecard.transaction.engine import Outcome

TRAIT = SetHostTraits("h", "u", (("CUSTOM_A", None, "set"),))


@pytest.fixture
def names(api: Api) -> None:
    """`test`, the same cloud as `same`, without a region, and `other`, which is another region."""
    clouds = yaml.safe_load(api.clouds.read_text())
    entry = clouds["clouds"]["test"]
    same = {"auth": {**entry["auth"], "auth_url": f"{api.url}/v3/"}}
    other = {**entry, "region_name": "S"}
    api.clouds.write_text(yaml.safe_dump({"clouds": {"test": entry, "same": same, "other": other}}))
    catalog = api.answers["POST /v3/auth/tokens"][1]["token"]["catalog"]  # type: ignore[index]
    for service in catalog:
        (public,) = service["endpoints"]
        url = f"{api.url}/south/v2.1" if service["type"] == "compute" else public["url"]
        service["endpoints"] += [
            {**public, "id": "i", "interface": "internal", "url": "http://10.0.0.1/compute/v2.1"},
            {**public, "id": "s", "region": "S", "region_id": "S", "url": url},
        ]


class Name:
    """One name of a cloud, with its journals below `shared`."""

    def __init__(self, cloud: Cloud, name: str, shared: Path) -> None:
        self.conn = connect(name, cloud.api.clouds, timeout=5)
        self.journal = CloudJournal(shared / name, shared=shared)

    def apply(self, do: CloudOperation) -> Outcome:
        plan = Plan((Action(do.kind, "gpu", "why", do, ""),))
        return apply(self.conn, self.journal, plan, Path("/site.yaml"))


@pytest.fixture
def shared(cloud: Cloud, tmp_path: Path) -> Path:
    """The folder of all clouds' journals, with an unfinished apply under the name `test`."""
    folder = tmp_path / "cloud"
    marking = cloud.api.answers[f"POST {AGGREGATES}/1/action"]
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = (503, {})
    with pytest.raises(CloudError):
        Name(cloud, "test", folder).apply(CreateAggregate("gpu"))
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = marking
    return folder


def test_addresses(api: Api, names: None) -> None:
    """Two names have the same addresses, of all interfaces; another region has others."""
    found = {
        name: nova_addresses(connect(name, api.clouds, timeout=5))
        for name in ("test", "same", "other")
    }
    assert found["test"] == found["same"] == ("http://10.0.0.1/compute", f"{api.url}/compute")
    assert found["other"] == (f"{api.url}/south",)


def test_unfinished_under_another_name(cloud: Cloud, names: None, shared: Path) -> None:
    """An unfinished apply refuses an apply under another name, which it names, until it is undone.

    What there is under the other name can be undone all the same.
    """
    same = Name(cloud, "same", shared)
    with pytest.raises(WholecardError, match="journal 0001 of the same cloud is unfinished") as no:
        same.apply(TRAIT)
    assert "--cloud test" in no.value.resolution
    assert f"PUT {TRAITS}" not in cloud.api.asked
    test = Name(cloud, "test", shared)
    rollback(test.conn, test.journal)
    assert same.apply(TRAIT).journals == ("0001",)
    assert rollback(same.conn, same.journal).journals == ("0001",)


def test_another_cloud(cloud: Cloud, names: None, shared: Path) -> None:
    """An unfinished apply of another region refuses nothing."""
    assert Name(cloud, "other", shared).apply(TRAIT).journals == ("0001",)


def test_damaged_under_another_name(cloud: Cloud, names: None, shared: Path) -> None:
    """A journal that cannot be read does not stop the other clouds of this machine."""
    (shared / "test/0001/plan.json").write_text("{")
    assert Name(cloud, "same", shared).apply(TRAIT).journals == ("0001",)


@pytest.mark.parametrize("run", [rollback, finish, None])
def test_one_lock(
    cloud: Cloud, names: None, shared: Path, run: Callable[..., Outcome | None] | None
) -> None:
    """While a run under one name holds the lock, none under the other begins."""
    test, same = Name(cloud, "test", shared), Name(cloud, "same", shared)
    (lock,) = (shared / LOCKS).glob("*/lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        asked = len(cloud.api.asked)
        with pytest.raises(WholecardError, match="under another name of clouds"):
            run(test.conn, test.journal) if run else same.apply(TRAIT)
        assert cloud.api.asked[asked:] == []


def test_state_elsewhere(cloud: Cloud, names: None, shared: Path, tmp_path: Path) -> None:
    """Journals in a folder of their own have the same lock, and see what is unfinished."""
    elsewhere = Name(cloud, "same", shared)
    elsewhere.journal = CloudJournal(tmp_path / "elsewhere", shared=shared)
    with pytest.raises(WholecardError, match="is unfinished"):
        elsewhere.apply(TRAIT)
    assert len(list((shared / LOCKS).iterdir())) == 1

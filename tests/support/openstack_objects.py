"""An API with a few objects in it, that a test changes behind a journal's back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wholecard.cloud.changing.apply import apply, rollback
from wholecard.cloud.changing.journal import CloudJournal
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.images import SHA256_PROPERTY
from wholecard.cloud.operations.images import UploadImage
from wholecard.cloud.operations.operation import CloudOperation
from wholecard.core import Action, Plan, marks
from wholecard.transaction.atomic_files import digest
from wholecard.transaction.engine import Outcome

if TYPE_CHECKING:
    from support.openstack_api import Answer, Api

COMPUTE = "/compute/v2.1"
FLAVOR = f"{COMPUTE}/flavors/f1"
AGGREGATES = f"{COMPUTE}/os-aggregates"
QUOTA = f"{COMPUTE}/os-quota-sets/P"
TRAITS = "/placement/resource_providers/u/traits"
IMAGES = "/image/v2/images"
MADE = {"wholecard": "made"}


@dataclass
class Cloud:
    """An API with a few objects that a test changes behind our back, and the journals of it."""

    api: Api
    ledger: CloudJournal
    flavors: list[dict[str, Any]] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    aggregates: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    traits: list[str] = field(default_factory=list)
    quota: dict[str, int] = field(default_factory=lambda: {"cores": 20, "ram": 100})

    def apply(self, *changes: CloudOperation) -> Outcome:
        subject = [getattr(each, "name", "") or "x" for each in changes]
        actions = [Action(do.kind, of, "why", do, "") for do, of in zip(changes, subject)]
        conn = connect("test", self.api.clouds, timeout=5)
        return apply(conn, self.ledger, Plan(tuple(actions)), Path("/site.yaml"))

    def rollback(self, **more: bool) -> tuple[str, ...]:
        conn = connect("test", self.api.clouds, timeout=5)
        return rollback(conn, self.ledger, **more).notes  # type: ignore[arg-type]

    @property
    def state(self) -> str:
        return str(self.ledger.status()["state"])

    @property
    def writes(self) -> list[str]:
        return [each for each in self.api.asked if each.split()[0] in ("PUT", "PATCH", "DELETE")]

    def answer(self, key: str, function: Callable[[dict[str, Any]], Answer]) -> None:
        """Answer `key` by what it was sent."""
        self.api.answers[key] = lambda: function(json.loads(self.api.sent[-1] or b"{}"))


def cloud_of(api: Api, folder: Path) -> Cloud:
    """Its objects are made, changed and deleted as by the real API, where this asks for it."""
    made = Cloud(api, CloudJournal(folder / "state"))
    answers = api.answers
    answers[f"GET {COMPUTE}/flavors/detail"] = lambda: (200, {"flavors": made.flavors})
    answers[f"GET {AGGREGATES}"] = lambda: (200, {"aggregates": made.aggregates})
    answers[f"GET {IMAGES}"] = lambda: (200, {"images": made.images})
    answers[f"GET {QUOTA}"] = lambda: (200, {"quota_set": made.quota})
    answers[f"GET {FLAVOR}/os-flavor-access"] = lambda: (
        200,
        {"flavor_access": [{"flavor_id": "f1", "tenant_id": each} for each in made.access]},
    )
    answers[f"GET {TRAITS}"] = lambda: (
        200,
        {"resource_provider_generation": 1, "traits": made.traits},
    )

    values_of(made)
    flavors_of(made)
    aggregates_of(made)
    for path in (f"{COMPUTE}/flavors", AGGREGATES, IMAGES):
        for name in ("f1", "f2", "1", "2", "i1", "copy"):
            api.answers[f"DELETE {path}/{name}"] = (204, {})
    return made


def values_of(made: Cloud) -> None:
    """Traits and quotas that are put."""

    def put_traits(body: dict[str, Any]) -> Answer:
        made.traits = body["traits"]
        return 200, {}

    def put_quota(body: dict[str, Any]) -> Answer:
        made.quota |= {key: value for key, value in body["quota_set"].items() if key != "force"}
        return 200, {"quota_set": made.quota}

    made.answer(f"PUT {TRAITS}", put_traits)
    made.answer(f"PUT {QUOTA}", put_quota)


def flavors_of(made: Cloud) -> None:
    """Flavors that are made, and used by projects."""

    def create_flavor(body: dict[str, Any]) -> Answer:
        row = body["flavor"]
        public = row["os-flavor-access:is_public"]
        made.flavors.append(flavor("f1", row.get("description"), public=public))
        return 200, {"flavor": made.flavors[-1]}

    def act_on_flavor(body: dict[str, Any]) -> Answer:
        if "addTenantAccess" in body:
            made.access.append(body["addTenantAccess"]["tenant"])
        else:
            made.access.remove(body["removeTenantAccess"]["tenant"])
        return 200, {"flavor_access": []}

    made.answer(f"POST {COMPUTE}/flavors", create_flavor)
    made.answer(f"POST {FLAVOR}/action", act_on_flavor)


def aggregates_of(made: Cloud) -> None:
    """Aggregates that are made and changed, with what nova refuses of it."""

    def create_aggregate(body: dict[str, Any]) -> Answer:
        made.aggregates.append(aggregate(1, {}))
        return 200, {"aggregate": made.aggregates[-1]}

    def act_on_aggregate(body: dict[str, Any]) -> Answer:
        (there,) = made.aggregates
        if "add_host" in body:
            there["hosts"].append(body["add_host"]["host"])
        elif "remove_host" in body:
            if body["remove_host"]["host"] == "busy":
                return 409, {"conflictingRequest": {"code": 409, "message": "It has servers."}}
            there["hosts"].remove(body["remove_host"]["host"])
        else:
            metadata = body["set_metadata"]["metadata"]
            if metadata.get("availability_zone", "z") is None:
                return 400, {"badRequest": {"code": 400, "message": "empty named zone"}}
            kept = {**there["metadata"], **metadata}
            there["metadata"] = {key: each for key, each in kept.items() if each is not None}
        return 200, {"aggregate": there}

    made.answer(f"POST {AGGREGATES}", create_aggregate)
    made.answer(f"POST {AGGREGATES}/1/action", act_on_aggregate)


def flavor(
    number: str, description: str | None = marks.MADE, *, public: bool = True
) -> dict[str, Any]:
    return {
        "id": number, "name": "gpu", "ram": 1024, "vcpus": 1, "disk": 1, "links": [],
        "description": description, "os-flavor-access:is_public": public, "extra_specs": {},
    }  # fmt: skip


def aggregate(number: int, metadata: dict[str, str], *hosts: str) -> dict[str, Any]:
    return {"id": number, "name": "gpu", "metadata": metadata, "hosts": list(hosts)}


def set_specs_of(made: Cloud) -> Callable[[dict[str, Any]], Answer]:
    """Extra specs that are set on the first flavor."""

    def set_specs(body: dict[str, Any]) -> Answer:
        made.flavors[0]["extra_specs"] = body["extra_specs"]
        return 200, body

    return set_specs


def upload(cloud: Cloud, folder: Path, *others: dict[str, str]) -> dict[str, Any]:
    """An image of ours, made through the journal, while others upload the same."""
    file = folder / "i.qcow2"
    file.write_bytes(b"QFI\xfb")
    sha256 = digest(file)
    row = {"id": "i1", "name": "i", "disk_format": "qcow2", SHA256_PROPERTY: sha256}

    def create(_: dict[str, Any]) -> Answer:
        cloud.images = [{**row, "status": "active", **each} for each in ({}, *others)]
        return 201, {**row, "status": "queued"}

    cloud.answer(f"POST {IMAGES}", create)
    cloud.api.answers[f"PUT {IMAGES}/i1/file"] = (204, {})
    cloud.api.answers[f"GET {IMAGES}/i1"] = lambda: (200, cloud.images[0])
    cloud.apply(UploadImage("i", str(file), sha256, ()))
    cloud.api.asked.clear()
    return row

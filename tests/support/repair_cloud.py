"""A cloud to repair, within this process: Placement with its generations, some of nova, and cells.

Its state is a file, so that what a killed child did is there for its parent. openstacksdk runs as
it is: only the transport below it is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from requests.adapters import BaseAdapter

from support.openstack_api import PASSWORD, keystone_answers
from wholecard.cloud.client.connection import API_TIMEOUT

URL = "http://cloud.invalid"
CONCURRENT = "placement.concurrent_update"

Answer = tuple[int, Any]


@dataclass
class FakeCloud:
    """`fault` is asked before and after each request and may answer for it, raise, or kill."""

    place: Path
    fault: Callable[[str, str, str], Answer | None] = lambda when, method, path: None
    asked: list[str] = field(default_factory=list)

    @property
    def state(self) -> dict[str, Any]:
        """`providers` and `consumers` by uuid, `servers` by id, `services` by host."""
        found: dict[str, Any] = json.loads(self.place.read_text())
        return found

    def write(self, state: dict[str, Any]) -> None:
        self.place.write_text(json.dumps(state, sort_keys=True))

    def connect(self) -> Connection:
        """A connection of openstacksdk's to this cloud."""
        loader = OpenStackConfig(load_yaml_config=False, load_envvars=False)
        auth = {"auth_url": f"{URL}/v3", "username": "admin", "password": PASSWORD,
                "project_name": "admin", "user_domain_name": "Default",
                "project_domain_name": "Default"}  # fmt: skip
        region = loader.get_one(
            auth_type="password", auth=auth, region_name="R", api_timeout=API_TIMEOUT
        )
        conn = Connection(config=region)
        conn.session.session.mount("http://", _Transport(self))
        return conn

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        key = f"{method} {path.rstrip('/')}"
        if key in (known := keystone_answers(URL)):
            answer = known[key]
            return answer() if callable(answer) else answer
        self.asked.append(key)
        if (early := self.fault("before", method, path)) is not None:
            return early
        state = self.state
        for pattern, handler in _ROUTES:
            if (match := re.fullmatch(pattern, key)) is not None:
                status, data = handler(state, query, body, *match.groups())
                if method != "GET" and status < 300:
                    self.write(state)
                late = self.fault("after", method, path)
                return (status, data) if late is None else late
        return 404, {"errors": [{"detail": key}]}


class _Transport(BaseAdapter):
    def __init__(self, cloud: FakeCloud) -> None:
        super().__init__()
        self._cloud = cloud

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        place = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        body = json.loads(request.body) if isinstance(request.body, (str, bytes)) else None
        status, data = self._cloud.answer(str(request.method), place.path, query, body)
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers["Content-Type"] = "application/json"
        response.headers["X-Subject-Token"] = "token"
        response.raw = BytesIO(b"" if data is None else json.dumps(data).encode())
        return response

    def close(self) -> None:
        pass


def provider(name: str, parent: str | None = None, **fields: Any) -> dict[str, Any]:
    """A provider with one card: `total`, `reserved`, `traits` and `resource_class` as given."""
    inventory = {
        "total": fields.get("total", 1), "reserved": fields.get("reserved", 0), "min_unit": 1,
        "max_unit": fields.get("total", 1), "step_size": 1, "allocation_ratio": 1.0,
    }  # fmt: skip
    return {
        "name": name,
        "parent": parent,
        "generation": fields.get("generation", 7),
        "inventories": {fields.get("resource_class", "CUSTOM_PCI_10DE_2330"): inventory},
        "traits": fields.get("traits", ["COMPUTE_MANAGED_PCI_DEVICE", "OWNER_NOVA"]),
        "aggregates": fields.get("aggregates", []),
    }


def consumer(held: dict[str, dict[str, int]], **fields: Any) -> dict[str, Any]:
    """A consumer that holds this, by provider and class."""
    return {"generation": fields.get("generation", 1), "project": fields.get("project", "P"),
            "user": fields.get("user", "U"), "type": fields.get("type", "INSTANCE"),
            "held": held}  # fmt: skip


def _conflict(words: str, code: str = "placement.undefined_code") -> Answer:
    return 409, {"errors": [{"status": 409, "detail": words, "code": code}]}


def _usage(state: dict[str, Any], uuid: str) -> dict[str, int]:
    used = dict.fromkeys(state["providers"][uuid]["inventories"], 0)
    for row in state["consumers"].values():
        for name, amount in row["held"].get(uuid, {}).items():
            used[name] = used.get(name, 0) + amount
    return used


def _get_allocations(state: dict[str, Any], query: Any, body: Any, uuid: str) -> Answer:
    row = state["consumers"].get(uuid)
    if row is None:
        return 200, {"allocations": {}}
    allocations = {
        provider_uuid: {"generation": state["providers"][provider_uuid]["generation"],
                        "resources": amounts}
        for provider_uuid, amounts in row["held"].items()
    }  # fmt: skip
    return 200, {
        "allocations": allocations, "project_id": row["project"], "user_id": row["user"],
        "consumer_generation": row["generation"], "consumer_type": row["type"] or "unknown",
    }  # fmt: skip


def _post_allocations(state: dict[str, Any], query: Any, body: Any) -> Answer:
    """placement/handlers/allocation.py, set_allocations: all consumers or none."""
    for uuid, wanted in body.items():
        row = state["consumers"].get(uuid)
        generation = None if row is None else row["generation"]
        if wanted["consumer_generation"] != generation:
            return _conflict("consumer generation conflict", CONCURRENT)
    before = json.loads(json.dumps(state["consumers"]))
    for uuid, wanted in body.items():
        row = state["consumers"].setdefault(uuid, {"generation": 0, "held": {}, "type": None})
        touched = {*row["held"], *wanted["allocations"]}
        row["held"] = {each: dict(v["resources"]) for each, v in wanted["allocations"].items()}
        row["project"], row["user"] = wanted["project_id"], wanted["user_id"]
        row["type"] = wanted.get("consumer_type", row["type"])
        row["generation"] += 1
        if not row["held"]:
            del state["consumers"][uuid]
        for each in touched:
            if each not in state["providers"]:
                state["consumers"] = before
                return 400, {"errors": [{"detail": f"no provider {each}"}]}
            state["providers"][each]["generation"] += 1
    for each, found in state["providers"].items():
        for name, used in _usage(state, each).items():
            inventory = found["inventories"].get(name)
            was = sum(row["held"].get(each, {}).get(name, 0) for row in before.values())
            room = inventory["total"] - inventory["reserved"] if inventory else 0
            # Placement lets an overuse be written that is no worse than before.
            if used > max(room, was):
                state["consumers"] = before
                return _conflict(f"Unable to allocate inventory: {name} is exhausted")
    return 204, None


def _list_providers(state: dict[str, Any], query: Any, body: Any) -> Answer:
    providers = state["providers"]

    def root(uuid: str) -> str:
        parent = providers[uuid]["parent"]
        return uuid if parent is None else root(parent)

    wanted = query.get("in_tree")
    if wanted is not None and wanted not in providers:
        return 200, {"resource_providers": []}
    rows = [
        _provider_json(state, uuid) for uuid in providers
        if wanted is None or root(uuid) == root(wanted)
    ]  # fmt: skip
    return 200, {"resource_providers": rows}


def _provider_json(state: dict[str, Any], uuid: str) -> dict[str, Any]:
    row = state["providers"][uuid]
    return {"uuid": uuid, "name": row["name"], "generation": row["generation"],
            "parent_provider_uuid": row["parent"]}  # fmt: skip


def _get_provider(state: dict[str, Any], query: Any, body: Any, uuid: str) -> Answer:
    if uuid not in state["providers"]:
        return 404, {"errors": [{"detail": "no such provider"}]}
    return 200, _provider_json(state, uuid)


def _put_provider(state: dict[str, Any], query: Any, body: Any, uuid: str) -> Answer:
    row = state["providers"][uuid]
    row["name"], row["parent"] = body["name"], body["parent_provider_uuid"]
    return 200, _provider_json(state, uuid)


def _post_provider(state: dict[str, Any], query: Any, body: Any) -> Answer:
    names = [row["name"] for row in state["providers"].values()]
    if body["uuid"] in state["providers"] or body["name"] in names:
        return _conflict("Conflicting resource provider name already exists")
    state["providers"][body["uuid"]] = {
        "name": body["name"], "parent": body.get("parent_provider_uuid"), "generation": 0,
        "inventories": {}, "traits": [], "aggregates": [],
    }  # fmt: skip
    return 200, _provider_json(state, body["uuid"])


def _delete_provider(state: dict[str, Any], query: Any, body: Any, uuid: str) -> Answer:
    if uuid not in state["providers"]:
        return 404, {}
    if any(uuid in row["held"] for row in state["consumers"].values()):
        return _conflict("Unable to delete resource provider: it is in use")
    if any(row["parent"] == uuid for row in state["providers"].values()):
        return _conflict("Unable to delete parent resource provider")
    del state["providers"][uuid]
    return 204, None


def _get_part(state: dict[str, Any], query: Any, body: Any, uuid: str, part: str) -> Answer:
    row = state["providers"].get(uuid)
    if row is None:
        return 404, {}
    value = _usage(state, uuid) if part == "usages" else row[part]
    return 200, {part: value, "resource_provider_generation": row["generation"]}


def _put_part(state: dict[str, Any], query: Any, body: Any, uuid: str, part: str) -> Answer:
    row = state["providers"][uuid]
    if body["resource_provider_generation"] != row["generation"]:
        return _conflict("resource provider generation conflict", CONCURRENT)
    row[part] = body[part]
    row["generation"] += 1
    return 200, {part: row[part], "resource_provider_generation": row["generation"]}


def _put_inventory(state: dict[str, Any], query: Any, body: Any, uuid: str, name: str) -> Answer:
    row = state["providers"][uuid]
    if body.pop("resource_provider_generation") != row["generation"]:
        return _conflict("resource provider generation conflict", CONCURRENT)
    row["inventories"][name] = body
    row["generation"] += 1
    return 200, body


def _get_server(state: dict[str, Any], query: Any, body: Any, uuid: str) -> Answer:
    row = state["servers"].get(uuid)
    if row is None:
        return 404, {"itemNotFound": {"code": 404, "message": "Instance could not be found."}}
    return 200, {"server": {"id": uuid, **row}}


def _act_on_server(state: dict[str, Any], query: Any, body: Any, uuid: str) -> Answer:
    row = state["servers"][uuid]
    if row["status"] != "VERIFY_RESIZE":
        return 409, {"conflictingRequest": {"code": 409, "message": "not in VERIFY_RESIZE"}}
    row["status"] = "ACTIVE"
    row["decided"] = next(iter(body))
    return 202, None


def _get_services(state: dict[str, Any], query: Any, body: Any) -> Answer:
    service = state["services"].get(query["host"])
    if service is None:
        return 200, {"services": []}
    return 200, {"services": [{"binary": "nova-compute", "host": query["host"], **service}]}


_UUID, _P = r"([^/]+)", "/placement/resource_providers"
_ROUTES: tuple[tuple[str, Callable[..., Answer]], ...] = (
    (f"GET /placement/allocations/{_UUID}", _get_allocations),
    ("POST /placement/allocations", _post_allocations),
    (f"GET {_P}", _list_providers),
    (f"POST {_P}", _post_provider),
    (f"GET {_P}/{_UUID}", _get_provider),
    (f"PUT {_P}/{_UUID}", _put_provider),
    (f"DELETE {_P}/{_UUID}", _delete_provider),
    (f"GET {_P}/{_UUID}/(inventories|traits|aggregates|usages)", _get_part),
    (f"PUT {_P}/{_UUID}/(inventories|traits|aggregates)", _put_part),
    (f"PUT {_P}/{_UUID}/inventories/{_UUID}", _put_inventory),
    (f"GET /compute/v2.1/servers/{_UUID}", _get_server),
    (f"POST /compute/v2.1/servers/{_UUID}/action", _act_on_server),
    ("GET /compute/v2.1/os-services", _get_services),
)

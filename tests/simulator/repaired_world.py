"""A simulated cloud as a repair reaches it: real Placement, and of nova's API what guards ask.

openstacksdk runs as it is, only the transport below it is ours: Placement's requests go to the
real one in nova's process, and nova's servers and services are answered from nova's tables.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from requests.adapters import BaseAdapter
from sqlalchemy import event

from simulator.nova_process import NovaProcess
from simulator.simulated_views import SimulatedFacts, opening
from simulator.world_faults import Tables
from support.openstack_api import PASSWORD, keystone_answers
from wholecard.audit.record import Domain
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.cloud.client.connection import API_TIMEOUT
from wholecard.repair import request as repair
from wholecard.repair.changing.journal import RepairJournal
from wholecard.repair.database.accounts import CellDatabases
from wholecard.repair.operations.operation import RepairContext
from wholecard.repair.planning import RepairFilter
from wholecard.repair.record import RepairReport
from wholecard.repair.remedies.case import RepairOptions
from wholecard.repair.request import RepairRequest

URL = "http://cloud.invalid"


@dataclass
class RepairedWorld:
    """A world with its process; `before` is called before each request and may raise or kill."""

    folder: Path
    nova: NovaProcess
    tables: Tables
    before: Callable[[str], None] = lambda what: None
    restarted: list[str] = field(default_factory=list)

    @cached_property
    def conn(self) -> Connection:
        """A connection of openstacksdk's."""
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

    @cached_property
    def context(self) -> RepairContext:
        """What operations work with; the world is its hosts too."""
        return RepairContext(self.conn, self._accounts(), self)

    def _accounts(self) -> CellDatabases:
        file = self.folder / "write.ini"
        file.write_text(f"[cell cell1]\nconnection = sqlite:///{self.folder}/cell1.sqlite\n")
        file.chmod(0o600)
        accounts = CellDatabases.read(file)

        def before(*arguments: Any) -> None:
            self.before(f"sql {arguments[2].split()[0]}")

        for engine in accounts.engines.values():
            event.listen(engine, "before_cursor_execute", before)
            event.listen(engine, "commit", lambda _connection: self.before("sql commit"))
        return accounts

    def repair(self, state: Path, rules: frozenset[str] = frozenset()) -> RepairReport:
        """As an operator repairs: what is left after a restart of nova-compute is repaired too.

        Of these rules alone, if any; the journal is in `state`. The answer is of the last run.
        """
        restarts = len(self.restarted)
        first = repair.apply(self.request(state, rules, beyond=False))
        left = first.remaining if first.remaining is not None else self.audit()
        is_left = any(not rules or row.rule in rules for row in left.disagreements)
        if not is_left or len(self.restarted) == restarts:
            return first
        return repair.apply(self.request(state, rules, beyond=True))

    def request(self, state: Path, rules: frozenset[str], *, beyond: bool) -> RepairRequest:
        """One run of it."""
        return RepairRequest(
            self.context, self.audit, RepairJournal(state),
            RepairOptions(restart_compute=True, beyond_restart=beyond), RepairFilter(rules),
        )  # fmt: skip

    def audit(self) -> AuditReport:
        """An audit now; a period passes while it waits."""
        look = opening(self.folder, self._told)

        def wait(_seconds: float) -> None:
            self.nova.tell("tick", seconds=60)
            self.nova.tell("periodic", hosts=["gpu-01", "gpu-02"])

        return audit_views(look, 60.0, AuditWatcher(), sleep=wait)

    def _told(self) -> dict[str, Any]:
        return {"now": self.nova.tell("tick", seconds=0)["now"], "hosts": self.tables.told}

    # The hosts, as a repair asks them.

    def domains(self, host: str) -> tuple[Domain, ...]:
        """The domains of a host."""
        self.before(f"domains {host}")
        return SimulatedFacts(self.tables.told).facts((host,))[host].domains or ()

    def restart_compute(self, host: str) -> str:
        """Another process of nova-compute on it."""
        self.before(f"restart {host}")
        self.nova.tell("tick", seconds=30)
        one = self.tables.told[host]
        self.nova.tell("devices", host=host, devices=one["devices"])
        self.nova.tell("domains", host=host, domains=one["domains"])
        self.nova.tell("run", move="restart", args=[host])
        self.restarted.append(host)
        return "nova-compute.service"

    # The API, as openstacksdk asks it.

    def answer(self, request: requests.PreparedRequest) -> tuple[int, bytes]:
        """The status and the body."""
        place = urlsplit(str(request.url))
        key = f"{request.method} {place.path.rstrip('/')}"
        if key in (known := keystone_answers(URL)):
            found = known[key]
            status, body = found() if callable(found) else found
            return status, json.dumps(body).encode()
        self.before(key)
        if place.path.startswith("/placement/"):
            answer = self._placement(request, place.path.removeprefix("/placement"), place.query)
        else:
            answer = self._nova(key, parse_qs(place.query))
        self.before(f"{key} answered")
        return answer

    def _placement(
        self, request: requests.PreparedRequest, path: str, query: str
    ) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.nova.port, timeout=60)) as ask:
            body = str(request.body).encode() if isinstance(request.body, str) else None
            if isinstance(request.body, bytes):
                body = request.body
            headers = {**request.headers, "X-Auth-Token": "admin", "Host": "placement"}
            ask.request(str(request.method), f"{path}?{query}", body, headers)
            answer = ask.getresponse()
            return answer.status, answer.read()

    def _nova(self, key: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if key.startswith("GET /compute/v2.1/servers/"):
            rows = self.tables.rows(
                "cell1",
                "SELECT node, task_state, vm_state FROM instances WHERE uuid = ? AND deleted = 0",
                key.rpartition("/")[2],
            )
            if not rows:
                return 404, json.dumps({"itemNotFound": {"message": key, "code": 404}}).encode()
            node, task, state = rows[0]
            server = {"OS-EXT-SRV-ATTR:hypervisor_hostname": node, "OS-EXT-STS:task_state": task,
                      "OS-EXT-STS:vm_state": state}  # fmt: skip
            return 200, json.dumps({"server": server}).encode()
        if key == "GET /compute/v2.1/os-services":
            rows = self.tables.rows(
                "cell1", "SELECT host, forced_down, last_seen_up FROM services WHERE host = ?",
                query["host"][0],
            )  # fmt: skip
            services = [
                {"host": host, "state": "down" if down else "up", "updated_at": seen}
                for host, down, seen in rows
            ]
            return 200, json.dumps({"services": services}).encode()
        return 404, b"{}"


class _Transport(BaseAdapter):
    def __init__(self, world: RepairedWorld) -> None:
        super().__init__()
        self._world = world

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        status, body = self._world.answer(request)
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, str(request.url)
        response.headers["Content-Type"] = "application/json"
        response.headers["X-Subject-Token"] = "token"
        response.raw = BytesIO(body)
        return response

    def close(self) -> None:
        pass

"""Placement filled with hosts of cards as nova-compute reports them, over its own API."""

from __future__ import annotations

import http.client
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from wholecard.lab.base.ports import LOOPBACK

MICROVERSION = "1.36"  # nova 34's for candidates (scheduler/client/report.py, SAME_SUBTREE_VERSION)
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "wholecard.benchmarks")
ROOT_INVENTORY = {"VCPU": (192, 192, 16.0), "MEMORY_MB": (2097152, 2097152, 1.0),
                  "DISK_GB": (20000, 20000, 1.0)}  # fmt: skip
# Placement's and nova's own limit of parallel writers is far above; the machine has two cores.
WRITERS = 4
OWNER = "OWNER_NOVA"  # nova 34 asks for it on every provider


@dataclass(frozen=True)
class Client:
    """Placement on a loopback port, without Keystone (`auth_strategy = noauth2`)."""

    port: int

    def request(
        self, method: str, path: str, body: object = None, timeout: float = 30
    ) -> tuple[int, bytes]:
        """Status and body of the answer; raises TimeoutError or another OSError."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=timeout)
        headers = {"x-auth-token": "admin", "accept": "application/json",
                   "openstack-api-version": f"placement {MICROVERSION}"}  # fmt: skip
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def put(self, path: str, body: object, method: str = "PUT") -> dict[str, Any]:
        """The answer's JSON; raises RuntimeError for anything but success."""
        status, answer = self.request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return dict(json.loads(answer)) if answer else {}


def inventory(total: int, max_unit: int, ratio: float = 1.0) -> dict[str, object]:
    """One resource class of a provider."""
    return {"total": total, "max_unit": max_unit, "allocation_ratio": ratio}


def add_host(client: Client, number: int, cards: int, card_class: str) -> None:
    """A root with processors, memory and disk, and one child with one unit for each card."""
    host = f"host-{number:03d}"
    root = str(uuid.uuid5(NAMESPACE, host))
    client.put("/resource_providers", {"name": host, "uuid": root}, "POST")
    _fill(client, root, {name: inventory(*values) for name, values in ROOT_INVENTORY.items()})
    for card in range(cards):
        name = f"{host}_0000:{0x10 + card * 8:02x}:00.0"
        child = str(uuid.uuid5(NAMESPACE, name))
        body = {"name": name, "uuid": child, "parent_provider_uuid": root}
        client.put("/resource_providers", body, "POST")
        _fill(client, child, {card_class: inventory(1, 1)})


def _fill(client: Client, provider: str, inventories: dict[str, dict[str, object]]) -> None:
    path = f"/resource_providers/{provider}"
    body = {"resource_provider_generation": 0, "inventories": inventories}
    client.put(f"{path}/inventories", body)
    client.put(f"{path}/traits", {"resource_provider_generation": 1, "traits": [OWNER]})


def add_hosts(client: Client, first: int, last: int, cards: int, card_class: str) -> None:
    """Hosts `first` to `last`, the last one left out."""
    client.put(f"/resource_classes/{card_class}", None)
    with ThreadPoolExecutor(WRITERS) as pool:
        added = [pool.submit(add_host, client, number, cards, card_class)
                for number in range(first, last)]  # fmt: skip
        for host in added:
            host.result()


def query_string(pairs: tuple[tuple[str, str], ...]) -> str:
    """The path of `GET /allocation_candidates` with this query."""
    return "/allocation_candidates?" + urlencode(pairs)

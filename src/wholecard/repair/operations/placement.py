"""Placement's answers as repairs need them: a consumer's allocations, an inventory, a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read

# 1.28 has a consumer's generation, and guards a change with it; 1.38 its type
# (placement/rest_api_version_history.rst). 1.26 lets `reserved` be all of `total`.
WITH_GENERATION = "1.28"
WITH_TYPE = "1.38"
INVENTORY_VERSION = "1.26"
TREE_VERSION = "1.20"
AGGREGATES_VERSION = "1.19"

# Others write the same objects; each of our tries reads them again, and guards again.
TRIES = 10

# A consumer that was written by 1.37 or below has no type, and 1.38 shows this word, which it does
# not accept (placement/objects/consumer.py; placement/schemas/common.py).
_NO_TYPE = "unknown"

# Resource classes and amounts by the provider's uuid.
Held = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Consumer:
    """What a consumer holds, and whose it is; `generation` is None for one that holds nothing."""

    uuid: str
    held: Held = field(default_factory=dict)
    generation: int | None = None
    project: str = ""
    user: str = ""
    type: str = ""

    def body(self, held: Held, *, typed: bool) -> dict[str, Any]:
        """Its part of a POST that leaves it with `held`, guarded by its generation."""
        allocations = {uuid: {"resources": dict(amounts)} for uuid, amounts in held.items()}
        body = {
            "allocations": allocations,
            "project_id": self.project,
            "user_id": self.user,
            "consumer_generation": self.generation,
        }
        return {**body, "consumer_type": self.type} if typed else body


def consumer(conn: Connection, uuid: str) -> Consumer:
    """What a consumer holds. Raises CloudError."""
    version = utils.maximum_supported_microversion(conn.placement, WITH_TYPE) or WITH_GENERATION
    with answer_read(conn, f"read the allocations of {uuid}"):
        answer = conn.placement.get(f"/allocations/{uuid}", microversion=version)
        sdk.raise_from_response(answer)
        body = answer.json()
        held = {
            str(provider): {str(name): int(used) for name, used in row["resources"].items()}
            for provider, row in body["allocations"].items()
        }
        if not held:
            return Consumer(uuid)
        kind = str(body.get("consumer_type") or "")
        return Consumer(
            uuid, held, int(body["consumer_generation"]), str(body["project_id"]),
            str(body["user_id"]), "" if kind == _NO_TYPE else kind,
        )  # fmt: skip


def put_consumers(conn: Connection, found: Sequence[Consumer], held: Sequence[Held]) -> bool:
    """Leave each consumer with its `held`, all of them or none; False where one was written since.

    Raises the SDK's exceptions.
    """
    typed = all(each.type for each in found)
    answer = conn.placement.post(
        "/allocations",
        json={
            each.uuid: each.body(left, typed=typed) for each, left in zip(found, held, strict=True)
        },
        microversion=WITH_TYPE if typed else WITH_GENERATION,
    )
    if is_concurrent(answer):
        return False
    sdk.raise_from_response(answer)
    return True


def is_concurrent(answer: Any) -> bool:
    """Whether it is a 409 because of a generation, and not because something does not fit.

    placement/errors.py, CONCURRENT_UPDATE; a Placement before 1.23 says it only in words.
    """
    return answer.status_code == 409 and (
        "placement.concurrent_update" in answer.text or "generation conflict" in answer.text
    )


def provider_row(conn: Connection, uuid: str) -> dict[str, Any] | None:
    """A provider as the API has it, None without it. Raises CloudError."""
    return _get(conn, f"/resource_providers/{uuid}", "", TREE_VERSION)


def part_of(conn: Connection, uuid: str, part: str) -> dict[str, Any]:
    """`inventories`, `traits`, `aggregates` or `usages` of a provider; empty without it."""
    version = AGGREGATES_VERSION if part == "aggregates" else INVENTORY_VERSION
    return _get(conn, f"/resource_providers/{uuid}", f"/{part}", version) or {}


def _get(conn: Connection, path: str, part: str, version: str) -> dict[str, Any] | None:
    with answer_read(conn, f"read {path}{part}"):
        answer = conn.placement.get(f"{path}{part}", microversion=version)
        if answer.status_code == 404:
            return None
        sdk.raise_from_response(answer)
        body: dict[str, Any] = answer.json()
        return body

"""Cards in Placement that were used and wait for their cleaning; and how one is given back.

Sources: nova/compute/pci_placement_translator.py, `_handle_one_time_use`: nova sets `reserved` to
`total` when a server has the card and never takes it back. placement/handlers/inventory.py: a
change needs the provider's generation, and is refused with 409 where that is an older one. A mark
of our own (a custom trait) would not last: nova-compute writes the whole set of a card's traits
(`update_traits` there), so why a card is out is in the hand-over's own state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import CloudError, answer_read, api_errors
from wholecard.cloud.placement.provider_tree import ONE_TIME_USE, device_in_name, was_used_once
from wholecard.core import WholecardError

# `required` in the list of providers: placement/rest_api_version_history.rst, 1.18.
_VERSION = "1.18"
_FIELDS = ("total", "min_unit", "max_unit", "step_size", "allocation_ratio")
_READS = 3


class ConflictError(WholecardError):
    """The provider has changed since it was read: read it again."""


@dataclass(frozen=True)
class CardProvider:
    """A provider of a one-time-use card: its uuid, and what its name says."""

    uuid: str
    host: str
    address: str


@dataclass(frozen=True)
class CardInventory:
    """What Placement says of a card at one generation of its provider."""

    provider: CardProvider
    generation: int
    resource_class: str
    fields: Mapping[str, Any]
    reserved: int
    used: int

    @property
    def waits(self) -> bool:
        """Whether it is to be cleaned."""
        return was_used_once(self.fields["total"], self.reserved, self.used)


def one_time_use_cards(conn: Connection) -> tuple[CardProvider, ...]:
    """The providers of all one-time-use cards, by name. Raises CloudError."""
    with answer_read(conn, "list Placement's one-time-use cards"):
        query = {"required": ONE_TIME_USE}
        rows = _get(conn, "/resource_providers", **query)["resource_providers"]
        named = [(str(row["name"]), str(row["uuid"])) for row in rows]
    found = []
    for name, uuid in sorted(named):
        host, address = device_in_name(name)
        if address:
            found.append(CardProvider(uuid, host, address))
    return tuple(found)


def read_card(conn: Connection, provider: CardProvider) -> CardInventory | None:
    """The card as it is now, None where it has no provider or inventory. Raises CloudError.

    Inventory and usage are two requests: both are read again where the generation changed between.
    """
    path = f"/resource_providers/{provider.uuid}"
    with answer_read(conn, f"read the provider of {provider.host} {provider.address}"):
        for _ in range(_READS):
            try:
                inventories = _get(conn, f"{path}/inventories")
                usages = _get(conn, f"{path}/usages")
            except sdk.NotFoundException:
                return None
            generation = int(inventories["resource_provider_generation"])
            if int(usages["resource_provider_generation"]) != generation:
                continue
            # A card's provider has one class (nova: PciResourceProvider).
            for name, row in sorted(inventories["inventories"].items()):
                return CardInventory(
                    provider,
                    generation,
                    str(name),
                    {field: row[field] for field in _FIELDS},
                    int(row["reserved"]),
                    int(usages["usages"].get(name, 0)),
                )
            return None
    raise CloudError(f"the provider of {provider.host} {provider.address} changes all the time")


def give_back(conn: Connection, card: CardInventory) -> None:
    """Set `reserved` to 0 at the generation that was read.

    Raises ConflictError where the provider has changed since, CloudError for all else.
    """
    body = {
        **card.fields,
        "reserved": 0,
        "resource_provider_generation": card.generation,
    }
    path = f"/resource_providers/{card.provider.uuid}/inventories/{card.resource_class}"
    doing = f"give back {card.provider.host} {card.provider.address} in Placement"
    with api_errors(conn, doing):
        response = conn.placement.put(path, json=body, microversion=_VERSION)
        if response.status_code == 409:
            raise ConflictError(f"cannot {doing}: its provider has changed")
        sdk.raise_from_response(response)


def _get(conn: Connection, path: str, **query: str) -> dict[str, Any]:
    response = conn.placement.get(path, params=query, microversion=_VERSION)
    sdk.raise_from_response(response)
    body: dict[str, Any] = response.json()
    return body

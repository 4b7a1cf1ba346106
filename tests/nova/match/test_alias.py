"""Aliases and the requests that flavors make of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.match_hosts import ASKING, NEW
from wholecard.nova.match import (
    AliasError,
    RequestError,
    Rules,
    parse_aliases,
    parse_request,
    rules_for,
)

IDS = {"vendor_id": "10de", "product_id": "2331"}
GPU = {"name": "gpu", **IDS}

REFUSED: list[tuple[list[Any], Rules, str, str]] = [
    (["{'name': 'gpu'}"], NEW, "bad-json", ""),
    (["[]"], NEW, "not-an-object", ""),
    ([{**GPU, "devname": "x"}], NEW, "unknown-key", "devname"),
    ([{**GPU, "live_migratable": "true"}], rules_for(30), "unknown-key", "live_migratable"),
    ([{**GPU, "traits": "A"}], rules_for(26), "unknown-key", "traits"),
    ([{**GPU, "numa_policy": "legacy"}], rules_for(16), "unknown-key", "numa_policy"),
    ([IDS], NEW, "no-name", "name"),
    ([{**GPU, "name": ""}], NEW, "bad-name", "name"),
    ([{**GPU, "name": "n" * 257}], NEW, "bad-name", "name"),
    ([{**GPU, "vendor_id": 4318}], NEW, "not-text", "vendor_id"),
    ([{**GPU, "product_id": "233"}], NEW, "bad-id", "product_id"),
    ([{**GPU, "device_type": "vdpa"}], NEW, "bad-value", "device_type"),
    ([{**GPU, "numa_policy": "socket"}], rules_for(22), "bad-value", "numa_policy"),
    ([{**GPU, "live_migratable": "maybe"}], NEW, "bad-boolean", "live_migratable"),
    ([GPU, {**GPU, "numa_policy": "required"}], NEW, "policy-mismatch", "numa_policy"),
    ([GPU, GPU], NEW, "device-type-missing", "device_type"),
    (
        [{**GPU, "device_type": "type-PF"}, {**GPU, "device_type": "type-VF"}],
        NEW,
        "device-type-mismatch",
        "device_type",
    ),
    ([{**GPU, "device_type": "type-PF"}] * 2, ASKING, "several-specs", "name"),
    ([{"name": "gpu", "vendor_id": "10de"}], NEW, "ids-missing", "product_id"),
    ([{"name": "gpu", "resource_class": "PGPU"}], NEW, "ids-missing", "vendor_id"),
]


def texts(values: list[Any]) -> list[str]:
    return [each if isinstance(each, str) else json.dumps(each) for each in values]


@pytest.mark.parametrize(("values", "rules", "kind", "key"), REFUSED)
def test_refused(values: list[Any], rules: Rules, kind: str, key: str) -> None:
    """What nova-api refuses is refused under a stable kind, with the key."""
    with pytest.raises(AliasError) as caught:
        parse_aliases(texts(values), rules)
    assert (caught.value.kind, caught.value.key) == (kind, key)


def test_every_kind_has_a_case() -> None:
    """Each kind of refusal is reached by a test."""
    assert {kind for _, _, kind, _ in REFUSED} == AliasError.kinds.keys()


def test_accepted() -> None:
    """Aliases of one name come together, their name trimmed and their type under nova's name."""
    values = [
        {**GPU, "name": " gpu ", "device_type": "type-PF", "numa_policy": "required"},
        {**GPU, "product_id": "2330", "device_type": "type-PF", "numa_policy": "required"},
    ]
    (alias,) = parse_aliases(texts(values), NEW).values()
    assert (alias.name, alias.numa_policy) == ("gpu", "required")
    assert alias.specs == (
        {**IDS, "dev_type": "type-PF"},
        {"vendor_id": "10de", "product_id": "2330", "dev_type": "type-PF"},
    )


def test_accepted_elsewhere() -> None:
    """A resource class stands for the ids with pci_in_placement; before 2025.1 none are needed."""
    assert parse_aliases(texts([{"name": "gpu", "resource_class": "PGPU"}]), ASKING)
    assert parse_aliases(texts([{"name": "gpu"}]), rules_for(30))


ALIASES = parse_aliases(texts([{**GPU, "numa_policy": "required"}, {**GPU, "name": "a b"}]), NEW)

REFUSED_REQUESTS = [
    ("gpu", "malformed"),
    ("gpu:1:2", "malformed"),
    ("", "malformed"),
    ("gpu:1,", "malformed"),
    ("gpu:one", "bad-count"),
    ("card:1", "alias-not-defined"),
    ("card:one", "alias-not-defined"),
    ("card:1,gpu", "alias-not-defined"),
]


@pytest.mark.parametrize(("text", "kind"), REFUSED_REQUESTS)
def test_refused_request(text: str, kind: str) -> None:
    """The first part that nova cannot use decides how the request is refused."""
    with pytest.raises(RequestError) as caught:
        parse_request(text, ALIASES)
    assert caught.value.kind == kind


def test_bad_policy() -> None:
    """A policy nova does not know is refused."""
    with pytest.raises(RequestError) as caught:
        parse_request("gpu:1", ALIASES, "strict")
    assert caught.value.kind == "bad-policy"


def test_request() -> None:
    """Parts come in their order; the flavor's policy goes before the alias's."""
    found = parse_request(" gpu :2, a b: 1 ", ALIASES)
    assert [(each.alias, each.count, each.numa_policy) for each in found] == [
        ("gpu", 2, "required"),
        ("a b", 1, "legacy"),
    ]
    assert len({each.request_id for each in found}) == 2
    assert parse_request("gpu:1", ALIASES, "preferred")[0].numa_policy == "preferred"

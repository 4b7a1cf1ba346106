"""nova's lists, which it returns in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openstack import exceptions as sdk
from openstack import utils
from openstack.connection import Connection


def compute_rows(
    conn: Connection, path: str, name: str, version: str, query: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The rows `name` of all pages of `path`, with compute API `version` or the cloud's newest.

    Raises what the SDK raises: call it inside `answer_read`.
    """
    microversion = utils.maximum_supported_microversion(conn.compute, version)
    following: dict[str, str] | None = dict(query)
    sent: list[dict[str, str]] = []
    # A page that names itself as the next one would never end.
    while following is not None and following not in sent:
        sent.append(following)
        response = conn.compute.get(path, params=following, microversion=microversion)
        sdk.raise_from_response(response)
        body = response.json()
        yield from body[name]
        links = body.get(f"{name}_links", ())
        href = next((link["href"] for link in links if link["rel"] == "next"), None)
        # Only its query: behind a proxy nova may not know its own address.
        following = None if href is None else dict(parse_qsl(urlsplit(href).query))

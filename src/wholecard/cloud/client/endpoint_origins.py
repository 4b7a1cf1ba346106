"""Where a cloud's token and password may be sent: to its own endpoints, and to nowhere else.

keystoneauth follows a redirect of any service, and the SDK the `next` link of any listing, with the
token in the request, to whatever host the answer names (keystoneauth1/session.py, _send_request;
openstack/resource.py, _get_next_link). An origin is scheme, host and port together (RFC 6454).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from openstack.connection import Connection

from wholecard.core import WholecardError

Origin = tuple[str, str, int | None]

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 305, 307, 308})
_TOKENS = ("X-Auth-Token", "X-Subject-Token")
_CREDENTIALS = (*_TOKENS, "Authorization")


def origin(url: str) -> Origin | None:
    """Scheme, host and port of an absolute URL; None for any other text."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    return (scheme, host, _PORTS.get(scheme) if port is None else port) if host else None


def shown(url: str) -> str:
    """Only the origin of a URL, as text: a path may have ids in it, and userinfo a password."""
    known = origin(url)
    if known is None:
        return "an address without a host"
    scheme, host, port = known
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" + ("" if port == _PORTS.get(scheme) else f":{port}")


class EndpointOrigins:
    """The origins of one connection's endpoints: those of its entry, and of Keystone's catalog."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._access: object = None
        self._origins = _origins(entry_urls(conn.config.config))

    def check_request(self, request: requests.PreparedRequest) -> None:
        """Raises WholecardError before a token goes where the cloud has no endpoint."""
        if any(name in request.headers for name in _TOKENS) and not self._has(str(request.url)):
            raise WholecardError(
                f"the token would go to {shown(str(request.url))}, where the cloud has no endpoint",
                "A link in a service's answer leads there; nothing was sent.",
                "Correct the address that the service gives for itself (nova.conf: [api] "
                "compute_link_prefix; behind a proxy: [oslo_middleware] "
                "enable_proxy_headers_parsing), or its endpoint in Keystone's catalog.",
            )

    def check_response(self, response: requests.Response) -> None:
        """Raises WholecardError where a redirect would take a token or a password elsewhere."""
        request = response.request
        place = response.headers.get("Location", "")
        if response.status_code not in _REDIRECTS or not place:
            return
        if not any(name in request.headers for name in _CREDENTIALS) and not _is_login(request):
            return
        if not self._has(target := urljoin(str(request.url), place)):
            here = shown(str(request.url))
            raise WholecardError(
                f"{here} redirects to {shown(target)}, where the cloud has no endpoint",
                "The token or the password would go there. Wholecard did not follow.",
                f"If {shown(target)} is right, write it into clouds.yaml (auth_url, or "
                "compute_endpoint_override and its like) or into Keystone's catalog (openstack "
                f"endpoint set --url). If not, find out what answers at {here}.",
            )

    def _has(self, url: str) -> bool:
        # What the plugin has: asking the session could log in. A new login, a new catalog.
        access = getattr(self._conn.config.get_auth(), "auth_ref", None)
        if access is not None and access is not self._access:
            self._origins |= _origins(_catalog_urls(access))
            self._access = access
        return origin(url) in self._origins


def entry_urls(entry: Any) -> Iterator[str]:
    """All URLs among the texts of a cloud's entry: auth_url, endpoint_override and others."""
    if isinstance(entry, dict):
        for value in entry.values():
            yield from entry_urls(value)
    elif isinstance(entry, str) and "://" in entry:
        yield entry


def _catalog_urls(access: Any) -> Iterator[str]:
    # Keystone's v3 has one endpoint's `url` in each, v2.0 had `publicURL` and two more.
    for service in access.service_catalog.catalog or ():
        endpoints = service.get("endpoints") if isinstance(service, dict) else None
        for endpoint in endpoints if isinstance(endpoints, list) else ():
            yield from entry_urls(endpoint)


def _origins(urls: Iterable[str]) -> set[Origin]:
    return {known for known in map(origin, urls) if known is not None}


def _is_login(request: requests.PreparedRequest) -> bool:
    """Whether it has a password in its body (`POST …/v3/auth/tokens`)."""
    return request.method == "POST" and urlsplit(str(request.url)).path.endswith("/tokens")

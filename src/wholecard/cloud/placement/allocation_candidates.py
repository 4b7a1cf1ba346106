"""Candidates queries: `GET /allocation_candidates`, as nova-scheduler sends them.

Source: nova, nova/scheduler/utils.py, `ResourceRequest.to_querystring`; the Placement API.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import requests.exceptions
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read, api_errors, hidden_of, redact

# The first with group suffixes of any name, forbidden traits and in_tree, all at once (Train).
MICROVERSION = "1.36"
# nova's own, nova/conf/scheduler.py `max_placement_results`.
LIMIT = 1000


@dataclass(frozen=True)
class RequestGroup:
    """What one provider must have. `forbidden` are traits that it must not have."""

    resources: Mapping[str, int]
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()

    def parameters(self, suffix: str) -> dict[str, str]:
        """The group as parameters of the query."""
        amounts = ",".join(f"{name}:{amount}" for name, amount in sorted(self.resources.items()))
        traits = [*sorted(self.required), *(f"!{name}" for name in sorted(self.forbidden))]
        parameters = {f"resources{suffix}": amounts}
        if traits:
            parameters[f"required{suffix}"] = ",".join(traits)
        return parameters


@dataclass(frozen=True)
class AllocationCandidates:
    """How many candidates Placement found for a query, and in how many seconds.

    `count` is None where no answer came or it was an error, which `error` names then.
    """

    count: int | None
    seconds: float
    error: str = ""


def candidates_query(
    machine: RequestGroup, cards: tuple[RequestGroup, ...] = (), in_tree: str = ""
) -> str:
    """The path of a query: the host's own resources, and a group for each card."""
    parameters = machine.parameters("")
    for number, group in enumerate(cards):
        parameters |= group.parameters(f"_C{number}")
    if len(cards) > 1:
        parameters["group_policy"] = "none"
    if in_tree:
        parameters["in_tree"] = in_tree
    parameters["limit"] = str(LIMIT)
    return f"/allocation_candidates?{urlencode(parameters, safe=',:!')}"


def takes_queries(conn: Connection) -> bool:
    """Whether this Placement takes such queries: before Train it does not. Raises CloudError."""
    with answer_read(conn, "ask for Placement's version"):
        data = conn.placement.get_endpoint_data()
    # Where the endpoint hides its newest version, the answer to a query tells it.
    newest = tuple(data.max_microversion or ()) if data else ()
    return not newest or newest >= tuple(map(int, MICROVERSION.split(".")))


def candidates(conn: Connection, query: str) -> AllocationCandidates:
    """Ask. A time-out and an error of Placement's are answers too: nova would meet them as well.

    Raises CloudError where Placement refuses us (401, 403) or does not exist.
    """
    start = time.monotonic()
    count, error = None, ""
    try:
        response = conn.placement.get(query, microversion=MICROVERSION)
        sdk.raise_from_response(response)
        with answer_read(conn, "ask Placement for candidates"):
            count = len(response.json()["allocation_requests"])
    except (keystone.ConnectTimeout, requests.exceptions.Timeout):
        error = "it timed out"
    except sdk.BadRequestException as refused:
        # An unknown class or trait is 400: no provider has it.
        count, error = 0, str(refused.details or refused)
    except (keystone.ClientException, sdk.SDKException) as failure:
        if (getattr(failure, "status_code", None) or 0) < 500:
            with api_errors(conn, "ask Placement for candidates"):
                raise
        error = redact(str(failure), hidden_of(conn))
    return AllocationCandidates(count, time.monotonic() - start, error)

"""Real questions to Placement: `GET /allocation_candidates`, asked as nova-scheduler asks.

Source: nova, nova/scheduler/utils.py, `ResourceRequest.to_querystring`; the Placement API.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests.exceptions
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk
from openstack.connection import Connection

from wholecard.cloud.client.errors import answer_read, api_errors, redact, secrets_of

# The first with group suffixes of any name, forbidden traits and in_tree, all at once (Train).
MICROVERSION = "1.36"
# nova's own, nova/conf/scheduler.py `max_placement_results`.
LIMIT = 1000


@dataclass(frozen=True)
class RequestGroup:
    """What one provider has to give. `forbidden` are traits that it must not have."""

    resources: Mapping[str, int]
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()

    def parameters(self, suffix: str) -> dict[str, str]:
        """The group as parameters of the question."""
        amounts = ",".join(f"{name}:{amount}" for name, amount in sorted(self.resources.items()))
        traits = [*sorted(self.required), *(f"!{name}" for name in sorted(self.forbidden))]
        found = {f"resources{suffix}": amounts}
        if traits:
            found[f"required{suffix}"] = ",".join(traits)
        return found


@dataclass(frozen=True)
class ResourceSummary:
    """What of a class a provider can give in all (its ratio reckoned in), and what is used."""

    capacity: int
    used: int


@dataclass(frozen=True)
class ProviderSummary:
    """A provider as the answer shows it."""

    uuid: str
    root_uuid: str
    stocks: Mapping[str, ResourceSummary]
    traits: frozenset[str]


@dataclass(frozen=True)
class AllocationCandidates:
    """What Placement answered: how many candidates, on which hosts' providers.

    `count` is None where no answer came or it was an error, which `error` names then.
    """

    question: str
    count: int | None
    roots: frozenset[str] = frozenset()
    providers: Mapping[str, ProviderSummary] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    @property
    def complete(self) -> bool:
        """Whether no candidate was cut off."""
        return self.count is not None and self.count < LIMIT


def question(machine: RequestGroup, cards: tuple[RequestGroup, ...] = (), in_tree: str = "") -> str:
    """The path of a question: the host's own resources, and a group for each card."""
    parameters = machine.parameters("")
    for number, group in enumerate(cards):
        parameters |= group.parameters(f"_C{number}")
    if len(cards) > 1:
        parameters["group_policy"] = "none"
    if in_tree:
        parameters["in_tree"] = in_tree
    parameters["limit"] = str(LIMIT)
    return f"/allocation_candidates?{urlencode(parameters, safe=',:!')}"


def can_ask(conn: Connection) -> bool:
    """Whether this Placement takes such questions: one before Train does not. Raises CloudError."""
    with api_errors(conn, "ask for Placement's version"):
        data = conn.placement.get_endpoint_data()
    # Where it does not say how new it is, it is asked: then its answer says it.
    newest = tuple(data.max_microversion or ()) if data else ()
    return not newest or newest >= tuple(map(int, MICROVERSION.split(".")))


def candidates(conn: Connection, path: str) -> AllocationCandidates:
    """Ask. That no answer comes, or an error, is an answer too: it is what nova would meet.

    Raises CloudError where Placement refuses us (401, 403) or is not there at all.
    """
    start = time.monotonic()
    try:
        response = conn.placement.get(path, microversion=MICROVERSION)
        sdk.raise_from_response(response)
    except (keystone.ConnectTimeout, requests.exceptions.Timeout):
        return AllocationCandidates(
            path, None, seconds=time.monotonic() - start, error="it timed out"
        )
    except sdk.BadRequestException as error:
        # An unknown class or trait is 400: nothing has it.
        return AllocationCandidates(
            path, 0, seconds=time.monotonic() - start, error=str(error.details or error)
        )
    except sdk.HttpException as error:
        if error.status_code is None or error.status_code < 500:
            with api_errors(conn, "ask Placement for candidates"):
                raise
        said = redact(str(error), secrets_of(conn))
        return AllocationCandidates(path, None, seconds=time.monotonic() - start, error=said)
    except (keystone.ClientException, sdk.SDKException):
        with api_errors(conn, "ask Placement for candidates"):
            raise
    with answer_read(conn, "ask Placement for candidates"):
        return _answer(path, response.json(), time.monotonic() - start)


def _answer(path: str, body: dict[str, Any], seconds: float) -> AllocationCandidates:
    providers = {
        uuid: ProviderSummary(
            uuid,
            str(row["root_provider_uuid"]),
            {
                name: ResourceSummary(int(each["capacity"]), int(each["used"]))
                for name, each in row["resources"].items()
            },
            frozenset(row["traits"]),
        )
        for uuid, row in body["provider_summaries"].items()
    }
    used = {uuid for each in body["allocation_requests"] for uuid in each["allocations"]}
    roots = frozenset(providers[uuid].root_uuid for uuid in used if uuid in providers)
    return AllocationCandidates(path, len(body["allocation_requests"]), roots, providers, seconds)

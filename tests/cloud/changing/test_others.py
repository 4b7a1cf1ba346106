"""What others made while we were away: known and left alone, never guessed."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.openstack_api import Answer, offer_keystone
from support.openstack_objects import AGGREGATES, Cloud, aggregate
from wholecard.cloud.changing.apply import finish, rollback
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.operations.aggregates import CreateAggregate
from wholecard.cloud.operations.quotas import RegisterLimit, SetLimit
from wholecard.cloud.operations.traits import CreateTrait
from wholecard.core import WholecardError
from wholecard.core.marks import MADE
from wholecard.transaction.engine import Outcome

TRAIT = "CUSTOM_GPU"
PATH = f"/placement/traits/{TRAIT}"
DATE = "Sun, 29 Nov 2026 10:00:00 GMT"


@dataclass
class Traits:
    """Placement's traits: 201 where a PUT makes one and 204 where it is there already."""

    cloud: Cloud
    known: set[str] = field(default_factory=set)
    fails: bool = False

    def __post_init__(self) -> None:
        self.cloud.api.answers.update(
            {
                f"GET {PATH}": lambda: (204 if TRAIT in self.known else 404, {}),
                f"PUT {PATH}": self._put,
                f"DELETE {PATH}": self._delete,
            }
        )

    def _put(self) -> Answer:
        if self.fails:
            return 500, {}
        status = 204 if TRAIT in self.known else 201
        self.known.add(TRAIT)
        return status, {}

    def _delete(self) -> Answer:
        self.known.discard(TRAIT)
        return 204, {}


@pytest.fixture
def traits(cloud: Cloud) -> Traits:
    """A cloud without the trait."""
    return Traits(cloud)


def test_our_trait_goes(cloud: Cloud, traits: Traits) -> None:
    """A trait that Placement says we made is forgotten again."""
    cloud.api.modified[PATH] = DATE
    cloud.apply(CreateTrait(TRAIT))
    assert (cloud.rollback(), traits.known, cloud.state) == ((), set(), "clean")


def test_trait_made_between_look_and_put(cloud: Cloud, traits: Traits) -> None:
    """A trait that was there already when we put it is another's and stays."""
    looks = iter([404, 404, 404])
    cloud.api.answers[f"GET {PATH}"] = lambda: (next(looks, 204), {})
    traits.known.add(TRAIT)
    cloud.apply(CreateTrait(TRAIT))
    assert (cloud.rollback(), traits.known, cloud.state) == ((), {TRAIT}, "clean")


@pytest.mark.parametrize(("first", "now"), [(None, DATE), (DATE, None), (None, None)])
def test_trait_of_unknown_age(
    cloud: Cloud, traits: Traits, first: str | None, now: str | None
) -> None:
    """Where Placement or the journal does not say since when a trait exists, it stays."""
    cloud.api.modified.update({PATH: first} if first else {})
    cloud.apply(CreateTrait(TRAIT))
    cloud.api.modified.pop(PATH, None)
    cloud.api.modified.update({PATH: now} if now else {})
    (note,) = cloud.rollback()
    assert note.startswith(f"trait {TRAIT} is left: since when it exists is not known")
    assert (traits.known, cloud.state) == ({TRAIT}, "clean")


def test_age_is_what_the_database_has(cloud: Cloud, traits: Traits) -> None:
    """MySQL rounds the second that Placement cuts in its answer to the PUT: ours goes all the same.

    The journal has the answer to a GET, which rollback compares with another GET.
    """
    put = traits._put

    def put_and_round() -> Answer:
        cloud.api.modified[PATH] = "Sun, 29 Nov 2026 09:59:59 GMT"
        return put()

    def read() -> Answer:
        cloud.api.modified[PATH] = DATE
        return (204 if TRAIT in traits.known else 404), {}

    cloud.api.answers.update({f"PUT {PATH}": put_and_round, f"GET {PATH}": read})
    cloud.apply(CreateTrait(TRAIT))
    assert (cloud.rollback(), traits.known) == ((), set())


def test_trait_that_a_provider_has(cloud: Cloud, traits: Traits) -> None:
    """Placement keeps a trait that somebody's provider has, and that is told."""
    cloud.api.modified[PATH] = DATE
    cloud.apply(CreateTrait(TRAIT))
    cloud.api.answers[f"DELETE {PATH}"] = (409, {})
    assert cloud.rollback() == (f"trait {TRAIT} stays: a provider has it",)
    assert (traits.known, cloud.state) == ({TRAIT}, "clean")


def test_trait_that_was_made_anew(cloud: Cloud, traits: Traits) -> None:
    """A trait that was deleted and made anew by somebody stays: Placement says since when it is."""
    cloud.api.modified[PATH] = DATE
    cloud.apply(CreateTrait(TRAIT))
    cloud.api.modified[PATH] = "Sun, 29 Nov 2026 11:00:00 GMT"
    (note,) = cloud.rollback()
    assert note.startswith(f"trait {TRAIT} is left: it was deleted and created again, at Sun, 29")
    assert (traits.known, cloud.state) == ({TRAIT}, "clean")


@pytest.mark.parametrize("finished", [False, True])
def test_trait_that_was_only_begun(cloud: Cloud, traits: Traits, finished: bool) -> None:
    """Where the run ended before Placement answered, a trait of the name stays, with a note."""
    traits.fails = True
    with pytest.raises(CloudError):
        cloud.apply(CreateTrait(TRAIT))
    traits.fails = False
    traits.known.add(TRAIT)
    if finished:
        finish(connect("test", cloud.api.clouds, timeout=5), cloud.ledger)
    (note,) = cloud.rollback()
    assert "is left: whether Wholecard created it is not known" in note
    assert (traits.known, cloud.state) == ({TRAIT}, "clean")


def test_trait_that_never_came(cloud: Cloud, traits: Traits) -> None:
    """Where no trait came of it, there is nothing to say."""
    traits.fails = True
    with pytest.raises(CloudError):
        cloud.apply(CreateTrait(TRAIT))
    assert (cloud.rollback(), cloud.state) == ((), "clean")


def bare(cloud: Cloud) -> None:
    """An apply whose POST was refused; then a colleague makes a bare aggregate of the name."""
    post = cloud.api.answers[f"POST {AGGREGATES}"]
    cloud.api.answers[f"POST {AGGREGATES}"] = (500, {})
    with pytest.raises(CloudError):
        cloud.apply(CreateAggregate("gpu"))
    cloud.api.answers[f"POST {AGGREGATES}"] = post
    cloud.aggregates.append(aggregate(2, {}))


def test_bare_aggregate_stays(cloud: Cloud) -> None:
    """A bare aggregate whose id the journal does not know is left, with a note."""
    bare(cloud)
    (note,) = cloud.rollback()
    assert note.startswith("aggregate gpu stays: it has no mark")
    assert (cloud.writes, cloud.state) == ([], "clean")


def test_bare_aggregate_is_not_marked(cloud: Cloud) -> None:
    """Nor does finishing make it ours."""
    bare(cloud)
    with pytest.raises(CloudError, match="may be somebody else's"):
        finish(connect("test", cloud.api.clouds, timeout=5), cloud.ledger)
    assert f"POST {AGGREGATES}/2/action" not in cloud.api.asked


def test_half_made_aggregate_is_finished(cloud: Cloud) -> None:
    """One whose id was logged gets its mark when apply goes on."""
    marking = cloud.api.answers[f"POST {AGGREGATES}/1/action"]
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = (503, {})
    with pytest.raises(CloudError):
        cloud.apply(CreateAggregate("gpu"))
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = marking
    finish(connect("test", cloud.api.clouds, timeout=5), cloud.ledger)
    assert [each["metadata"] for each in cloud.aggregates] == [{"wholecard": "made"}]
    assert (cloud.rollback(), cloud.writes) == ((), [f"DELETE {AGGREGATES}/1"])


@pytest.mark.parametrize("run", [rollback, finish])
def test_lock(cloud: Cloud, run: Callable[..., Outcome | None]) -> None:
    """A rollback, and an apply that goes on, are refused while another run holds the lock."""
    cloud.api.answers[f"POST {AGGREGATES}/1/action"] = (503, {})
    with pytest.raises(CloudError):
        cloud.apply(CreateAggregate("gpu"))
    with (cloud.ledger.lock_folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        conn = connect("test", cloud.api.clouds, timeout=5)
        with pytest.raises(WholecardError, match="another apply or rollback is running"):
            run(conn, cloud.ledger)
    assert cloud.writes == []


LIMITS = "/v3/limits"
REGISTERED = "/v3/registered_limits"


def serve_limits(cloud: Cloud, path: str, kind: str, description: str) -> None:
    """One limit of Keystone's, which can be deleted."""
    row: dict[str, Any] = {
        "id": "l1", "service_id": "s", "region_id": "R", "project_id": "P", "domain_id": None,
        "resource_name": "class:X", "default_limit": 4, "resource_limit": 4,
        "description": description,
    }  # fmt: skip
    offer_keystone(cloud.api)
    cloud.api.answers[f"GET {path}"] = (200, {kind: [row], "links": {}})
    cloud.api.answers[f"DELETE {path}/l1"] = (204, {})


@pytest.mark.parametrize("description", [MADE, "by a colleague", "", f"{MADE} or not"])
def test_whose_registered_limit_goes(cloud: Cloud, description: str) -> None:
    """Of registered limits only one with our words is deleted."""
    serve_limits(cloud, REGISTERED, "registered_limits", description)
    conn = connect("test", cloud.api.clouds, timeout=5)
    RegisterLimit("class:X", 4, "s", "R").put(conn, {"class:X": None})
    assert cloud.writes == ([f"DELETE {REGISTERED}/l1"] if description == MADE else [])


@pytest.mark.parametrize("description", [MADE, "by a colleague"])
def test_whose_limit_goes(cloud: Cloud, description: str) -> None:
    """Of a project's limits too; another's is left with a note."""
    serve_limits(cloud, LIMITS, "limits", description)
    conn = connect("test", cloud.api.clouds, timeout=5)
    note = SetLimit("p", "P", "s", "R", (("class:X", None, "4"),)).put(conn, {"class:X": None})
    assert cloud.writes == ([f"DELETE {LIMITS}/l1"] if description == MADE else [])
    assert (note is None) == (description == MADE)

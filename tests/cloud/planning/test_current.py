"""What is read of a cloud: of any release, in pages, without a request too many, and if strange."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openstack.connection import Connection

from support.openstack_api import offer_keystone
from wholecard.cloud.client.compute_services import compute_services, hypervisors
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.client.images import find_images
from wholecard.cloud.operations.aggregates import aggregates
from wholecard.cloud.operations.flavors import CreateFlavor, flavors
from wholecard.cloud.operations.quotas import LimitPlace, RegisteredLimit, read_quota
from wholecard.cloud.operations.traits import SetHostTraits
from wholecard.cloud.placement import allocation_candidates
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.placement.resource_providers import (
    allocations,
    host_provider,
    provider_trees,
    providers,
    with_consumers,
)
from wholecard.cloud.planning.current import ImageFile, ProjectQuota, find
from wholecard.cloud.planning.desired import DesiredCloud, DesiredImage, DesiredQuota
from wholecard.core.releases import release
from wholecard.guest.image.build_record import BuildRecord, record_path, record_text

if TYPE_CHECKING:
    from support.openstack_api import Answer, Api

COMPUTE = "/compute/v2.1"
FLAVORS = f"{COMPUTE}/flavors"
HYPERVISORS = f"{COMPUTE}/os-hypervisors/detail"
PROVIDERS = "/placement/resource_providers"
CARD = ResourceProvider("a_0000:41:00.0", "u")


def flavor(name: str) -> dict[str, Any]:
    return {"id": name, "name": name, "ram": 1, "vcpus": 1, "disk": 1, "links": []}


def hypervisor(name: str) -> dict[str, Any]:
    return {"id": name, "hypervisor_hostname": name, "service": {"host": name},
            "state": "up", "status": "enabled"}  # fmt: skip


def page(name: str, following: str = "") -> Answer:
    """One hypervisor, and where the next ones are by nova's opinion."""
    href = f"http://behind-a-proxy/v2.1/os-hypervisors/detail?marker={following}"
    links = [{"rel": "next", "href": href}] if following else []
    return 200, {"hypervisors": [hypervisor(name)], "hypervisors_links": links}


def in_turn(*answers: Answer) -> Callable[[], Answer]:
    """The answers one after the other, then the last again and again."""
    number = count()
    return lambda: answers[min(next(number), len(answers) - 1)]


def test_all_pages_of_hypervisors(api: Api) -> None:
    """nova gives hypervisors in pages; each is asked for, by the address that we know."""
    api.answers[f"GET {HYPERVISORS}"] = in_turn(page("a", "1"), page("b", "2"), page("c"))
    found = hypervisors(connect("test", api.clouds))
    assert [each.hostname for each in found] == ["a", "b", "c"]


def test_a_page_that_names_itself(api: Api) -> None:
    """A list whose next page is always the same one ends."""
    api.answers[f"GET {HYPERVISORS}"] = page("a", "1")
    hypervisors(connect("test", api.clouds))
    assert api.asked.count(f"GET {HYPERVISORS}") == 2


def test_one_flavor_is_one_list(api: Api) -> None:
    """Among many flavors one is found by the list alone: it has the extra specs."""
    api.answers[f"GET {FLAVORS}/detail"] = (200, {"flavors": [flavor(str(n)) for n in range(50)]})
    conn = connect("test", api.clouds)
    CreateFlavor("7", 1, 1, 1).look(conn)
    assert len(flavors(conn)) == 50
    assert [each for each in api.asked if FLAVORS in each] == [f"GET {FLAVORS}/detail"] * 2


def test_flavors_of_an_old_nova(api: Api) -> None:
    """Before compute API 2.61 extra specs are read flavor by flavor; one that goes is left out."""
    status, body = api.answers[f"GET {COMPUTE}"]  # type: ignore[misc]
    version = {**body["version"], "version": "2.60"}
    api.answers[f"GET {COMPUTE}"] = (status, {"version": version})
    api.answers[f"GET {FLAVORS}/detail"] = (200, {"flavors": [flavor("a"), flavor("b")]})
    api.answers[f"GET {FLAVORS}/b/os-extra_specs"] = (200, {"extra_specs": {"k": "v"}})
    conn = connect("test", api.clouds)
    assert [(each.name, each.extra_specs) for each in flavors(conn)] == [("b", {"k": "v"})]
    api.asked.clear()
    CreateFlavor("b", 1, 1, 1).look(conn)
    assert api.asked == [f"GET {FLAVORS}/detail", f"GET {FLAVORS}/b/os-extra_specs"]


def placement_of(api: Api, newest: str) -> None:
    """A Placement of one host, that takes versions up to `newest`."""
    row = {"uuid": "u", "name": "a", "parent_provider_uuid": None, "root_provider_uuid": "u"}
    version = {"id": "v1.0", "status": "CURRENT", "min_version": "1.0", "max_version": newest,
               "links": [{"rel": "self", "href": ""}]}  # fmt: skip
    api.answers |= {
        "GET /placement": (200, {"versions": [version]}),
        f"GET {PROVIDERS}": (200, {"resource_providers": [row]}),
        f"GET {PROVIDERS}/u/inventories": (200, {"inventories": {}}),
        f"GET {PROVIDERS}/u/usages": (200, {"usages": {}}),
        f"GET {PROVIDERS}/u/allocations": (200, {"allocations": {}}),
        f"GET {PROVIDERS}/u/traits": (200, {"traits": [], "resource_provider_generation": 1}),
        f"PUT {PROVIDERS}/u/traits": (200, {}),
        "GET /placement/allocations/c": (200, {"allocations": {}}),
        "GET /placement/traits/CUSTOM_A": (204, {}),
        f"GET {HYPERVISORS}": page("a"),
        f"GET {COMPUTE}/os-services": (200, {"services": []}),
        f"GET {FLAVORS}/detail": (200, {"flavors": []}),
    }


def test_what_an_old_placement_takes(api: Api) -> None:
    """Nothing that is read or set of providers asks for more than Queens' Placement, 1.17."""
    placement_of(api, "1.17")
    conn = connect("test", api.clouds)
    wanted = DesiredCloud(release("queens"), traits={"a": ("CUSTOM_A",)})
    assert find(conn, wanted, Path("/")).providers["a"].uuid == "u"
    providers(conn)
    allocations(conn, "c")
    provider_trees(conn, ("a",), 1)
    with_consumers(conn, CARD)
    change = SetHostTraits("a", "u", (("CUSTOM_A", None, "set"),))
    change.put(conn, change.state_after)
    asked = {each.split()[1] for each in api.versions if each.startswith("placement")}
    assert asked == {"1.6", "1.14"}


def projects_of(api: Api) -> None:
    """A Keystone with two projects, one with a limit, and nova's own quotas of it."""
    offer_keystone(api)
    row = {"id": "1", "service_id": "s", "region_id": "R", "project_id": "P", "domain_id": None,
           "resource_name": "cores", "resource_limit": 5, "default_limit": 4,
           "description": None}  # fmt: skip
    quota = f"{COMPUTE}/os-quota-sets/P"
    api.answers |= {
        "GET /v3/projects/p": (404, {"error": {"code": 404, "message": "no id"}}),
        "GET /v3/projects": (200, {"projects": [{"id": "P", "name": "p"}], "links": {}}),
        "GET /v3/services": (200, {"services": [{"id": "s", "type": "compute"}], "links": {}}),
        "GET /v3/limits": (200, {"limits": [row], "links": {}}),
        "GET /v3/registered_limits": (200, {"registered_limits": [row], "links": {}}),
        f"GET {quota}": (200, {"quota_set": {"id": "P", "cores": 8}}),
        f"GET {quota}/defaults": (200, {"quota_set": {"id": "P", "cores": 20}}),
    }


REGISTERED = {"cores": RegisteredLimit("cores", 4, ours=False)}
OF_NOVA = {"p": ProjectQuota({"cores": 8}, {"cores": 20})}
PLACE = LimitPlace("s", "R")


@pytest.mark.parametrize(
    ("driver", "registered", "quotas", "place", "limits"),
    [
        ("db", {}, OF_NOVA, None, {}),
        ("unified", REGISTERED, {}, PLACE, {"p": {"cores": 5}}),
        ("auto", REGISTERED, {}, PLACE, {"p": {"cores": 5}}),
    ],
)
def test_projects_and_their_quotas(
    api: Api, driver: Any, registered: Any, quotas: Any, place: Any, limits: Any
) -> None:
    """Projects are known by their ids; nova's driver, or what is registered, says who counts."""
    placement_of(api, "1.39")
    projects_of(api)
    wanted = DesiredCloud(
        release("2025.1"), driver=driver,
        quotas=(DesiredQuota("p", {"cores": 8}), DesiredQuota("unknown", {"cores": 8})),
    )  # fmt: skip
    current = find(connect("test", api.clouds), wanted, Path("/"))
    assert current.projects == {"p": "P"}
    assert (current.registered, current.quotas) == (registered, quotas)
    assert (current.limit_place, current.limits) == (place, limits)


def test_an_open_driver_without_registered_limits(api: Api) -> None:
    """Where the driver is left open and nothing is registered, nova itself counts."""
    placement_of(api, "1.39")
    projects_of(api)
    api.answers["GET /v3/registered_limits"] = (200, {"registered_limits": [], "links": {}})
    wanted = DesiredCloud(release("2025.1"), quotas=(DesiredQuota("p", {"cores": 8}),))
    current = find(connect("test", api.clouds), wanted, Path("/"))
    assert (current.quotas, current.limit_place, current.limits) == (OF_NOVA, None, {})


def test_who_is_a_host(api: Api) -> None:
    """Only hosts of nova-compute are hosts, and only those that get traits are looked for."""
    placement_of(api, "1.39")
    services = [{"id": str(at), "binary": binary, "host": host, "status": "enabled", "state": "up"}
                for at, (binary, host) in enumerate((("nova-compute", "a"),
                                                     ("nova-conductor", "control")))]  # fmt: skip
    api.answers[f"GET {COMPUTE}/os-services"] = (200, {"services": services})
    conn = connect("test", api.clouds)
    wanted = DesiredCloud(release("2025.1"), traits={"b": ("CUSTOM_B",)})
    api.answers["GET /placement/traits/CUSTOM_B"] = (404, {})
    current = find(conn, wanted, Path("/"))
    assert set(current.hosts) == {"a"}
    assert (current.providers, current.traits) == ({}, frozenset())


@pytest.mark.parametrize("path", ["inventories", "usages", "traits"])
def test_strange_answers_about_one_provider(api: Api, path: str) -> None:
    """An answer without its keys is told in words, with the provider's name."""
    placement_of(api, "1.36")
    api.answers[f"GET {PROVIDERS}/u/{path}"] = (200, {})
    with pytest.raises(CloudError, match="cannot read the provider a: "):
        providers(connect("test", api.clouds))


@pytest.mark.parametrize(("newest", "can"), [("1.30", False), ("1.36", True), ("1.39", True)])
def test_who_takes_a_query(api: Api, newest: str, can: bool) -> None:
    """A Placement before Train's, 1.36, takes no query as we send it."""
    placement_of(api, newest)
    assert allocation_candidates.takes_queries(connect("test", api.clouds)) is can


READS: list[tuple[str, Callable[[Connection], object]]] = [
    (HYPERVISORS, hypervisors),
    (f"{COMPUTE}/os-services", compute_services),
    (f"{FLAVORS}/detail", flavors),
    (f"{COMPUTE}/os-aggregates", aggregates),
    (f"{COMPUTE}/os-quota-sets/p", lambda conn: read_quota(conn, "p")),
    ("/image/v2/images", lambda conn: find_images(conn, "i")),
    (PROVIDERS, providers),
    (PROVIDERS, lambda conn: provider_trees(conn, ("a",), 1)),
    (PROVIDERS, lambda conn: host_provider(conn, "a")),
    (f"{PROVIDERS}/u/allocations", lambda conn: with_consumers(conn, CARD)),
    ("/placement/allocations/c", lambda conn: allocations(conn, "c")),
    (
        "/placement/allocation_candidates",
        lambda conn: allocation_candidates.candidates(
            conn, "/allocation_candidates?resources=VCPU:1"
        ),
    ),
    (f"{PROVIDERS}/u/traits", SetHostTraits("a", "u", (("CUSTOM_A", None, "set"),)).look),
]


@pytest.mark.parametrize("body", [None, [], {}, "a proxy's page", {"hypervisors": [{"id": "x"}]}])
@pytest.mark.parametrize(("path", "read"), READS)
def test_strange_answers(
    api: Api, path: str, read: Callable[[Connection], object], body: object
) -> None:
    """An answer that is not what the API gives is told in words, whatever it is."""
    api.answers[f"GET {path}"] = (200, body)
    with pytest.raises(CloudError, match="cannot "):
        read(connect("test", api.clouds))


def test_built_images(api: Api, tmp_path: Path) -> None:
    """A file that is not built is no file; one that is has its record's recipe, if it is its."""
    placement_of(api, "1.36")
    conn = connect("test", api.clouds)
    api.answers["GET /image/v2/images"] = (200, {"images": []})
    image = DesiredImage("i", {}, "i.qcow2", is_built=True)
    wanted = DesiredCloud(release("2026.2"), images=(image,))
    assert find(conn, wanted, tmp_path).files == {}
    file = tmp_path / "i.qcow2"
    file.write_bytes(b"QFI\xfb")
    sha256 = hashlib.sha256(b"QFI\xfb").hexdigest()
    record = BuildRecord("i", "debian-13", "f" * 64, "b", "b" * 64, 1, "none", None, (), sha256,
                         4, "now")  # fmt: skip
    record_path(file).write_text(record_text(record))
    found = find(conn, wanted, tmp_path).files
    assert found == {"i": ImageFile(str(file), sha256, "qcow2", "f" * 64)}
    file.write_bytes(b"QFI\xfb2")
    assert find(conn, wanted, tmp_path).files["i"].recipe_sha256 is None

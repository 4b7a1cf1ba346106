"""`explain --cloud` against a small API: what it asks, whose words it takes, whom it accuses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import small_cloud
from support.openstack_api import Api
from support.placement import CLASS
from wholecard.cli.app import run_app
from wholecard.core import UsageError
from wholecard.core.releases import release
from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.evidence.selector import Changes, ServerSelector
from wholecard.explain.explain import Explanation, explain
from wholecard.explain.request import ExplainRequest, cloud_evidence
from wholecard.nova.flavor.server_request import ServerRequest

COMPUTE, PLACEMENT, IMAGE = "GET /compute/v2.1", "GET /placement", "GET /image/v2"
BUILD = "compute__do_build_and_run_instance"
MOVE = "compute_prep_resize"
NO_HOST = "No valid host was found. There are not enough hosts available."
IMAGE_ID = "0c1a9d0e-6b1e-4a52-9d21-6f5d6f2f7c10"
OTHER_ID = "7d6b8f4a-2a3b-4a3c-8b1c-0f4f7d1f2e11"


def offer(
    api: Api,
    hosts: Iterable[str] = ("gpu-01",),
    spec: str = "h100:1",
    cards: int = 2,
    zones: Mapping[str, list[str]] | None = None,
) -> None:
    """A cloud with the flavors g1 and g2, these hosts, and so many cards of each in Placement."""
    hosts = list(hosts)
    flavors = [_flavor("f1", "g1", spec), _flavor("f2", "g2", "h100:2")]
    api.answers[f"{COMPUTE}/flavors/detail"] = (200, {"flavors": flavors})
    for flavor in flavors:
        api.answers[f"{COMPUTE}/flavors/{flavor['id']}"] = (200, {"flavor": flavor})
    services = [
        {"id": name, "binary": "nova-compute", "host": name, "state": "up", "status": "enabled"}
        for name in hosts
    ]
    api.answers[f"{COMPUTE}/os-services"] = (200, {"services": services})
    rows = [
        {"id": name, "hypervisor_hostname": name, "service": {"host": name}, "state": "up",
         "status": "enabled"}
        for name in hosts
    ]  # fmt: skip
    api.answers[f"{COMPUTE}/os-hypervisors/detail"] = (200, {"hypervisors": rows})
    groups = [
        {"id": number, "uuid": f"u{number}", "name": zone, "availability_zone": zone,
         "metadata": {"availability_zone": zone}, "hosts": members}
        for number, (zone, members) in enumerate((zones or {}).items())
    ]  # fmt: skip
    api.answers[f"{COMPUTE}/os-aggregates"] = (200, {"aggregates": groups})
    api.answers[f"{COMPUTE}/servers/detail"] = (200, {"servers": []})
    api.answers[f"{PLACEMENT}/resource_providers"] = (200, {"resource_providers": []})
    for name in hosts:
        provide(api, name, name, VCPU=64, MEMORY_MB=262144, DISK_GB=1000)
        for number in range(cards):
            provide(api, name, f"{name}_0000:{0x41 + number:02X}:00.0", **{CLASS: 1})
    found = {
        "allocation_requests": [{"allocations": {"r": {"resources": {"VCPU": 1}}}}],
        "provider_summaries": {"r": {"root_provider_uuid": "r", "resources": {}, "traits": []}},
    }
    api.answers[f"{PLACEMENT}/allocation_candidates"] = (200, found)


def _flavor(flavor_id: str, name: str, spec: str) -> dict[str, Any]:
    return {
        "id": flavor_id, "name": name, "vcpus": 1, "ram": 1024, "disk": 1,
        "OS-FLV-EXT-DATA:ephemeral": 0, "swap": 0,
        "extra_specs": {"pci_passthrough:alias": spec},
    }  # fmt: skip


def provide(api: Api, host: str, name: str, **totals: int) -> None:
    """A provider of the host: its own where the name is the host's, else one below it."""
    rows = api.answers[f"{PLACEMENT}/resource_providers"]
    assert isinstance(rows, tuple)
    uuid = f"p{len(rows[1]['resource_providers'])}"
    root = next((row["uuid"] for row in rows[1]["resource_providers"] if row["name"] == host), uuid)
    rows[1]["resource_providers"].append(
        {"uuid": uuid, "name": name, "root_provider_uuid": root, "parent_provider_uuid": None}
    )
    ratio = {"reserved": 0, "allocation_ratio": 1.0}
    path = f"{PLACEMENT}/resource_providers/{uuid}"
    inventories = {key: {**ratio, "total": n, "max_unit": n} for key, n in totals.items()}
    api.answers[f"{path}/inventories"] = (200, {"inventories": inventories})
    api.answers[f"{path}/usages"] = (200, {"usages": dict.fromkeys(totals, 0)})
    api.answers[f"{path}/traits"] = (200, {"traits": []})
    api.answers[f"{path}/allocations"] = (200, {"allocations": {}})


Happened = tuple[str, list[dict[str, Any]]]


def fail(api: Api, *actions: Happened, **fields: Any) -> None:
    """A server `s1` of the flavor g1, with these actions, the newest first."""
    flavor = _flavor("f1", "g1", "h100:1")
    server = {
        "id": "s1", "name": "s1", "status": "ERROR", "image": {"id": IMAGE_ID},
        "flavor": {**flavor, "original_name": "g1", "ephemeral": 0}, "hostId": "",
        "OS-EXT-AZ:availability_zone": None, "pinned_availability_zone": None,
        "OS-EXT-SRV-ATTR:host": None, "OS-SRV-USG:launched_at": None,
        "fault": {"message": NO_HOST, "code": 500}, **fields,
    }  # fmt: skip
    api.answers[f"{COMPUTE}/servers/s1"] = (
        200, {"server": {key: value for key, value in server.items() if value != "absent"}},
    )  # fmt: skip
    path = f"{COMPUTE}/servers/s1/os-instance-actions"
    heads = [{"action": name, "request_id": f"req-{n}", "start_time": f"2026-01-0{9 - n}"}
             for n, (name, _) in enumerate(actions)]  # fmt: skip
    api.answers[path] = (200, {"instanceActions": heads})
    for head, (_, events) in zip(heads, actions, strict=True):
        api.answers[f"{path}/{head['request_id']}"] = (
            200, {"instanceAction": {**head, "events": events}},
        )  # fmt: skip
    image(api, IMAGE_ID)


def event(name: str, host: str, error: str = "") -> dict[str, Any]:
    """An event of an action; `error` is the exception that ended it."""
    return {
        "event": name, "host": host, "start_time": "2026", "finish_time": "2026",
        "result": "Error" if error else "Success",
        "traceback": f"Traceback:\n{error}\n" if error else None,
    }  # fmt: skip


def image(api: Api, image_id: str, **properties: str) -> dict[str, Any]:
    """An image `ubuntu` that is known by its id alone."""
    row = {"id": image_id, "name": "ubuntu", "status": "active", **properties}
    api.answers[f"{IMAGE}/images/{image_id}"] = (200, row)
    return row


def known(api_conf: bool = True, **fields: Any) -> Evidence:
    """What files tell: nova-api's and nova-scheduler's, with cards in Placement."""
    full = Evidence(
        request=ServerRequest("of the options", "the options", {}),
        release=release("2026.2"),
        release_known=True,
        api=small_cloud.api(placement=True) if api_conf else None,
        scheduler=small_cloud.scheduler(placement=True),
    )
    return replace(full, **fields)


def evidence_of(api: Api, selector: ServerSelector, files: Evidence) -> Evidence:
    """What files and cloud tell together."""
    request = ExplainRequest(selector, cloud="test", clouds_file=api.clouds)
    return cloud_evidence(request, files)


def ask(
    api: Api, selector: ServerSelector, files: Evidence | None = None
) -> tuple[Evidence, Explanation]:
    """The evidence, and what `explain` makes of it."""
    evidence = evidence_of(api, selector, files or known())
    return evidence, explain(evidence)


def rules(answer: Explanation) -> dict[str, str]:
    """The findings' rules by what they are about."""
    return {each.subject: each.rule for each in answer.findings}


G1 = ServerSelector(flavor="g1")
S1 = ServerSelector(server="s1")
ONE_CARD = Changes({"pci_passthrough:alias": "h100:1"})


def test_a_change_is_asked_about(api: Api) -> None:
    """Placement is asked what the flavor would be with the person's changes, not what it is."""
    offer(api, spec="h100:16")
    evidence, answer = ask(api, replace(G1, changes=ONE_CARD))
    (question,) = evidence.hosts[0].queries
    assert question.text.count(CLASS) == 1
    assert not answer.findings


def test_a_change_of_size_is_asked_about(api: Api) -> None:
    """--vcpus counts in the question to Placement."""
    offer(api)
    evidence, _ = ask(api, replace(G1, changes=Changes(vcpus=48)))
    assert "VCPU:48" in evidence.hosts[0].queries[0].text


def test_options_of_the_command_are_asked_about(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`explain --cloud` takes its own options into the question, not only into the verdict."""
    offer(api, spec="h100:16")
    (tmp_path / "api.conf").write_text(f"[pci]\nalias = {small_cloud.ALIAS}\n")
    argv = ["explain", "--cloud", "test", "--clouds-file", str(api.clouds), "--flavor", "g1",
            "--conf", f"api={tmp_path / 'api.conf'}", "--vcpus", "48", "--zone", "nova",
            "--spec", "pci_passthrough:alias=h100:1", "--json"]  # fmt: skip
    assert run_app(argv) == 0
    links = {
        each["name"]: each for each in json.loads(capsys.readouterr().out)["hosts"][0]["checks"]
    }
    assert "VCPU:48" in links["candidates"]["seen"][0]
    assert links["zone"]["says"] == "nova"


def test_a_change_mends_what_the_flavor_lacks(api: Api) -> None:
    """A flavor without an alias, with the alias as a change: hosts are asked all the same."""
    offer(api, spec="")
    evidence, _ = ask(api, replace(G1, changes=ONE_CARD))
    assert evidence.hosts[0].queries


def test_another_services_provider_is_no_card(api: Api) -> None:
    """Neutron's bandwidth below the host says nothing of cards: the servers' flavors do."""
    offer(api, cards=0)
    provide(api, "gpu-01", "gpu-01:Open vSwitch agent:br-ex", NET_BW_EGR_KILOBIT_PER_SEC=1000)
    held = [
        {"id": f"v{n}", "OS-EXT-SRV-ATTR:host": "gpu-01",
         "flavor": {"extra_specs": {"pci_passthrough:alias": "h100:1"}}}
        for n in (1, 2)
    ]  # fmt: skip
    api.answers[f"{COMPUTE}/servers/detail"] = (200, {"servers": held})
    bare = replace(small_cloud.host(), service=None, provider_tree=None, taken=None, zones=None)
    files = known(api=small_cloud.api(), scheduler=small_cloud.scheduler(), hosts=(bare,))
    evidence, answer = ask(api, G1, files)
    assert evidence.hosts[0].taken is None
    assert rules(answer) == {"gpu-01": "WC318"}


def test_cards_of_another_class_do_not_tell_who_has_these(api: Api) -> None:
    """Cyborg names a provider after an address too: only the alias's class tells what is taken."""
    offer(api, cards=0)
    provide(api, "gpu-01", "gpu-01_0000:3B:00.0", FPGA=1)
    evidence, _ = ask(api, G1)
    assert (evidence.hosts[0].taken, evidence.hosts[0].guests) == (None, ())


TWO_ZONES = {"az1": ["gpu-01"], "az2": ["gpu-02"]}


@pytest.mark.parametrize(
    ("fields", "zone", "is_known"),
    [
        ({}, None, True),
        ({"pinned_availability_zone": "az2"}, "az2", True),
        ({"pinned_availability_zone": "absent", "OS-EXT-SRV-ATTR:host": "gpu-01"}, None, False),
        ({"pinned_availability_zone": "absent"}, None, False),
    ],
    ids=["not pinned", "pinned", "older, on a host", "older, handed on"],
)
def test_zone_of_a_server(
    api: Api, fields: dict[str, Any], zone: str | None, is_known: bool
) -> None:
    """nova writes the chosen host's zone into a server: only the pin was asked for."""
    offer(api, ("gpu-01", "gpu-02"), zones=TWO_ZONES)
    fail(api, ("create", [event(BUILD, "gpu-01")]),
         **{"OS-EXT-AZ:availability_zone": "az1", **fields})  # fmt: skip
    evidence, answer = ask(api, S1)
    assert (evidence.request.zone, evidence.request.zone_known) == (zone, is_known)
    links = {each.name: each for each in answer.hosts[1].checks}
    assert links["zone"].state == ("ok" if is_known else "unknown")


def test_zone_of_a_server_that_no_host_was_given(api: Api) -> None:
    """Before compute API 2.96 such a server's zone is the one that was asked for."""
    offer(api, zones=TWO_ZONES)
    fail(api, ("create", []), pinned_availability_zone="absent",
         **{"OS-EXT-AZ:availability_zone": "az2"})  # fmt: skip
    evidence, answer = ask(api, S1)
    assert evidence.request.zone == "az2"
    assert rules(answer) == {"gpu-01": "WC326"}


def test_image_of_a_server_is_known_by_its_id(api: Api) -> None:
    """Another image of the same name has other properties, and a hidden one is in no list."""
    offer(api)
    fail(api, ("create", []))
    image(api, IMAGE_ID, hw_numa_nodes="1")
    api.answers[f"{IMAGE}/images"] = (200, {"images": [image(api, OTHER_ID, hw_numa_nodes="8")]})
    evidence, _ = ask(api, S1)
    assert evidence.request.image == "ubuntu"
    assert evidence.request.properties["hw_numa_nodes"] == "1"


def test_image_as_the_server_was_made_with_it(api: Api) -> None:
    """nova's copy of the properties counts, and of Glance's only the traits, which nova hides."""
    offer(api)
    fail(api, ("create", []), image={"id": IMAGE_ID, "properties": {"hw_numa_nodes": "1"}})
    image(api, IMAGE_ID, **{"hw_cpu_policy": "dedicated", "trait:CUSTOM_X": "required"})
    evidence, _ = ask(api, S1)
    assert evidence.request.properties == {"hw_numa_nodes": "1", "trait:CUSTOM_X": "required"}


def test_image_that_is_gone(api: Api) -> None:
    """A deleted image is no reason not to explain."""
    offer(api)
    fail(api, ("create", []), image={"id": OTHER_ID})
    evidence, _ = ask(api, S1)
    assert (evidence.request.image, evidence.request.properties) == (OTHER_ID, {})


def test_image_by_a_name_that_two_have(api: Api) -> None:
    """Which of the two is meant is asked, and its id says it."""
    offer(api)
    both = [image(api, IMAGE_ID), image(api, OTHER_ID, hw_numa_nodes="1")]
    api.answers[f"{IMAGE}/images"] = (200, {"images": both})
    with pytest.raises(UsageError, match="2 images ubuntu"):
        ask(api, replace(G1, image="ubuntu"))
    evidence, _ = ask(api, replace(G1, image=OTHER_ID))
    assert evidence.request.properties["hw_numa_nodes"] == "1"


NO_MOVE = event("conductor_migrate_server", "ctl", f"nova.exception.NoValidHost: {NO_HOST}")
LAUNCHED = {"OS-EXT-SRV-ATTR:host": "gpu-01", "OS-SRV-USG:launched_at": "2026-01-01"}


@pytest.mark.parametrize(
    ("actions", "fields", "accused"),
    [
        ([("create", [event(BUILD, "gpu-01")])], {}, {"gpu-01": ("",)}),
        ([("create", [event(BUILD, "gpu-01")])], LAUNCHED, {}),
        ([("create", [event(BUILD, "gpu-01"), event(BUILD, "gpu-02")])], LAUNCHED,
         {"gpu-02": ("",)}),
        ([("attach_volume", [event("compute_attach_volume", "gpu-01", "x.NotFound: no volume")]),
          ("create", [event(BUILD, "gpu-02")])], {}, {"gpu-02": ("",)}),
        ([("migrate", [NO_MOVE]), ("create", [event(BUILD, "gpu-01")])], LAUNCHED, {}),
        ([("migrate", [NO_MOVE, event(MOVE, "gpu-02")])], LAUNCHED, {"gpu-02": ("",)}),
        ([("migrate", [event("compute_resize_instance", "gpu-01", "x.Full: no disk"),
                       event(MOVE, "gpu-02")])], LAUNCHED, {}),
        ([("migrate", [event("compute_finish_resize", "gpu-02", "x.Error: vfio"),
                       event("compute_resize_instance", "gpu-01"), event(MOVE, "gpu-02")])],
         LAUNCHED, {"gpu-02": ("vfio",)}),
        ([("evacuate", [event("compute_rebuild_instance", "gpu-02", "x.E: Claim pci failed")])],
         {}, {"gpu-02": ("Claim pci failed",)}),
    ],
    ids=["claims are handed on", "it is there", "and one handed it on", "a volume",
         "made long ago", "a move that is handed on", "the source failed", "the last step",
         "evacuation"],
)  # fmt: skip
def test_which_hosts_refused(
    api: Api, actions: list[Happened], fields: dict[str, Any], accused: dict[str, tuple[str, ...]]
) -> None:
    """Only the last action that chose a host accuses, and only hosts that do not have the server.

    A claim that fails ends in Success where nova-compute hands the server on.
    """
    offer(api, ("gpu-01", "gpu-02"))
    fail(api, *actions, **fields)
    evidence, _ = ask(api, S1)
    assert {each.name: each.refused for each in evidence.hosts if each.refused} == accused


def test_a_claim_that_failed_for_want_of_the_filter(api: Api) -> None:
    """Without PciPassthroughFilter the claim's event says Success; the cause is the filter's."""
    offer(api, cards=0)
    said = {"message": "Insufficient compute resources: Claim pci failed.", "code": 500}
    fail(api, ("create", [event(BUILD, "gpu-01")]), fault=said)
    files = known(api=small_cloud.api(), scheduler=small_cloud.scheduler("ComputeFilter"))
    _, answer = ask(api, S1, files)
    assert rules(answer) == {"gpu-01": "WC327"}


RESIZED: Happened = ("resize", [NO_MOVE, event("cold_migrate", "ctl")])


def test_a_failed_resize_is_asked_with_its_flavor(api: Api) -> None:
    """A server that could not be resized is ACTIVE again, with its old flavor."""
    offer(api)
    fail(api, RESIZED, status="ACTIVE", fault=None, **LAUNCHED)
    with pytest.raises(UsageError, match="the resize of the server") as caught:
        ask(api, S1)
    assert "--server s1 --flavor NAME" in caught.value.resolution
    evidence, _ = ask(api, replace(S1, flavor="g2"))
    request = evidence.request
    assert request.extra_specs["pci_passthrough:alias"] == "h100:2"
    assert (request.flavor, request.operation, request.image) == ("g2", "resize", "ubuntu")
    assert evidence.refusal is not None
    assert evidence.refusal.message == NO_HOST


def test_a_server_that_did_not_fail(api: Api) -> None:
    """A later move that went well takes an earlier failure away."""
    offer(api)
    fail(api, ("migrate", [event(MOVE, "gpu-02")]), RESIZED, status="ACTIVE", **LAUNCHED)
    with pytest.raises(UsageError, match="is ACTIVE, not ERROR"):
        ask(api, S1)


def test_a_flavor_beside_a_server_that_was_not_resized(api: Api) -> None:
    """What nova said of the server is not said of another flavor."""
    offer(api)
    fail(api, ("create", []))
    with pytest.raises(UsageError, match="was not resized"):
        ask(api, replace(S1, flavor="g2"))


NOT_ALLOWED = (403, {"forbidden": {"code": 403, "message": "Policy does not allow it."}})
ADMINS = [
    f"{COMPUTE}/os-services",
    f"{COMPUTE}/os-hypervisors/detail",
    f"{COMPUTE}/os-aggregates",
    f"{COMPUTE}/servers/detail",
    f"{PLACEMENT}/resource_providers",
    f"{PLACEMENT}/allocation_candidates",
]


def test_who_is_no_administrator_is_told_what_can_be_told(api: Api) -> None:
    """The alias that nova-api does not know is a cause that needs nobody's leave."""
    offer(api)
    api.answers |= dict.fromkeys(ADMINS, NOT_ALLOWED)
    _, answer = ask(api, G1, known(api=small_cloud.api(small_cloud.ALIAS.replace("h100", "other"))))
    assert rules(answer) == {"g1": "WC303"}


@pytest.mark.parametrize(
    ("path", "link"),
    [(ADMINS[0], "service"), (ADMINS[2], "zone"), (ADMINS[4], "machine")],
)
def test_what_is_not_allowed_is_not_known(api: Api, path: str, link: str) -> None:
    """One list that is not allowed leaves its link open, and says who is allowed."""
    offer(api)
    api.answers[path] = NOT_ALLOWED
    wish = replace(G1, changes=Changes(zone="az1" if link == "zone" else ""))
    evidence, answer = ask(api, wish)
    found = next(each for each in answer.hosts[0].checks if each.name == link)
    assert (len(evidence.forbidden), found.state) == (1, "unknown")
    assert "administrator" in found.says


def test_hosts_that_are_not_shown(api: Api) -> None:
    """Without hosts the answer says why there are none."""
    offer(api)
    api.answers |= dict.fromkeys(ADMINS, NOT_ALLOWED)
    _, answer = ask(api, G1)
    assert answer.answer == "No host is known: the cloud shows its hosts only to administrators."


def test_placement_that_answers_no_question(api: Api) -> None:
    """A 403 of the question alone leaves the rest of the explanation."""
    offer(api)
    api.answers[ADMINS[5]] = NOT_ALLOWED
    evidence, _ = ask(api, G1)
    assert (evidence.hosts[0].queries, evidence.forbidden) == ((), ("Placement's candidates",))

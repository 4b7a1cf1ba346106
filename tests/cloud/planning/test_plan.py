"""From what is wanted and what is found to whole plans, and to what is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wholecard.cloud.client.images import Image
from wholecard.cloud.operations.aggregates import (
    AddHosts,
    Aggregate,
    CreateAggregate,
    SetAggregateMetadata,
)
from wholecard.cloud.operations.flavors import CreateFlavor, Flavor, GiveFlavor, SetExtraSpecs
from wholecard.cloud.operations.images import SetImageProperties, UploadImage
from wholecard.cloud.operations.operation import CloudOperation
from wholecard.cloud.operations.quotas import (
    LimitPlace,
    RegisteredLimit,
    RegisterLimit,
    SetLimit,
    SetQuota,
)
from wholecard.cloud.operations.registry import OPERATIONS, plan_from_json
from wholecard.cloud.operations.traits import CreateTrait, SetHostTraits
from wholecard.cloud.placement.provider_tree import ResourceProvider
from wholecard.cloud.planning.current import CurrentCloud, ImageFile, ProjectQuota
from wholecard.cloud.planning.desired import (
    DesiredAggregate,
    DesiredCloud,
    DesiredFlavor,
    DesiredImage,
    DesiredQuota,
)
from wholecard.cloud.planning.plan import plan
from wholecard.core import Action, Plan, WholecardError
from wholecard.core.releases import release

LATEST = release("2026.2")
ALIAS = {"pci_passthrough:alias": "gpu:1"}
FLAVOR = DesiredFlavor("f", 512, 1, 0, ALIAS)
OURS = Flavor("1", "f", 512, 1, 0, ALIAS, ours=True)
PRIVATE = replace(FLAVOR, projects=("p",))
IMAGE = DesiredImage("i", {"hw_machine_type": "q35"}, "i.qcow2")
FILE = {"i": ImageFile("/i.qcow2", "abc", "qcow2")}
OUR_IMAGE = Image("1", "i", "active", "qcow2", "abc", {"hw_machine_type": "q35"})
UPLOAD = UploadImage("i", "/i.qcow2", "abc", (("hw_machine_type", "q35"),))
GROUP = DesiredAggregate("g", {"availability_zone": "z", "k": "v"}, ("a",))


def _provider(*traits: str) -> ResourceProvider:
    """The host's provider with these traits."""
    return ResourceProvider("a", "u", traits=frozenset(traits))


OUR_GROUP = Aggregate("1", "g", {"availability_zone": "z", "k": "v", "wholecard": "made"}, ("a",))
HOSTS = frozenset({"a"})
QUOTA = DesiredQuota("p", {"cores": 8, "ram": 100})
DEFAULTS = {"cores": 20, "ram": 100, "instances": 10}
PLACE = LimitPlace("nova", "R")
REGISTERED = {"servers": RegisteredLimit("servers", 10, ours=False)}

Case = tuple[dict[str, Any], dict[str, Any], list[CloudOperation], list[str]]
CASES: list[Case] = [
    ({}, {}, [], []),
    # Flavors.
    ({"flavors": (FLAVOR,)}, {},
     [CreateFlavor("f", 512, 1, 0),
      SetExtraSpecs("f", (("pci_passthrough:alias", None, "gpu:1"),))], []),
    ({"flavors": (FLAVOR,)}, {"flavors": (OURS,)}, [], []),
    ({"flavors": (FLAVOR,)}, {"flavors": (replace(OURS, ours=False),)}, [], []),
    ({"flavors": (FLAVOR,)}, {"flavors": (replace(OURS, ours=False, vcpus=2),)}, [], ["WC330"]),
    ({"flavors": (FLAVOR,)}, {"flavors": (replace(OURS, ours=False, extra_specs={}),)}, [],
     ["WC330"]),
    ({"flavors": (FLAVOR,)}, {"flavors": (replace(OURS, vcpus=2),)}, [], ["WC331"]),
    ({"flavors": (FLAVOR,)},
     {"flavors": (replace(OURS, extra_specs={"pci_passthrough:alias": "gpu:2"}),)},
     [SetExtraSpecs("f", (("pci_passthrough:alias", "gpu:2", "gpu:1"),))], []),
    ({"flavors": (PRIVATE,)}, {"projects": {"p": "1"}},
     [CreateFlavor("f", 512, 1, 0, public=False),
      SetExtraSpecs("f", (("pci_passthrough:alias", None, "gpu:1"),)),
      GiveFlavor("f", (("1", None, "yes"),))], []),
    ({"flavors": (PRIVATE,)}, {}, [], ["WC333"]),
    ({"flavors": (PRIVATE,)},
     {"projects": {"p": "1"}, "flavors": (replace(OURS, public=False, projects=("1", "2")),)},
     [], ["WC339"]),
    ({"flavors": (PRIVATE,)},
     {"projects": {"p": "1"}, "flavors": (replace(OURS, public=False, projects=("1",)),)}, [], []),
    ({"flavors": (FLAVOR,)},
     {"flavors": (replace(OURS, extra_specs={"pci_passthrough:alias": "gpu:2", "k": "v"}),)},
     [SetExtraSpecs("f", (("pci_passthrough:alias", "gpu:2", "gpu:1"),))], ["WC339"]),
    # Images.
    ({"images": (IMAGE,)}, {"files": FILE}, [UPLOAD], []),
    # A server whose disk is smaller by one byte could not be started.
    ({"images": (IMAGE,)},
     {"files": {"i": replace(FILE["i"], virtual_size=(4 << 30) + 1)}},
     [replace(UPLOAD, min_disk=5)], []),
    ({"images": (IMAGE,)}, {}, [], ["WC334"]),
    ({"images": (replace(IMAGE, is_built=True),)}, {}, [], ["WC413"]),
    ({"images": (replace(IMAGE, is_built=True),)},
     {"files": {"i": replace(FILE["i"], recipe_sha256="fed")}},
     [replace(UPLOAD, properties=(*UPLOAD.properties, ("wholecard_recipe_sha256", "fed")))], []),
    ({"images": (replace(IMAGE, is_built=True),)},
     {"files": {"i": replace(FILE["i"], recipe_sha256="fed")}, "images": {"i": (OUR_IMAGE,)}},
     [], []),
    ({"images": (IMAGE,)}, {"files": FILE, "images": {"i": (OUR_IMAGE,)}}, [], []),
    ({"images": (IMAGE,)},
     {"files": FILE, "images": {"i": (replace(OUR_IMAGE, status="queued"),)}},
     [replace(UPLOAD, half=True)], []),
    ({"images": (IMAGE,)},
     {"files": FILE, "images": {"i": (replace(OUR_IMAGE, properties={"hw_machine_type": "pc"}),)}},
     [SetImageProperties("i", "1", (("hw_machine_type", "pc", "q35"),))], []),
    ({"images": (IMAGE,)}, {"files": FILE, "images": {"i": (replace(OUR_IMAGE, sha256="abd"),)}},
     [], ["WC331"]),
    ({"images": (IMAGE,)}, {"images": {"i": (replace(OUR_IMAGE, sha256=None),)}}, [], []),
    ({"images": (IMAGE,)},
     {"images": {"i": (replace(OUR_IMAGE, sha256=None, properties={}),)}}, [], ["WC330"]),
    ({"images": (IMAGE,)},
     {"files": FILE,
      "images": {"i": (OUR_IMAGE, replace(OUR_IMAGE, id="2", sha256=None, copied=True))}}, [], []),
    ({"images": (IMAGE,)},
     {"files": FILE, "images": {"i": (replace(OUR_IMAGE, sha256=None, copied=True),)}},
     [UPLOAD], []),
    # Aggregates.
    ({"aggregates": (GROUP,)}, {"hosts": HOSTS},
     [CreateAggregate("g", "z"), SetAggregateMetadata("g", (("k", None, "v"),)),
      AddHosts("g", (("a", None, "member"),))], []),
    ({"aggregates": (GROUP,)}, {"hosts": HOSTS, "aggregates": (OUR_GROUP,)}, [], []),
    ({"aggregates": (GROUP,)},
     {"hosts": HOSTS, "aggregates": (replace(OUR_GROUP, metadata={"wholecard": "made"}),)},
     [SetAggregateMetadata("g", (("availability_zone", None, "z"), ("k", None, "v")))], []),
    ({"aggregates": (GROUP,)}, {"aggregates": (OUR_GROUP,)}, [], ["WC333"]),
    ({"aggregates": (GROUP,)},
     {"hosts": HOSTS, "aggregates": (replace(OUR_GROUP, metadata={"k": "v"}),)}, [], ["WC330"]),
    ({"aggregates": (GROUP,)},
     {"hosts": HOSTS, "aggregates": (replace(OUR_GROUP, metadata=GROUP.metadata),)}, [], []),
    # Traits.
    ({"traits": {"a": ("CUSTOM_A",)}},
     {"providers": {"a": _provider("HW_X")}},
     [CreateTrait("CUSTOM_A"), SetHostTraits("a", "u", (("CUSTOM_A", None, "set"),))], []),
    ({"traits": {"a": ("CUSTOM_A",)}},
     {"traits": frozenset({"CUSTOM_A"}), "providers": {"a": _provider()}},
     [SetHostTraits("a", "u", (("CUSTOM_A", None, "set"),))], []),
    ({"traits": {"a": ("CUSTOM_A",)}},
     {"traits": frozenset({"CUSTOM_A"}),
      "providers": {"a": _provider("CUSTOM_A")}},
     [], []),
    ({"traits": {"a": ("CUSTOM_A",)}}, {}, [], ["WC333"]),
    # Quotas of nova's own.
    ({"quotas": (QUOTA,)},
     {"projects": {"p": "1"}, "quotas": {"p": ProjectQuota(DEFAULTS, DEFAULTS)}},
     [SetQuota("p", "1", True, (("cores", "20", "8"),))], []),
    ({"quotas": (QUOTA,)},
     {"projects": {"p": "1"}, "quotas": {"p": ProjectQuota({**DEFAULTS, "cores": 8}, DEFAULTS)}},
     [], []),
    ({"quotas": (QUOTA,)},
     {"projects": {"p": "1"}, "quotas": {"p": ProjectQuota({**DEFAULTS, "ram": 9}, DEFAULTS)}},
     [SetQuota("p", "1", False, (("cores", "20", "8"), ("ram", "9", "100")))], []),
    ({"quotas": (QUOTA,)}, {}, [], ["WC333"]),
    # Keystone's limits.
    ({"quotas": (DesiredQuota("p", {"instances": 4}, {"CUSTOM_G": 2}),)},
     {"projects": {"p": "1"}, "limit_place": PLACE, "registered": REGISTERED},
     [RegisterLimit("class:CUSTOM_G", -1, "nova", "R"),
      SetLimit("p", "1", "nova", "R",
               (("class:CUSTOM_G", None, "2"), ("servers", None, "4")))], []),
    ({"quotas": (DesiredQuota("p", {"cores": 4}),)},
     {"projects": {"p": "1"}, "limit_place": PLACE},
     [RegisterLimit("class:VCPU", -1, "nova", "R"),
      SetLimit("p", "1", "nova", "R", (("class:VCPU", None, "4"),))], ["WC335"]),
    ({"quotas": (DesiredQuota("p", {"instances": 4}),), "release": release("2024.2"),
          "flavors": (replace(FLAVOR, disk_gb=1, extra_specs={"hw:cpu_policy": "dedicated"}),)},
     {"projects": {"p": "1"}, "limit_place": PLACE, "registered": REGISTERED,
          "flavors": (replace(OURS, disk_gb=1, extra_specs={"hw:cpu_policy": "dedicated"}),),
          "limits": {"p": {"servers": 4}}}, [], ["WC335"] * 4),
]  # fmt: skip


@pytest.mark.parametrize(("wished", "there", "changes", "rules"), CASES)
def test_plans(
    wished: dict[str, Any], there: dict[str, Any], changes: list[CloudOperation], rules: list[str]
) -> None:
    """What is missing is planned, what is others' and differs is told and left alone."""
    made = plan(DesiredCloud(**{"release": LATEST, **wished}), CurrentCloud(**there))
    assert [action.do for action in made.plan.actions] == changes
    assert [finding.rule for finding in made.findings] == rules


@pytest.mark.parametrize(("wished", "there", "changes", "rules"), CASES)
def test_plans_are_kept_whole(
    wished: dict[str, Any], there: dict[str, Any], changes: list[CloudOperation], rules: list[str]
) -> None:
    """A plan comes back from its JSON as it was, and every action can be read and undone."""
    made = plan(DesiredCloud(**{"release": LATEST, **wished}), CurrentCloud(**there)).plan
    assert plan_from_json(made.to_json()) == made
    for action in made.actions:
        assert isinstance(action.do, CloudOperation)
        assert action.do.describe()
        assert action.undo
        assert action.reason
        assert action.do.state_before.keys() == action.do.state_after.keys()


def test_every_kind_is_planned() -> None:
    """The cases have every kind of change that a journal can hold."""
    assert {change.kind for _, _, changes, _ in CASES for change in changes} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"op": "make-coffee"}, WholecardError),
        ({"op": "create-trait", "name": 1}, ValueError),
        ({"op": "create-trait"}, ValueError),
    ],
)
def test_strange_plans(data: dict[str, Any], error: type[Exception]) -> None:
    """An operation that this release does not know, or with other fields, is not carried out."""
    row = {"kind": "k", "subject": "s", "reason": "r", "do": data, "undo": "u"}
    with pytest.raises(error):
        plan_from_json({"actions": [row]})


def test_a_secret_is_not_in_a_plan() -> None:
    """What a plan keeps is what it prints: names, ids and values of the site file."""
    made = Plan((Action("k", "s", "r", SetQuota("p", "1", True, (("cores", "1", "2"),)), "u"),))
    assert set(made.to_json()["actions"][0]["do"]) == {
        "op",
        "name",
        "project",
        "default",
        "changes",
    }

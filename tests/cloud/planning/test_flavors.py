"""Planning flavors: what is to be made of each, and what of others' differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wholecard.cloud.operations.flavors import CreateFlavor, Flavor, FlavorSpec, SetExtraSpecs
from wholecard.cloud.planning.flavors import differences, plan_flavor, surplus
from wholecard.core import Operation

SPECS = {"pci_passthrough:alias": "card:2", "hw:maxphysaddr_mode": "passthrough"}
WISH = FlavorSpec("c2", 512, 1, 0, SPECS)
CREATE = CreateFlavor("c2", 512, 1, 0)
SET = SetExtraSpecs(
    "c2",
    (("hw:maxphysaddr_mode", None, "passthrough"), ("pci_passthrough:alias", None, "card:2")),
)
OURS = Flavor("id", "c2", 512, 1, 0, SPECS, ours=True)
OTHERS = replace(OURS, ours=False)
SET_ALIAS = SetExtraSpecs("c2", (("pci_passthrough:alias", "card:1", "card:2"),))


@pytest.mark.parametrize(
    ("existing", "wish", "operations"),
    [
        (None, WISH, [CREATE, SET]),
        (None, replace(WISH, extra_specs={}), [CREATE]),
        (OURS, WISH, []),
        (OTHERS, WISH, []),
        (replace(OURS, extra_specs={}), WISH, [SET]),
        (replace(OURS, extra_specs={**SPECS, "pci_passthrough:alias": "card:1"}), WISH,
         [SET_ALIAS]),
    ],
)  # fmt: skip
def test_plans(existing: Flavor | None, wish: FlavorSpec, operations: list[Operation[Any]]) -> None:
    """What is missing is created, what of ours is unfinished is completed, the rest stays."""
    assert [action.do for action in plan_flavor(existing, wish)] == operations
    assert not differences(existing, wish)


@pytest.mark.parametrize(
    ("existing", "difference"),
    [
        (replace(OURS, ram_mb=1024), "ram: 1024 instead of 512"),
        (replace(OURS, vcpus=2), "vcpus: 2 instead of 1"),
        (replace(OURS, disk_gb=5), "disk: 5 instead of 0"),
        (replace(OTHERS, extra_specs={}), "pci_passthrough:alias: nothing instead of 'card:2'"),
        (
            replace(OTHERS, extra_specs={**SPECS, "pci_passthrough:alias": "card:1"}),
            "pci_passthrough:alias: 'card:1' instead of 'card:2'",
        ),
        (replace(OTHERS, extra_specs={**SPECS, "x": "1"}), "x: '1' instead of nothing"),
    ],
)
def test_others_flavors_are_left_alone(existing: Flavor, difference: str) -> None:
    """Of a flavor that differs and is not ours to change each difference is named."""
    assert difference in differences(existing, WISH)


def test_what_ours_has_beyond_the_wish() -> None:
    """An extra spec of ours that nobody wishes is no difference, and is named as surplus."""
    more = replace(OURS, extra_specs={**SPECS, "x": "1"})
    assert differences(more, WISH) == []
    assert surplus(more, WISH) == ["x: '1' instead of nothing"]


def test_undo_names_what_stood_there() -> None:
    """Changed extra specs are undone by the value before, added ones by unsetting them."""
    specs = {"pci_passthrough:alias": "card:1"}
    (action,) = plan_flavor(replace(OURS, extra_specs=specs), WISH)
    assert action.undo == (
        "openstack flavor unset --property hw:maxphysaddr_mode c2; "
        "openstack flavor set --property pci_passthrough:alias=card:1 c2"
    )


def test_operations_are_operations() -> None:
    """Both operations print as a command and as JSON with their kind."""
    for operation, kind in ((CREATE, "create-flavor"), (SET, "set-extra-specs")):
        assert isinstance(operation, Operation)
        assert operation.to_json()["op"] == kind
        assert operation.describe().startswith("openstack flavor ")


@pytest.mark.parametrize("count", [1, 2])
def test_planning_goes_on_after_a_cut(count: int) -> None:
    """After the first call alone the second is still planned, after both nothing is."""
    done = replace(OURS, extra_specs=SPECS if count == 2 else {})
    assert len(plan_flavor(done, WISH)) == 2 - count

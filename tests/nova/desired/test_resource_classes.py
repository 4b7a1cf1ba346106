"""The resource class of a kind of card, as device_spec, alias and Keystone's limit name it."""

from __future__ import annotations

from typing import Any

import pytest

from support.sites import FACTS, H100_SECOND, RTX, eight, site
from wholecard.nova.desired.device_selection import select_devices
from wholecard.nova.desired.placement_tags import PlacementUse
from wholecard.nova.desired.resource_classes import (
    card_classes,
    class_of_ids,
    class_of_name,
    refuse_alike,
)
from wholecard.nova.desired.unsupported import UnsupportedError

CHOSEN, REPORTED = PlacementUse(report=True, choose=True), PlacementUse(report=True, choose=False)
GPU = {"match": [{"vendor": "10de", "product": "2330"}]}
BOTH = {"match": [*GPU["match"], {"vendor": "10de", "product": "2331"}]}
MADE = "CUSTOM_PCI_10DE_2330"


@pytest.mark.parametrize(
    ("cards", "use", "own", "classes"),
    [
        ({"gpu": GPU}, CHOSEN, {"gpu": None}, {"gpu": (MADE,)}),
        ({"gpu": {**GPU, "resource_class": "CUSTOM_H"}}, CHOSEN, {"gpu": "CUSTOM_H"},
         {"gpu": ("CUSTOM_H",)}),
        ({"h100 any": BOTH}, CHOSEN, {"h100 any": "CUSTOM_H100_ANY"},
         {"h100 any": ("CUSTOM_H100_ANY",)}),
        ({"gpu": BOTH}, REPORTED, {"gpu": None}, {"gpu": (MADE, "CUSTOM_PCI_10DE_2331")}),
        ({"gpu": GPU, "twin": GPU}, CHOSEN, {"gpu": "CUSTOM_GPU", "twin": "CUSTOM_TWIN"},
         {"gpu": ("CUSTOM_GPU",), "twin": ("CUSTOM_TWIN",)}),
        ({"gpu": GPU, "twin": {**GPU, "resource_class": "CUSTOM_T"}}, CHOSEN,
         {"gpu": "CUSTOM_GPU", "twin": "CUSTOM_T"},
         {"gpu": ("CUSTOM_GPU",), "twin": ("CUSTOM_T",)}),
    ],
)  # fmt: skip
def test_classes(
    cards: Any, use: PlacementUse, own: dict[str, str | None], classes: dict[str, tuple[str, ...]]
) -> None:
    """A kind has a class of its own where nova's, made of the ids, does not tell it apart."""
    facts = {"gpu-01": FACTS["gpu-01"], "gpu-02": eight(audio=False, ids=H100_SECOND)}
    made = site(cards)
    found = card_classes(made, select_devices(made, facts), (), use)
    assert found.own == own
    assert {name: found.of_kind(name) for name in made.cards} == classes


def test_twins_of_one_class_are_refused() -> None:
    """Two kinds of the same ids and the same class are one to nova."""
    card = {**GPU, "resource_class": "CUSTOM_H"}
    made = site({"gpu": card, "twin": card})
    with pytest.raises(UnsupportedError, match=r"cannot distinguish cards\.gpu and cards\.twin"):
        card_classes(made, select_devices(made, FACTS), (), CHOSEN)


def test_twins_without_placement() -> None:
    """Without Placement only the type of device tells two kinds of the same ids apart."""
    made = site({"gpu": GPU, "twin": GPU})
    classes = card_classes(made, select_devices(made, FACTS), (), REPORTED)
    refuse_alike(classes, {"gpu": "type-PF", "twin": "type-PCI"})
    with pytest.raises(UnsupportedError, match="cannot distinguish"):
        refuse_alike(classes, {"gpu": "type-PF", "twin": "type-PF"})


def test_ids_of_a_host_without_facts() -> None:
    """A host without facts has the ids that the matches write, and they have to."""
    made = site({"rtx": {"match": [{"vendor": "10de", "product": RTX.split(":")[1]}]}})
    assert card_classes(made, (), ("a",), CHOSEN).ids == {"rtx": (("10de", "2684"),)}
    with pytest.raises(UnsupportedError, match="which ids its cards have is not known for a"):
        card_classes(site({"any": {"match": [{"vendor": "10de"}]}}), (), ("a",), CHOSEN)


def test_names() -> None:
    """Classes of ids and of names are in Placement's letters, and no longer than it takes."""
    assert class_of_ids(("10de", "20b5")) == "CUSTOM_PCI_10DE_20B5"
    assert class_of_name("h100 sxm-5") == "CUSTOM_H100_SXM_5"
    assert class_of_name("vgpu") == "CUSTOM_VGPU"
    assert len(class_of_name("a" * 248)) == 255
    with pytest.raises(UnsupportedError, match="too long"):
        class_of_name("a" * 249)

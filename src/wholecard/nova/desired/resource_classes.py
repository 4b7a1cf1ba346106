"""The resource class of a kind of card in Placement. Pure.

nova has its own rule in one file too, nova/compute/pci_placement_translator.py: the class that
device_spec and alias name, else CUSTOM_PCI_<VENDOR>_<PRODUCT>.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.nova.desired.device_selection import SelectedDevices
from wholecard.nova.desired.device_specs import ids_of
from wholecard.nova.desired.placement_tags import PlacementUse
from wholecard.nova.desired.unsupported import unsupported
from wholecard.nova.match import custom_name, resource_class_for
from wholecard.pci.device_types import DeviceType
from wholecard.site.model import CardKind, Site

Ids = tuple[str, str]


@dataclass(frozen=True)
class CardClasses:
    """The classes of a site's kinds; `ids` are the vendor and product ids that each kind has.

    `own` is the class that device_spec and alias must name, None where nova's own is enough.
    """

    ids: Mapping[str, tuple[Ids, ...]]
    own: Mapping[str, str | None]

    def of_kind(self, name: str) -> tuple[str, ...]:
        """Every class that cards of that kind have in Placement."""
        own = self.own[name]
        return (own,) if own else tuple(class_of_ids(ids) for ids in self.ids[name])


def card_classes(
    site: Site,
    selected: tuple[SelectedDevices, ...],
    without_facts: tuple[str, ...],
    use: PlacementUse,
) -> CardClasses:
    """The classes of a site's kinds.

    A kind of several products needs a class of its own, because an alias asks for one class. Two
    kinds with the same ids need one each, because nova makes its own class from the ids.
    `selected` is what the kinds give on hosts with facts, `without_facts` are the other hosts.
    Raises UnsupportedError where the ids of a kind are not known, and where two kinds with the
    same ids have one class.
    """
    ids = {name: _ids(name, kind, selected, without_facts) for name, kind in site.cards.items()}
    own = {name: _own_class(name, kind, ids, use) for name, kind in site.cards.items()}
    for name, resource_class in own.items():
        twin = next((twin for twin in _twins(name, ids) if own[twin] == resource_class), None)
        if resource_class is not None and twin is not None:
            raise unsupported(
                ("cards", name),
                f"nova cannot distinguish cards.{name} and cards.{twin}",
                f"They have the same ids and the same resource class, {resource_class}.",
                "Give each a resource_class of its own.",
            )
    return CardClasses(ids, own)


def _own_class(
    name: str, kind: CardKind, ids: Mapping[str, tuple[Ids, ...]], use: PlacementUse
) -> str | None:
    if kind.resource_class:
        return kind.resource_class
    needs_own = use.choose and (len(ids[name]) > 1 or _twins(name, ids))
    return class_of_name(name) if needs_own else None


def refuse_alike(classes: CardClasses, types: Mapping[str, DeviceType]) -> None:
    """Raises UnsupportedError for two kinds that nova cannot distinguish without Placement."""
    for name in classes.ids:
        for twin in _twins(name, classes.ids):
            if types[twin] == types[name]:
                raise unsupported(
                    ("cards", name),
                    f"nova cannot distinguish cards.{name} and cards.{twin}",
                    "They have the same ids and the same device_type, and an alias cannot name "
                    "addresses.",
                    "Write nova.pci_in_placement: true (since 2023.1), or make them one kind.",
                )


def class_of_ids(ids: Ids) -> str:
    """The class that nova makes from vendor and product where device_spec and alias name none."""
    return resource_class_for(None, *ids)


def class_of_name(name: str) -> str:
    """A resource class for a kind of that name: `h100 sxm` is `CUSTOM_H100_SXM`.

    Raises UnsupportedError where it would be too long for Placement.
    """
    resource_class = custom_name(name.upper())
    if len(resource_class) > 255:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: its name is too long for a resource class",
            resolution="Write resource_class: CUSTOM_…, of at most 255 characters.",
        )
    return resource_class


def _twins(name: str, ids: Mapping[str, tuple[Ids, ...]]) -> list[str]:
    """The other kinds that have some of its ids."""
    return [other for other in ids if other != name and set(ids[other]) & set(ids[name])]


def _ids(
    name: str, kind: CardKind, selected: tuple[SelectedDevices, ...], without_facts: tuple[str, ...]
) -> tuple[Ids, ...]:
    """All ids that the kind has, those that its matches name first, in their order."""
    ids = dict.fromkeys(
        ids_of(name, match, host)
        for match in kind.match
        for host in without_facts
        if not match.hosts or host in match.hosts
    )
    in_facts = _ids_in_facts(name, selected)
    named = [(match.vendor, match.product) for match in kind.match]
    ids.update(dict.fromkeys(pair for pair in named if pair in in_facts))
    ids.update(dict.fromkeys(sorted(in_facts)))
    if not ids:
        raise unsupported(
            ("cards", name),
            f"cards.{name} gives nothing on any host",
            "No entry of its match list fits a function of the inspected hosts.",
            "Compare the match with `wholecard-host inspect` on a host that has the card.",
        )
    return tuple(ids)


def _ids_in_facts(name: str, selected: tuple[SelectedDevices, ...]) -> set[Ids]:
    of_kind = (devices.functions for devices in selected if devices.kind == name)
    return {(function.vendor, function.device) for functions in of_kind for function in functions}

"""Under which resource class Placement has a kind of card. Pure.

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
    """The kinds of cards of a site: `ids` are all that each has, vendor and product.

    `own` is the class that device_spec and alias have to name, None where nova's own is enough.
    """

    ids: Mapping[str, tuple[Ids, ...]]
    own: Mapping[str, str | None]

    def of_kind(self, name: str) -> tuple[str, ...]:
        """Every class under which Placement has the cards of that kind."""
        own = self.own[name]
        return (own,) if own else tuple(class_of_ids(ids) for ids in self.ids[name])


def card_classes(
    site: Site,
    selected: tuple[SelectedDevices, ...],
    without_facts: tuple[str, ...],
    use: PlacementUse,
) -> CardClasses:
    """The classes of a site's kinds.

    A kind of several products needs a class of its own, for an alias asks for one class; so do two
    kinds with the same ids, for nova's own is made from the ids. `selected` is what the kinds give
    on hosts with facts, `without_facts` the other hosts. Raises UndoableError where the ids of a
    kind are not known, and where two kinds with the same ids have one class.
    """
    kinds = site.cards
    ids = {name: _ids(name, kind, selected, without_facts) for name, kind in kinds.items()}
    own: dict[str, str | None] = {}
    for name, kind in kinds.items():
        needed = use.choose and (len(ids[name]) > 1 or bool(_twins(name, ids)))
        own[name] = kind.resource_class or (class_of_name(name) if needed else None)
    for name, resource_class in own.items():
        other = next((twin for twin in _twins(name, ids) if own[twin] == resource_class), None)
        if resource_class is not None and other is not None:
            raise unsupported(
                ("cards", name),
                f"nova cannot tell cards.{name} and cards.{other} apart",
                f"They have the same ids and the same resource class, {resource_class}.",
                "Give each a resource_class of its own.",
            )
    return CardClasses(ids, own)


def refuse_alike(classes: CardClasses, types: Mapping[str, DeviceType]) -> None:
    """Raises UndoableError for two kinds that nova cannot tell apart without Placement."""
    for name in classes.ids:
        for twin in _twins(name, classes.ids):
            if types[twin] == types[name]:
                raise unsupported(
                    ("cards", name),
                    f"nova cannot tell cards.{name} and cards.{twin} apart",
                    "They have the same ids and the same device_type, and an alias knows no "
                    "address.",
                    "Write nova.pci_in_placement: true (2023.1), or make one kind of them.",
                )


def class_of_ids(ids: Ids) -> str:
    """The class that nova makes of vendor and product where none is named."""
    return resource_class_for(None, *ids)


def class_of_name(name: str) -> str:
    """A resource class for a kind of that name: `h100 sxm` is `CUSTOM_H100_SXM`.

    Raises UndoableError where it would be too long for Placement.
    """
    resource_class = custom_name(name.upper())
    if len(resource_class) > 255:
        raise unsupported(
            ("cards", name),
            f"cards.{name}: its name is too long for a resource class",
            mend="Write resource_class: CUSTOM_…, of at most 255 characters.",
        )
    return resource_class


def _twins(name: str, ids: Mapping[str, tuple[Ids, ...]]) -> list[str]:
    """The other kinds that have some of its ids."""
    return [other for other in ids if other != name and set(ids[other]) & set(ids[name])]


def _ids(
    name: str, kind: CardKind, selected: tuple[SelectedDevices, ...], without_facts: tuple[str, ...]
) -> tuple[Ids, ...]:
    """All ids that the kind has, those that its matches name first."""
    ids: dict[Ids, None] = {}
    for match in kind.match:
        for host in without_facts:
            if not match.hosts or host in match.hosts:
                ids[ids_of(name, match, host)] = None
    seen = {
        (function.vendor, function.device)
        for each in selected
        if each.kind == name
        for function in each.functions
    }
    named = [(match.vendor, match.product) for match in kind.match]
    order = {pair: number for number, pair in reversed(list(enumerate(named)))}
    ids.update(dict.fromkeys(sorted(seen, key=lambda pair: (order.get(pair, len(named)), pair))))
    if not ids:
        raise unsupported(
            ("cards", name),
            f"cards.{name} gives nothing on any host",
            "No function of the inspected hosts meets one of its matches.",
            "Compare the match with `wholecard-host inspect` on a host that has the card.",
        )
    return tuple(ids)

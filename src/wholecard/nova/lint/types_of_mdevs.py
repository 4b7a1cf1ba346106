"""The types of mediated devices in a compute's files, each with its section and positions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wholecard.nova.conf.conf_file import ConfEntry
from wholecard.nova.lint.diagnostic import Spot
from wholecard.nova.lint.service import MOST_VALUES, Facts, Service
from wholecard.nova.match.errors import MdevError
from wholecard.nova.match.mdevs import MdevParent, MdevTypes, TypeSection, mdev_types, nova_parent
from wholecard.nova.options import MDEV_CLASS, Option, by_name, of_type

_ITEM = re.compile(r"[^,\s][^,]*")
_NUMBER = re.compile(r"\s*\+?0*[1-9]\d{0,8}\s*")


@dataclass(frozen=True)
class Item:
    """One item of a list option: its text and where it is."""

    text: str
    spot: Spot


@dataclass(frozen=True)
class ReadType:
    """An enabled type: where it is enabled, and its section's options as far as they are set."""

    name: str
    spot: Spot
    addresses: tuple[Item, ...]
    resource_class: ConfEntry | None
    limit: ConfEntry | None

    @property
    def section(self) -> TypeSection:
        """What nova reads of the section; what it refuses there is left out."""
        named = self.resource_class.value.strip() if self.resource_class else ""
        limit = self.limit.value if self.limit else ""
        return TypeSection(
            tuple(item.text for item in self.addresses),
            named if re.fullmatch(MDEV_CLASS, named) else "VGPU",
            int(limit) if _NUMBER.fullmatch(limit) else None,
        )


@dataclass(frozen=True)
class ReadTypes:
    """The types of one service. `nova` is what nova makes of them, None where it refuses them."""

    types: tuple[ReadType, ...]
    nova: MdevTypes | None
    error: MdevError | None

    def by_name(self, name: str) -> ReadType:
        """The first type of that name."""
        return next(one for one in self.types if one.name == name)


def read_types(service: Service) -> ReadTypes | None:
    """The types that a compute enables; None where it enables none, or a value is not its own."""
    if service.role not in (None, "compute"):
        return None
    entries = service.effective("enabled_mdev_types").entries
    names = list(_items(entries[-1]))[:MOST_VALUES] if entries else []
    types = tuple(_read(service, item) for item in names)
    used = [entry for one in types for entry in (one.resource_class, one.limit) if entry]
    texts = [item.spot.entry for one in types for item in (*one.addresses, Item("", one.spot))]
    if not types or any("$" in entry.value for entry in (*used, *texts)):
        return None
    sections = {one.name: one.section for one in types}
    enabled = [one.name for one in types]
    try:
        virtual = _virtual(service.facts)
        return ReadTypes(types, mdev_types(service.major, enabled, sections, virtual), None)
    except MdevError as error:
        return ReadTypes(types, None, error)


def options_of_types(service: Service) -> Iterator[Option]:
    """The options of the sections of all enabled types."""
    read = read_types(service)
    for name in dict.fromkeys(one.name for one in read.types) if read else ():
        for option in ("device_addresses", "mdev_class", "max_instances"):
            yield of_type(by_name(option), name.lower())


def parents_of(facts: Facts) -> tuple[MdevParent, ...]:
    """A host's parents of mediated devices under nova's names, by name."""
    offered: dict[str, dict[str, int]] = {}
    for one in facts.slices.mdev_types if facts.slices else ():
        types = offered.setdefault(nova_parent(one.parent), {})
        types[one.type_id] = one.available or 0
    return tuple(MdevParent(name, types) for name, types in sorted(offered.items()))


def mdevs_of(facts: Facts) -> list[tuple[str, str]]:
    """The parent, under nova's name, and the type of each mediated device that exists."""
    mdevs = facts.slices.mdevs if facts.slices else ()
    return [(nova_parent(one.parent), one.type_id) for one in mdevs if one.active]


def _virtual(facts: tuple[Facts, ...]) -> frozenset[str] | None:
    """The hosts' parents without a PCI address; None where they are not known."""
    if not facts or any(one.slices is None for one in facts):
        return None
    names: Mapping[str, None] = {
        parent.name: None for one in facts for parent in parents_of(one) if ":" not in parent.name
    }
    return frozenset(names)


def _read(service: Service, item: Item) -> ReadType:
    def entry(name: str) -> ConfEntry | None:
        option = of_type(by_name(name), item.text.lower())
        found = service.conf.effective(option, service.major).entries
        return found[-1] if found else None

    addresses = entry("device_addresses")
    return ReadType(
        item.text, item.spot,
        tuple(_items(addresses))[:MOST_VALUES] if addresses else (),
        entry("mdev_class"), entry("max_instances"),
    )  # fmt: skip


def _items(entry: ConfEntry) -> Iterator[Item]:
    for match in _ITEM.finditer(entry.value):
        text = match[0].strip()
        yield Item(text, Spot(entry, match.start(), len(text)))

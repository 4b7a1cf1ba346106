"""The wish: which cards are to be given, and what the site asks of the host besides."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.host.facts.host import Host
from wholecard.host.kernel_args.cpu_isolation import parse_cpus
from wholecard.host.kernel_args.hugepages import HugePages
from wholecard.pci import Address, Card, Function, is_bmc_display

__all__ = [
    "HugePages",
    "DesiredState",
    "cards_there",
    "is_left_out",
    "read_wish",
    "resolve",
    "wished_cards",
]

# Counts up when a key changes its meaning or goes.
SCHEMA = 1


@dataclass(frozen=True)
class DesiredState:
    """What a host is to give, and what the site asks of it besides.

    `cards` are the slots of the cards to be given (`0000:01:00`), sorted; cards not named are not
    given. `companions` are addresses of endpoints outside the cards' slots that are bound and
    given along. `parked` are addresses that pci-stub keeps, given to nobody. `isolated_cpus` is a
    list as the kernel takes it (`2-31`). `loader` and `initramfs` insist on a boot tool by the
    names of `Boot`; empty takes what the host has. `blacklist` are modules that are never to be
    loaded by themselves.
    """

    cards: tuple[str, ...]
    companions: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    hugepages: tuple[HugePages, ...] = ()
    isolated_cpus: str = ""
    loader: str = ""
    initramfs: str = ""
    blacklist: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The published form: `{"schema": 1, "cards": [...], ...}`, huge pages as `1G:64`."""
        data: dict[str, Any] = {"schema": SCHEMA}
        for name, value in self.__dict__.items():
            data[name] = list(value) if isinstance(value, tuple) else value
        data["hugepages"] = [f"{each.size}:{each.count}" for each in self.hugepages]
        return data

    @classmethod
    def from_json(cls, data: Any) -> DesiredState:
        """The inverse of `to_json`; every key may be left out.

        Raises UsageError for an unknown key, with the nearest right one, and for a wrong value.
        """
        if not isinstance(data, dict):
            raise UsageError(
                "a wish is a JSON object", resolution='Write {"cards": ["0000:01:00"]}'
            )
        fields = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        for key in data:
            if key not in fields and key != "schema":
                raise _unknown_key(str(key), fields)
        if data.get("schema", SCHEMA) != SCHEMA:
            raise UsageError(
                f"a wish of schema {data['schema']!r}, not {SCHEMA}",
                resolution="Use the release of Wholecard that the file was written for.",
            )
        values: dict[str, Any] = {"cards": ()}
        for key, kind in fields.items():
            if key in data:
                values[key] = _text(key, data[key]) if kind == "str" else _list(key, data[key])
        values["hugepages"] = tuple(HugePages.parse(each) for each in values.get("hugepages", ()))
        return cls(**values)


def read_wish(path: Path) -> DesiredState:
    """The wish in a JSON file. Raises UsageError where it cannot be read or is none."""
    try:
        return DesiredState.from_json(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read the wish in {path}", str(error), "Write it as JSON."
        ) from error
    except UsageError as error:
        error.brief = f"{path}: {error.brief}"
        raise


def resolve(
    host: Host, addresses: Sequence[str], all_cards: bool = False, asked: DesiredState | None = None
) -> DesiredState:
    """Turn what a person typed into a wish.

    An address may name any function of a card. `all_cards` is every card but the boot display and
    the management controller's. `asked` is the rest of the wish as it was typed or read; its
    cards are added to `addresses`. Raises UsageError for an address that is no card's, listing
    the cards there are, for an empty wish, for companions and parked functions that cannot be
    ones, for CPUs that the host does not have, and for a boot tool that it does not have.
    """
    asked = asked or DesiredState(())
    slots = {_card_at(host, text).slot for text in (*addresses, *asked.cards)}
    if all_cards:
        slots.update(card.slot for card in host.cards if not is_left_out(card))
    if not slots:
        raise UsageError("no card named", cards_there(host), "Name one with --card ADDRESS.")
    companions = _endpoints(host, asked.companions, slots, "companion")
    parked = _endpoints(host, asked.parked, slots, "parked function")
    both = sorted({*companions} & {*parked})
    if both:
        raise UsageError(f"{both[0]} is to be given and to be parked", resolution="Name it once.")
    _require_tool("boot loader", asked.loader, host.boot.loaders)
    _require_tool("initramfs tool", asked.initramfs, host.boot.initramfs_tools)
    _require_cpus(host, asked.isolated_cpus)
    _require_once(asked.hugepages)
    return dataclasses.replace(
        asked, cards=tuple(sorted(slots)), companions=companions, parked=parked
    )


def wished_cards(host: Host, wish: DesiredState) -> tuple[Card, ...]:
    """The cards of the wish that the host has."""
    return tuple(card for card in host.cards if card.slot in wish.cards)


def cards_there(host: Host) -> str:
    """One line for each card of the host, for an error's details."""
    if not host.cards:
        return "This host has no cards."
    return "\n".join(["Cards on this host:", *(f"  {card.title}" for card in host.cards)])


def is_left_out(card: Card) -> bool:
    """Whether `all_cards` does not mean this one: what a console is on must be named."""
    return card.boot_display or any(is_bmc_display(function) for function in card.gpu)


def _card_at(host: Host, text: str) -> Card:
    # A slot without a function is what we print as a card's name, so it is taken too.
    card = host.card_of(Address.parse(text if "." in text else f"{text}.0"))
    if card is None:
        raise UsageError(
            f"{text} is no card",
            cards_there(host),
            "Name one of the cards of this host."
            if host.functions
            else "A tree without /sys has no functions: give the host's own with --facts FILE, "
            "which inspect --json writes there.",
        )
    return card


def _endpoints(host: Host, texts: Iterable[str], slots: set[str], what: str) -> tuple[str, ...]:
    found = []
    for text in texts:
        address = Address.parse(text)
        function = host.function(address)
        if function is None:
            raise UsageError(
                f"there is no function at {text} to be a {what}",
                resolution="See what there is: inspect --json, or lspci -Dnn",
            )
        _require_endpoint(function, slots, what)
        card = host.card_of(address)
        if what == "companion" and card is not None:
            raise UsageError(
                f"{text} is a part of the card {card.slot}, and no companion",
                "A card is given with all its functions or not at all.",
                f"Name the card: --card {card.slot}.0",
            )
        found.append(str(address))
    return tuple(sorted(set(found)))


def _require_endpoint(function: Function, slots: set[str], what: str) -> None:
    if function.is_bridge:
        raise UsageError(
            f"{function.address} is a bridge and can be no {what}",
            "A bridge is never bound and does not count for its IOMMU group.",
            "Leave it out.",
        )
    if function.address.slot_key in slots:
        raise UsageError(
            f"{function.address} is a part of the card {function.address.slot_key} to be given",
            "A card is given with all its functions.",
            f"Leave it out: it can be no {what}.",
        )


def _require_tool(what: str, named: str, there: tuple[str, ...]) -> None:
    if named and named not in there:
        raise UsageError(
            f"this host has no {what} {named}",
            f"There is: {', '.join(there) or 'none that Wholecard knows'}.",
            "Name one of these, or none.",
        )


def _require_cpus(host: Host, text: str) -> None:
    if not text:
        return
    wanted = parse_cpus(text)
    there = frozenset().union(*(parse_cpus(cpus) for _, cpus in host.cpu.nodes if cpus))
    if there and wanted - there:
        raise UsageError(
            f"this host has no CPU {min(wanted - there)}",
            f"CPUs by NUMA node: {', '.join(f'{node}: {cpus}' for node, cpus in host.cpu.nodes)}.",
            "Isolate CPUs that are there.",
        )
    if there and wanted >= there:
        raise UsageError(
            "every CPU would be isolated", resolution="Leave some to the host: at least 0."
        )


def _require_once(pages: Sequence[HugePages]) -> None:
    sizes = [each.size for each in pages]
    twice = [size for size in sizes if sizes.count(size) > 1]
    if twice:
        raise UsageError(
            f"huge pages of {twice[0]} are asked for twice", resolution="Ask once for each size."
        )


def _unknown_key(key: str, fields: Iterable[str]) -> UsageError:
    return UsageError(
        f"a wish has no key {key!r}",
        f"Its keys: {', '.join(fields)}.",
        did_you_mean(key, fields) or "Leave it out.",
    )


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} is {value!r}, not a text", resolution=f'Write "{key}": "..."')
    return value


def _list(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(
            f"{key} is {value!r}, not a list of texts", resolution=f'Write "{key}": ["..."]'
        )
    return tuple(value)

"""The desired state of a host: which cards guests get, and what else the site asks of the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wholecard.core import UsageError
from wholecard.core.input_files import read_json_input
from wholecard.core.module_names import is_module_name
from wholecard.core.near_names import did_you_mean
from wholecard.host.card_split import CardSplit
from wholecard.host.facts.host import Host
from wholecard.host.kernel_args.cpu_isolation import parse_cpus
from wholecard.host.kernel_args.hugepages import HugePages
from wholecard.pci import Address, Card, Function, is_bmc_display, is_console_like
from wholecard.pci.address import parse_numbers
from wholecard.pci.splitting.nvswitch import read_modules

__all__ = [
    "HugePages", "DesiredState", "NO_VF_AT_BOOT", "card_lines", "desired_cards", "is_left_out",
    "read_desired_state", "resolve",
]  # fmt: skip

NO_VF_AT_BOOT = (
    "its PF's driver creates it at each boot, after the initramfs has bound the functions."
)

# Counts up when a key changes its meaning or goes.
SCHEMA = 1

_LIMIT = 1 << 20


@dataclass(frozen=True)
class DesiredState:
    """Which cards guests get, and what else the site asks of the host.

    `cards` are their slots (`0000:01:00`), sorted; other cards stay with the host. `companions`
    are addresses of endpoints outside the cards' slots that are bound with them. `parked` are
    addresses that pci-stub keeps; no guest gets those. `isolated_cpus` is a list as the kernel
    takes it (`2-31`). `loader` and `initramfs` insist on a boot tool by the names of `Boot`; empty
    takes what the host has. `blacklist` are modules that must never be loaded by their aliases.
    `containers` are slots of cards that stay with the host's drivers, for its own containers;
    `splits` are cards that stay with their drivers too and are given in parts. `modules` are the
    GPUs of a board with NVSwitches, `0000:17:00.0=3`: address and module id.
    """

    cards: tuple[str, ...]
    companions: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    hugepages: tuple[HugePages, ...] = ()
    isolated_cpus: str = ""
    loader: str = ""
    initramfs: str = ""
    blacklist: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    splits: tuple[CardSplit, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def keeps_all_cards(self) -> bool:
        """Whether no card is given whole: the host keeps all, in parts or for containers."""
        return not self.cards and bool(self.containers or self.splits)

    def to_json(self) -> dict[str, Any]:
        """The published form: `{"schema": 1, "cards": [...], ...}`, huge pages as `1G:64`."""
        data: dict[str, Any] = {"schema": SCHEMA}
        for name, value in self.__dict__.items():
            data[name] = list(value) if isinstance(value, tuple) else value
        data["splits"] = [split.to_json() for split in self.splits]
        data["hugepages"] = [f"{pages.size}:{pages.count}" for pages in self.hugepages]
        return data

    @classmethod
    def from_json(cls, data: Any) -> DesiredState:
        """The inverse of `to_json`; every key may be left out.

        Raises UsageError for an unknown key, with the nearest right one, and for a wrong value.
        """
        if not isinstance(data, dict):
            raise UsageError(
                "a desired state is a JSON object", resolution='Write {"cards": ["0000:01:00"]}'
            )
        readers: dict[str, Callable[[str, Any], Any]] = {
            field.name: _text if field.type == "str" else _list for field in dataclasses.fields(cls)
        }
        readers["splits"] = _splits
        if data.get("schema", SCHEMA) != SCHEMA:
            raise UsageError(
                f"a desired state of schema {data['schema']!r}, not {SCHEMA}",
                resolution="Use the release of Wholecard that the file was written for.",
            )
        values: dict[str, Any] = {"cards": ()}
        for key, value in data.items():
            if key in readers:
                values[key] = readers[key](key, value)
            elif key != "schema":
                raise _unknown_key(str(key), readers)
        _refuse_strange_modules(values.get("blacklist", ()))
        values["hugepages"] = tuple(HugePages.parse(text) for text in values.get("hugepages", ()))
        return cls(**values)


def _splits(key: str, value: Any) -> tuple[CardSplit, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{key} is {str(value)[:40]!r}, not a list", resolution="Write a list.")
    splits = tuple(map(CardSplit.from_json, value))
    cards = [split.card for split in splits]
    repeated = [card for card in cards if cards.count(card) > 1]
    if repeated:
        raise UsageError(f"{repeated[0]} is split twice", resolution="Name it once.")
    return splits


def _refuse_strange_modules(blacklist: Iterable[str]) -> None:
    for name in blacklist:
        if not is_module_name(name):
            raise UsageError(
                f"blacklist: {name[:80]!r} is not the name of a kernel module",
                resolution="Write names as lsmod prints them: nouveau",
            )


def read_desired_state(path: Path) -> DesiredState:
    """The desired state in a JSON file. Raises UsageError where the file holds none."""
    try:
        return DesiredState.from_json(read_json_input(path, _LIMIT))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read the desired state in {path}", str(error), "Write it as JSON."
        ) from error
    except UsageError as error:
        error.brief = f"{path}: {error.brief}"
        raise


def resolve(
    host: Host, addresses: Sequence[str], all_cards: bool = False, asked: DesiredState | None = None
) -> DesiredState:
    """Turn what a person typed into a desired state.

    An address may name any function of a card. `all_cards` is every card that the host does not
    need itself (`is_left_out`). `asked` is the rest of the desired state as it was typed or read;
    its cards are added to `addresses`. Raises UsageError for an address that is not a card's,
    listing the host's cards; where no card is named; for functions that cannot be companions or
    parked; and for CPUs or a boot tool that the host does not have.
    """
    asked = asked or DesiredState(())
    slots = {_card_at(host, text).slot for text in (*addresses, *asked.cards)}
    kept = {_card_at(host, text).slot for text in asked.containers}
    split = {Address.parse(each.card).slot_key for each in asked.splits if each.is_function}
    _refuse_two_uses(slots, kept, split)
    if all_cards:
        slots.update(card.slot for card in host.cards if not is_left_out(card))
        slots -= kept | split
    if not (slots or kept or asked.splits):
        raise UsageError(
            "no card is selected",
            card_lines(host),
            "Select cards with --card ADDRESS or --all-cards; inspect shows the addresses.",
        )
    companions = _endpoints(host, asked.companions, slots, "companion")
    parked = _endpoints(host, asked.parked, slots, "parked function")
    both = sorted({*companions} & {*parked})
    if both:
        raise UsageError(
            f"{both[0]} is named as a companion and as parked", resolution="Name it once."
        )
    _require_tool("boot loader", asked.loader, host.boot.loaders)
    _require_tool("initramfs tool", asked.initramfs, host.boot.initramfs_tools)
    _require_cpus(host, asked.isolated_cpus)
    _require_once(asked.hugepages)
    _require_gpus(host, asked.modules)
    return dataclasses.replace(
        asked,
        cards=tuple(sorted(slots)),
        companions=companions,
        parked=parked,
        containers=tuple(sorted(kept)),
    )


def _refuse_two_uses(slots: set[str], kept: set[str], split: set[str]) -> None:
    """Raises UsageError for a card that is named for two uses."""
    if slots & kept:
        raise UsageError(
            f"{min(slots & kept)} is named for guests and for containers",
            "A card that guests get has no driver on the host.",
            "Name it once.",
        )
    if (slots | kept) & split:
        raise UsageError(
            f"{min((slots | kept) & split)} is named whole and in parts",
            "A PF that a guest or a container has cannot be split.",
            "Name it once.",
        )


def desired_cards(host: Host, desired: DesiredState) -> tuple[Card, ...]:
    """The desired cards that the host has."""
    return tuple(card for card in host.cards if card.slot in desired.cards)


def card_lines(host: Host) -> str:
    """One line for each card of the host, for an error's details."""
    if not host.cards:
        return "This host has no cards; inspect shows what it has."
    return "\n".join(["Cards on this host:", *(f"  {card.title}" for card in host.cards)])


def is_left_out(card: Card) -> bool:
    """Whether `all_cards` leaves this one out: a card that the host may need must be named.

    That is one with a console, and a coprocessor, which may be the processor's own.
    """
    return (
        card.boot_display
        or any(is_bmc_display(function) or is_console_like(function) for function in card.gpu)
        or all(function.is_coprocessor for function in card.gpu)
    )


def _card_at(host: Host, text: str) -> Card:
    # We print a card as its slot without a function, so that is accepted too.
    first = f"{text}.0"
    card = host.card_of(Address.parse(text if parse_numbers(first) is None else first))
    if card is None:
        raise UsageError(
            f"{text} is not a card",
            card_lines(host),
            "Name one of the cards of this host."
            if host.functions
            else "A tree without /sys has no functions: add the host's own with --facts FILE, "
            "which inspect --json writes on the host.",
        )
    return card


def _endpoints(host: Host, texts: Iterable[str], slots: set[str], role: str) -> tuple[str, ...]:
    """The addresses of companions or parked functions, normalized; `role` is which of the two."""
    addresses = set()
    for text in texts:
        address = Address.parse(text)
        function = host.function(address)
        if function is None:
            raise UsageError(
                f"this host has no function at {text}, named as a {role}",
                resolution="See what it has: inspect --json, or lspci -Dnn",
            )
        card = host.card_of(address)
        _require_endpoint(function, card, slots, role)
        if role == "companion" and card is not None:
            raise UsageError(
                f"{text} is a part of the card {card.slot} and cannot be a companion",
                "A card is bound with all its functions or not at all.",
                f"Name the card: --card {card.slot}.0",
            )
        addresses.add(str(address))
    return tuple(sorted(addresses))


def _require_endpoint(function: Function, card: Card | None, slots: set[str], role: str) -> None:
    """Raises UsageError where a function cannot be a companion or parked; `card` is its card."""
    if function.is_bridge:
        raise UsageError(
            f"{function.address} is a bridge and cannot be a {role}",
            "A bridge is never bound and does not count for its IOMMU group.",
            "Leave it out.",
        )
    if function.physfn is not None:
        raise UsageError(
            f"{function.address} is a VF and cannot be a {role}",
            f"It is a VF of {function.physfn}: {NO_VF_AT_BOOT}",
            f"Remove it, or name its PF {function.physfn} and create no VFs.",
        )
    if card is not None and card.slot in slots:
        raise UsageError(
            f"{function.address} is a part of the selected card {card.slot}",
            "A card is bound with all its functions.",
            f"Remove it: it cannot be a {role}.",
        )


def _require_tool(what: str, name: str, installed: tuple[str, ...]) -> None:
    if name and name not in installed:
        raise UsageError(
            f"this host has no {what} {name}",
            f"It has: {', '.join(installed) or 'none that Wholecard knows'}.",
            "Name one of these, or none.",
        )


def _require_cpus(host: Host, text: str) -> None:
    if not text:
        return
    isolated = parse_cpus(text)
    present = frozenset().union(*(parse_cpus(cpus) for _, cpus in host.cpu.nodes if cpus))
    if present and isolated - present:
        raise UsageError(
            f"this host has no CPU {min(isolated - present)}",
            f"CPUs by NUMA node: {', '.join(f'{node}: {cpus}' for node, cpus in host.cpu.nodes)}.",
            "Isolate CPUs that the host has.",
        )
    if present and isolated >= present:
        raise UsageError(
            "every CPU would be isolated", resolution="Keep some CPUs for the host, at least CPU 0."
        )


def _require_once(hugepages: Sequence[HugePages]) -> None:
    sizes = [pages.size for pages in hugepages]
    repeated = [size for size in sizes if sizes.count(size) > 1]
    if repeated:
        raise UsageError(
            f"huge pages of {repeated[0]} are requested twice", resolution="Request each size once."
        )


def _require_gpus(host: Host, modules: Sequence[str]) -> None:
    try:
        places = read_modules(modules)
    except ValueError as error:
        raise UsageError(
            f"modules: {error}", resolution="Write ADDRESS=MODULE for each GPU of the board."
        ) from error
    for address in places:
        function = host.function(Address.parse(address))
        if function is None or not function.is_display:
            raise UsageError(
                f"modules names {address}, and this host has no GPU there",
                card_lines(host),
                "Addresses change when buses are numbered anew: read them again (nvidia-smi -q).",
            )


def _unknown_key(key: str, fields: Iterable[str]) -> UsageError:
    return UsageError(
        f"a desired state has no key {key!r}",
        f"Its keys: {', '.join(fields)}.",
        did_you_mean(key, fields) or "Leave it out.",
    )


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} is {value!r}, not a string", resolution=f'Write "{key}": "..."')
    return value


def _list(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(
            f"{key} is {value!r}, not a list of strings", resolution=f'Write "{key}": ["..."]'
        )
    return tuple(value)

"""What a site file requests of one of its hosts, as the host's own commands take it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import UsageError
from wholecard.core.near_names import did_you_mean
from wholecard.host.card_split import CardSplit
from wholecard.host.desired_state import DesiredState, is_left_out
from wholecard.host.facts.host import Host
from wholecard.pci import Function
from wholecard.site.card_matching import functions_of
from wholecard.site.give import Mdev, Mig, Vfs
from wholecard.site.load import SiteFile
from wholecard.site.model import CardKind


def desired_state_of(file: SiteFile, host_name: str) -> DesiredState:
    """The desired state of a host of the site: cards given whole, in parts, and to containers.

    Cards that a host may need itself are left out, as by `host plan --all-cards`. What a site file
    does not say (huge pages, isolated CPUs) is empty. Raises UsageError for a host that the site
    does not have or that has no facts.
    """
    host = file.facts().get(host_name)
    if host is None:
        known = list(file.facts())
        raise UsageError(
            f"the site has no facts of {host_name}",
            did_you_mean(host_name, known) or f"It has those of: {', '.join(known) or 'no host'}.",
            f"Write hosts.{host_name}.facts, the file of wholecard-host inspect --json.",
        )
    cards: dict[str, set[str]] = {"whole": set(), "containers": set()}
    splits: dict[str, CardSplit] = {}
    for kind in file.site.cards.values():
        if kind.parts is not None:
            names = [*map(str, _pfs(kind, host_name, host)), *_parents(kind, host_name)]
            splits |= {name: card_split(name, kind.parts) for name in names}
        else:
            slots = {each.address.slot_key for each in _given(kind, host_name, host)}
            cards[kind.give.policy] |= slots
    return DesiredState(
        tuple(sorted(cards["whole"])),
        containers=tuple(sorted(cards["containers"])),
        splits=tuple(splits[name] for name in sorted(splits)),
        modules=tuple(
            f"{address}={module}"
            for address, module in sorted(file.site.hosts[host_name].modules.items())
        ),
    )


def card_split(card: str, parts: Mdev | Vfs | Mig) -> CardSplit:
    """One card's split as its host takes it."""
    types = tuple((name, each.count) for name, each in parts.types.items())
    if isinstance(parts, Mig):
        geometry = tuple(parts.geometry.items())
        return CardSplit(
            card, "mig", types, geometry=geometry, through=parts.through, made_by=parts.made_by
        )
    if isinstance(parts, Mdev):
        return CardSplit(card, "mdev", types, made_by=parts.made_by, mixed_sizes=parts.mixed_sizes)
    scheduling = parts.scheduling.model_dump(exclude_none=True) if parts.scheduling else {}
    return CardSplit(
        card,
        "vfs",
        types,
        parts.count or 0,
        driver=parts.driver or "",
        mixed_sizes=parts.mixed_sizes,
        scheduling=tuple((key, str(value)) for key, value in scheduling.items()),
    )


def _given(kind: CardKind, host_name: str, host: Host) -> list[Function]:
    """Functions, without VFs, and without those of cards that the host may need itself.

    A network card is no card here: the host goes on with it while its VFs are given.
    """
    functions = functions_of(kind, host_name, host)
    of_cards = kind.parts is None or not kind.extra_function
    return [each for each in functions if each.physfn is None and _is_free(host, each, of_cards)]


def _is_free(host: Host, function: Function, of_cards: bool) -> bool:
    card = host.card_of(function.address)
    if card is None:
        return not of_cards
    return not (is_left_out(card) and not function.is_coprocessor)


def _pfs(kind: CardKind, host_name: str, host: Host) -> Iterator[str]:
    yield from (str(function.address) for function in _given(kind, host_name, host))


def _parents(kind: CardKind, host_name: str) -> Iterator[str]:
    """Parents of mediated devices that are no PCI functions."""
    for match in kind.match:
        if match.parent is not None and host_name in (match.hosts or (host_name,)):
            yield match.parent

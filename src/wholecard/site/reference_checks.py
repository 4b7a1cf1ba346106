"""What the models alone cannot see: names of nothing, kinds that mean the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import release
from wholecard.site.error_words import Nearest, shown
from wholecard.site.model import Match, Site
from wholecard.site.yaml_positions import Position, SiteIssue, YamlNode

# No host's name has a blank at its ends.
_ANY = " any"

Keys = tuple[str | int, ...]


def reference_faults(site: Site, root: YamlNode, nearest: Nearest) -> list[SiteIssue]:
    """Every fault of a site whose models are well, with its place in the tree `root`."""
    unknown = release_faults(root)
    socket = () if unknown else _socket(site)
    found = (*socket, *_names(site, nearest), *_empty(site), *_meant_twice(site, root))
    return unknown + [SiteIssue(place_of(root, keys), what, hint) for keys, what, hint in found]


def place_of(root: YamlNode, keys: Keys) -> Position:
    """The place of the key at the end of `keys`, or of the nearest above it."""
    return [root.place, *(place for place, _ in root.walk(keys))][-1]


def release_faults(root: YamlNode) -> list[SiteIssue]:
    """The fault of a release that nobody knows; none where the models say what is wrong."""
    steps = list(root.walk(("release",)))
    if not steps or steps[0][1].text is None:
        return []
    try:
        release(steps[0][1].text)
    except UsageError as error:
        return [SiteIssue(steps[0][1].place, error.brief, error.resolution)]
    return []


def _socket(site: Site) -> Iterator[tuple[Keys, str, str]]:
    known = release(site.release)
    if has(known, Capability.SOCKET_POLICY):
        return
    for group, users in (("cards", site.cards), ("flavors", site.flavors)):
        for name, each in users.items():
            if each.numa_policy == "socket":
                series = Capability.SOCKET_POLICY.series
                what = f"numa_policy: socket is {series}'s and later; this site is {known}"
                yield (group, name, "numa_policy"), what, "take preferred or required"


def _names(site: Site, nearest: Nearest) -> Iterator[tuple[Keys, str, str]]:
    """Cards and hosts that are named and not there."""
    asked: list[tuple[Keys, str, str]] = []
    for group in ("hosts", "flavors", "quotas"):
        for name, each in getattr(site, group).items():
            asked += [((group, name, "cards", card), "card", card) for card in each.cards]
    for name, kind in site.cards.items():
        for number, match in enumerate(kind.match):
            above: Keys = ("cards", name, "match", number, "hosts")
            asked += [((*above, place), "host", host) for place, host in enumerate(match.hosts)]
    for name, aggregate in site.aggregates.items():
        above = ("aggregates", name, "hosts")
        asked += [((*above, place), "host", host) for place, host in enumerate(aggregate.hosts)]
    there: dict[str, Iterable[str]] = {"card": site.cards, "host": site.hosts}
    for keys, what, name in asked:
        if name not in there[what]:
            yield (
                keys,
                f"there is no {what} {shown(name)} in {what}s",
                nearest(name, partial(iter, there[what])),
            )


def _empty(site: Site) -> Iterator[tuple[Keys, str, str]]:
    for name, kind in site.cards.items():
        for number, match in enumerate(kind.match):
            if not _said(match):
                what = "a match that says nothing means every function of a host"
                yield ("cards", name, "match", number), what, "give vendor and product"


def _meant_twice(site: Site, root: YamlNode) -> Iterator[tuple[Keys, str, str]]:
    """Matches of two kinds of which one holds wherever, on some host, the other does.

    Whether others meet in a function, the hosts' facts tell.
    """
    matches = [
        _Said(number, name, place, (kind.companion, kind.device_type == "type-VF"), match)
        for number, (name, kind) in enumerate(site.cards.items())
        for place, match in enumerate(kind.match)
        if _said(match)
    ]
    index = _Index(matches)
    for narrow in matches:
        for wide in index.as_wide(narrow):
            first, second = sorted((narrow, wide), key=lambda each: each.number)
            line = place_of(root, ("cards", first.name, "match", first.place)).line
            what = f"means functions that cards.{first.name} means too (line {line})"
            keys = ("cards", second.name, "match", second.place)
            yield keys, what, "a function is of one kind"


@dataclass(frozen=True)
class _Said:
    """A match, whose it is, and of which sort of functions that kind is."""

    number: int
    name: str
    place: int
    sort: tuple[bool, bool]
    match: Match


class _Index:
    """Matches by what they say and where; of those that say the same, one of two kinds is kept."""

    def __init__(self, matches: Iterable[_Said]) -> None:
        self._found: dict[tuple[object, ...], list[_Said]] = {}
        for each in matches:
            said = frozenset(_said(each.match).items())
            for host in (*(each.match.hosts or (None,)), _ANY):
                kept = self._found.setdefault((each.sort, said, host), [])
                if len(kept) < 2 and each.number not in [one.number for one in kept]:
                    kept.append(each)

    def as_wide(self, narrow: _Said) -> Iterator[_Said]:
        """Matches of other kinds that say no more than `narrow` does, on a host that it means."""
        said = _said(narrow.match).items()
        for count in range(1, len(said) + 1):
            for part in combinations(said, count):
                for host in (None, *narrow.match.hosts) if narrow.match.hosts else (_ANY,):
                    found = self._found.get((narrow.sort, frozenset(part), host), ())
                    yield from (each for each in found if each.number != narrow.number)


def _said(match: Match) -> dict[str, str]:
    fields = ("vendor", "product", "subsystem", "address")
    found = {field: getattr(match, field) for field in fields}
    return {field: value for field, value in found.items() if value is not None}

"""What the models alone cannot see: names that are not defined, kinds that overlap. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import release
from wholecard.site.boards import place_in_file
from wholecard.site.build_checks import build_issues
from wholecard.site.error_words import Nearest, shown
from wholecard.site.give_checks import give_issues, unnamed_issue
from wholecard.site.model import CardKind, Match, Site
from wholecard.site.yaml_positions import SiteIssue, YamlNode

# It means every host: no host's name has a space at its ends.
_ANY = " any"
# What a kind has whoever gets its cards; its other keys say what nova does with them.
_OF_EVERY_KIND = ("match", "give")

Keys = tuple[str | int, ...]


def reference_issues(site: Site, root: YamlNode, nearest: Nearest) -> list[SiteIssue]:
    """Every issue of a site that its models accept, with its position in the tree `root`."""
    unknown = release_issues(root)
    issues = [] if unknown else list(_socket_policy(site))
    issues += build_issues(site)
    issues += _requested_of_containers(site)
    issues += _meaningless_of_containers(site)
    issues += give_issues(site, None if unknown else release(site.release))
    issues += [*_undefined(site, nearest), *_empty_matches(site), *_overlapping(site, root)]
    places = ((place_in_file(site, keys), what, hint) for keys, what, hint in issues)
    return unknown + [SiteIssue(root.position_of(keys), what, hint) for keys, what, hint in places]


def release_issues(root: YamlNode) -> list[SiteIssue]:
    """The issue of an unknown release; none where the models say what is wrong."""
    steps = list(root.walk(("release",)))
    if not steps or steps[0][1].text is None:
        return []
    try:
        release(steps[0][1].text)
    except UsageError as error:
        return [SiteIssue(steps[0][1].position, error.brief, error.resolution)]
    return []


def _socket_policy(site: Site) -> Iterator[tuple[Keys, str, str]]:
    known = release(site.release)
    if has(known, Capability.SOCKET_POLICY):
        return
    for group, users in (("cards", site.cards), ("flavors", site.flavors)):
        for name, user in users.items():
            if user.numa_policy == "socket":
                series = Capability.SOCKET_POLICY.series
                what = f"numa_policy: socket needs {series} or later; this site has {known}"
                yield (group, name, "numa_policy"), what, "use preferred or required"


def _undefined(site: Site, nearest: Nearest) -> Iterator[tuple[Keys, str, str]]:
    """Cards and hosts that are named and not defined."""
    defined: dict[str, Iterable[str]] = {"card": site.cards, "host": site.hosts}
    requested = dict.fromkeys((*site.cards, *site.slices))
    for keys, what, name in (*_card_names(site), *_host_names(site)):
        names = requested if what == "card" and keys[0] != "hosts" else defined[what]
        in_parts = names is requested or (what == "card" and name in site.boards)
        part = unnamed_issue(site, name) if in_parts else None
        if part is not None:
            yield keys, *part
        elif name not in names:
            hint = nearest(name, partial(iter, names))
            yield keys, f"there is no {what} {shown(name)} in {what}s", hint


def _requested_of_containers(site: Site) -> Iterator[tuple[Keys, str, str]]:
    """Flavors and quotas that name cards which no server can get."""
    kept = {name for name, kind in site.cards.items() if not kind.is_for_servers}
    for keys, _, name in _card_names(site):
        if keys[0] != "hosts" and name in kept:
            what = f"{shown(name)} stays with its host (give: containers); no server can get it"
            yield keys, what, f"remove it here, or write cards.{name}.give: whole"


def _meaningless_of_containers(site: Site) -> Iterator[tuple[Keys, str, str]]:
    """Keys that are for nova, at kinds that nova does not know."""
    for name, kind in site.cards.items():
        for key in () if kind.is_for_servers else CardKind.model_fields:
            if key not in _OF_EVERY_KIND and key in kind.model_fields_set:
                what = f"{key} is for nova, and the cards stay with their hosts (give: containers)"
                yield ("cards", name, key), what, f"remove it, or write cards.{name}.give: whole"


def _card_names(site: Site) -> Iterator[tuple[Keys, str, str]]:
    for group in ("hosts", "flavors", "quotas"):
        for name, user in getattr(site, group).items():
            yield from (((group, name, "cards", card), "card", card) for card in user.cards)


def _host_names(site: Site) -> Iterator[tuple[Keys, str, str]]:
    for name, kind in site.cards.items():
        for number, match in enumerate(kind.match):
            above: Keys = ("cards", name, "match", number, "hosts")
            yield from (((*above, index), "host", host) for index, host in enumerate(match.hosts))
    for name, aggregate in site.aggregates.items():
        above = ("aggregates", name, "hosts")
        yield from (((*above, index), "host", host) for index, host in enumerate(aggregate.hosts))


def _empty_matches(site: Site) -> Iterator[tuple[Keys, str, str]]:
    for name, kind in site.cards.items():
        for number, match in enumerate(kind.match):
            if not _conditions(match):
                what = "an empty match would match every function of a host"
                yield ("cards", name, "match", number), what, "give vendor and product"


def _overlapping(site: Site, root: YamlNode) -> Iterator[tuple[Keys, str, str]]:
    """Matches of two kinds where one matches, on some host, all that the other matches.

    Other overlaps show in the hosts' facts alone: `card_matching.matched_twice`.
    """
    matches = [
        _KindMatch(number, name, index, (kind.extra_function, kind.device_type == "type-VF"), match)
        for number, (name, kind) in enumerate(site.cards.items())
        for index, match in enumerate(kind.match)
        if _conditions(match)
    ]
    conditions = _Index(matches)
    for narrow in matches:
        for wide in conditions.as_wide(narrow):
            # A card that stays with its host is the exception from a kind for servers.
            if site.cards[wide.name].is_for_servers > site.cards[narrow.name].is_for_servers:
                continue
            first, second = sorted((narrow, wide), key=lambda match: match.number)
            line = root.position_of(("cards", first.name, "match", first.index)).line
            what = f"matches functions that cards.{first.name} matches too (line {line})"
            keys = ("cards", second.name, "match", second.index)
            yield keys, what, "a function belongs to one kind"


@dataclass(frozen=True)
class _KindMatch:
    """A match with its kind's number and name, its index there, and the types that it can match."""

    number: int
    name: str
    index: int
    types: tuple[bool, bool]
    match: Match


class _Index:
    """Matches by their conditions and hosts; of those with the same, those of two kinds."""

    def __init__(self, matches: Iterable[_KindMatch]) -> None:
        self._matches: dict[tuple[object, ...], list[_KindMatch]] = {}
        for match in matches:
            conditions = frozenset(_conditions(match.match).items())
            for host in (*(match.match.hosts or (None,)), _ANY):
                same = self._matches.setdefault((match.types, conditions, host), [])
                # Two kinds are enough for an issue of any third, and keep large files quick.
                if len(same) < 2 and match.number not in [other.number for other in same]:
                    same.append(match)

    def as_wide(self, narrow: _KindMatch) -> Iterator[_KindMatch]:
        """Other kinds' matches with no condition that `narrow` lacks, on a host of its own."""
        conditions = _conditions(narrow.match).items()
        hosts = (None, *narrow.match.hosts) if narrow.match.hosts else (_ANY,)
        for count in range(1, len(conditions) + 1):
            for part in combinations(conditions, count):
                for host in hosts:
                    same = self._matches.get((narrow.types, frozenset(part), host), ())
                    yield from (match for match in same if match.number != narrow.number)


def _conditions(match: Match) -> dict[str, str]:
    """What the match says of a function, without the hosts."""
    fields = ("vendor", "product", "subsystem", "address", "parent")
    conditions = {field: getattr(match, field) for field in fields}
    return {field: value for field, value in conditions.items() if value is not None}

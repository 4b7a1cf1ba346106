"""What is known of the cloud's hosts: on which a compute's file counts, on which none is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from wholecard.nova.lint.service import Facts, GivenDevice, Service

if TYPE_CHECKING:
    from wholecard.site.model import Site

Ids = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """The computes whose hosts are known, and the hosts for which no file of a compute is known.

    `complete` is whether these are all hosts there are, which only a site file tells. `kinds` are
    the ids of the site's kinds of card.
    """

    computes: tuple[Service, ...]
    others: tuple[Facts, ...]
    complete: bool
    kinds: frozenset[Ids]

    @classmethod
    def of(cls, services: Iterable[Service], site: Site | None, hosts: Sequence[Facts]) -> Known:
        """What the services and the site tell; `hosts` are all whose facts somebody gave."""
        computes = [each for each in services if each.role in (None, "compute")]
        met = {facts.name for each in computes for facts in each.hosts}
        known = {facts.name: facts for each in computes for facts in each.facts}
        known |= {facts.name: facts for facts in hosts}
        others = tuple(facts for name, facts in known.items() if name not in met)
        matches = [match for kind in site.cards.values() for match in kind.match] if site else []
        return cls(
            tuple(each for each in computes if each.facts and each.specs),
            others,
            site is not None
            and set(site.hosts) <= set(known)
            and all(each.facts for each in computes),
            frozenset((each.vendor or "", each.product or "") for each in matches),
        )

    @cached_property
    def given(self) -> list[GivenDevice]:
        """Every device that the computes give on the hosts for which their files are."""
        return [each for compute in self.computes for each in compute.given]

    @cached_property
    def met(self) -> list[Facts]:
        """The hosts for which a compute's file is known."""
        return [facts for compute in self.computes for facts in compute.hosts]

    @cached_property
    def there(self) -> frozenset[Ids]:
        """The ids of every function of those hosts."""
        return _ids(self.met)

    @cached_property
    def elsewhere(self) -> frozenset[Ids]:
        """The ids of every function of the hosts for which no file is known."""
        return _ids(self.others)


def _ids(hosts: Iterable[Facts]) -> frozenset[Ids]:
    return frozenset((each.vendor_id, each.product_id) for facts in hosts for each in facts.devices)


def is_near(one: Ids, other: Ids) -> bool:
    """Whether two ids differ as by a slip of the hand: by a digit, or by two that changed places.

    Ids that are the same are not near.
    """
    first, second = "".join(one), "".join(other)
    if len(first) != len(second):
        return False
    wrong = [place for place in range(len(first)) if first[place] != second[place]]
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
        pair = slice(wrong[0], wrong[1] + 1)
        return first[pair] == second[pair][::-1]
    return len(wrong) == 1

"""What is known of the cloud's hosts: for which a compute's file is known, and for which none."""

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

    `complete` is whether these are all hosts of the cloud, which only a site file tells. `kinds`
    are the ids of the site's kinds of card.
    """

    computes: tuple[Service, ...]
    others: tuple[Facts, ...]
    complete: bool
    kinds: frozenset[Ids]

    @classmethod
    def of(cls, services: Iterable[Service], site: Site | None, hosts: Sequence[Facts]) -> Known:
        """What the services and the site tell; `hosts` are all whose facts are known."""
        computes = [service for service in services if service.role in (None, "compute")]
        facts = [*(one for compute in computes for one in compute.facts), *hosts]
        by_name = {one.name: one for one in facts}
        covered = {one.name for compute in computes for one in compute.hosts}
        return cls(
            tuple(compute for compute in computes if compute.facts and compute.specs),
            tuple(by_name[name] for name in by_name if name not in covered),
            _is_complete(site, set(by_name), computes),
            _kinds(site),
        )

    @cached_property
    def given(self) -> list[GivenDevice]:
        """Every device that the computes give on the hosts for which their files are."""
        return [device for compute in self.computes for device in compute.given]

    @cached_property
    def covered(self) -> list[Facts]:
        """The hosts for which a compute's file is known."""
        return [facts for compute in self.computes for facts in compute.hosts]

    @cached_property
    def covered_ids(self) -> frozenset[Ids]:
        """The ids of every function of those hosts."""
        return _ids(self.covered)

    @cached_property
    def other_ids(self) -> frozenset[Ids]:
        """The ids of every function of the hosts for which no file is known."""
        return _ids(self.others)


def _is_complete(site: Site | None, known: set[str], computes: Sequence[Service]) -> bool:
    if site is None:
        return False
    return set(site.hosts) <= known and all(compute.facts for compute in computes)


def _kinds(site: Site | None) -> frozenset[Ids]:
    kinds = site.cards.values() if site else ()
    return frozenset(
        (match.vendor or "", match.product or "") for kind in kinds for match in kind.match
    )


def _ids(hosts: Iterable[Facts]) -> frozenset[Ids]:
    return frozenset(
        (device.vendor_id, device.product_id) for facts in hosts for device in facts.devices
    )


def is_near(ids: Ids, other: Ids) -> bool:
    """Whether two ids differ by a typing error: one digit, or two neighbours exchanged.

    Ids that are the same are not near.
    """
    first, second = "".join(ids), "".join(other)
    if len(first) != len(second):
        return False
    wrong = [index for index in range(len(first)) if first[index] != second[index]]
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
        return (first[wrong[0]], first[wrong[1]]) == (second[wrong[1]], second[wrong[0]])
    return len(wrong) == 1

"""What `capacity` answers: rows by type, by host and by flavor, as records and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wholecard.core import Finding


@dataclass(frozen=True)
class UnitsRow:
    """Units of one type, on one NUMA node in a host's rows: given + reserved + free is the total.

    `stranded` are free ones that no flavor can use any more, None where no flavor is known.
    """

    resource_class: str
    traits: tuple[str, ...]
    total: int
    given: int
    reserved: int
    free: int
    stranded: int | None = None
    numa_node: int | None = None


@dataclass(frozen=True)
class HostRow:
    """A host's units by type and NUMA node; how many of the free ones are stranded, and why.

    `closed` says why nova gives nothing there.
    """

    host: str
    units: tuple[UnitsRow, ...]
    stranded: int | None
    why: str = ""
    closed: str = ""

    def total(self, name: str) -> int:
        """The sum of one column."""
        return sum(getattr(row, name) for row in self.units)


@dataclass(frozen=True)
class FlavorRow:
    """How many servers of a flavor still fit if only this one is used, and on an empty cloud.

    `exact` is whether more cannot fit in any order; else at least so many do. `strands` are the
    free units of its types that are left after them, most of them because of `why`. `reservable` is
    what Blazar would answer, `unknown` why the flavor was not counted.
    """

    flavor: str
    units: int = 0
    fits: int = 0
    empty: int = 0
    exact: bool = True
    strands: int = 0
    why: str = ""
    reservable: int = 0
    unknown: str = ""


@dataclass(frozen=True)
class Capacity:
    """The whole answer for one cloud, today's or a planned one.

    `mix` has for each of its flavors how many servers got a place, and how many were asked for;
    `stranded` is what it leaves then. `all_tried` is whether every combination of flavors on
    a host was tried for it; else fewer may be stranded.
    """

    source: str
    types: tuple[UnitsRow, ...]
    hosts: tuple[HostRow, ...]
    flavors: tuple[FlavorRow, ...]
    mix: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    all_tried: bool = True
    not_known: tuple[str, ...] = ()
    displaced: int = 0
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `capacity --json` prints of one cloud."""
        return {**asdict(self), "findings": [finding.to_json() for finding in self.findings]}

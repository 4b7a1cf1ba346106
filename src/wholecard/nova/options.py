"""The one table of nova's options for cards: under which name, since which release, read by whom.

Numbers are nova's major versions (`wholecard.site.releases`). Source: nova/conf/*.py at the tags of
each release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["api", "scheduler", "conductor", "compute", "placement"]
ROLES: tuple[Role, ...] = get_args(Role)
Kind = Literal["multi", "list", "boolean", "integer", "text"]
State = Literal["right", "deprecated", "not-yet", "gone"]


@dataclass(frozen=True)
class Spelling:
    """A name of an option: right from `since`, deprecated from `deprecated`, unread from `gone`."""

    section: str
    name: str
    since: int = 13
    deprecated: int | None = None
    gone: int | None = None

    def state(self, major: int) -> State:
        """What this name is to nova of that major version."""
        if major < self.since:
            return "not-yet"
        if self.gone is not None and major >= self.gone:
            return "gone"
        if self.deprecated is not None and major >= self.deprecated:
            return "deprecated"
        return "right"

    def __str__(self) -> str:
        return f"[{self.section}] {self.name}"


@dataclass(frozen=True)
class Option:
    """An option: the roles that read it and its names, the newest first."""

    kind: Kind
    roles: frozenset[Role]
    spellings: tuple[Spelling, ...]
    summary: str

    @property
    def name(self) -> str:
        """Its newest name, by which we speak of it."""
        return self.spellings[0].name

    def spelling(self, major: int) -> Spelling | None:
        """The right name in that release, None where nova does not have the option."""
        return next((each for each in self.spellings if each.state(major) == "right"), None)


def _option(kind: Kind, roles: str, summary: str, *spellings: Spelling) -> Option:
    chosen: tuple[Role, ...] = tuple(role for role in ROLES if role in roles.split())
    return Option(kind, frozenset(chosen), spellings, summary)


OPTIONS: tuple[Option, ...] = (
    _option(
        "multi", "compute", "which functions of the host may be given",
        Spelling("pci", "device_spec", 26),
        Spelling("pci", "passthrough_whitelist", 15, deprecated=26),
        Spelling("DEFAULT", "pci_passthrough_whitelist", 13, deprecated=15),
    ),
    _option(
        "multi", "api compute", "what a flavor may ask for",
        Spelling("pci", "alias", 15),
        Spelling("DEFAULT", "pci_alias", 13, deprecated=15),
    ),
    _option(
        "boolean", "compute", "each function becomes a provider in Placement",
        Spelling("pci", "report_in_placement", 26),
    ),
    _option(
        "boolean", "api scheduler conductor", "cards are chosen and claimed in Placement",
        Spelling("filter_scheduler", "pci_in_placement", 27),
    ),
    _option(
        "list", "scheduler", "the filters that a host has to pass",
        Spelling("filter_scheduler", "enabled_filters", 15),
        Spelling("DEFAULT", "scheduler_default_filters", 13, deprecated=15, gone=24),
    ),
    _option(
        "multi", "scheduler", "where the scheduler finds filters",
        Spelling("filter_scheduler", "available_filters", 15),
        Spelling("DEFAULT", "scheduler_available_filters", 13, deprecated=15, gone=24),
    ),
)  # fmt: skip


def find(section: str, name: str) -> tuple[Option, Spelling] | None:
    """The option that has, or had, this name in this section; None where no option of ours has."""
    for option in OPTIONS:
        for spelling in option.spellings:
            if (spelling.section, spelling.name) == (section, name):
                return option, spelling
    return None


# The first release in which a key means anything; nova/pci/devspec.py and nova/pci/request.py.
DEVICE_SPEC_KEYS: dict[str, int] = {
    "vendor_id": 13,
    "product_id": 13,
    "address": 13,
    "devname": 13,
    "physical_network": 13,
    "trusted": 16,
    "remote_managed": 25,
    "resource_class": 26,
    "traits": 26,
    "managed": 31,
    "live_migratable": 31,
    "one_time_use": 32,
}
ALIAS_KEYS: dict[str, int] = {
    "name": 13,
    "capability_type": 13,
    "vendor_id": 13,
    "product_id": 13,
    "device_type": 13,
    "numa_policy": 17,
    "resource_class": 27,
    "traits": 27,
    "live_migratable": 31,
}
NUMA_POLICIES: dict[str, int] = {"legacy": 17, "preferred": 17, "required": 17, "socket": 23}
# Extra specs and image properties that we write; nova/api/validation/extra_specs, and
# nova/objects/image_meta.py.
FLAVOR_KEYS: dict[str, int] = {
    "pci_passthrough:alias": 13,
    "hw:numa_nodes": 13,
    "hw:mem_page_size": 13,
    "hw:cpu_policy": 13,
    "hw:pci_numa_affinity_policy": 21,
    "hw:maxphysaddr_mode": 29,
    "hw:maxphysaddr_bits": 29,
}

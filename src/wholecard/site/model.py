"""`site.yaml` as models: what the operator wants of the cards of a cloud.

Every name of a card, host, flavor, image, aggregate or project is a key of its mapping. A key
that a model does not have is an error. Sizes are MiB and GiB as nova's own API has them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

HexId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}$")]
Ids = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
PciAddress = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$")
]
# `name:count[,name:count]` is how a flavor writes it, so neither sign fits into a card's name.
CardName = Annotated[str, StringConstraints(pattern=r"^[^:,\s][^:,]{0,254}$")]
Custom = Annotated[str, StringConstraints(pattern=r"^CUSTOM_[A-Z0-9_]{1,248}$")]
Trait = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,254}$")]
Count = Annotated[int, Field(ge=1)]

DeviceType = Literal["type-PCI", "type-PF", "type-VF"]
NumaPolicy = Literal["required", "preferred", "legacy", "socket"]


class Model(BaseModel):
    """A mapping of `site.yaml`: frozen, and without keys that are not its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(Model):
    """Which functions are meant: all that is given has to hold of one.

    `vendor` and `product` are ids as `lspci -nn` prints them, `subsystem` both of the subsystem's
    (`10de:16c1`), `address` one function's address. `hosts` limits it to these hosts.
    """

    vendor: HexId | None = None
    product: HexId | None = None
    subsystem: Ids | None = None
    address: PciAddress | None = None
    hosts: tuple[str, ...] = ()


class CardKind(Model):
    """A kind of card, known to nova by an alias of this name.

    `match` is a list of which one has to hold. `give` is how a card is given: `whole`; parts come
    later. The other functions of a card and its companions are bound to vfio-pci and left out of
    nova's list; a kind with `companion: true` means such a function, and a flavor can ask for it.

    `select` says how device_spec names the functions on a host: by `ids`, by `address`, or `auto`:
    by ids where nothing else on the host has them. `device_type` is what nova reports; `auto`
    takes it from the host's facts. `resource_class` and `traits` are Placement's, nova's own class
    where none is given. `managed: false` leaves the driver to the host, for a variant driver
    (2025.1); `live_migratable` and `one_time_use` are nova's tags of 2025.1 and 2025.2.
    """

    match: Annotated[tuple[Match, ...], Field(min_length=1)]
    give: Literal["whole"] = "whole"
    companion: bool = False
    select: Literal["auto", "ids", "address"] = "auto"
    device_type: Literal["auto"] | DeviceType = "auto"
    numa_policy: NumaPolicy | None = None
    resource_class: Custom | None = None
    traits: tuple[Trait, ...] = ()
    managed: bool = True
    live_migratable: bool | None = None
    one_time_use: bool = False


class SiteHost(Model):
    """A hypervisor host.

    `facts` is a file that `inspect --json` or `inspect --save` wrote there, named from the site
    file's folder. `cards` are how many of each kind it should have, where the site wants that
    checked.
    """

    facts: str | None = None
    cards: dict[CardName, Annotated[int, Field(ge=0)]] = {}


class NovaUse(Model):
    """How nova uses Placement for the cards, and what tuning reckons with.

    `report_in_placement` is every compute's (Zed), and cannot be taken back on a host;
    `pci_in_placement` is the api's, scheduler's and conductor's (2023.1), once every compute
    reports. `auto` means: where the release has it. `enabled_filters` is the scheduler's list as
    it is today, nova's own default where none is given.
    """

    report_in_placement: bool | Literal["auto"] = "auto"
    pci_in_placement: bool | Literal["auto"] = "auto"
    enabled_filters: tuple[str, ...] | None = None


class SiteFlavor(Model):
    """A flavor. `ram` in MiB, `disk` in GiB (0: the image's size), `cards` by kind.

    `numa_nodes` spreads the guest; `numa_policy` is that of all its cards
    (`hw:pci_numa_affinity_policy`, Ussuri). `hugepages` is a page size. `maxphysaddr` is the
    guest's physical address width (2024.1): `auto` reckons with the memory of the cards' BARs.
    `extra_specs` are taken as they are and win over what is derived. `projects` makes the flavor
    private to them.
    """

    ram: Count
    vcpus: Count
    disk: Annotated[int, Field(ge=0)] = 0
    cards: dict[CardName, Count] = {}
    cpu_policy: Literal["shared", "dedicated", "mixed"] | None = None
    cpu_dedicated_mask: str | None = None
    numa_nodes: Annotated[int, Field(ge=1)] | None = None
    numa_policy: NumaPolicy | None = None
    hugepages: Literal["small", "large", "any", "2M", "1G"] | None = None
    maxphysaddr: Literal["auto", "passthrough", "emulate", "none"] = "auto"
    maxphysaddr_bits: Annotated[int, Field(ge=32, le=64)] | None = None
    required_traits: tuple[Trait, ...] = ()
    extra_specs: dict[str, str] = {}
    projects: tuple[str, ...] = ()


class SiteImage(Model):
    """An image's properties; `file` is uploaded where Glance has no image of that name.

    `hide_hypervisor: auto` hides it where the guest's driver of the cards needs it: NVIDIA's
    consumer cards under Windows with old drivers. `properties` win over what is derived.
    """

    file: str | None = None
    os: Literal["linux", "windows"] = "linux"
    machine: Literal["q35", "pc"] = "q35"
    firmware: Literal["uefi", "bios"] = "uefi"
    hide_hypervisor: bool | Literal["auto"] = "auto"
    properties: dict[str, str] = {}


class SiteAggregate(Model):
    """A host aggregate with its metadata; `availability_zone` makes it one."""

    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    availability_zone: str | None = None
    metadata: dict[str, str] = {}


class Quota(Model):
    """A project's limits. `cards` are counted under unified limits alone (2026.2 for aliases)."""

    instances: Annotated[int, Field(ge=-1)] | None = None
    cores: Annotated[int, Field(ge=-1)] | None = None
    ram: Annotated[int, Field(ge=-1)] | None = None
    cards: dict[CardName, Annotated[int, Field(ge=-1)]] = {}


class Site(Model):
    """The whole of `site.yaml`. `release` is a series, a code name or nova's version."""

    version: Literal[1] = 1
    release: str
    cards: dict[CardName, CardKind]
    hosts: dict[str, SiteHost] = {}
    nova: NovaUse = NovaUse()
    flavors: dict[str, SiteFlavor] = {}
    images: dict[str, SiteImage] = {}
    aggregates: dict[str, SiteAggregate] = {}
    quota_driver: Literal["auto", "db", "unified"] = "auto"
    quotas: dict[str, Quota] = {}

"""`site.yaml` as models: what the operator wants of the cards of a cloud.

Every name of a card, host, flavor, image, aggregate or project is a key of its mapping. A key
that a model does not have is an error. Sizes are MiB and GiB as nova's own API has them. What
stands below a field is its description in the published schema and in the reference.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from wholecard.pci.device_types import DeviceType, NumaPolicy

# What a control character would do to a file or a request that a text goes into is not tried.
ID_PATTERN = r"^[0-9a-f]{4}$"
IDS_PATTERN = r"^[0-9a-f]{4}:[0-9a-f]{4}$"
ADDRESS_PATTERN = r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$"
# `name:count[,name:count]` is how a flavor writes it, so neither sign fits into a card's name.
CARD_PATTERN = r"^[^:,\s\x00-\x1f\x7f][^:,\x00-\x1f\x7f]{0,254}$"
CUSTOM_PATTERN = r"^CUSTOM_[A-Z0-9_]{1,248}$"
TRAIT_PATTERN = r"^[A-Z][A-Z0-9_]{0,254}$"
NAME_PATTERN = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,253}[^\s\x00-\x1f\x7f])?$"
LINE_PATTERN = r"^[^\x00-\x1f\x7f]*$"

HexId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Ids = Annotated[str, StringConstraints(pattern=IDS_PATTERN)]
PciAddress = Annotated[str, StringConstraints(pattern=ADDRESS_PATTERN)]
CardName = Annotated[str, StringConstraints(pattern=CARD_PATTERN)]
Custom = Annotated[str, StringConstraints(pattern=CUSTOM_PATTERN)]
Trait = Annotated[str, StringConstraints(pattern=TRAIT_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Line = Annotated[str, StringConstraints(pattern=LINE_PATTERN)]
Count = Annotated[int, Field(ge=1)]


class Model(BaseModel):
    """A mapping of `site.yaml`: frozen, and without keys that are not its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, data: Any) -> Any:
        """A key with nothing behind it means what leaving it out means."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in fields or fields[key].is_required()
        }


class Match(Model):
    """Which functions are meant: all that is given has to hold of one."""

    vendor: HexId | None = None
    """The vendor's id, as `lspci -nn` prints it: `10de`."""
    product: HexId | None = None
    """The device's id, as `lspci -nn` prints it: `2330`."""
    subsystem: Ids | None = None
    """Vendor and device of the subsystem, as `lspci -nnv` prints them: `10de:16c1`."""
    address: PciAddress | None = None
    """One function's address, as `lspci -D` prints it: `0000:41:00.0`."""
    hosts: tuple[Name, ...] = ()
    """Only on these hosts; every host where none is given."""


class CardKind(Model):
    """A kind of card, known to nova by an alias of this name.

    The other functions of a card and its companions are bound to vfio-pci and left out of nova's
    list.
    """

    match: Annotated[tuple[Match, ...], Field(min_length=1)]
    """Which functions are of this kind; one of the list has to hold."""
    give: Literal["whole"] = "whole"
    """How a card is given: `whole`. Parts come later."""
    companion: bool = False
    """Whether this is a function that is given beside a card's own, such as its audio, and that a
    flavor can ask for."""
    select: Literal["auto", "ids", "address"] = "auto"
    """How device_spec names the functions on a host: by `ids`, by `address`, or `auto`: by ids
    where nothing else on the host has them."""
    device_type: Literal["auto"] | DeviceType = "auto"
    """What nova reports for the function; `auto` takes it from the host's facts. A card with an
    SR-IOV capability is `type-PF`, also where it is unused."""
    numa_policy: NumaPolicy | None = None
    """The alias's NUMA policy; nova's own (`legacy`) where none is given. `socket` since
    Wallaby."""
    resource_class: Custom | None = None
    """Placement's resource class; nova makes `CUSTOM_PCI_<VENDOR>_<PRODUCT>` where none is given
    (Zed)."""
    traits: tuple[Trait, ...] = ()
    """Placement's traits of the function (Zed)."""
    managed: bool = True
    """`false` leaves the driver to the host, for a variant driver of vfio (2025.1)."""
    live_migratable: bool | None = None
    """nova's tag of that name, for devices whose driver can migrate (2025.1)."""
    one_time_use: bool = False
    """nova's tag of that name: once given and back, a card is kept until somebody frees it
    (2025.2)."""


class SiteHost(Model):
    """A hypervisor host, by the name that nova-compute has for it."""

    facts: Line | None = None
    """A file that `inspect --json` or `inspect --save` wrote there, named from the site file's
    folder."""
    cards: dict[CardName, Annotated[int, Field(ge=0)]] = {}
    """How many of each kind it should have, where the site wants that checked."""


class NovaUse(Model):
    """How nova uses Placement for the cards, and what tuning reckons with."""

    report_in_placement: bool | Literal["auto"] = "auto"
    """Every compute's: report the cards to Placement (Zed). It cannot be taken back on a host.
    `auto` means: where the release has it."""
    pci_in_placement: bool | Literal["auto"] = "auto"
    """The api's, scheduler's and conductor's: choose cards in Placement (2023.1), once every
    compute reports. `auto` means: where the release has it, and Placement of it can be tuned for
    the hosts' cards: from 2023.1 to 2024.1 it is off where a host has four or more of a kind."""
    enabled_filters: tuple[Name, ...] | None = None
    """The scheduler's list as it is today; nova's own default where none is given."""


class SiteFlavor(Model):
    """A flavor."""

    ram: Count
    """MiB."""
    vcpus: Count
    """How many."""
    disk: Annotated[int, Field(ge=0)] = 0
    """GiB; 0 takes the image's size."""
    cards: dict[CardName, Count] = {}
    """How many cards, by kind."""
    cpu_policy: Literal["shared", "dedicated", "mixed"] | None = None
    """`hw:cpu_policy`."""
    cpu_dedicated_mask: Line | None = None
    """`hw:cpu_dedicated_mask`, for `mixed` (Victoria)."""
    numa_nodes: Annotated[int, Field(ge=1)] | None = None
    """Over how many NUMA nodes the guest is spread (`hw:numa_nodes`)."""
    numa_policy: NumaPolicy | None = None
    """The NUMA policy of all its cards (`hw:pci_numa_affinity_policy`, Ussuri; `socket` since
    Wallaby)."""
    hugepages: Literal["small", "large", "any", "2M", "1G"] | None = None
    """The size of the guest's pages (`hw:mem_page_size`)."""
    maxphysaddr: Literal["auto", "passthrough", "emulate", "none"] = "auto"
    """The guest's physical address width (`hw:maxphysaddr_mode`, 2024.1); `auto` reckons with the
    memory of the cards' BARs."""
    maxphysaddr_bits: Annotated[int, Field(ge=32, le=64)] | None = None
    """`hw:maxphysaddr_bits`, for `emulate`."""
    required_traits: tuple[Trait, ...] = ()
    """Traits that the host has to have (`trait:…=required`)."""
    extra_specs: dict[Name, Line] = {}
    """Taken as they are; they win over what is derived."""
    projects: tuple[Name, ...] = ()
    """Projects that alone may use the flavor; everybody where none is given."""


class SiteImage(Model):
    """An image's properties."""

    file: Line | None = None
    """Uploaded where Glance has no image of that name."""
    os: Literal["linux", "windows"] = "linux"
    """The guest's system."""
    machine: Literal["q35", "pc"] = "q35"
    """`hw_machine_type`: only `q35` has PCI Express."""
    firmware: Literal["uefi", "bios"] = "uefi"
    """`hw_firmware_type`: only `uefi` has room for large BARs."""
    hide_hypervisor: bool | Literal["auto"] = "auto"
    """`auto` hides it where the guest's driver of the cards needs it: NVIDIA's consumer cards
    under Windows with old drivers."""
    properties: dict[Name, Line] = {}
    """Taken as they are; they win over what is derived."""


class SiteAggregate(Model):
    """A host aggregate."""

    hosts: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The hosts in it, by their names in `hosts`."""
    availability_zone: Name | None = None
    """Makes the aggregate this availability zone."""
    metadata: dict[Name, Line] = {}
    """Taken as it is."""


class Quota(Model):
    """A project's limits; -1 is none."""

    instances: Annotated[int, Field(ge=-1)] | None = None
    """How many servers."""
    cores: Annotated[int, Field(ge=-1)] | None = None
    """How many virtual CPUs."""
    ram: Annotated[int, Field(ge=-1)] | None = None
    """MiB."""
    cards: dict[CardName, Annotated[int, Field(ge=-1)]] = {}
    """How many cards, by kind: counted under unified limits alone (2026.2 for aliases)."""


def _version(value: Any) -> Any:
    """The text of the file as the number that it is."""
    return 1 if value == "1" else value


class Site(Model):
    """The whole of `site.yaml`: what is wanted of the cards of a cloud."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = 1
    """The form of this file. It counts up when a key changes its meaning or goes."""
    release: Line
    """OpenStack's release: a series (`2025.2`), a code name (`flamingo`) or nova's version
    (`32`)."""
    cards: dict[CardName, CardKind]
    """The kinds of cards, by the name of nova's alias."""
    hosts: dict[Name, SiteHost] = {}
    """The hypervisor hosts, by name."""
    nova: NovaUse = NovaUse()
    """How nova uses Placement for the cards."""
    flavors: dict[Name, SiteFlavor] = {}
    """Flavors, by name."""
    images: dict[Name, SiteImage] = {}
    """Images, by name."""
    aggregates: dict[Name, SiteAggregate] = {}
    """Host aggregates, by name."""
    quota_driver: Literal["auto", "db", "unified"] = "auto"
    """nova's `[quota] driver`; `auto` means: the release's own default, and unified limits where
    cards are limited and nova counts them (2026.2)."""
    quotas: dict[Name, Quota] = {}
    """Projects' limits, by project."""

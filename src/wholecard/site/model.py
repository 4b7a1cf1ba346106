"""`site.yaml` as models: what the operator asks for the cards of a cloud.

Every name of a card, host, flavor, image, aggregate or project is a key of its mapping. A key
that a model does not have is an error. Sizes are MiB and GiB as in nova's own API. The text below
a field is its description in the published schema and in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from wholecard.pci.device_types import DeviceType, NumaPolicy
from wholecard.site.give import Containers, Give, Mdev, Mig, Slice, Vfs, Whole, slices_of
from wholecard.site.image_build import ImageBuild
from wholecard.site.model_types import (
    CardName,
    Count,
    Custom,
    HexId,
    Ids,
    Line,
    Model,
    ModuleId,
    Name,
    ParentName,
    PciAddress,
    RuleCode,
    Trait,
)

_WithCards = TypeVar("_WithCards", "SiteHost", "SiteFlavor", "Quota")


class Match(Model):
    """Which functions match: everything that is given has to be true of the function."""

    vendor: HexId | None = None
    """The vendor's id, as `lspci -nn` prints it: `10de`."""
    product: HexId | None = None
    """The device's id, as `lspci -nn` prints it: `2330`."""
    subsystem: Ids | None = None
    """Vendor and device of the subsystem, as `lspci -nnv` prints them: `10de:16c1`."""
    address: PciAddress | None = None
    """One function's address, as `lspci -D` prints it: `0000:41:00.0`."""
    parent: ParentName | None = None
    """A parent of mediated devices that is no PCI function, by its name in `/sys/class/mdev_bus`:
    `mtty`. Alone, and for `give: {policy: mdev}` only."""
    hosts: tuple[Name, ...] = ()
    """Only on these hosts; without it on every host."""


class CardKind(Model):
    """A kind of card, known to nova by an alias of this name.

    The other functions of a card, and its companions, are bound to vfio-pci, and nova does not know
    them; a kind with `extra_function` is the exception.
    """

    match: Annotated[tuple[Match, ...], Field(min_length=1)]
    """Which functions are of this kind: those that one entry of the list matches."""
    give: Give = Whole(policy="whole")
    """Who gets the card: a policy's name, or a mapping with the policy and its settings. `whole`,
    the default, gives it to servers; `partitions` gives the GPUs of a board with NVSwitches in
    sets; `mdev`, `vfs` and `mig` give it in parts; `containers` leaves it to its host and the
    host's containers, and nova does not know it."""
    extra_function: bool = False
    """Whether this is a function that guests can get in addition to a GPU: such as its audio, or
    with `give: {policy: vfs}` the VFs of a network card beside it. A flavor can request it. A host
    with more than one such GPU is refused: nova would mix their functions."""
    select: Literal["auto", "ids", "address"] = "auto"
    """How device_spec names the functions on a host: by `ids`, by `address`, or `auto`: by ids
    if no other function on the host has the same ids."""
    device_type: Literal["auto"] | DeviceType = "auto"
    """What nova reports for the function; `auto` takes it from the host's facts. A card with an
    SR-IOV capability is `type-PF`, even if SR-IOV is not used."""
    numa_policy: NumaPolicy | None = None
    """The alias's NUMA policy; nova's default is `legacy`. `socket` needs Wallaby or later."""
    resource_class: Custom | None = None
    """The resource class in Placement; nova's default is `CUSTOM_PCI_<VENDOR>_<PRODUCT>` (since
    Zed)."""
    traits: tuple[Trait, ...] = ()
    """The traits of the function's resource provider in Placement (since Zed)."""
    managed: bool = True
    """nova's tag of that name: `false` leaves the driver to the host, for a variant driver of vfio
    (since 2025.1)."""
    live_migratable: bool | None = None
    """nova's tag of that name, for devices whose driver can migrate (since 2025.1)."""
    one_time_use: bool = False
    """nova's tag of that name: after a server has used the card, no other server gets it
    until an operator releases it (since 2025.2)."""

    # Matches of the kinds that stay with their hosts: cards of those are not of this kind.
    _kept: tuple[Match, ...] = PrivateAttr(default=())
    # The kind that it is a set of, and how many GPUs a server gets: 0 for any other kind.
    _board: str = PrivateAttr(default="")
    _set_size: int = PrivateAttr(default=0)

    @property
    def board(self) -> str:
        """The kind with `give: {policy: partitions}` that this is a set of; empty for no set."""
        return self._board

    @property
    def set_size(self) -> int:
        """How many GPUs a server gets of this set; 0 for a kind that is no set."""
        return self._set_size

    @property
    def kept(self) -> tuple[Match, ...]:
        """Which functions are not of this kind, because another kind leaves them to their hosts."""
        return self._kept

    @property
    def is_for_servers(self) -> bool:
        """Whether nova gives it to servers, whole or in parts."""
        return not isinstance(self.give, Containers)

    @property
    def parts(self) -> Mdev | Vfs | Mig | None:
        """How the card is given in parts; None where it is not."""
        return self.give if isinstance(self.give, (Mdev, Vfs, Mig)) else None


class SiteHost(Model):
    """A hypervisor host, by the name that nova-compute reports."""

    facts: Line | None = None
    """The file that `inspect --json` or `inspect --save` wrote on the host; the path is relative to
    the site file's folder."""
    cards: dict[CardName, Annotated[int, Field(ge=0)]] = {}
    """How many of each kind the host should have; `site check` compares it with the facts."""
    modules: dict[PciAddress, ModuleId] = {}
    """The module id of each GPU of the host's board with NVSwitches, by its address: what
    `nvidia-smi -q` prints as `Module ID` while NVIDIA's driver has the GPUs."""


class NovaUse(Model):
    """How nova uses Placement for the cards, and which filters its scheduler has."""

    report_in_placement: bool | Literal["auto"] = "auto"
    """Every compute reports its cards to Placement (since Zed). It cannot be turned off again on a
    host. `auto` means: on if the release has it."""
    pci_in_placement: bool | Literal["auto"] = "auto"
    """api, scheduler and conductor choose cards in Placement (since 2023.1), once every compute
    reports them. `auto` means: on if the release has it and its Placement can be tuned for the
    hosts' cards; from 2023.1 to 2024.1 it is off if a host has four or more of a kind."""
    enabled_filters: tuple[Name, ...] | None = None
    """The scheduler's list as it is today; the default is nova's own list."""


class SiteFlavor(Model):
    """A flavor."""

    ram: Count
    """MiB."""
    vcpus: Count
    """How many virtual CPUs."""
    disk: Annotated[int, Field(ge=0)] = 0
    """GiB; 0 means the image's size."""
    cards: dict[CardName, Count] = {}
    """How many cards, by kind."""
    tuned: bool | None = None
    """`true` sets what a fast guest needs, as far as the release has it and the keys below do not
    say otherwise: CPUs of its own, QEMU's threads apart from them, huge pages, locked memory, and
    the NUMA nodes of its cards. `false` says that it is meant to be slower: `site check` is silent
    about it."""
    cpu_policy: Literal["shared", "dedicated", "mixed"] | None = None
    """`hw:cpu_policy`; `dedicated` if it is tuned."""
    cpu_thread_policy: Literal["prefer", "isolate", "require"] | None = None
    """Whether its CPUs are hyper-threads of the same cores (`hw:cpu_thread_policy`); it needs CPUs
    of its own."""
    emulator_threads_policy: Literal["share", "isolate"] | None = None
    """Where QEMU's own threads run (`hw:emulator_threads_policy`, since Pike): `isolate` on one
    more CPU of their own, `share` on the host's `[compute] cpu_shared_set`, without it on the
    guest's CPUs; `isolate` if it is tuned."""
    cpu_dedicated_mask: Line | None = None
    """`hw:cpu_dedicated_mask`, for `mixed` (since Victoria)."""
    numa_nodes: Annotated[int, Field(ge=1)] | None = None
    """Over how many NUMA nodes the guest is spread (`hw:numa_nodes`). If it is tuned: over the
    fewest that have its cards and room for it, by the hosts' facts."""
    numa_policy: NumaPolicy | None = None
    """The NUMA policy of all its cards (`hw:pci_numa_affinity_policy`, since Ussuri; `socket` since
    Wallaby). If it is tuned: `required` if `numa_nodes` could be calculated, else `preferred`."""
    hugepages: Literal["small", "large", "any", "2M", "1G"] | None = None
    """The size of the guest's memory pages (`hw:mem_page_size`); `large` if it is tuned."""
    locked_memory: bool | None = None
    """Whether the guest's memory is never swapped (`hw:locked_memory`, since Zed); it needs
    `hugepages`, of any size; `true` if it is tuned."""
    maxphysaddr: Literal["auto", "passthrough", "emulate", "none"] = "auto"
    """The guest's physical address width (`hw:maxphysaddr_mode`, since 2024.1); `auto` sets what
    the cards' BARs need."""
    maxphysaddr_bits: Annotated[int, Field(ge=32, le=64)] | None = None
    """`hw:maxphysaddr_bits`, for `emulate`."""
    required_traits: tuple[Trait, ...] = ()
    """Traits that the host must have (`trait:…=required`)."""
    extra_specs: dict[Name, Line] = {}
    """Written unchanged; they override what Wholecard derives."""
    projects: tuple[Name, ...] = ()
    """Only these projects may use the flavor; without it every project may."""


class SiteImage(Model):
    """An image's properties."""

    file: Line | None = None
    """The image file, uploaded if Glance has no image of that name. With `build` it is the file
    that `image build` writes, by default NAME.qcow2 beside the site file."""
    build: ImageBuild | None = None
    """What `wholecard image build` makes the file from."""
    os: Literal["linux", "windows"] = "linux"
    """The guest's operating system."""
    machine: Literal["q35", "pc"] = "q35"
    """`hw_machine_type`: only `q35` has PCI Express."""
    firmware: Literal["uefi", "bios"] = "uefi"
    """`hw_firmware_type`: only `uefi` has address space for large BARs."""
    secure_boot: Literal["required", "optional", "disabled"] | None = None
    """Whether the guest's firmware starts signed loaders only (`os_secure_boot`, since Wallaby);
    `required` needs `q35` and `uefi`."""
    tpm: Literal["1.2", "2.0"] | None = None
    """The version of a TPM that each server gets (`hw_tpm_version`, since Victoria); its hosts need
    `[libvirt] swtpm_enabled`."""
    tpm_model: Literal["tpm-tis", "tpm-crb"] | None = None
    """`hw_tpm_model`; nova's default is `tpm-tis`, and `tpm-crb` is for version 2.0 only."""
    disk_bus: Literal["virtio", "scsi", "sata"] | None = None
    """`hw_disk_bus`; nova's default is `virtio`, `scsi` is virtio-scsi. A Windows without virtio's
    drivers starts from `sata` only."""
    vif_model: Literal["virtio", "e1000"] | None = None
    """`hw_vif_model`; nova's default is `virtio`. A Windows without virtio's drivers has a network
    with `e1000` only."""
    guest_agent: bool | None = None
    """Whether servers get a channel for qemu-guest-agent (`hw_qemu_guest_agent`), over which nova
    can freeze their file systems for a snapshot."""
    hide_hypervisor: bool | Literal["auto"] = "auto"
    """Whether to hide from the guest that it is a virtual machine; `auto` hides it if the cards'
    driver in the guest needs that: NVIDIA's consumer cards on Windows with old drivers."""
    properties: dict[Name, Line] = {}
    """Written unchanged; they override what Wholecard derives."""


class SiteAggregate(Model):
    """A host aggregate."""

    hosts: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Its hosts, by their names in `hosts`."""
    availability_zone: Name | None = None
    """The availability zone that the aggregate becomes."""
    metadata: dict[Name, Line] = {}
    """Written unchanged."""


class Quota(Model):
    """A project's limits; -1 means no limit."""

    instances: Annotated[int, Field(ge=-1)] | None = None
    """How many servers."""
    cores: Annotated[int, Field(ge=-1)] | None = None
    """How many virtual CPUs."""
    ram: Annotated[int, Field(ge=-1)] | None = None
    """MiB."""
    cards: dict[CardName, Annotated[int, Field(ge=-1)]] = {}
    """How many cards, by kind; nova counts them with unified limits only (since 2026.2)."""


class LintSettings(Model):
    """Which findings of `nova lint` are wanted; its options count before it."""

    select: tuple[RuleCode, ...] = ()
    """Show only these rules, by their codes or the beginnings of them: `WC236`, `WC23`."""
    ignore: tuple[RuleCode, ...] = ()
    """Do not show these rules. If a rule is in `select` and in `ignore`, the longer code counts."""


class Site(Model):
    """The whole of `site.yaml`: what is asked for the cards of a cloud."""

    # Every value of the file is read as text.
    version: Annotated[Literal[1], BeforeValidator(lambda text: 1 if text == "1" else text)] = 1
    """The version of the file format. It increases when a key changes its meaning or is removed."""
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
    """nova's `[quota] driver`; `auto` means: the release's own default, but unified limits if
    cards have quotas and nova counts them (since 2026.2)."""
    quotas: dict[Name, Quota] = {}
    """Limits of projects, by project."""
    tuning: Literal["cards", "full"] = "cards"
    """What is set for many cards: `cards` is what they need and costs no other server anything;
    `full` lets nova-scheduler handle one request at a time as well, which ends the race for cards
    and makes every server of the cloud wait."""
    lint: LintSettings = LintSettings()
    """Which findings of `nova lint` are shown."""

    # Kinds whose place their sets have taken: `wholecard.site.boards`.
    _boards: Mapping[str, CardKind] = PrivateAttr(default_factory=dict)

    @property
    def boards(self) -> Mapping[str, CardKind]:
        """The kinds that are given in sets of GPUs, whose sets are in `cards` instead of them."""
        return self._boards

    @model_validator(mode="after")
    def _leave_kept_cards_out(self) -> Site:
        kept = tuple(
            match for kind in self.cards.values() if not kind.is_for_servers for match in kind.match
        )
        for kind in self.cards.values():
            if kind.is_for_servers:
                kind._kept = kept
        return self

    @property
    def slices(self) -> dict[str, Slice]:
        """The parts of cards that servers can get, by the names that flavors use."""
        kinds = ((name, kind, kind.parts) for name, kind in self.cards.items())
        return {
            each.name: each
            for name, kind, parts in kinds
            if parts is not None
            for each in slices_of(name, parts, kind.resource_class)
        }

    @property
    def for_servers(self) -> Site:
        """The site with the kinds alone that servers get whole."""
        left_out = {
            name for name, kind in self.cards.items() if kind.parts or not kind.is_for_servers
        }
        if not left_out:
            return self
        return self.model_copy(update={
            "cards": {name: kind for name, kind in self.cards.items() if name not in left_out},
            **{group: _without({*left_out, *self.slices}, getattr(self, group))
               for group in ("hosts", "flavors", "quotas")},
        })  # fmt: skip


def _without(names: set[str], users: Mapping[str, _WithCards]) -> dict[str, _WithCards]:
    """Hosts, flavors or quotas without cards of these names."""
    return {
        name: user.model_copy(update={
            "cards": {card: count for card, count in user.cards.items() if card not in names}})
        for name, user in users.items()
    }  # fmt: skip

"""The facts of one host, as frozen records; `facts.inspect` reads them."""

from __future__ import annotations

from wholecard.core import UsageError
from wholecard.core.json_text import document, encode, plain_value, record_lines
from wholecard.core.record import dataclass, replace
from wholecard.core.secrets import redacted
from wholecard.host.config_files import Settings
from wholecard.pci import Address, Card, Function, IommuGroup
from wholecard.pci.function import UNIQUE_FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wholecard.host.facts.offered_slices import OfferedSlices

# The ACPI table by which the firmware announces an IOMMU of this kind.
IOMMU_TABLES = {"vt-d": "DMAR", "amd-vi": "IVRS"}

# Counts up when a field changes its meaning or goes; new fields leave it.
SCHEMA = 2

_BOOT_LISTS = (
    "builtin", "missing", "loaders", "initramfs_tools", "image_hooks", "unsupported_tools",
    "unsupported_loaders",
)  # fmt: skip
_SHORT_MEMBERS = (
    "groups_predicted", "iommu", "boot", "cpu", "memory", "framebuffers", "uses", "unread",
    "slices",
)  # fmt: skip


@dataclass(frozen=True)
class DirectMapping:
    """Addresses that the firmware wants mapped one to one for the function at `address`.

    `first`, `last` and `kind` are as in an IOMMU group's regions, whose `direct` VFIO refuses.
    """

    address: str
    first: str
    last: str
    kind: str


@dataclass(frozen=True)
class Iommu:
    """`kind` is `vt-d`, `amd-vi`, `smmu` (arm64) or None, by the firmware and not by the processor.

    `interrupt_remapping` is None where the IOMMU is off or the kernel's log does not show it.
    `acs_override` says whether the kernel makes groups smaller than the hardware isolates, None
    where its log does not tell. `refused` are the addresses that it has refused to a guest, by its
    log, because the firmware wants them mapped one to one. `acpi` is whether the firmware has ACPI
    tables: then it offers no IOMMU that they do not name. `mappings` are what DMAR or IVRS want
    mapped one to one; None where they cannot be read, and where the IOMMU is on, since the groups
    have their regions then.
    """

    kind: str | None
    on: bool
    interrupt_remapping: bool | None = None
    acs_override: bool | None = None
    refused: tuple[str, ...] = ()
    acpi: bool = False
    mappings: tuple[DirectMapping, ...] | None = None


@dataclass(frozen=True)
class Boot:
    """How the host was started: kernel, command line, this boot's id; and how the next boot is.

    `loader` is one of `bootloaders.registry.LOADERS` or None; `initramfs` is `initramfs-tools`,
    `dracut` or None. `next_command_line` is what the loader's settings give to the next boot, None
    where they do not say. `builtin` are those of the functions' and VFIO's modules that are built
    into the kernel, `missing` those of VFIO's that it has neither built in nor as a file;
    `optional` are those that it has of the modules that only some kernels have, None where that is
    not known. `firmware` is `uefi`, `bios` or None; `secure_boot` is None where it cannot be read.
    `distribution` is os-release's ID and VERSION_ID (`debian 13`), `like` its ID_LIKE.
    `image_based` says what replaces the system as a whole, empty where its files are changed in
    place: `rpm-ostree`, `bootc`, `ostree`, `transactional-update`, `read-only`, `read-only /usr`.
    `hypervisor` is what the host itself runs under (`xen`), empty for none. `loaders` and
    `initramfs_tools` are all that are installed, the chosen one first; `kernels` are the installed
    ones, by version and image. `grub_menu` is the grub.cfg that GRUB 2 of EL and SUSE reads;
    `image_hooks` are the hooks of update-initramfs that copy its images, `unsupported_tools`
    and `unsupported_loaders` are initramfs tools and owners of entries that Wholecard cannot use.
    """

    release: str
    command_line: str
    boot_id: str
    loader: str | None
    initramfs: str | None
    builtin: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    optional: tuple[str, ...] | None = None
    next_command_line: str | None = None
    firmware: str | None = None
    secure_boot: bool | None = None
    distribution: str = ""
    like: str = ""
    image_based: str = ""
    loaders: tuple[str, ...] = ()
    initramfs_tools: tuple[str, ...] = ()
    kernels: tuple[tuple[str, str], ...] = ()
    hypervisor: str = ""
    grub_menu: str = "/boot/grub2/grub.cfg"
    image_hooks: tuple[str, ...] = ()
    unsupported_tools: tuple[str, ...] = ()
    unsupported_loaders: tuple[str, ...] = ()

    @property
    def is_from_image(self) -> bool:
        """Whether an update replaces the files that a plan would change, so that it is refused."""
        # initramfs-tools takes everything from /etc.
        in_etc = self.image_based == "read-only /usr" and self.initramfs == "initramfs-tools"
        return bool(self.image_based) and not in_etc


@dataclass(frozen=True)
class Cpu:
    """The processors. `physical_bits` is the address width that the host's own CPUs have.

    `virtualization` is the processor's flag, `vmx` or `svm`. `nodes` are each NUMA node's CPUs as
    the kernel lists them (`0-15,32-47`). `architecture` is `x86`, `arm64`, `power` or,
    where that is not known, empty.
    """

    vendor: str = ""
    model: str = ""
    sockets: int = 0
    cores: int = 0
    threads: int = 0
    physical_bits: int | None = None
    virtualization: str | None = None
    nodes: tuple[tuple[int, str], ...] = ()
    isolated: str = ""
    architecture: str = ""

    @property
    def is_x86(self) -> bool:
        """Whether x86's arguments and settings have a meaning here; also where nothing is known."""
        return self.architecture in ("", "x86")


@dataclass(frozen=True)
class HugePagePool:
    """Huge pages of one size (bytes) on one NUMA node; `node` is None for the whole host."""

    size: int
    total: int
    free: int
    node: int | None = None


@dataclass(frozen=True)
class Memory:
    """RAM in bytes, in all and for each NUMA node, and its huge pages.

    `memlock` is the limit of locked memory that libvirt's own service runs under, in bytes; -1
    is without limit, None where it is not known.
    """

    total: int = 0
    nodes: tuple[tuple[int, int], ...] = ()
    hugepages: tuple[HugePagePool, ...] = ()
    memlock: int | None = None


@dataclass(frozen=True)
class Framebuffer:
    """A console framebuffer (`efifb`) that uses part of a BAR of the function at `address`."""

    name: str
    address: str


@dataclass(frozen=True)
class KernelUse:
    """What the host itself uses a function for, seen without root and without opening anything.

    `kind` is `disk` (a block device below it is mounted, swap, held by another device, or in a ZFS
    pool), `data` (it has content that nothing uses now), `network` (a link below it is up),
    `default-route`, or `console` (a serial port of the kernel's console); `what` names the thing:
    `/dev/sda2 at /`, `eth0`, `ttyS4`.
    """

    address: str
    kind: str
    what: str


@dataclass(frozen=True)
class Host:
    """The facts of one host. `groups` are predictions while the IOMMU is off.

    `unread` are sentences for a person: what exists and could not be read, with the reason.
    `slices` is what the drivers offer to be made of the cards and what is made, None where facts
    do not say: those that were written before Wholecard read it.
    """

    functions: tuple[Function, ...]
    cards: tuple[Card, ...]
    groups: tuple[IommuGroup, ...]
    groups_predicted: bool
    iommu: Iommu
    boot: Boot
    settings: Settings
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    framebuffers: tuple[Framebuffer, ...] = ()
    uses: tuple[KernelUse, ...] = ()
    unread: tuple[str, ...] = ()
    slices: OfferedSlices | None = None

    def function(self, address: Address) -> Function | None:
        """The function at `address`, None where there is none."""
        return next((each for each in self.functions if each.address == address), None)

    def card_of(self, address: Address) -> Card | None:
        """The card that has the function at `address`, or a VF's in its slot."""
        return next((card for card in self.cards if card.has(address)), None)

    def groups_of(self, card: Card) -> tuple[IommuGroup, ...]:
        """The groups that the card's functions are in.

        A VF may have an address in its card's slot and a group of its own, which does not count.
        """
        own = {function.address for function in card.functions}
        return tuple(g for g in self.groups if any(f.address in own for f in g.functions))

    def without_secrets(self) -> Host:
        """The host as `inspect` shows it: command lines and settings without their secrets."""
        boot, next_line = self.boot, self.boot.next_command_line
        shown = replace(
            boot,
            command_line=redacted(boot.command_line),
            next_command_line=None if next_line is None else redacted(next_line),
        )
        return replace(self, boot=shown, settings=self.settings.without_secrets())

    def to_json(self) -> dict[str, Any]:
        """The published form; `schema` counts up when a field changes its meaning."""
        return {
            "schema": SCHEMA,
            "functions": [function.to_json() for function in self.functions],
            "cards": [card.to_json() for card in self.cards],
            "groups": [group.to_json() for group in self.groups],
            **self._short_members(),
        }

    def _short_members(self) -> dict[str, Any]:
        """The members after the long lists: plain dictionaries, lists and values."""
        members = {name: plain_value(getattr(self, name)) for name in _SHORT_MEMBERS}
        return {**members, "settings": self.settings.to_json()}

    def to_lines(self) -> Iterator[str]:
        """`to_json` as text in pieces, with one line for each function and each group."""
        return document(
            [
                ("schema", encode(SCHEMA)),
                ("functions", record_lines(self.functions, UNIQUE_FIELDS)),
                ("cards", (encode(card.to_json()) for card in self.cards)),
                ("groups", (encode(group.to_json()) for group in self.groups)),
                *((name, encode(value)) for name, value in self._short_members().items()),
            ]
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Host:
        """The inverse of `to_json`, of facts that others wrote: every value is checked.

        Raises UsageError for another schema, ValueError and KeyError for what is no host.
        """
        from wholecard.host.facts.from_json import read_facts

        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            schema = data.get("schema") if isinstance(data, dict) else None
            raise UsageError(
                f"host facts of schema {str(schema)[:40]!r}, not {SCHEMA}",
                resolution="Use the same release of Wholecard on both sides.",
            )
        return read_facts(data)

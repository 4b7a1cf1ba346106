"""What can be made of a host's cards, and what is made: mediated devices, and VFs with types.

Sources: linux, Documentation/driver-api/vfio-mediated-device.rst; NVIDIA's files as KubeVirt and
harvester/pcidevices read them: a table headed `ID    : vGPU Name`, and 0 for no type.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.core.small_files import exists, listed, read_text, under
from wholecard.host.facts.mediated_devices import read_mdevs
from wholecard.pci.attributes import number
from wholecard.pci.sysfs import DEVICES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.core.small_files import Root
    from wholecard.host.facts.mediated_devices import MediatedDevice

MDEV_BUS = "sys/class/mdev_bus"
_TYPES = "mdev_supported_types"


@dataclass(frozen=True)
class MdevType:
    """A type of `parent` (`0000:84:00.0`, `mtty`); `available` is how many more can be made now.

    `description` is the driver's own text, empty where it has none.
    """

    parent: str
    type_id: str
    name: str
    available: int | None
    description: str = ""

    @property
    def most(self) -> int | None:
        """How many a parent can have that has no other type; None where the driver is silent."""
        return self._number("max_instance", "")

    @property
    def memory_mib(self) -> int | None:
        """The video memory of one such device; None where the driver does not say.

        `framebuffer=4096M` is NVIDIA's way to say it, `16 MB video memory` that of Linux's mbochs
        (samples/vfio-mdev/mbochs.c).
        """
        words = self.description.split()
        for position, word in enumerate(words[2:], 2):
            if (word, words[position - 1]) == ("video", "MB"):
                return number(words[position - 2])
        return self._number("framebuffer", "M")

    def _number(self, key: str, unit: str) -> int | None:
        for part in self.description.replace("\n", ",").split(","):
            name, _, value = part.strip().partition("=")
            if name == key and value.endswith(unit):
                return number(value[: len(value) - len(unit)])
        return None

    def __str__(self) -> str:
        free = "?" if self.available is None else self.available
        return f"{self.parent}: {self.type_id} ({self.name}), {free} more can be made"


@dataclass(frozen=True)
class TypedVf:
    """A VF with the vendor's VFIO. `current` is its type's ID, 0 for none, None for not known.

    `creatable` are the types that can be made now, ID and name: fewer while other VFs are in use,
    so they are no inventory.
    """

    address: str
    current: int | None
    creatable: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class OfferedSlices:
    """All that is offered under one root; `mdevs` are the mediated devices that exist."""

    mdev_types: tuple[MdevType, ...] = ()
    typed_vfs: tuple[TypedVf, ...] = ()
    mdevs: tuple[MediatedDevice, ...] = ()


def read_offered_slices(root: Root, vfs: Iterable[str] | None = None) -> OfferedSlices:
    """Read sysfs under `root`. What is missing or garbled is left out or None.

    `vfs` are the addresses at which types of VFs are looked for, None for all functions.
    """
    parents = sorted(listed(under(root, MDEV_BUS)))
    types = [
        _mdev_type(root, parent, type_id)
        for parent in parents
        for type_id in sorted(listed(under(root, f"{MDEV_BUS}/{parent}/{_TYPES}")))
    ]
    typed = [
        _typed_vf(root, address)
        for address in sorted(listed(under(root, DEVICES)) if vfs is None else vfs)
        if exists(under(root, f"{DEVICES}/{address}/nvidia/current_vgpu_type"))
    ]
    return OfferedSlices(tuple(types), tuple(typed), read_mdevs(root))


def _mdev_type(root: Root, parent: str, type_id: str) -> MdevType:
    folder = f"{MDEV_BUS}/{parent}/{_TYPES}/{type_id}"
    free = number(read_text(under(root, f"{folder}/available_instances")))
    name, description = (
        read_text(under(root, f"{folder}/{key}")) for key in ("name", "description")
    )
    return MdevType(parent, type_id, name, free, description)


def _typed_vf(root: Root, address: str) -> TypedVf:
    folder = f"{DEVICES}/{address}/nvidia"
    table = read_text(under(root, f"{folder}/creatable_vgpu_types")).splitlines()
    rows = (line.partition(":") for line in table)
    creatable = ((number(type_id.strip()), name.strip()) for type_id, _, name in rows)
    known = tuple((type_id, name) for type_id, name in creatable if type_id is not None)
    return TypedVf(address, number(read_text(under(root, f"{folder}/current_vgpu_type"))), known)

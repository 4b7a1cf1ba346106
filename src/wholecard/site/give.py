"""What a kind of card is given as: `give` of a site file, by its policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from wholecard.site.model_types import CardName, Count, Custom, Model, ModuleId

# A file's name in sysfs, and for NVIDIA's VFs a name such as `NVIDIA L40S-12Q`, or the type's ID.
TYPE_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9 ._+-]{0,62}[A-Za-z0-9._+-])?$"
PROFILE_PATTERN = r"^[1-9]g\.[1-9][0-9]{0,3}gb(?:\+me|\+me\.all|\+gfx|-me)?$"
DRIVER_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"

# What each pattern expects, in words, and what corrects the usual mistakes.
PATTERNS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    TYPE_PATTERN: (
        "expected a type as the driver writes it: nvidia-558, or NVIDIA L40S-12Q", str.strip),
    PROFILE_PATTERN: (
        "expected a profile as nvidia-smi mig -lgip prints it: 1g.10gb", str.lower),
    DRIVER_PATTERN: ("expected the name of a driver", str.strip),
}  # fmt: skip

TypeName = Annotated[str, StringConstraints(pattern=TYPE_PATTERN)]
ProfileName = Annotated[str, StringConstraints(pattern=PROFILE_PATTERN)]
DriverName = Annotated[str, StringConstraints(pattern=DRIVER_PATTERN)]


def _short_for(key: str) -> Callable[[object], object]:
    """A number is short for a mapping with that number under the key."""
    return lambda value: {key: value} if isinstance(value, (str, int)) else value


class Whole(Model):
    """The whole card, with every function that belongs to it, to one server at a time."""

    policy: Literal["whole"]
    """`whole`: a server gets the whole card."""


class Containers(Model):
    """The card stays with its host, which gives it to containers of its own."""

    policy: Literal["containers"]
    """`containers`: no server gets the card; the host keeps its driver, and containers on the host
    get it by a CDI specification."""


class SliceType(Model):
    """One type of the parts that a card is given in."""

    count: Count
    """How many of this type each card is given as."""
    name: CardName | None = None
    """What flavors and quotas call one such part under `cards`; by default the kind's name. A kind
    with several types needs a name for each."""
    resource_class: Custom | None = None
    """The resource class of such a part in Placement; by default the kind's `resource_class`."""


_Type = Annotated[
    SliceType,
    BeforeValidator(_short_for("count"), json_schema_input_type=Count | SliceType),
]


class Mdev(Model):
    """Mediated devices of the host's driver."""

    policy: Literal["mdev"]
    """`mdev`: servers get mediated devices."""
    types: Annotated[dict[TypeName, _Type], Field(min_length=1)]
    """How many of each type each card is given as, by the type's folder in sysfs: `nvidia-558: 4`
    is short for `nvidia-558: {count: 4}`."""
    made_by: Literal["nova", "host"] = "nova"
    """Who makes the devices. `nova` makes one when a server needs it. With `host` they are defined
    for mdevctl and made at each boot, and nova takes them as they are."""
    mixed_sizes: bool = False
    """Whether a card is set to NVIDIA's mode for vGPUs of several sizes (heterogeneous mode)."""


class Scheduling(Model):
    """How Intel's driver xe schedules each VF (`sriov_admin` in sysfs, since Linux 6.19)."""

    exec_quantum_ms: Annotated[int, Field(ge=0)] | None = None
    """How long a VF may use the GPU at a time, in milliseconds; 0 is without a limit."""
    preempt_timeout_us: Annotated[int, Field(ge=0)] | None = None
    """How long a VF has until it gives the GPU back, in microseconds; 0 is without a limit."""
    sched_priority: Literal["low", "normal"] | None = None
    """Which VF is scheduled first; `normal` ones are also scheduled while they have no work."""


class Vfs(Model):
    """SR-IOV virtual functions of the card."""

    policy: Literal["vfs"]
    """`vfs`: servers get virtual functions of the card."""
    count: Count | None = None
    """How many VFs each card gets; by default as many as its types add up to."""
    types: dict[TypeName, _Type] = {}
    """How many VFs of each vendor's type, by the type's name or ID: `NVIDIA L40S-12Q: 4`. Without
    types all VFs are alike, as with AMD and Intel."""
    driver: DriverName | None = None
    """The driver of the VFs. The default is `vfio-pci`, and for VFs with types the vendor's own,
    which keeps them."""
    mixed_sizes: bool = False
    """Whether a card is set to NVIDIA's mode for vGPUs of several sizes (heterogeneous mode)."""
    scheduling: Scheduling | None = None
    """How Intel's driver xe schedules each VF."""


class Mig(Model):
    """Instances of NVIDIA's MIG, each given through a vGPU type of its size."""

    policy: Literal["mig"]
    """`mig`: the card's units and memory are divided into instances, and servers get vGPUs on
    them."""
    geometry: Annotated[dict[ProfileName, Count], Field(min_length=1)]
    """How many instances of each profile each card has: `1g.10gb: 3`."""
    through: Literal["vfs", "mdev"]
    """What a server gets: a virtual function with a type, or a mediated device."""
    types: Annotated[dict[TypeName, _Type], Field(min_length=1)]
    """How many vGPUs of each type; a type of MIG has the number of slices in its name:
    `NVIDIA H100-1-10C: 3`."""
    made_by: Literal["nova", "host"] = "nova"
    """As of `mdev`; VFs are always made by the host."""


class GpuSet(Model):
    """GPUs of a board that a server gets together: all of them, or none."""

    size: Count
    """How many GPUs: the size of one of the board's partitions."""
    count: Count = 1
    """How many such sets each host has under this name; more than one of size 1 only, because nova
    would give a server GPUs of two larger ones."""
    modules: tuple[ModuleId, ...] = ()
    """The module ids of its GPUs; by default the first partition that leaves the most room."""
    resource_class: Custom | None = None
    """The resource class of its GPUs in Placement; by default `CUSTOM_` and its name."""


_Set = Annotated[
    GpuSet,
    BeforeValidator(_short_for("size"), json_schema_input_type=Count | GpuSet),
]


class Partitions(Model):
    """GPUs of a board with NVSwitches, in sets that Fabric Manager can connect (shared mode)."""

    policy: Literal["partitions"]
    """`partitions`: servers get sets of GPUs, each one a partition of its host's board."""
    sets: Annotated[dict[CardName, _Set], Field(min_length=1)]
    """The sets that each board is given as, by the name that flavors use: `h100-x4: 4` is short
    for `h100-x4: {size: 4}`. GPUs that are in no set stay with the host."""
    table: tuple[tuple[ModuleId, ...], ...] = ()
    """The board's partitions as sets of module ids (`fmpm -l`, `physicalId`), for a board whose
    table Wholecard does not have, or with a partition file of your own."""


# What a kind of card is given as, told apart by `policy`; the policy's name alone means a mapping
# with nothing else.
Give = Annotated[
    Annotated[Whole | Containers | Mdev | Vfs | Mig | Partitions, Field(discriminator="policy")],
    BeforeValidator(
        lambda give: {"policy": give} if isinstance(give, str) else give,
        json_schema_input_type=Literal["whole", "containers"]
        | Whole
        | Containers
        | Mdev
        | Vfs
        | Mig
        | Partitions,
    ),
]
POLICIES: Mapping[str, type[Model]] = {
    "whole": Whole, "containers": Containers, "mdev": Mdev, "vfs": Vfs, "mig": Mig,
    "partitions": Partitions,
}  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """One type of parts that the cards of a kind are given in.

    `name` is what a flavor asks for under `cards`. `way` is what nova sees, `mdev` or `vfs`. `type`
    is the driver's type, empty for VFs without types. `count` is how many each card has.
    """

    name: str
    kind: str
    way: Literal["mdev", "vfs"]
    type: str
    count: int
    resource_class: str | None = None


def slices_of(kind: str, give: Mdev | Vfs | Mig, resource_class: str | None) -> tuple[Slice, ...]:
    """The types of parts that a card of this kind is given in, in the site's order."""
    way: Literal["mdev", "vfs"] = give.through if isinstance(give, Mig) else give.policy
    if isinstance(give, Vfs) and not give.types:
        return (Slice(kind, kind, way, "", give.count or 0, resource_class),)
    return tuple(
        Slice(each.name or kind, kind, way, name, each.count, each.resource_class or resource_class)
        for name, each in give.types.items()
    )

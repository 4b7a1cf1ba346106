"""What a host's split cards are now: their VFs, types, mediated devices, MIG instances.

Read where cards are given in parts, and not by `inspect`, whose start is measured. Sources: linux,
Documentation/ABI/testing/sysfs-bus-pci (`sriov_*`, `virtfnN`), sysfs-driver-intel-xe-sriov and
drivers/gpu/drm/xe/xe_sriov_pf_sysfs.c; NVIDIA's files as `offered_slices` has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wholecard.core.small_files import listed, read_bytes, read_text, under
from wholecard.host.card_split import SCHEDULING, CardSplit
from wholecard.host.facts.mediated_devices import DEFINED, MediatedDevice, read_mdevs
from wholecard.host.facts.offered_slices import OfferedSlices, read_offered_slices
from wholecard.host.operations.bind_driver import driver_of, override_of
from wholecard.host.operations.install_agent import AGENT
from wholecard.host.operations.mig_instances import MigState, read_mig
from wholecard.host.operations.set_scheduling import scheduling_value
from wholecard.host.operations.set_vgpu_type import read_known_types
from wholecard.host.operations.virtual_functions import attribute, vf_count, virtual_function
from wholecard.pci import Address
from wholecard.pci.attributes import number
from wholecard.transaction.atomic_files import state_of


@dataclass(frozen=True)
class VfState:
    """A VF of a PF by its index."""

    index: int
    address: str
    driver: str | None = None
    override: str | None = None


@dataclass(frozen=True)
class PfState:
    """A card's PF: `total` VFs are possible, `count` are made, `vfs` are those that sysfs has.

    `scheduling` are xe's values of each VF that is possible, whether it is made or not.
    `offset` and `stride` say where VFs are by their routing IDs, 0 where that is not known.
    `vendor` is `10de`; `driver` is None for none; a function that does not exist is not `present`.
    """

    address: str
    present: bool
    vendor: str = ""
    device: str = ""
    driver: str | None = None
    total: int = 0
    count: int = 0
    offset: int = 0
    stride: int = 0
    vfs: tuple[VfState, ...] = ()
    scheduling: tuple[tuple[tuple[str, str], ...], ...] = ()

    @property
    def ids(self) -> str:
        """`10de:26b9`."""
        return f"{self.vendor}:{self.device}"

    def vf_address(self, index: int) -> str:
        """Where the VF with this index is, or will be; empty where that is not known.

        Source: PCI Express Base Specification, "First VF Offset" and "VF Stride".
        """
        if index < len(self.vfs):
            return self.vfs[index].address
        if not self.offset:
            return ""
        own = Address.parse(self.address)
        routing = (own.bus << 8 | own.slot << 3 | own.function) + self.offset + index * self.stride
        return str(Address(own.domain, routing >> 8, routing >> 3 & 31, routing & 7))


@dataclass(frozen=True)
class SplitState:
    """What the cards of some splits are now.

    `known_types` are IDs of vGPU types by name, `definitions` the files of mdevctl by path, `salt`
    is what makes this host's UUIDs its own, and `agent` the digest of the program for boots.
    """

    pfs: tuple[PfState, ...] = ()
    offered: OfferedSlices = field(default_factory=OfferedSlices)
    mdevs: tuple[MediatedDevice, ...] = ()
    definitions: tuple[tuple[str, str], ...] = ()
    known_types: tuple[tuple[str, int], ...] = ()
    mig: tuple[MigState, ...] = ()
    salt: str = ""
    agent: str | None = None

    def pf(self, address: str) -> PfState:
        """The PF at that address."""
        absent = PfState(address, present=False)
        return next((pf for pf in self.pfs if pf.address == address), absent)

    def type_id(self, name: str) -> int | None:
        """The ID of a vGPU type by its name, or the ID itself; None where it was never seen."""
        return int(name) if name.isdigit() else dict(self.known_types).get(name)


def read_split_state(root: Path, splits: Iterable[CardSplit]) -> SplitState:
    """Read the cards of the splits. For MIG `nvidia-smi` is asked, which changes nothing."""
    splits = tuple(splits)
    offered = read_offered_slices(root)
    return SplitState(
        tuple(_pf(root, split.card) for split in splits if split.is_function),
        offered,
        read_mdevs(root),
        tuple(_definitions(root)),
        tuple({**read_known_types(root), **_listed(offered)}.items()),
        tuple(read_mig(root, split.card) for split in splits if split.way == "mig"),
        read_text(under(root, "etc/machine-id")),
        state_of(root / AGENT.lstrip("/")),
    )


def _listed(offered: OfferedSlices) -> dict[str, int]:
    """IDs by name of all types that a driver lists now."""
    return {name: type_id for vf in offered.typed_vfs for type_id, name in vf.creatable}


def _pf(root: Path, address: str) -> PfState:
    vendor, device = (read_text(attribute(root, address, name)) for name in ("vendor", "device"))
    if not vendor:
        return PfState(address, present=False)
    count = number(vf_count(root, address) or "") or 0
    return PfState(
        address,
        True,
        vendor.replace("0x", "", 1),
        device.replace("0x", "", 1),
        driver_of(root, address),
        number(read_text(attribute(root, address, "sriov_totalvfs"))) or 0,
        count,
        number(read_text(attribute(root, address, "sriov_offset"))) or 0,
        number(read_text(attribute(root, address, "sriov_stride"))) or 0,
        tuple(_vf(root, address, index) for index in range(count)),
        tuple(_scheduling(root, address)),
    )


def _vf(root: Path, pf: str, index: int) -> VfState:
    address = virtual_function(root, pf, index)
    return VfState(
        index,
        address,
        driver_of(root, address) if address else None,
        override_of(root, address) if address else None,
    )


def _scheduling(root: Path, pf: str) -> Iterator[tuple[tuple[str, str], ...]]:
    folders = [name for name in listed(attribute(root, pf, "sriov_admin")) if name[:2] == "vf"]
    for index in range(len(folders)):
        values = ((name, scheduling_value(root, pf, index, name)) for name in SCHEDULING)
        yield tuple((name, value) for name, value in values if value)


def _definitions(root: Path) -> Iterator[tuple[str, str]]:
    folder = under(root, DEFINED)
    for place, _, files in sorted(os.walk(folder)):
        for name in sorted(files):
            text = (read_bytes(f"{place}/{name}") or b"").decode("utf-8", "surrogateescape")
            yield f"/{DEFINED}/{os.path.relpath(f'{place}/{name}', folder)}", text

"""A PCI function: one record of what sysfs says about it."""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.pci.address import Address, parse_numbers
from wholecard.pci.vfio_drivers import PCI_STUB, VFIO_PCI, driver_of, is_same_driver, is_variant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# https://pci-ids.ucw.cz/read/PD: base class 03 and subclass, "processing accelerators", and
# coprocessors: NEC's vector engines, Xeon Phi, QAT, Hailo.
COPROCESSOR = "0b40"
DISPLAY_CLASSES = frozenset({"0300", "0302", "0380", "1200", COPROCESSOR})
BRIDGE_CLASS = "0604"

# linux, drivers/vfio: until 5.18 vfio_dev_viable in vfio.c lets a function be that has no driver, a
# driver of VFIO, or one that vfio_dev_driver_allowed knows: pci-stub, and any at a bridge. Since
# 5.19 it is each driver with `driver_managed_dma`: those of VFIO, and these.
HARMLESS_DRIVERS = frozenset({PCI_STUB, "pcieport", "shpchp"})

# Fields whose values hardly ever repeat, for a writer of thousands of functions: `json_text`.
UNIQUE_FIELDS = frozenset({"address", "iommu_group", "path", "bar_starts"})


@dataclass(frozen=True)
class Function:
    """One PCI function as `/sys/bus/pci/devices/ADDRESS` shows it.

    `vendor`, `device` and the subsystem ids are four lower-case hex digits, `class_code` six,
    `revision` two; each is empty where sysfs did not say. `bars` are the sizes in bytes of the
    six base address registers, 0 where one is unused. `parents` are the bridges above, from the
    root bus down. `driver_module` is the module behind `driver`, None where it is built in.
    `modules` are the kernel modules that would claim the function. `physfn` is set on a VF;
    `sriov_total` and `sriov_vfs` are on a PF the VFs it can have and the VFs it has.
    `path` says where the function is by slots alone, from its root bus down
    (`0000:00/02.0/00.0`): it stays the same when other devices renumber the buses.
    `bar_starts` are the addresses of `bars`. Link speeds are in GT/s, widths in lanes; a field is
    None where there is no link or it was not read. `reset_methods` is None where the kernel does
    not say (before Linux 5.15) and empty where no reset works. `variant` is the module of
    the variant driver that this kernel's VFIO has for the function, empty where that is vfio-pci.
    `removable` says that a person can pull it out (Thunderbolt, USB4), on a port
    `external_facing` that what is below can be. `power` is the runtime power state
    (`active`, `suspended`, ...), not read for a VF. A function that sleeps is not woken: fields
    whose reading would wake it stay empty. `serial` is the VPD's, which only root may read.
    """

    address: Address
    vendor: str = ""
    device: str = ""
    subsystem_vendor: str = ""
    subsystem_device: str = ""
    class_code: str = ""
    revision: str = ""
    driver: str | None = None
    driver_module: str | None = None
    driver_override: str | None = None
    modalias: str = ""
    modules: tuple[str, ...] = ()
    iommu_group: int | None = None
    numa_node: int | None = None
    boot_vga: bool = False
    bars: tuple[int, ...] = ()
    parents: tuple[Address, ...] = ()
    physfn: Address | None = None
    path: str = ""
    bar_starts: tuple[int, ...] = ()
    link_speed: float | None = None
    link_width: int | None = None
    link_speed_max: float | None = None
    link_width_max: int | None = None
    sriov_total: int = 0
    sriov_vfs: int = 0
    reset_methods: tuple[str, ...] | None = None
    variant: str = ""
    removable: bool = False
    external_facing: bool = False
    power: str = ""
    serial: str = ""
    subsystem_name: str = ""
    vendor_name: str = ""
    device_name: str = ""
    class_name: str = ""

    @property
    def ids(self) -> str:
        """`10de:1eb8`, as lspci -n prints it; `?` for an id that sysfs does not have."""
        return f"{self.vendor or '?'}:{self.device or '?'}"

    @property
    def is_bridge(self) -> bool:
        """A PCI-to-PCI bridge, which is never bound and never given to a guest."""
        return self.class_code.startswith(BRIDGE_CLASS)

    @property
    def is_display(self) -> bool:
        """A GPU or another accelerator, by its class."""
        return self.class_code[:4] in DISPLAY_CLASSES

    @property
    def is_coprocessor(self) -> bool:
        """An accelerator of the class of coprocessors, which may be a part of the processor."""
        return self.class_code.startswith(COPROCESSOR)

    @property
    def guest_driver(self) -> str:
        """The driver that it needs for a guest: this kernel's variant of vfio-pci, or vfio-pci.

        A variant that has it already stays.
        """
        if self.driver and self.driver != VFIO_PCI and self.is_on_vfio:
            return self.driver
        return driver_of(self.variant) if self.variant else VFIO_PCI

    @property
    def is_on_vfio(self) -> bool:
        """Whether vfio-pci or one of its variants has it."""
        if self.driver == VFIO_PCI or is_variant(self.driver):
            return True
        return bool(self.variant) and is_same_driver(self.driver, self.variant)

    @property
    def is_free_for_vfio(self) -> bool:
        """Whether this function leaves its IOMMU group viable: a bridge, harmless or unbound.

        linux: Documentation/driver-api/vfio.rst, "IOMMU groups": a group is usable when each of
        its devices is bound to VFIO or known to be harmless; pci-stub only parks a device.
        """
        if self.is_bridge or self.driver is None or self.driver in HARMLESS_DRIVERS:
            return True
        return self.is_on_vfio

    @property
    def stays_free_for_vfio(self) -> bool:
        """Whether that holds at the next boot too, as far as the function's modules tell.

        Of endpoints without a driver these are dummy host bridges and the like, which no module
        claims. A bridge to anything that has no driver now had its chance in this boot.
        """
        if self.driver is not None:
            # A function that VFIO has is for a guest, and named with the others.
            return self.is_free_for_vfio and not self.is_on_vfio
        return self.is_bridge or not self.modules or self.class_code.startswith("06")

    def to_json(self) -> dict[str, Any]:
        """The fields under their own names; addresses as text."""
        data = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.__dict__.items()
        }
        data["address"] = str(self.address)
        data["parents"] = [str(parent) for parent in self.parents]
        data["physfn"] = None if self.physfn is None else str(self.physfn)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any], where: str = "function") -> Function:
        """The inverse of `to_json`; `where` names the function in an error. Raises ValueError."""
        read: Callable[[Any, str], Function] = _READER[""]
        return read(data, where)


class _Readers(dict):  # type: ignore[type-arg]
    """What reads functions, made when facts are read for the first time: `inspect` needs none."""

    def __missing__(self, key: str) -> Callable[[Any, str], Function]:
        from wholecard.core.json_records import record_reader

        self[key] = read = record_reader(Function, _patterns(), {"Address": _read_address})
        return read


_READER = _Readers()


def _patterns() -> dict[str, str]:
    """Texts that reach files which root's tools read, on hosts and in images.

    `attributes` leaves those fields empty where sysfs itself has something else.
    """
    from wholecard.core.module_names import MODULE

    driver = "[ -.0-~]{1,64}"
    slot = r"/[0-9a-f]{2}\.[0-7]"
    return {
        **dict.fromkeys(("vendor", "device"), "(?:[0-9a-f]{4})?"),
        **dict.fromkeys(("subsystem_vendor", "subsystem_device"), "(?:[0-9a-f]{4})?"),
        "class_code": "(?:[0-9a-f]{6})?",
        "revision": "(?:[0-9a-f]{2})?",
        **dict.fromkeys(("driver", "driver_override"), driver),
        **dict.fromkeys(("driver_module", "modules"), MODULE),
        "modalias": "[ -~]{0,255}",
        "path": f"(?:[0-9a-f]{{4,8}}:[0-9a-f]{{2}}(?:{slot}){{1,64}})?",
    }


def _read_address(value: Any, where: str) -> Address:
    numbers = parse_numbers(value) if isinstance(value, str) else None
    if numbers is None:
        raise ValueError(f"{where} is no PCI address")
    return Address(*numbers)


def slot_path(function: Function) -> str:
    """`0000:00/02.0/00.0`: the root bus, each bridge's device and function, and its own.

    It stays the same when other devices renumber the buses: bus numbers are assigned at boot, in
    the order in which bridges are found; the slot of a bridge on its bus is wiring. Behind Intel
    VMD the root bus is that of the domain which the VMD makes (`10000:e0`).
    """
    if function.path:
        return function.path
    address = function.address
    chain = [*(parent for parent in function.parents if parent.domain == address.domain), address]
    root = f"{address.domain:04x}:{chain[0].bus:02x}"
    return "/".join([root, *(f"{step.slot:02x}.{step.function:x}" for step in chain)])

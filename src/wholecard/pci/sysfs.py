"""Read every PCI function of a host from sysfs. Only attributes are read, never `config`.

A function that sleeps is left asleep: its link attributes resume it (linux since 6.17,
drivers/pci/pci-sysfs.c, `pci_config_pm_runtime_get`), so they are not read.
Sources: linux, Documentation/ABI/testing/sysfs-bus-pci and sysfs-devices-power;
drivers/pci/pci-driver.c, `pci_uevent`.
"""

from __future__ import annotations

import os

from wholecard.core.record import assembled, dataclass
from wholecard.core.small_files import (
    link_name,
    listed,
    read_attribute,
    read_rare,
    read_text,
    text_of,
    under,
)
from wholecard.pci.address import Address, parse_numbers
from wholecard.pci.attributes import (
    address_of,
    bars_of,
    driver_module,
    driver_name,
    driver_override,
    hex_digits,
    id_or_attribute,
    is_complete,
    link_value,
    number,
    numbers_of,
    parents_and_path,
)
from wholecard.pci.function import BRIDGE_CLASS, Function
from wholecard.pci.shares import collected, in_children, workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from wholecard.core.small_files import Root
    from wholecard.pci.ids import PciNames

    # For some modaliases the modules that would claim them, and VFIO's variants for them.
    Drivers = Callable[[set[str]], tuple[Mapping[str, tuple[str, ...]], Mapping[str, str]]]
    Fields = dict[str, Any]
    Numbers = tuple[int, int, int, int]
    Numbered = tuple[Numbers, str]
    # Speed and width now, speed and width at most.
    Link = tuple[Any, Any, Any, Any]

__all__ = ["read_functions", "read_text"]

DEVICES = "sys/bus/pci/devices"
DRIVERS = "sys/bus/pci/drivers"
ASLEEP = frozenset({"suspended", "suspending"})

_MAY_BE_VGA = frozenset({"", "03"})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_NO_LINK = (None, None, None, None)
_NAMES = tuple(Function.__annotations__)
# A modalias of PCI has 54 signs.
_MODALIAS_LIMIT = 255
_LINK = ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width")


def read_functions(
    root: Root,
    names: PciNames | None = None,
    drivers: Drivers | None = None,
    processes: int | None = 1,
) -> tuple[Function, ...]:
    """Every function under `root`, sorted by address.

    A function whose attributes are missing or garbled is listed with those fields empty: what is
    on the bus must not vanish because one file could not be read. Never raises for that; a tree
    without PCI gives an empty tuple. `names`, and `drivers` by modalias, give the fields that
    sysfs does not have; without them those are empty. `processes` may share the work, None for as
    many as are worth it; more than one only in a program without threads.
    """
    path = under(root, DEVICES)
    try:
        folder = os.open(path, _FOLDER)
    except OSError:
        return ()
    try:
        numbers_by_name = {name: parse_numbers(name) for name in listed(path)}
        reader = _Reader(under(root, DRIVERS), folder, names)
        # By number, so that a PF comes before its VFs and function 0 before its slot's others.
        numbered = sorted((numbers, name) for name, numbers in numbers_by_name.items() if numbers)
        functions = _read_shared(reader, numbered, processes or workers(len(numbered)))
    finally:
        os.close(folder)
    modaliases = {fields["modalias"] for fields in functions}
    by_alias, variant_of = drivers(modaliases) if drivers else ({}, {})
    for fields in functions:
        fields["modules"] = by_alias.get(fields["modalias"], ())
        fields["variant"] = variant_of.get(fields["modalias"], "")
    return tuple(assembled(Function, fields) for fields in functions)


def _read_shared(reader: _Reader, numbered: list[Numbered], processes: int) -> list[Fields]:
    """The fields of all functions; the first part is read here and the others by children."""
    share = max(1, -(-len(numbered) // processes))
    starts = range(0, len(numbered), share)
    own, *others = [numbered[start : start + share] for start in starts] or [[]]
    children = in_children(others, reader.plain)
    functions = [reader.fields(name, numbers) for numbers, name in own]
    for part, child in zip(others, children):
        rows = collected(child)
        if rows is None:
            functions += [reader.fields(name, numbers) for numbers, name in part]
        else:
            functions += [reader.from_plain(numbers, row) for numbers, row in zip(part, rows)]
    return functions


@dataclass(frozen=True)
class Kind:
    """What functions of one make have in common: all that `uevent` has but the slot's name."""

    vendor: str
    device: str
    subsystem_vendor: str
    subsystem_device: str
    class_code: str
    modalias: str
    driver: str | None
    driver_module: str | None
    names: tuple[str, str, str, str]


class _Parsed(dict):  # type: ignore[type-arg]
    """What a parser makes of a text, parsed once: thousands of functions have the same few."""

    def __init__(self, parse: Callable[[Any], Any]) -> None:
        self._parse = parse

    def __missing__(self, text: Any) -> Any:
        value = self[text] = self._parse(text)
        return value


class _Reader:
    """Reads functions one by one and remembers what many of them share."""

    def __init__(self, drivers: str, folder: int, names: PciNames | None) -> None:
        self._folder = folder
        self._names = names
        self._kinds: dict[bytes, Kind] = {}
        self._revisions: dict[str, str] = {}
        self._link_of_slot: tuple[str, Link] = ("", _NO_LINK)
        self._removable_bus: tuple[str, bool] = ("", False)
        self._driver_modules = _Parsed(lambda driver: driver_module(drivers, driver))
        self._above = _Parsed(parents_and_path)
        self._parents = _Parsed(lambda rows: tuple(Address(*numbers) for numbers in rows))
        self._addresses = _Parsed(address_of)
        self._texts = _Parsed(text_of)
        self._numbers = _Parsed(lambda data: number(text_of(data)))
        self._words = _Parsed(lambda data: None if data is None else tuple(text_of(data).split()))
        self._overrides = _Parsed(driver_override)
        self._links = _Parsed(link_value)

    def plain(self, part: Sequence[Numbered]) -> list[Any]:
        """Rows of `part` without addresses, as they go through a pipe."""
        rows = []
        for numbers, name in part:
            fields = self.fields(name, numbers)
            del fields["address"]
            fields["parents"] = tuple(numbers_of(each) for each in fields["parents"])
            fields["physfn"] = fields["physfn"] and numbers_of(fields["physfn"])
            rows.append(tuple(fields.values()))
        return rows

    def from_plain(self, numbered: Numbered, row: tuple[Any, ...]) -> Fields:
        """The inverse of `plain`, for one row."""
        fields = dict(zip(_NAMES, (Address(*numbered[0]), *row)))
        fields["parents"] = self._parents[fields["parents"]]
        fields["physfn"] = self._parents[(fields["physfn"],)][0] if fields["physfn"] else None
        return fields

    def fields(self, name: str, numbers: Numbers) -> Fields:
        """The fields of the function whose folder is `name`, in their order."""
        address = Address(*numbers)
        try:
            folder = os.open(name, _FOLDER, dir_fd=self._folder)
        except OSError:
            # A link to nowhere, in a tree that was copied in part, still has the bridges above.
            parents, path = self._parents_and_path(name, address)
            return Function(address, parents=parents, path=path).__dict__
        try:
            return self._read(folder, name, address)
        finally:
            os.close(folder)

    def _read(self, folder: int, name: str, address: Address) -> Fields:
        kind = self._kind(folder, name)
        parents, path = self._parents_and_path(name, address)
        bridge = kind.class_code.startswith(BRIDGE_CLASS)
        physfn_name = None if bridge else link_name("physfn", folder)
        physfn = self._addresses[physfn_name]
        # A VF sleeps and wakes with its PF, and nothing of it is read that would wake it.
        power, link, total, vfs = "", _NO_LINK, 0, 0
        if physfn is None:
            power = self._texts[read_attribute("power/runtime_status", folder)]
            if power not in ASLEEP:
                link = self._link(folder, name, shared=bool(parents) and not bridge)
            if not bridge:
                total, vfs = self._virtual_functions(folder)
        bars, starts = bars_of(read_attribute("resource", folder) or b"")
        vendor_name, device_name, class_name, subsystem_name = kind.names
        return {
            "address": address,
            "vendor": kind.vendor,
            "device": kind.device,
            "subsystem_vendor": kind.subsystem_vendor,
            "subsystem_device": kind.subsystem_device,
            "class_code": kind.class_code,
            "revision": self._revision(folder, physfn_name if physfn else None),
            "driver": kind.driver,
            "driver_module": kind.driver_module,
            "driver_override": self._overrides[read_attribute("driver_override", folder)],
            "modalias": kind.modalias,
            "modules": (),
            "iommu_group": number(link_name("iommu_group", folder) or ""),
            # The kernel prints -1 on a machine without NUMA, which is no number here.
            "numa_node": self._numbers[read_attribute("numa_node", folder)],
            # Only VGA-compatible controllers have it; without a class it may be one.
            "boot_vga": kind.class_code[:2] in _MAY_BE_VGA
            and self._texts[read_attribute("boot_vga", folder)] == "1",
            "bars": bars,
            "parents": parents,
            "physfn": physfn,
            "path": path,
            "bar_starts": starts,
            "link_speed": link[0],
            "link_width": link[1],
            "link_speed_max": link[2],
            "link_width_max": link[3],
            "sriov_total": total,
            "sriov_vfs": vfs,
            "reset_methods": self._words[read_attribute("reset_method", folder)],
            "variant": "",
            "removable": self._removable(folder, name),
            "external_facing": bridge and self._texts[read_rare("external_facing", folder)] == "1",
            "power": power,
            "serial": "",
            "subsystem_name": subsystem_name,
            "vendor_name": vendor_name,
            "device_name": device_name,
            "class_name": class_name,
        }

    def _virtual_functions(self, folder: int) -> tuple[int, int]:
        """The VFs that a PF can have and those that it has; none for any other function."""
        total = self._numbers[read_rare("sriov_totalvfs", folder)] or 0
        return total, self._numbers[read_attribute("sriov_numvfs", folder)] or 0 if total else 0

    def _kind(self, folder: int, name: str) -> Kind:
        """From one file instead of seven; what it lacks or has garbled is read from those."""
        data = read_attribute("uevent", folder)
        if not data:
            return self._make_kind(folder, {})
        key = data.replace(name.encode(), b"", 1)
        kind = self._kinds.get(key)
        if kind is None:
            lines = data.decode(errors="replace").splitlines()
            uevent = dict(line.split("=", 1) for line in lines if "=" in line)
            kind = self._make_kind(folder, uevent)
            if is_complete(uevent):
                self._kinds[key] = kind
        return kind

    def _make_kind(self, folder: int, uevent: dict[str, str]) -> Kind:
        vendor, _, device = uevent.get("PCI_ID", "").partition(":")
        sub_vendor, _, sub_device = uevent.get("PCI_SUBSYS_ID", "").partition(":")
        ids = (
            id_or_attribute(vendor, 4, folder, "vendor"),
            id_or_attribute(device, 4, folder, "device"),
            id_or_attribute(sub_vendor, 4, folder, "subsystem_vendor"),
            id_or_attribute(sub_device, 4, folder, "subsystem_device"),
        )
        # The kernel prints the class with as few digits as it has: 30000 for 030000.
        class_code = id_or_attribute(uevent.get("PCI_CLASS", "").zfill(6), 6, folder, "class")
        modalias = uevent.get("MODALIAS") or text_of(read_attribute("modalias", folder))
        if len(modalias) > _MODALIAS_LIMIT or not (modalias.isascii() and modalias.isprintable()):
            modalias = ""
        driver = uevent.get("DRIVER") or (
            None if is_complete(uevent) else link_name("driver", folder)
        )
        driver = driver_name(driver)
        names, texts = self._names, ("", "", "", "")
        if names:
            vendor_name, device_name = names.vendor(ids[0]), names.device(ids[0], ids[1])
            texts = (vendor_name, device_name, names.class_name(class_code), names.subsystem(*ids))
        return Kind(*ids, class_code, modalias, driver, self._driver_modules[driver], texts)

    def _parents_and_path(self, name: str, address: Address) -> tuple[tuple[Address, ...], str]:
        """The bridges above and the path of slots, from the link in `bus/pci/devices`."""
        try:
            above, _, last = os.readlink(name, dir_fd=self._folder).rpartition("/")
        except OSError:
            return (), ""
        parents, steps = self._above[above]
        if last != name or not steps:
            return parents, ""
        return parents, f"{steps}/{address.slot:02x}.{address.function:x}"

    def _revision(self, folder: int, physfn: str | None) -> str:
        # The kernel reads the revision of a PF's first VF and gives it to all of them
        # (linux: drivers/pci/iov.c, pci_read_vf_config_common).
        revision = self._revisions.get(physfn, "") if physfn else ""
        if not revision:
            revision = hex_digits(text_of(read_attribute("revision", folder)), 4)
            if physfn:
                self._revisions[physfn] = revision
        return revision

    def _removable(self, folder: int, name: str) -> bool:
        """Whether a person can unplug the function; all functions of a bus alike.

        linux: drivers/pci/probe.c, pci_set_removable, decides by the bridge above. Nearly no
        function has the attribute, and a failed open for each costs as much as reading one.
        """
        bus = name[:-5]
        if self._removable_bus[0] != bus:
            removable = self._texts[read_rare("removable", folder)] == "removable"
            self._removable_bus = (bus, removable)
        return self._removable_bus[1]

    def _link(self, folder: int, name: str, shared: bool) -> Link:
        """The function's link. All functions of a slot below a port share one.

        PCI Express Base Specification, Link Capabilities Register: the functions of one device
        report the same values. Each root port has a link of its own, whatever its slot.
        """
        slot = name[:-2]
        if shared and self._link_of_slot[0] == slot:
            return self._link_of_slot[1]
        speed, width, speed_max, width_max = (
            self._links[read_attribute(attribute, folder)] for attribute in _LINK
        )
        link = (speed, width, speed_max, width_max)
        if shared and None not in link:
            self._link_of_slot = (slot, link)
        return link

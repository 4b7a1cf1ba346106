"""The facts of a host from JSON that others wrote: types, ids, names, paths.

What passes here reaches files that root's tools read: a name with a newline in it would be a line
of its own in modprobe.d, and modprobe.d's `install` runs a command.
"""

from __future__ import annotations

from typing import Any

from wholecard.core.json_records import Reader, read_list, read_plain, record_reader
from wholecard.core.module_names import MODULE
from wholecard.host.config_files import Settings
from wholecard.host.facts.host import (
    Boot,
    Cpu,
    DirectMapping,
    Framebuffer,
    Host,
    HugePagePool,
    Iommu,
    KernelUse,
    Memory,
)
from wholecard.host.facts.mediated_devices import mdevs_from_json
from wholecard.host.facts.offered_slices import MdevType, OfferedSlices, TypedVf
from wholecard.pci import Function, IommuGroup, ReservedRegion, find_cards

# A kernel's version is a folder's name, and the tools' names are ours.
_BOOT = {
    "release": "[ -.0-~]{0,255}",
    "builtin": "[ -.0-~]{1,64}",
    "missing": MODULE,
    "optional": MODULE,
    "hypervisor": "[a-z0-9-]{0,40}",
    "image_based": "[a-z/ -]{0,40}",
    "grub_menu": r"/[!-~]{1,255}",
    "image_hooks": "[ -.0-~]{1,255}",
    "unsupported_tools": "[A-Za-z0-9._ -]{1,40}",
    "unsupported_loaders": "[A-Za-z0-9._ -]{1,40}",
    "loader": "[a-z0-9-]{1,40}",
    "initramfs": "[a-z0-9-]{1,40}",
    "loaders": "[a-z0-9-]{1,40}",
    "initramfs_tools": "[a-z0-9-]{1,40}",
}
# A type's name in sysfs is a folder's; its text is the driver's, of up to a page.
_SLICES = {
    "parent": "[!-.0-~]{1,255}",
    "type_id": "[!-.0-~]{1,255}",
    "name": "[ -~]{0,255}",
    "description": r"(?s)[ -~\n\t]{0,4096}",
    "address": r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]",
}
# A page, as sysfs prints it; what is no list of CPUs is refused where one is needed.
_CPUS = "(?s).{0,4096}"


def read_facts(data: dict[str, Any]) -> Host:
    """The host of `Host.to_json`. Raises ValueError, KeyError for a missing member."""
    functions = read_list(data["functions"], "functions", Function.from_json)
    by_address = {str(function.address): function for function in functions}
    if len(by_address) != len(functions):
        raise ValueError("two functions have one address")

    def read_group(value: Any, where: str) -> IommuGroup:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is not an object")  # noqa: TRY004 -- as in json_records
        number = value["number"]
        if number is not None:
            number = read_plain("int")(number, f"{where}.number")
        addresses = read_list(value["functions"], f"{where}.functions", read_plain("str"))
        strangers = [address for address in addresses if address not in by_address]
        if strangers:
            raise ValueError(
                f"{where} has the function {strangers[0][:40]!r}, which does not exist"
            )
        return IommuGroup(
            number,
            tuple(by_address[address] for address in addresses),
            _records(ReservedRegion, value, "reserved"),
        )

    groups = read_list(data["groups"], "groups", read_group)
    memory = record_reader(Memory, kinds=_kinds(HugePagePool))(data["memory"], "memory")
    read_cpu = record_reader(Cpu, {"isolated": _CPUS})
    cpu = read_cpu(data["cpu"], "cpu")
    for node, cpus in cpu.nodes:
        read_cpu({"isolated": cpus}, f"cpu.nodes, {node}")
    return Host(
        functions=functions,
        cards=find_cards(functions, groups),
        groups=groups,
        groups_predicted=read_plain("bool")(data["groups_predicted"], "groups_predicted"),
        iommu=record_reader(Iommu, kinds=_kinds(DirectMapping))(data["iommu"], "iommu"),
        boot=record_reader(Boot, _BOOT)(data["boot"], "boot"),
        settings=Settings.from_json(data["settings"]),
        cpu=cpu,
        memory=memory,
        framebuffers=_records(Framebuffer, data, "framebuffers"),
        uses=_records(KernelUse, data, "uses"),
        unread=read_list(data["unread"], "unread", read_plain("str")),
        # Facts of older releases do not have it.
        slices=None if data.get("slices") is None else _read_slices(data["slices"]),
    )


def _read_slices(data: Any) -> OfferedSlices:
    if not isinstance(data, dict):
        raise ValueError("slices is not an object")  # noqa: TRY004 -- as in json_records
    read_type, read_vf = (record_reader(kind, _SLICES) for kind in (MdevType, TypedVf))
    vfs = read_list(data["typed_vfs"], "slices.typed_vfs", read_vf)
    for vf in vfs:
        for number, name in vf.creatable:
            read_type(
                {"parent": vf.address, "type_id": str(number), "name": name, "available": None},
                f"slices.typed_vfs, {vf.address}",
            )
    types = read_list(data["mdev_types"], "slices.mdev_types", read_type)
    return OfferedSlices(types, vfs, mdevs_from_json(data["mdevs"]))


def _kinds(cls: type[Any]) -> dict[str, Reader]:
    return {cls.__name__: record_reader(cls)}


def _records(cls: type[Any], data: dict[str, Any], name: str) -> tuple[Any, ...]:
    return read_list(data[name], name, _kinds(cls)[cls.__name__])

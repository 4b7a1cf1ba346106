"""Which devices a flavor asks for, and the ids that they have, as far as that is known. Pure.

A tenant sees of an alias its name alone: its ids are in nova's files. They are known from the site
file, or from what Placement has allocated to the server: nova's own resource class has them in its
name, CUSTOM_PCI_<VENDOR>_<PRODUCT> (nova/compute/pci_placement_translator.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from wholecard.cloud.placement.resource_providers import Allocation
from wholecard.cloud.proving.slice_sizes import slice_sizes
from wholecard.core import Finding, Severity, UsageError
from wholecard.guest.proof.comparison import MACHINE_OWN, ExpectedFunction
from wholecard.guest.proof.record import Proof, ProofFunction
from wholecard.nova.desired.pci_config import pci_configs
from wholecard.nova.desired.slice_classes import slice_classes
from wholecard.nova.desired.unsupported import UnsupportedError
from wholecard.site.load import SiteFile

ALIAS_SPEC = "pci_passthrough:alias"
_RESOURCES = re.compile(r"resources[a-zA-Z0-9_-]{0,64}:(VGPU|CUSTOM_[A-Z0-9_]+)")
# What a guest sees of the sample driver mtty: linux, samples/vfio-mdev/mtty.c.
_SAMPLES = {"mtty": "4348:3253"}
_CLASS_OF_IDS = re.compile(r"CUSTOM_PCI_([0-9A-F]{4})_([0-9A-F]{4})")
_MOST = 256
# Class codes of GPUs and other accelerators (PCI Code and ID Assignment: 03 display, 12).
_GPU_CLASSES = ("03", "12")


@dataclass(frozen=True)
class AskedDevices:
    """`count` devices by an alias or a resource class; each has one of `ids`, empty: not known.

    `ids` are `vendor:device`, `source` says where they are from. `memory_mib` is the video memory
    of a part of a card by its type, None where that is not known, or it is a whole card.
    """

    name: str
    count: int
    ids: tuple[str, ...] = ()
    source: str = ""
    memory_mib: int | None = None


@dataclass(frozen=True)
class KnownIds:
    """The ids behind aliases and behind resource classes, by their names, and who says so.

    `sizes` are the video memory in MiB of parts of cards, by alias and by class.
    """

    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AskedDevice:
    """One device that was asked for: `gpu 1 of 2`, its possible ids, and the guest's function.

    `function` is None where the guest does not have it.
    """

    name: str
    ids: tuple[str, ...]
    function: ProofFunction | None
    memory_mib: int | None = None

    def expected(self, driver: str | None = None) -> ExpectedFunction | None:
        """What the guest must have; None where neither ids nor a function are known."""
        ids = self.function.id if self.function else next(iter(self.ids), "")
        vendor, _, device = ids.partition(":")
        return ExpectedFunction(vendor, device, driver, self.name) if ids else None


def known_ids(site: SiteFile | None) -> KnownIds:
    """What the site file says of aliases and classes; nothing without one.

    Raises SiteError where a host's facts cannot be read.
    """
    if site is None:
        return KnownIds()
    source = f"the site file {site.path}"
    aliases, classes = dict(_matched_ids(site)), dict[str, tuple[str, ...]]()
    try:
        config = next(iter(pci_configs(site.site, site.facts(), site.release).values()))
        pairs = [(each.name, each.vendor_id, each.product_id) for each in config.aliases]
        own = [(each.name, each.resource_class) for each in config.aliases]
    except UnsupportedError:
        # The ids that its matches name are enough here.
        pairs, own = [], []
    for name, vendor, product in pairs:
        if vendor and product:
            ids = (*aliases.get(name, ()), f"{vendor}:{product}")
            aliases[name] = tuple(dict.fromkeys(ids))
    own += [(name, kind.resource_class) for name, kind in site.site.cards.items()]
    for name, resource_class in own:
        if resource_class:
            classes[resource_class] = aliases.get(name, ())
    return KnownIds(aliases, {**classes, **_mdev_ids(site, aliases)}, source, slice_sizes(site))


def _mdev_ids(site: SiteFile, matched: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The ids that guests see of mediated devices, by class.

    NVIDIA's and Intel's have their card's ids (NVIDIA vGPU User Guide: the type is in the
    subsystem's id).
    """
    ids: dict[str, tuple[str, ...]] = {}
    classes = slice_classes(site.site, site.release)
    for name, part in site.site.slices.items():
        resource_class = classes[name]
        if part.way == "mdev" and resource_class:
            parents = (match.parent for match in site.site.cards[part.kind].match if match.parent)
            samples = tuple(_SAMPLES[parent] for parent in parents if parent in _SAMPLES)
            ids[resource_class] = matched.get(part.kind, ()) or samples
    return ids


def _matched_ids(site: SiteFile) -> dict[str, tuple[str, ...]]:
    """The ids of each kind, where each of its matches names both."""
    found = {}
    for name, kind in site.site.cards.items():
        pairs = [(match.vendor, match.product) for match in kind.match]
        if all(vendor and product for vendor, product in pairs):
            found[name] = tuple(f"{vendor}:{product}".lower() for vendor, product in pairs)
    return found


def asked_devices(
    flavor: str, extra_specs: Mapping[str, str], known: KnownIds
) -> tuple[AskedDevices, ...]:
    """What the flavor asks for, in its order.

    Raises UsageError for a flavor that asks for no device, and for an alias that nova would refuse.
    """
    asked = [
        AskedDevices(name, count, known.aliases.get(name, ()), known.source, known.sizes.get(name))
        for name, count in _aliases(flavor, extra_specs.get(ALIAS_SPEC, ""))
    ]
    for key, value in sorted(extra_specs.items()):
        match = _RESOURCES.fullmatch(key)
        if match and value.isdecimal() and 0 < int(value) <= _MOST:
            ids = known.classes.get(match[1]) or ids_of_class(match[1])
            size = known.sizes.get(match[1])
            asked.append(AskedDevices(match[1], int(value), ids, known.source or "the class", size))
    if not asked:
        raise UsageError(
            f"the flavor {flavor} asks for no card: a server of it has nothing to prove",
            f"It has neither {ALIAS_SPEC} nor resources:VGPU or resources:CUSTOM_… of a card.",
            f"Choose another flavor, or: openstack flavor set {flavor} --property "
            f"{ALIAS_SPEC}=ALIAS:1",
        )
    return tuple(replace(devices, source=devices.source if devices.ids else "")
                 for devices in asked)  # fmt: skip


def _aliases(flavor: str, text: str) -> Iterable[tuple[str, int]]:
    for part in text.split(",") if text.strip() else ():
        name, colon, count = part.partition(":")
        if not (name.strip() and colon and count.strip().isdecimal() and 0 < int(count) <= _MOST):
            raise UsageError(
                f"the flavor {flavor} has {ALIAS_SPEC}={text!r}, which nova refuses",
                resolution="Write it as ALIAS:COUNT, several separated by commas.",
            )
        yield name.strip(), int(count)


def ids_of_class(resource_class: str) -> tuple[str, ...]:
    """The ids in the name of nova's own class; empty for another."""
    match = _CLASS_OF_IDS.fullmatch(resource_class)
    return (f"{match[1]}:{match[2]}".lower(),) if match else ()


def with_allocations(
    asked: Iterable[AskedDevices], allocations: Iterable[Allocation]
) -> tuple[AskedDevices, ...]:
    """Unknown ids filled in from what Placement allocated to the server, where that is clear.

    It is clear where what is not explained otherwise has as many devices of one class as one
    alias asks for.
    """
    asked = tuple(asked)
    explained = {ids for devices in asked for ids in devices.ids}
    left: Counter[str] = Counter()
    for allocation in allocations:
        for ids in ids_of_class(allocation.resource_class):
            left[ids] += 0 if ids in explained else allocation.amount
    unknown = Counter(devices.count for devices in asked if not devices.ids)

    def filled(devices: AskedDevices) -> AskedDevices:
        fitting = [ids for ids, amount in left.items() if amount == devices.count]
        if devices.ids or len(fitting) != 1 or unknown[devices.count] != 1:
            return devices
        return replace(devices, ids=(fitting[0],), source="Placement's allocation")

    return tuple(map(filled, asked))


def assigned(
    asked: Iterable[AskedDevices], proof: Proof, own: frozenset[str]
) -> tuple[AskedDevice, ...]:
    """Each device that was asked for with one of the guest's functions, each taken once.

    Those whose ids are known are served first. For the others any function counts that is not of
    the virtual machine itself (`own`), a GPU before its other functions.
    """
    asked = tuple(asked)
    left = sorted(proof.functions, key=lambda function: function.address)
    devices: dict[tuple[str, int], AskedDevice] = {}
    for known in (True, False):
        for place, group in enumerate(asked):
            if bool(group.ids) is not known:
                continue
            for number in range(group.count):
                function = _first(group, left, own)
                if function is not None:
                    left.remove(function)
                name = group.name if group.count == 1 else (
                    f"{group.name} {number + 1} of {group.count}")  # fmt: skip
                asked_one = AskedDevice(name, group.ids, function, group.memory_mib)
                devices[f"{place:04d}", number] = asked_one
    return tuple(devices[key] for key in sorted(devices))


def _first(
    group: AskedDevices, left: Iterable[ProofFunction], own: frozenset[str]
) -> ProofFunction | None:
    if group.ids:
        return next((function for function in left if function.id in group.ids), None)
    others = [function for function in left if function.id not in own]
    return next((function for function in others if is_gpu(function)), next(iter(others), None))


def is_gpu(function: ProofFunction) -> bool:
    """Whether it is a display or another accelerator."""
    return function.pci_class.startswith(_GPU_CLASSES)


def own_ids(asked: Iterable[AskedDevices], image: Mapping[str, str]) -> frozenset[str]:
    """The ids of the virtual machine's own devices, without those that are asked for.

    The display of hw_video_model=vga and =bochs has the id that QEMU's emulated cards have.
    """
    own = MACHINE_OWN
    if image.get("hw_video_model") in ("vga", "bochs"):
        own |= {"1234:1111"}
    return own - {ids for devices in asked for ids in devices.ids}


def unknown_notes(asked: Iterable[AskedDevices]) -> list[Finding]:
    """WC436 for each alias whose ids nobody told."""
    return [
        Finding(
            "WC436", devices.name, Severity.NOTE,
            f"the ids of {devices.name} are not known: the guest's devices were counted, and "
            "their ids were not compared",
            "Name the site file: --site FILE. An administrator needs none if nova reports the "
            "cards to Placement.",
        )
        for devices in asked
        if not devices.ids
    ]  # fmt: skip

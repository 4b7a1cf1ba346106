"""What claims the functions at boot: native drivers, and bindings by ids. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.host.checks.how_to_apply import how_to_apply, who_adds
from wholecard.host.checks.iommu_group import given_addresses
from wholecard.host.config_files import Settings
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_parameters import (
    dracut_arguments,
    has_softdep,
    initramfs_modules,
    install_lines,
    kernel_arguments,
    listed_options,
    module_options,
    new_ids,
)
from wholecard.pci import Card, Function
from wholecard.pci.vfio_drivers import PCI_STUB, VARIANTS, VFIO_PCI, is_variant, module_of

NOT_NATIVE = frozenset({"vfio_pci", "pci_stub", *VARIANTS})

_ANY = "ffffffff"

# linux: drivers/vfio/pci/vfio_pci.c and drivers/pci/pci-stub.c, parameter `ids`.
_IDS_OPTIONS = {"vfio_pci.ids": VFIO_PCI, "pci_stub.ids": PCI_STUB}
# How people write them, by their letters alone and without the last s.
_MISSPELLED = frozenset({"vfiopciid", "pcistubid", "vfioid", "vfiopcidevice"})
# The one list of modules whose options are passed on.
_PASSED_ON = "/etc/initramfs-tools/modules"


@dataclass(frozen=True)
class IdsEntry:
    """One entry of a driver's option `ids` or `new_id`, and the file or command line that has it.

    `text` is `vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]` in hex (linux:
    drivers/vfio/pci/vfio_pci.c, parameter `ids`).
    """

    source: str
    text: str
    driver: str = VFIO_PCI

    def takes(self, function: Function) -> bool:
        """Whether the driver would claim `function` by this entry, if no driver has it before."""
        fields = self.text.lower().split(":")
        if len(fields) < 2 or not function.vendor or not function.device:
            return False
        subsystem = (function.subsystem_vendor, function.subsystem_device)
        for field, own in zip(fields, (function.vendor, function.device, *subsystem)):
            if field.strip() != _ANY and field.strip().zfill(4) != own:
                return False
        return _same_class(fields[4:], function.class_code)


def _same_class(fields: list[str], class_code: str) -> bool:
    try:
        class_field = int(fields[0], 16) if fields else 0
        mask = int(fields[1], 16) if len(fields) > 1 else 0
        return not (class_field ^ int(class_code, 16)) & mask
    except ValueError:
        return False


def ids_entries(host: Host) -> tuple[IdsEntry, ...]:
    """Every entry of ids for vfio-pci or pci-stub, through whatever door.

    The doors: command lines, now, at the next boot and dracut's own; modprobe.d's options and
    install lines; the list of modules of initramfs-tools; what scripts and units write to new_id.
    """
    entries = [
        IdsEntry(source, text, driver)
        for source, name, value in _options(host)
        for option, driver in _IDS_OPTIONS.items()
        if name == option
        for text in value.split(",")
        if text
    ]
    for path, driver, ids in new_ids(host.settings):
        if driver in _IDS_OPTIONS.values() or is_variant(driver):
            entries.append(IdsEntry(path, ids, driver))
    return tuple(dict.fromkeys(entries))


def _options(host: Host) -> Iterator[tuple[str, str, str]]:
    """Source, name (`vfio_pci.ids`) and value of every option that reaches a module of VFIO."""
    lines = [
        ("the kernel's command line", host.boot.command_line),
        ("the next boot's command line", host.boot.next_command_line or ""),
        *dracut_arguments(host.settings),
    ]
    for source, line in lines:
        yield from ((source, name, value) for name, value in kernel_arguments(line))
    yield from _file_options(host.settings)
    for path, module, command in install_lines(host.settings):
        for word in command.split():
            if word.startswith("ids="):
                yield path, f"{module}.ids", word[len("ids=") :]


def _file_options(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """The same for the options in modprobe.d and in initramfs-tools' list of modules."""
    for module in ("vfio_pci", "pci_stub"):
        for path, name, value in module_options(settings, module):
            yield path, f"{module}.{name}", value
        for path, name, value in listed_options(settings, module):
            if path == _PASSED_ON:
                yield path, f"{module}.{name}", value


def check_identical(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC113: several cards of the same ids, of which only some are selected."""
    slots = {card.slot for card in cards}
    by_ids: dict[str, list[str]] = defaultdict(list)
    for card in host.cards:
        if card.gpu[0].vendor and card.gpu[0].device:
            by_ids[card.gpu[0].ids].append(card.slot)
    # All of them, or none, are selected: then there is nothing to tell apart.
    return [
        _identical(ids, members, slots)
        for ids, members in sorted(by_ids.items())
        if slots & {*members} and {*members} - slots
    ]


def _identical(ids: str, slots: list[str], selected: set[str]) -> Finding:
    chosen = ", ".join(slot for slot in slots if slot in selected)
    others = ", ".join(slot for slot in slots if slot not in selected)
    return Finding(
        "WC113",
        ids,
        Severity.NOTE,
        f"{len(slots)} cards have the ids {ids}: {chosen} selected, {others} not selected. "
        "Wholecard binds by address, so only the selected cards are bound; a binding by ids would "
        "bind all of them.",
    )


def check_ids(
    host: Host, cards: Iterable[Card], desired: DesiredState | None = None
) -> list[Finding]:
    """WC114 and WC115: bindings by ids that take too much, or that nothing reads."""
    given = set(given_addresses(cards, desired))
    if desired:
        given.update(desired.parked)
    findings = [*_unread_options(host)]
    for entry in _by_cause(ids_entries(host)):
        # What modprobe passes on, a driver built into the kernel never sees.
        built_in = module_of(entry.driver) in host.boot.builtin
        if built_in and entry.source.startswith(("/etc/modprobe.d/", _PASSED_ON)):
            findings.append(_unread(host, entry))
            continue
        stray = [
            function
            for function in host.functions
            if entry.takes(function)
            and not function.is_bridge
            and not {str(function.address), str(function.physfn)} & given
        ]
        if stray:
            findings.append(_takes_stray(host, entry, stray))
    return findings


def _by_cause(entries: Iterable[IdsEntry]) -> Iterator[IdsEntry]:
    """The entries, those of several command lines as one: the next has what this one has."""
    lines: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.source.startswith("/"):
            yield entry
        else:
            lines.setdefault((entry.text, entry.driver), []).append(entry.source)
    for (text, driver), sources in lines.items():
        yield IdsEntry(" and ".join(sources), text, driver)


def _by_address(host: Host, what: str = "it") -> str:
    return f"Remove {what}, and bind by address: {how_to_apply(host, '--card ADDRESS')}"


def _takes_stray(host: Host, entry: IdsEntry, stray: list[Function]) -> Finding:
    names = ", ".join(str(each.address) for each in stray)
    return Finding(
        "WC114",
        entry.text,
        Severity.ERROR,
        f"{entry.driver} has the option ids={entry.text} ({entry.source}), which also binds "
        f"{names}; they are not selected for passthrough.",
        _by_address(host, "the ids there"),
    )


def _unread_options(host: Host) -> Iterator[Finding]:
    """WC115 for options by ids that nothing reads: a misspelled name, or a list without options."""
    for source, name, value in _options(host):
        squeezed = re.sub("[^a-z]", "", name.lower()).removesuffix("s")
        if squeezed in _MISSPELLED and name not in _IDS_OPTIONS:
            option = "pci-stub.ids" if "stub" in squeezed else "vfio-pci.ids"
            yield Finding(
                "WC115",
                source,
                Severity.WARNING,
                f"{source} has {name.replace('_', '-')}={value}, which nothing reads: the option "
                f"is {option}.",
                _by_address(host),
            )
    for module in ("vfio_pci", "pci_stub"):
        for path, name, value in listed_options(host.settings, module):
            if name == "ids" and path != _PASSED_ON:
                yield Finding(
                    "WC115",
                    path,
                    Severity.WARNING,
                    f"{path} has ids={value} behind {module}: systemd-modules-load passes no "
                    "options on.",
                    _by_address(host),
                )


def _unread(host: Host, entry: IdsEntry) -> Finding:
    return Finding(
        "WC115",
        entry.source,
        Severity.WARNING,
        f"{entry.source} sets ids={entry.text} for {entry.driver}, but {entry.driver} is built "
        "into this kernel, where modprobe's options have no effect: this line binds nothing.",
        _by_address(host),
    )


def check_native_first(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC108 before the reboot: a native driver that will certainly be loaded before vfio-pci."""
    findings = []
    early = {module: path for path, module in initramfs_modules(host.settings)}
    for card in cards:
        for function in card.functions:
            if function.is_on_vfio:
                continue
            modules = natives(function)
            built_in = sorted(modules & set(host.boot.builtin))
            if built_in:
                findings.append(_built_in_native(host, function, built_in))
            findings += [
                _early_native(host, function, module, early[module])
                for module in sorted(modules & set(early))
                if not has_softdep(host.settings, module)
            ]
    return findings


def natives(function: Function) -> set[str]:
    """The modules that have the function now or would claim it, but those for guests."""
    modules = set(function.modules)
    if function.driver:
        modules.add(module_of(function.driver_module or function.driver))
    return modules - NOT_NATIVE - {function.variant or None}


def _built_in_native(host: Host, function: Function, modules: list[str]) -> Finding:
    first = "Apply, reboot, and check with verify"
    if host.boot.is_from_image:
        first = "Boot the image that has the binding, and check with wholecard-host check"
    # A USB or audio function changes drivers without harm; a GPU's driver may leave it in a state
    # from which the guest's driver does not start.
    severity = Severity.WARNING if function.is_display else Severity.NOTE
    return Finding(
        "WC108",
        str(function.address),
        severity,
        f"{', '.join(modules)} is built into the kernel and claims {function.address} "
        f"{function.ids} before anything else runs; vfio-pci takes it over in the initramfs.",
        f"{first} that it was taken over. If the card then misbehaves in a guest, boot a kernel "
        "that has the driver as a module.",
    )


def _early_native(host: Host, function: Function, module: str, path: str) -> Finding:
    softdep = f"softdep {module} pre: vfio-pci"
    instead = f"or run apply: it writes `{softdep}`."
    if host.boot.is_from_image:
        instead = f"or give the image `{softdep}`: {who_adds(host)}."
    return Finding(
        "WC108",
        str(function.address),
        Severity.WARNING,
        f"{path} puts {module} into the initramfs, and nothing loads vfio-pci before it: it may "
        f"claim {function.address} {function.ids} first.",
        f"Remove {module} from {path}, {instead}",
    )

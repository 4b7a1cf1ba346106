"""Who claims the functions at boot: native drivers, and bindings by ids. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wholecard.core import Finding, Severity
from wholecard.host.checks.iommu_group import given_addresses
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_aliases import module_name
from wholecard.host.facts.module_parameters import (
    has_softdep,
    initramfs_modules,
    kernel_arguments,
    module_options,
)
from wholecard.pci import Card, Function

_ANY = "ffffffff"


@dataclass(frozen=True)
class IdsEntry:
    """One entry of vfio-pci's option `ids`, and where it stands.

    `text` is `vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]` in hex (linux:
    drivers/vfio/pci/vfio_pci.c, parameter `ids`).
    """

    place: str
    text: str

    @property
    def from_modprobe(self) -> bool:
        """Whether modprobe gives it, which a driver built into the kernel never sees."""
        return self.place.startswith("/etc/modprobe.d/")

    def takes(self, function: Function) -> bool:
        """Whether vfio-pci would claim `function` by this entry, if nothing has it before."""
        fields = self.text.lower().split(":")
        if len(fields) < 2 or not function.vendor or not function.device:
            return False
        has = (
            function.vendor,
            function.device,
            function.subsystem_vendor,
            function.subsystem_device,
        )
        if any(not _same(wanted, is_) for wanted, is_ in zip(fields, has)):
            return False
        return _same_class(fields[4:], function.class_code)


def _same(wanted: str, is_: str) -> bool:
    return wanted.strip() == _ANY or wanted.strip().zfill(4) == is_


def _same_class(fields: list[str], class_code: str) -> bool:
    try:
        wanted = int(fields[0], 16) if fields else 0
        mask = int(fields[1], 16) if len(fields) > 1 else 0
        return not (wanted ^ int(class_code, 16)) & mask
    except ValueError:
        return False


def ids_entries(host: Host) -> tuple[IdsEntry, ...]:
    """Every entry of `vfio-pci.ids`: the command line's, the next boot's and modprobe.d's."""
    return tuple(dict.fromkeys(_ids_entries(host)))


def _ids_entries(host: Host) -> Iterator[IdsEntry]:
    lines = (
        ("the kernel's command line", host.boot.command_line),
        ("the next boot's command line", host.boot.next_command_line or ""),
    )
    for place, line in lines:
        for name, value in kernel_arguments(line):
            if name == "vfio_pci.ids":
                yield from (IdsEntry(place, text) for text in value.split(",") if text)
    for path, name, value in module_options(host.settings, "vfio_pci"):
        if name == "ids":
            yield from (IdsEntry(path, text) for text in value.split(",") if text)


def check_identical(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC113: several cards of the same ids, of which only some are to be given."""
    given = {card.slot for card in cards}
    alike: dict[str, list[Card]] = defaultdict(list)
    for card in host.cards:
        if card.gpu[0].vendor and card.gpu[0].device:
            alike[card.gpu[0].ids].append(card)
    findings = []
    for ids, members in sorted(alike.items()):
        staying = [card.slot for card in members if card.slot not in given]
        going = [card.slot for card in members if card.slot in given]
        if staying and going:
            findings.append(
                Finding(
                    "WC113",
                    ids,
                    Severity.NOTE,
                    f"{len(members)} cards have the ids {ids}: {', '.join(going)} to be given, "
                    f"{', '.join(staying)} to stay. Wholecard binds by address, so they are kept "
                    "apart; a binding by ids would take them all.",
                )
            )
    return findings


def check_ids(host: Host, cards: Iterable[Card], wish: DesiredState | None = None) -> list[Finding]:
    """WC114 and WC115: bindings by ids that take too much, or that nothing reads."""
    built_in = "vfio_pci" in host.boot.builtin
    given = set(given_addresses(cards, wish))
    findings = []
    for entry in ids_entries(host):
        if built_in and entry.from_modprobe:
            findings.append(_unread(entry))
            continue
        stray = [
            each
            for each in host.functions
            if entry.takes(each)
            and not each.is_bridge
            and str(each.address) not in given
            and str(each.physfn) not in given
        ]
        if stray:
            findings.append(_takes_stray(entry, stray))
    return findings


def _takes_stray(entry: IdsEntry, stray: list[Function]) -> Finding:
    names = ", ".join(str(each.address) for each in stray)
    return Finding(
        "WC114",
        entry.text,
        Severity.ERROR,
        f"vfio-pci is told ids={entry.text} ({entry.place}); that also takes {names}, which the "
        "host is to keep.",
        "Take the ids out there, and bind by address: wholecard-host apply --card ADDRESS",
    )


def _unread(entry: IdsEntry) -> Finding:
    return Finding(
        "WC115",
        entry.place,
        Severity.WARNING,
        f"{entry.place} tells vfio-pci ids={entry.text}, but vfio-pci is built into this kernel "
        "and modprobe's options do not reach it: nothing is bound by this line.",
        "Take the line out, and bind by address: wholecard-host apply --card ADDRESS",
    )


def check_native_first(host: Host, cards: Iterable[Card]) -> list[Finding]:
    """WC108 before the reboot: a native driver that is sure to come before vfio-pci."""
    findings = []
    early = {module: path for path, module in initramfs_modules(host.settings)}
    for card in cards:
        for function in card.functions:
            if function.driver == "vfio-pci":
                continue
            natives = _natives(function)
            built_in = sorted(natives & set(host.boot.builtin))
            if built_in:
                findings.append(_built_in_native(function, built_in))
            findings += [
                _early_native(function, module, early[module])
                for module in sorted(natives & set(early))
                if not has_softdep(host.settings, module)
            ]
    return findings


def _natives(function: Function) -> set[str]:
    natives = set(function.modules)
    if function.driver:
        natives.add(module_name(function.driver_module or function.driver))
    return natives - {"vfio_pci", "pci_stub"}


def _built_in_native(function: Function, modules: list[str]) -> Finding:
    # A USB or audio function is taken over without harm; a display driver has drawn on its card.
    severity = Severity.WARNING if function.is_display else Severity.NOTE
    return Finding(
        "WC108",
        str(function.address),
        severity,
        f"{', '.join(modules)} is built into the kernel and claims {function.address} "
        f"{function.ids} before anything else runs; vfio-pci takes it over in the initramfs.",
        "Apply, reboot and see with verify that it was taken over. If the card then misbehaves "
        "in a guest, boot a kernel that has the driver as a module.",
    )


def _early_native(function: Function, module: str, path: str) -> Finding:
    return Finding(
        "WC108",
        str(function.address),
        Severity.WARNING,
        f"{path} asks for {module} in the initramfs, and nothing orders vfio-pci before it: it "
        f"may claim {function.address} {function.ids} first.",
        f"Take {module} out of {path}, or apply: it writes `softdep {module} pre: vfio-pci`.",
    )

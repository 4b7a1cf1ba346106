"""From facts and a wish to a plan. Pure: it touches nothing, and the same gives the same."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core import Action, Plan, RefusedError, WholecardError
from wholecard.host import settings
from wholecard.host.check import check_together
from wholecard.host.grub import ARGUMENTS, edit
from wholecard.host.host import Host
from wholecard.host.initramfs import BOOT_SCRIPT_TEXT, HOOK_TEXT, table_text
from wholecard.host.modules import modprobe_text, modules_load_text
from wholecard.host.operations import RunTool, WriteFile
from wholecard.host.wish import Wish, cards_there, wished_cards
from wholecard.pci import Function

UPDATE_INITRAMFS = RunTool(
    ("update-initramfs", "-u", "-k", "all"), ("/boot/initrd.img-*", "/var/lib/initramfs-tools/*")
)
UPDATE_GRUB = RunTool(("update-grub",), ("/boot/grub/grub.cfg",))


def plan(host: Host, wish: Wish) -> Plan:
    """What makes the host give exactly the cards of `wish` from its next boot on.

    Empty when all stands already; whether the host was rebooted since is `verify`'s to say.

    Raises RefusedError when an endpoint that shares a card's group, real or predicted, would not
    be given with it, and WholecardError when this host cannot be changed: a card is gone or says
    no ids, no IOMMU in the firmware, no GRUB or no initramfs-tools.
    """
    functions = _functions_to_bind(host, wish)
    files = (*_kernel_arguments(host), *_module_files(host, functions), *_image_files(functions))
    changes = [action for desired, reason in files for action in _write(host, desired, reason)]
    actions = [*changes, *_tools({action.subject for action in changes})]
    return Plan(tuple(actions), reboot_needed=bool(actions))


def _functions_to_bind(host: Host, wish: Wish) -> tuple[Function, ...]:
    """Every function of every wished card, by address; or the refusal."""
    cards = wished_cards(host, wish)
    gone = set(wish.cards) - {card.slot for card in cards}
    if gone or not cards:
        raise WholecardError(
            f"no such card: {', '.join(sorted(gone)) or 'none was named'}", cards_there(host)
        )
    against = tuple(check_together(host, cards))
    if against:
        raise RefusedError(
            "a card is given with all that shares its IOMMU group, or not at all",
            against,
            " ".join(dict.fromkeys(finding.fix for finding in against)),
        )
    functions = tuple(function for card in cards for function in card.functions)
    nameless = [str(each.address) for each in functions if not (each.vendor and each.device)]
    if nameless:
        raise WholecardError(
            f"no vendor or device id can be read for {', '.join(nameless)}",
            "A function is only bound where its ids are the ones that were planned.",
            "Look at it with lspci -nn; a device that fell off the bus needs a power cycle.",
        )
    return functions


_Desired = tuple[settings.FileText, str]


def _kernel_arguments(host: Host) -> Iterator[_Desired]:
    if host.iommu.kind is None:
        if host.iommu.on:
            return
        raise WholecardError(
            "the firmware announces no IOMMU",
            "There is no ACPI table DMAR (Intel VT-d) or IVRS (AMD-Vi).",
            "Switch on VT-d or AMD-Vi in the firmware's setup.",
        )
    if host.boot.loader != "grub":
        raise WholecardError(
            "no boot loader that Wholecard knows",
            "Looked for /etc/default/grub and /usr/sbin/update-grub.",
            "Only hosts that boot with GRUB as Debian sets it up can be changed so far.",
        )
    wanted = ARGUMENTS[host.iommu.kind]
    arguments = " ".join(f"{name}={value}" for name, value in wanted.present)
    for changed in edit(host.settings.grub, wanted):
        yield changed, f"The kernel uses the IOMMU only when told so: {arguments}."


def _module_files(host: Host, functions: tuple[Function, ...]) -> Iterator[_Desired]:
    yield (
        settings.FileText(settings.MODULES_LOAD, modules_load_text()),
        "vfio-pci is loaded at every boot.",
    )
    standing = host.settings.file(settings.MODPROBE).text or ""
    yield (
        settings.FileText(settings.MODPROBE, modprobe_text(functions, host.boot.builtin, standing)),
        "vfio-pci comes before the drivers that would claim the functions.",
    )


def _image_files(functions: tuple[Function, ...]) -> Iterator[_Desired]:
    yield (
        settings.FileText(settings.TABLE, table_text(functions)),
        f"The functions to be bound, by address and ids: {len(functions)}.",
    )
    yield (
        settings.FileText(settings.HOOK, HOOK_TEXT, 0o755),
        "The initramfs carries vfio-pci and the table.",
    )
    yield (
        settings.FileText(settings.BOOT_SCRIPT, BOOT_SCRIPT_TEXT, 0o755),
        "vfio-pci takes the functions before udev loads any other driver.",
    )


def _write(host: Host, desired: settings.FileText, reason: str) -> Iterator[Action]:
    """The action that makes a file so, unless it is."""
    standing = host.settings.file(desired.path)
    if standing == desired:
        return
    if desired.path in settings.OURS[2:] and host.boot.initramfs != "initramfs-tools":
        raise WholecardError(
            f"no initramfs that Wholecard can change (found: {host.boot.initramfs or 'none'})",
            "Looked for /etc/initramfs-tools and /usr/sbin/update-initramfs.",
            "Only hosts with initramfs-tools can be changed so far.",
        )
    absent = standing.text is None
    yield Action(
        kind="write-file",
        subject=desired.path,
        reason=reason,
        do=WriteFile(
            path=desired.path,
            content=desired.text or "",
            mode=desired.mode,
            before=standing.text,
            before_mode=None if absent else standing.mode,
        ),
        undo="remove it" if absent else "put the former text back",
    )


def _tools(changed: set[str]) -> Iterator[Action]:
    """The tools that carry changed files into what the next boot reads."""
    if changed & set(settings.OURS) - {settings.MODULES_LOAD}:
        yield Action(
            kind="run-tool",
            subject="update-initramfs",
            reason="The next boot reads these files from the initramfs.",
            do=UPDATE_INITRAMFS,
            undo="put the former images back, or run it again where they have changed since",
        )
    if any(path.startswith("/etc/default/") for path in changed):
        yield Action(
            kind="run-tool",
            subject="update-grub",
            reason="The next boot reads the kernel's arguments from grub.cfg.",
            do=UPDATE_GRUB,
            undo="put the former grub.cfg back, or run it again where it has changed since",
        )

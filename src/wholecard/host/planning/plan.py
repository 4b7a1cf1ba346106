"""From facts and a wish to a plan. Pure: it touches nothing, and the same gives the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.host.bootloaders import grubby, kernel_install, update_grub
from wholecard.host.bootloaders.registry import next_command_line
from wholecard.host.config_files import IN_INITRAMFS, MODPROBE, MODULES_LOAD, TABLE, FileText
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.module_aliases import module_name
from wholecard.host.initramfs import dracut, initramfs_tools
from wholecard.host.initramfs.claim_script import PARKED, Claim, table_text
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import ARGUMENTS, KernelArgs
from wholecard.host.kernel_args.cpu_isolation import isolation_groups
from wholecard.host.kernel_args.hugepages import hugepage_group
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.write_file import WriteFile
from wholecard.host.planning.device_bindings import bound_functions
from wholecard.host.planning.modprobe import modprobe_text, modules_load_text
from wholecard.pci import Function

_Bound = tuple[tuple[Function, str], ...]


def plan(host: Host, wish: DesiredState) -> Plan:
    """What makes the host give exactly the cards of `wish` from its next boot on.

    Empty when all stands already; whether the host was rebooted since is `verify`'s to say.

    Raises RefusedError when an endpoint that shares a card's group, real or predicted, would not
    be given with it, or the host itself uses one; and WholecardError when this host cannot be
    changed: a card is gone or says no ids, no IOMMU in the firmware, no boot loader or no
    initramfs that Wholecard knows.
    """
    bound = bound_functions(host, wish)
    _refuse_transactional(host)
    _refuse_driverless(host, bound)
    changes = (_kernel_arguments(host, wish), _modules(host, wish, bound), _initramfs(host, wish))
    written = [
        action
        for change in changes
        for desired, reason in change.files
        for action in _write(host, desired, reason)
    ]
    # Images carry what files say, and entries of kernels may carry images.
    tools = [tool for change in reversed(changes) for tool in change.tools]
    subjects = {action.subject for action in written}
    run = [_run(tool) for tool in tools if not tool.after or subjects & set(tool.after)]
    actions = [*written, *run]
    return Plan(tuple(actions), reboot_needed=bool(actions))


def wanted_arguments(host: Host, wish: DesiredState, standing: str) -> KernelArgs:
    """The kernel arguments of a wish. `standing` is the command line that the next boot gets.

    Raises WholecardError where the firmware has no IOMMU.
    """
    words = command_line.words(standing)
    groups = [*isolation_groups(wish.isolated_cpus)]
    if wish.hugepages:
        groups.append(hugepage_group(words, wish.hugepages))
    if host.iommu.kind is None:
        if host.iommu.on:
            return KernelArgs(groups=tuple(groups))
        raise WholecardError(
            "the firmware announces no IOMMU",
            "There is no ACPI table DMAR (Intel VT-d) or IVRS (AMD-Vi).",
            "Switch on VT-d or AMD-Vi in the firmware's setup.",
        )
    return dataclasses.replace(ARGUMENTS[host.iommu.kind], groups=tuple(groups))


def _refuse_transactional(host: Host) -> None:
    if host.boot.read_only_root:
        raise UsageError(
            "a transactional system (read-only /) is not supported",
            "Its files are changed in a snapshot that the next boot takes, not in place.",
            "Print the plan on a copy of the host and make its changes by hand in "
            "transactional-update shell, then transactional-update grub.cfg and "
            "transactional-update initrd, and reboot.",
        )


def _refuse_driverless(host: Host, bound: _Bound) -> None:
    """Some kernels for virtual machines are built without pci-stub, or without VFIO."""
    for driver in sorted({driver for _, driver in bound}):
        if module_name(driver) in host.boot.missing:
            raise WholecardError(
                f"kernel {host.boot.release} has no {driver}",
                "It is neither built in nor among the kernel's modules.",
                "Install the distribution's general kernel (on Debian linux-image-amd64, not "
                "-cloud-), or do without what needs it.",
            )


def _kernel_arguments(host: Host, wish: DesiredState) -> ConfigChange:
    loader = wish.loader or host.boot.loader
    settings, running = host.settings, host.boot.command_line
    wanted = wanted_arguments(host, wish, next_command_line(loader, settings, running) or "")
    if wanted == KernelArgs():
        return ConfigChange()
    if loader == "grubby":
        return grubby.change(settings, wanted)
    if loader == "systemd-boot":
        return kernel_install.change(settings, running, host.boot.kernels, wanted)
    if loader == "grub":
        return update_grub.change(settings, wanted, update_grub.UPDATE_GRUB)
    if loader == "grub2":
        return update_grub.change(settings, wanted, update_grub.MKCONFIG)
    raise WholecardError(
        "no boot loader that Wholecard knows",
        "Looked for update-grub or grub2-mkconfig with /etc/default/grub, grubby with boot loader "
        "entries, and systemd-boot with kernel-install.",
        f"Install the tools of the boot loader, or add the kernel arguments by hand: {wanted}",
    )


def _modules(host: Host, wish: DesiredState, bound: _Bound) -> ConfigChange:
    functions = tuple(function for function, _ in bound)
    standing = host.settings.file(MODPROBE).text or ""
    modprobe = modprobe_text(functions, host.boot.builtin, standing, wish.blacklist)
    table = table_text(Claim.of(function, driver) for function, driver in bound)
    parked = sum(driver == PARKED for _, driver in bound)
    count = f"{len(bound)}, {parked} of them parked" if parked else f"{len(bound)}"
    return ConfigChange(
        files=(
            (FileText(MODULES_LOAD, modules_load_text()), "vfio-pci is loaded at every boot."),
            (
                FileText(MODPROBE, modprobe),
                "vfio-pci comes before the drivers that would claim the functions.",
            ),
            (
                FileText(TABLE, table),
                f"The functions to be bound, by slots and ids: {count}.",
            ),
        )
    )


def _initramfs(host: Host, wish: DesiredState) -> ConfigChange:
    named = wish.initramfs or host.boot.initramfs
    if named == "initramfs-tools":
        change = initramfs_tools.change()
    elif named == "dracut":
        change = dracut.change()
    else:
        raise WholecardError(
            "no initramfs tool that Wholecard knows",
            "Looked for /etc/initramfs-tools with update-initramfs, and for dracut.",
            "Install one of them: the functions are claimed before the root is mounted.",
        )
    after = (MODPROBE, *IN_INITRAMFS)
    tools = tuple(dataclasses.replace(tool, after=after) for tool in change.tools)
    return dataclasses.replace(change, tools=tools)


def _write(host: Host, desired: FileText, reason: str) -> Iterator[Action]:
    """The action that makes a file so, unless it is."""
    standing = host.settings.file(desired.path)
    if standing == desired:
        return
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


def _run(tool: FollowUp) -> Action:
    return Action(
        kind="run-tool", subject=tool.subject, reason=tool.reason, do=tool.do, undo=tool.undo
    )

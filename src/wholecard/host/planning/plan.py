"""From facts and a desired state to a plan. Pure: it touches nothing, the same gives the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from wholecard.core import Action, Plan, UsageError, WholecardError
from wholecard.host.bootloaders.registry import LOADERS, BootState, loader_named
from wholecard.host.checks.iommu import no_iommu_text
from wholecard.host.config_files import IN_INITRAMFS, MODPROBE, MODULES_LOAD, TABLE, FileText
from wholecard.host.desired_state import DesiredState
from wholecard.host.facts.host import Host
from wholecard.host.facts.split_state import SplitState
from wholecard.host.initramfs.claim_script import PARKED, Claim, table_text
from wholecard.host.initramfs.registry import INITRAMFS_TOOLS, initramfs_tool_named
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import ARGUMENTS, KernelArgs
from wholecard.host.kernel_args.cpu_isolation import isolation_groups
from wholecard.host.kernel_args.hugepages import hugepage_group
from wholecard.host.operations.config_change import BootCopies, ConfigChange, FollowUp
from wholecard.host.operations.write_file import WriteFile
from wholecard.host.planning.boot_copies import boot_copies
from wholecard.host.planning.containers import container_change
from wholecard.host.planning.device_bindings import bound_functions
from wholecard.host.planning.modprobe import modprobe_text, modules_load_text
from wholecard.host.planning.nvswitch import nvswitch_change
from wholecard.host.planning.split_changes import (
    actions_now,
    definitions_now,
    install_action,
    refuse_splits,
    split_files,
    waits_for_boot,
)
from wholecard.pci import Function
from wholecard.pci.vfio_drivers import module_of

_Bound = tuple[tuple[Function, str], ...]


def plan(host: Host, desired: DesiredState, split_state: SplitState | None = None) -> Plan:
    """What prepares the host to give exactly the desired cards to guests from its next boot on.

    Cards that are given in parts are split now where they can be; `split_state` is what those cards
    are now. Empty when nothing has to change; whether the host was rebooted since is for `verify`
    to say.

    Raises RefusedError when an endpoint that shares a card's group, real or predicted, would not
    be bound with it, or the host itself uses one; and WholecardError when this host cannot be
    changed: a card is gone or has no ids, no IOMMU in the firmware, no boot loader or no
    initramfs tool that Wholecard knows.
    """
    state = split_state or SplitState()
    refuse_splits(host, desired, state)
    actions = actions_of(host, _changes(host, desired))
    waiting = [split for split in desired.splits if waits_for_boot(host, split, state)]
    parts = _split_actions(host, desired, state)
    # What was written for the next boot, and nothing else, is no reason to reboot.
    reboot = bool(actions) or bool(waiting and parts)
    return Plan((*actions, *parts), reboot_needed=reboot)


def _split_actions(host: Host, desired: DesiredState, state: SplitState) -> tuple[Action, ...]:
    """First what every later boot needs: a run that ends here is finished by the unit."""
    if not desired.splits:
        return ()
    return (
        *install_action(state),
        *definitions_now(desired, state),
        *actions_of(host, (split_files(host, desired),)),
        *actions_now(host, desired, state),
    )


def _changes(host: Host, desired: DesiredState) -> tuple[ConfigChange, ...]:
    """What the next boot needs for whole cards, for containers, and for VFIO."""
    containers = container_change(host, desired)
    if desired.keeps_all_cards:
        if not desired.splits:
            return (containers,)
        _refuse_image_based(host, desired)
        return (_kernel_arguments(host, desired), containers)
    bound = bound_functions(host, desired)
    _refuse_image_based(host, desired)
    refuse_driverless(host, bound)
    # Where the initramfs tool is what prevents all, that is the error.
    initramfs = _initramfs(host, desired)
    return (
        _kernel_arguments(host, desired),
        module_settings(host, desired, bound),
        initramfs,
        containers,
        nvswitch_change(desired),
    )


def actions_of(host: Host, changes: Sequence[ConfigChange]) -> tuple[Action, ...]:
    """The actions of some changes: files that differ, then the tools that put them into effect."""
    files = [file for change in changes for file in change.all_files]
    written = [action for file, reason in files for action in _write(host, file, reason)]
    # Initramfs images contain the files, and a kernel's boot entry may contain its image.
    tools = [tool for change in reversed(changes) for tool in change.all_tools]
    changed = {action.subject for action in written}
    following = [_run(tool) for tool in tools if tool.runs_after(changed)]
    copies = {entry.do: _run(entry) for change in changes for entry in change.copies}
    # First, so that a run which is killed at any point makes them again.
    return (*(copies.values() if following else ()), *written, *following)


def desired_kernel_args(host: Host, desired: DesiredState, next_line: str) -> KernelArgs:
    """The kernel arguments of a desired state; `next_line` is the next boot's command line now.

    Raises WholecardError where the firmware has no IOMMU.
    """
    groups = [*isolation_groups(desired.isolated_cpus)]
    if desired.hugepages:
        groups.append(hugepage_group(command_line.words(next_line), desired.hugepages))
    if host.iommu.kind not in ARGUMENTS:
        if host.iommu.on:
            return KernelArgs(groups=tuple(groups))
        message, fix = no_iommu_text(host)
        raise WholecardError("no kernel argument can switch on an IOMMU here", message, fix)
    return dataclasses.replace(ARGUMENTS[host.iommu.kind], groups=tuple(groups))


def _refuse_image_based(host: Host, desired: DesiredState) -> None:
    if not host.boot.is_from_image:
        return
    kind = host.boot.image_based
    kargs = ""
    if kind == "rpm-ostree":
        kargs = "\nFor the kernel arguments alone: " + rpm_ostree_kargs(
            desired_kernel_args(host, desired, host.boot.command_line)
        )
    raise UsageError(
        f"this system comes from an image ({kind}) and is not changed in place",
        f"An update replaces its files as a whole.{kargs}",
        "Make the changes in the image. This prints them, ready to paste: wholecard-host plan "
        "--for-image, with the same options.",
    )


def rpm_ostree_kargs(kernel_args: KernelArgs) -> str:
    """The command that gives a deployment of rpm-ostree these arguments: rpm-ostree(1), kargs."""
    words = [f"--append-if-missing={word}" for word in kernel_args.words]
    words += [f"--delete-if-present={word}" for word in kernel_args.absent]
    return " ".join(["rpm-ostree kargs", *words])


def refuse_driverless(host: Host, bound: _Bound) -> None:
    """Some kernels for virtual machines are built without pci-stub, or without VFIO."""
    for driver in sorted({driver for _, driver in bound}):
        if module_of(driver) in host.boot.missing:
            raise WholecardError(
                f"kernel {host.boot.release} has no {driver}",
                "It is neither built in nor one of the kernel's modules.",
                "Install the distribution's general kernel (on Debian linux-image-amd64, not "
                "-cloud-), or leave out what needs it.",
            )


def boot_state(host: Host) -> BootState:
    """What a boot loader's next command line comes from."""
    return BootState(
        host.settings,
        host.boot.command_line,
        host.boot.kernels,
        host.boot.grub_menu,
        f"{host.boot.distribution} {host.boot.like}",
    )


def _kernel_arguments(host: Host, desired: DesiredState) -> ConfigChange:
    loader = loader_named(desired.loader or host.boot.loader)
    state = boot_state(host)
    next_line = loader.next_command_line(state) if loader else None
    kernel_args = desired_kernel_args(host, desired, next_line or "")
    if kernel_args == KernelArgs():
        return ConfigChange()
    if loader is None:
        running = command_line.words(host.boot.command_line)
        if command_line.exchanged(running, kernel_args) == ([], []):
            return ConfigChange()
        owners = ", ".join(host.boot.unsupported_loaders)
        raise WholecardError(
            f"{owners} is not supported" if owners else "no boot loader that Wholecard supports",
            f"Looked for: {'; '.join(known.tools for known in LOADERS)}.",
            f"Install the boot loader's tools, or add the kernel arguments by hand: {kernel_args}"
            if not owners
            else f"Add the kernel arguments by hand, with {owners}: {kernel_args}. Reboot, and "
            "plan again: then the rest is planned.",
        )
    return loader.change(state, kernel_args)


def module_settings(host: Host, desired: DesiredState, bound: _Bound) -> ConfigChange:
    """The files that say which functions are bound, and that vfio-pci is loaded first."""
    functions = tuple(function for function, _ in bound)
    present = host.settings.file(MODPROBE).text or ""
    modprobe = modprobe_text(functions, host.boot.builtin, present, desired.blacklist)
    table = table_text(Claim.of(function, driver) for function, driver in bound)
    parked = sum(driver == PARKED for _, driver in bound)
    count = f"{len(bound)}, {parked} of them parked" if parked else f"{len(bound)}"
    return ConfigChange(
        files=(
            (FileText(MODULES_LOAD, modules_load_text()), "vfio-pci is loaded at every boot."),
            (
                FileText(MODPROBE, modprobe),
                "vfio-pci is loaded before the drivers that would claim the functions.",
            ),
            (FileText(TABLE, table), f"The functions to bind, by slots and ids: {count}."),
        )
    )


def _initramfs(host: Host, desired: DesiredState) -> ConfigChange:
    initramfs_tool = initramfs_tool_named(desired.initramfs or host.boot.initramfs)
    if initramfs_tool is None:
        raise _no_initramfs_tool(host)
    change = initramfs_tool.change()
    loader = loader_named(desired.loader or host.boot.loader)
    if loader is not None and loader.makes_initramfs:
        return dataclasses.replace(change, tools=())
    return _with_boot_copies(host, change)


def _no_initramfs_tool(host: Host) -> WholecardError:
    others = ", ".join(host.boot.unsupported_tools)
    return WholecardError(
        f"{others} is not supported" if others else "no initramfs tool that Wholecard supports",
        f"Looked for: {'; '.join(known.tools for known in INITRAMFS_TOOLS)}.",
        f"Install one of them{f' in place of {others}' if others else ''}: the initramfs "
        "binds the functions before the root file system is mounted.",
    )


def _with_boot_copies(host: Host, change: ConfigChange) -> ConfigChange:
    """`change` with the copies that hooks of this host make of an image, which are made again."""
    after = (MODPROBE, *IN_INITRAMFS)
    hooks = boot_copies(host.boot.image_hooks, host.boot.kernels)
    copies = tuple(pattern for hook in hooks for pattern in hook.outputs)
    tools = tuple(
        dataclasses.replace(tool, do=dataclasses.replace(tool.do, copies=copies), after=after)
        for tool in change.tools
    )
    again = tuple(entry for hook in hooks for entry in hook.copies)
    return dataclasses.replace(change, tools=tools, copies=again)


def _write(host: Host, file: FileText, reason: str) -> Iterator[Action]:
    """The action that writes a file, unless it has this text and mode already."""
    present = host.settings.file(file.path)
    if present == file:
        return
    absent = present.text is None
    yield Action(
        kind="write-file",
        subject=file.path,
        reason=reason,
        do=WriteFile(
            path=file.path,
            content=file.text or "",
            mode=file.mode,
            before=present.text,
            before_mode=None if absent else present.mode,
        ),
        undo="remove it" if absent else "restore the former text",
    )


def _run(tool: FollowUp | BootCopies) -> Action:
    return Action(
        kind=tool.do.kind, subject=tool.subject, reason=tool.reason, do=tool.do, undo=tool.undo
    )

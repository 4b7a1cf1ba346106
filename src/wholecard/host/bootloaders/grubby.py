"""The command line through grubby (EL 8 and later): boot loader entries, one for each kernel.

`--update-kernel=ALL` changes each entry's `options`, or `kernelopts` in GRUB's environment block
where an entry has `$kernelopts`; GRUB_CMDLINE_LINUX in /etc/default/grub where that is not empty;
and /etc/kernel/cmdline, from which kernels to come get their arguments, which it makes where it is
absent. Of the arguments that are added every one of the same name goes first, then all are
appended in their order: so values are merged here, and repeated names are given together. Source:
the script grubby-bls of EL 9's grubby 8.40; grubby(8).
"""

from __future__ import annotations

from collections.abc import Iterable

from wholecard.core import WholecardError
from wholecard.host.bootloaders import bls_entries, grub_defaults, grub_own_part
from wholecard.host.bootloaders.registry import BootState
from wholecard.host.config_files import ENTRIES, GRUB, GRUBENV, GRUBENV_EFI, KERNEL_CMDLINE
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool


def change(state: BootState, kernel_args: KernelArgs) -> ConfigChange:
    """One call of grubby for all entries, where any of them lacks an argument."""
    line = bls_entries.configured_command_line(state)
    if line is None:
        raise WholecardError(
            "cannot read the boot loader entries",
            f"Looked for /{ENTRIES}/*.conf.",
            "Run this as root. If there are no entries, create them with kernel-install or "
            "grub2-switch-to-blscfg.",
        )
    lines = _lines(state)
    lacking = [line for line in lines if command_line.merge([line], kernel_args) != [line]]
    if not lacking:
        return ConfigChange()
    (after,) = command_line.merge([line], kernel_args)
    added, removed = _difference(lacking, after, kernel_args)
    tool = FollowUp(
        "grubby",
        f"The kernel gets these arguments, in every entry: {kernel_args}.",
        RunTool(
            _argv(added, removed), _outputs(state), again=_argv(*_inverse(line, added, removed))
        ),
        "restore the former entries, or only remove the arguments from entries that changed since",
    )
    return ConfigChange(tools=(tool,))


def _lines(state: BootState) -> list[str]:
    """Every command line that a boot now or after the next kernel's installation may get."""
    settings = state.settings
    lines = [bls_entries.options(settings, entry) for entry in settings.entries]
    cmdline = settings.file(KERNEL_CMDLINE).text
    if cmdline is not None:
        lines.append(" ".join(cmdline.split()))
    defaults = grub_own_part.configured_command_line(state)
    # grubby does not write an empty GRUB_CMDLINE_LINUX.
    has_grub_cmdline = any(
        line.startswith(f"{grub_defaults.BOTH}=") and line.partition("=")[2].strip("\"' ")
        for line in (settings.file(GRUB).text or "").splitlines()
    )
    return [*lines, defaults] if defaults and has_grub_cmdline else lines


def _difference(
    lacking: Iterable[str], after: str, kernel_args: KernelArgs
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to add, with every word of each name concerned, and what to remove."""
    names = {name for name, _ in kernel_args.present}
    names.update(command_line.name_of(word) for group in kernel_args.groups for word in group)
    added = tuple(word for word in command_line.words(after) if command_line.name_of(word) in names)
    present = {word for line in lacking for word in command_line.words(line)}
    return added, tuple(word for word in kernel_args.absent if word in present)


def _inverse(
    line: str, added: tuple[str, ...], removed: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What gives the default entry its former words of the added names: to add, to remove."""
    names = dict.fromkeys(command_line.name_of(word) for word in added)
    before = tuple(word for word in command_line.words(line) if command_line.name_of(word) in names)
    had = {command_line.name_of(word) for word in before}
    return (*before, *removed), tuple(name for name in names if name not in had)


def _argv(added: tuple[str, ...], removed: tuple[str, ...]) -> tuple[str, ...]:
    argv = ["grubby", "--update-kernel=ALL"]
    if removed:
        argv.append(f"--remove-args={' '.join(removed)}")
    if added:
        argv.append(f"--args={' '.join(added)}")
    return tuple(argv)


def _outputs(state: BootState) -> tuple[str, ...]:
    """What grubby writes; the environment block, which changes at every boot, only if it has to."""
    block = any(bls_entries.uses_environment(entry) for entry in state.settings.entries)
    return (f"/{ENTRIES}/*.conf", GRUB, KERNEL_CMDLINE, *((GRUBENV, GRUBENV_EFI) if block else ()))

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
from wholecard.host.bootloaders import bls_entries, grub_defaults
from wholecard.host.config_files import (
    ENTRIES,
    GRUB,
    GRUBENV,
    GRUBENV_EFI,
    KERNEL_CMDLINE,
    Settings,
)
from wholecard.host.kernel_args import command_line
from wholecard.host.kernel_args.command_line import KernelArgs
from wholecard.host.operations.config_change import ConfigChange, FollowUp
from wholecard.host.operations.run_tool import RunTool


def change(settings: Settings, wanted: KernelArgs) -> ConfigChange:
    """One call of grubby for all entries, where any of them lacks what is wanted."""
    line = bls_entries.configured_command_line(settings)
    if line is None:
        raise WholecardError(
            "cannot read the boot loader entries",
            f"Looked for /{ENTRIES}/*.conf.",
            "Run it as root; without entries, make them with kernel-install or "
            "grub2-switch-to-blscfg.",
        )
    lacking = [each for each in _lines(settings) if command_line.merge([each], wanted) != [each]]
    if not lacking:
        return ConfigChange()
    (after,) = command_line.merge([line], wanted)
    added, removed = _difference(lacking, after, wanted)
    tool = FollowUp(
        "grubby",
        f"The kernel is told by its arguments, in every entry: {wanted}.",
        RunTool(
            _argv(added, removed),
            _outputs(settings),
            again=_argv(*_inverse(line, added, removed)),
        ),
        "put the former entries back, or take the arguments out where entries changed since",
    )
    return ConfigChange(tools=(tool,))


def _lines(settings: Settings) -> list[str]:
    """Every command line that a boot now or after the next kernel's installation may get."""
    lines = [bls_entries.options(settings, entry) for entry in settings.entries]
    standing = settings.file(KERNEL_CMDLINE).text
    if standing is not None:
        lines.append(" ".join(standing.split()))
    shown = grub_defaults.configured_command_line(settings)
    return [*lines, shown] if shown and _in_both(settings) else lines


def _in_both(settings: Settings) -> bool:
    # grubby leaves an empty GRUB_CMDLINE_LINUX as it is.
    return any(
        line.startswith(f"{grub_defaults.BOTH}=") and line.partition("=")[2].strip("\"' ")
        for line in (settings.file(GRUB).text or "").splitlines()
    )


def _difference(
    lacking: Iterable[str], after: str, wanted: KernelArgs
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to add, with every word of each name concerned, and what to remove."""
    names = {name for name, _ in wanted.present}
    names.update(command_line.name_of(word) for group in wanted.groups for word in group)
    added = tuple(word for word in command_line.words(after) if command_line.name_of(word) in names)
    there = {word for line in lacking for word in command_line.words(line)}
    return added, tuple(word for word in wanted.absent if word in there)


def _inverse(
    line: str, added: tuple[str, ...], removed: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
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


def _outputs(settings: Settings) -> tuple[str, ...]:
    """What grubby writes. The environment block changes at every boot: only where it has to be."""
    block = any(bls_entries.uses_environment(entry) for entry in settings.entries)
    return (f"/{ENTRIES}/*.conf", GRUB, KERNEL_CMDLINE, *((GRUBENV, GRUBENV_EFI) if block else ()))

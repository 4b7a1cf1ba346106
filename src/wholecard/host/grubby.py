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
from wholecard.host import arguments, entries, grub
from wholecard.host.arguments import Wanted
from wholecard.host.change import Change, Tool
from wholecard.host.operations import RunTool
from wholecard.host.settings import (
    ENTRIES,
    GRUB,
    GRUBENV,
    GRUBENV_EFI,
    KERNEL_CMDLINE,
    Settings,
)


def change(settings: Settings, wanted: Wanted) -> Change:
    """One call of grubby for all entries, where any of them lacks what is wanted."""
    line = entries.command_line(settings)
    if line is None:
        raise WholecardError(
            "cannot read the boot loader entries",
            f"Looked for /{ENTRIES}/*.conf.",
            "Run it as root; without entries, make them with kernel-install or "
            "grub2-switch-to-blscfg.",
        )
    lacking = [each for each in _lines(settings) if arguments.merge([each], wanted) != [each]]
    if not lacking:
        return Change()
    (after,) = arguments.merge([line], wanted)
    added, removed = _difference(lacking, after, wanted)
    tool = Tool(
        "grubby",
        f"The kernel is told by its arguments, in every entry: {wanted}.",
        RunTool(
            _argv(added, removed),
            _outputs(settings),
            again=_argv(*_inverse(line, added, removed)),
        ),
        "put the former entries back, or take the arguments out where entries changed since",
    )
    return Change(tools=(tool,))


def _lines(settings: Settings) -> list[str]:
    """Every command line that a boot now or after the next kernel's installation may get."""
    lines = [entries.options(settings, entry) for entry in settings.entries]
    standing = settings.file(KERNEL_CMDLINE).text
    if standing is not None:
        lines.append(" ".join(standing.split()))
    shown = grub.command_line(settings)
    return [*lines, shown] if shown and _in_both(settings) else lines


def _in_both(settings: Settings) -> bool:
    # grubby leaves an empty GRUB_CMDLINE_LINUX as it is.
    return any(
        line.startswith(f"{grub.BOTH}=") and line.partition("=")[2].strip("\"' ")
        for line in (settings.file(GRUB).text or "").splitlines()
    )


def _difference(
    lacking: Iterable[str], after: str, wanted: Wanted
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to add, with every word of each name concerned, and what to remove."""
    names = {name for name, _ in wanted.present}
    names.update(arguments.name_of(word) for group in wanted.groups for word in group)
    added = tuple(word for word in arguments.words(after) if arguments.name_of(word) in names)
    there = {word for line in lacking for word in arguments.words(line)}
    return added, tuple(word for word in wanted.absent if word in there)


def _inverse(
    line: str, added: tuple[str, ...], removed: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = dict.fromkeys(arguments.name_of(word) for word in added)
    before = tuple(word for word in arguments.words(line) if arguments.name_of(word) in names)
    had = {arguments.name_of(word) for word in before}
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
    block = any(entries.uses_environment(entry) for entry in settings.entries)
    return (f"/{ENTRIES}/*.conf", GRUB, KERNEL_CMDLINE, *((GRUBENV, GRUBENV_EFI) if block else ()))

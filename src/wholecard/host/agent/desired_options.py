"""The command line's part of a wish: options of check, plan and apply."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from wholecard.host.desired_state import DesiredState, read_wish
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.module_aliases import native_modules
from wholecard.host.facts.saved import read_json
from wholecard.host.kernel_args.hugepages import HugePages

# Option, what stands for its value, what it does.
_SEVERAL = (
    ("--companion", "ADDRESS", "an endpoint outside the cards that is bound along"),
    ("--park", "ADDRESS", "a function that pci-stub keeps, given to nobody"),
    ("--hugepages", "SIZE:COUNT", "huge pages to be set aside at boot: 1G:64"),
)
_ONE = (
    ("--isolate-cpus", "LIST", "CPUs kept for guests alone: 2-31"),
    ("--loader", "NAME", "insist on a boot loader: grub, grub2, grubby, systemd-boot"),
    ("--initramfs", "NAME", "insist on initramfs-tools or dracut"),
)


def add(command: argparse.ArgumentParser) -> None:
    """Add the options to a command's parser."""
    for option, metavar, summary in _SEVERAL:
        command.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{summary}; repeatable"
        )
    for option, metavar, summary in _ONE:
        command.add_argument(option, default="", metavar=metavar, help=summary)
    command.add_argument(
        "--wish", type=Path, metavar="FILE", help="a wish as JSON; the other options add to it"
    )
    command.add_argument(
        "--facts",
        type=Path,
        metavar="FILE",
        help="for an image as --root: the host's functions, as its inspect --json wrote them",
    )


def asked(arguments: argparse.Namespace) -> DesiredState:
    """The wish as it was typed and read, not yet held against a host. Raises UsageError."""
    base = DesiredState(()) if arguments.wish is None else read_wish(arguments.wish)
    return dataclasses.replace(
        base,
        companions=(*base.companions, *arguments.companion),
        parked=(*base.parked, *arguments.park),
        hugepages=(*base.hugepages, *(HugePages.parse(each) for each in arguments.hugepages)),
        isolated_cpus=arguments.isolate_cpus or base.isolated_cpus,
        loader=arguments.loader or base.loader,
        initramfs=arguments.initramfs or base.initramfs,
    )


def host(arguments: argparse.Namespace) -> Host:
    """The host under `--root`; with `--facts` its settings from there and its hardware from them.

    Raises UsageError where the file cannot be read or holds no host.
    """
    here = inspect(arguments.root)
    if arguments.facts is None:
        return here
    there = read_json(arguments.facts)
    return _with_modules(
        dataclasses.replace(there, boot=here.boot, settings=here.settings), arguments.root
    )


def _with_modules(host: Host, root: Path) -> Host:
    """The facts with the native modules of the kernel that is in the image."""
    found = native_modules(root, host.boot.release, host.functions)
    changed = {
        each.address: dataclasses.replace(each, modules=found.get(each.modalias, each.modules))
        for each in host.functions
    }
    cards = tuple(
        dataclasses.replace(card, functions=tuple(changed[each.address] for each in card.functions))
        for card in host.cards
    )
    return dataclasses.replace(host, functions=tuple(changed.values()), cards=cards)

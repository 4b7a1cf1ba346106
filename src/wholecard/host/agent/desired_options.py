"""The command line's part of a desired state: options of check, plan and apply."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from wholecard.host.desired_state import DesiredState, read_desired_state
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.module_aliases import native_modules
from wholecard.host.facts.saved import read_json
from wholecard.host.kernel_args.hugepages import HugePages
from wholecard.pci import find_cards

# Option, the placeholder of its value, what it does.
_SEVERAL = (
    ("--companion", "ADDRESS", "an endpoint outside the cards, to bind together with them"),
    ("--park", "ADDRESS", "a function to bind to pci-stub, which no guest gets"),
    ("--containers", "ADDRESS", "a card that stays with the host, for its own containers"),
    ("--hugepages", "SIZE:COUNT", "huge pages to reserve at boot, for example 1G:64"),
)
_ONE = (
    ("--isolate-cpus", "LIST", "CPUs that only guests use, for example 2-31"),
    ("--loader", "NAME", "use this boot loader, by the name that inspect prints"),
    ("--initramfs", "NAME", "use this initramfs tool: initramfs-tools or dracut"),
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
        "--desired",
        type=Path,
        metavar="FILE",
        help="a JSON file with the desired state; the other options add to it",
    )
    command.add_argument(
        "--facts",
        type=Path,
        metavar="FILE",
        help="with --root for an image: the facts (inspect --json) of the host that will run it",
    )


def asked(arguments: argparse.Namespace) -> DesiredState:
    """The desired state as typed and read, not yet compared with a host. Raises UsageError."""
    file = arguments.desired
    base = DesiredState(()) if file is None else read_desired_state(file)
    return dataclasses.replace(
        base,
        companions=(*base.companions, *arguments.companion),
        parked=(*base.parked, *arguments.park),
        containers=(*base.containers, *arguments.containers),
        hugepages=(*base.hugepages, *(HugePages.parse(text) for text in arguments.hugepages)),
        isolated_cpus=arguments.isolate_cpus or base.isolated_cpus,
        loader=arguments.loader or base.loader,
        initramfs=arguments.initramfs or base.initramfs,
    )


def host(arguments: argparse.Namespace) -> Host:
    """The host under `--root`; with `--facts` its hardware from that file, the rest from the root.

    Raises UsageError where the file cannot be read or holds no host.
    """
    in_root = inspect(arguments.root)
    if arguments.facts is None:
        return in_root
    hardware = read_json(arguments.facts)
    # The native modules are those of the kernel that is in the image.
    modules = native_modules(arguments.root, in_root.boot.release, hardware.functions)
    functions = tuple(
        dataclasses.replace(function, modules=modules.get(function.modalias, function.modules))
        for function in hardware.functions
    )
    return dataclasses.replace(
        hardware,
        boot=in_root.boot,
        settings=in_root.settings,
        functions=functions,
        cards=find_cards(functions, hardware.groups),
    )

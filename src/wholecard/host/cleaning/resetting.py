"""The reset itself, and the short time in which a card is awake so that it can be looked at.

Sources: linux, Documentation/ABI/testing/sysfs-bus-pci (`reset`, `reset_method`, since 5.15;
`reset_subordinate`, since 6.13 and in some stable kernels: Debian 13's 6.12.118 has it) and
sysfs-devices-power (`control`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.core.small_files import read_text
from wholecard.core.waiting import wait_until
from wholecard.host.cleaning.config_space import (
    COMMAND,
    MEMORY_SPACE,
    command_of,
    folder_of,
    is_alive,
    read_config,
)
from wholecard.host.cleaning.reset_choice import BRIDGE, HOT, Choice
from wholecard.host.cleaning.undo_file import FormerValues, UndoFile, write_attribute
from wholecard.host.cleaning.vfio_hot_reset import hot_reset
from wholecard.transaction import syscalls

SUBORDINATE = "reset_subordinate"

Say = Callable[[str, str], None]


@contextmanager
def awake(root: Path, slot: str, addresses: Sequence[str], say: Say) -> Iterator[None]:
    """Keep the card's functions in D0 with their memory decoded; put all of it back afterwards.

    What a killed cleaning left is put back first. A function that does not answer any more gets
    nothing written. Raises WholecardError.
    """
    undo = UndoFile(root, slot)
    left = undo.read()
    if left:
        _restore(root, left)
        undo.remove()
        say("put back what an interrupted cleaning had changed", "this is an undo itself")
    former = tuple(_former(root, address) for address in addresses)
    undo.write(former)
    try:
        for row in former:
            _wake(root, row)
        say(
            "kept the functions awake, with their memory decoded (power/control, command register)",
            "the former values are written back at the end, or by the next cleaning",
        )
        yield
    finally:
        _restore(root, former)
        undo.remove()


def decode_memory(root: Path, address: str) -> None:
    """Set Memory Space Enable, so that the BARs answer: no driver of VFIO's sets it while idle."""
    config = read_config(root, address)
    if is_alive(config):
        _write_command(root, address, command_of(config) | MEMORY_SPACE)


def reset(root: Path, choice: Choice, groups: Sequence[int], address: str, say: Say) -> None:
    """Reset the card as it was chosen. Raises WholecardError.

    `address` is the card's first function, `groups` its IOMMU groups.
    """
    why = "a reset needs no undo: it brings the card to the state after power-on"
    if choice.way == BRIDGE:
        write_attribute(folder_of(root, str(choice.bridge)), SUBORDINATE, "1")
        say(f"reset everything below the bridge {choice.bridge}", why)
    elif choice.way == HOT:
        hot_reset(root, groups, address)
        say(f"reset the bus of {address} through VFIO", why)
    for function, method in choice.methods:
        _reset_function(folder_of(root, str(function)), method)
        say(f"reset {function} by {method}", why)


def wait_until_alive(root: Path, addresses: Sequence[str]) -> bool:
    """Wait until all of them answer; whether they do."""

    def probe() -> bool | None:
        return True if all(is_alive(read_config(root, each)) for each in addresses) else None

    # The kernel itself waits up to 60 s (linux: drivers/pci/pci.h, PCI_RESET_WAIT) before the write
    # to `reset` returns: what is dead then stays dead.
    try:
        return wait_until("the card answers", probe, 1.0, interval=0.1)
    except WholecardError:
        return False


def _reset_function(folder: Path, method: str) -> None:
    """Reset one function by one method; its list of methods is as before then."""
    former = read_text(folder / "reset_method")
    if former.split()[:1] == [method]:
        write_attribute(folder, "reset", "1")
        return
    write_attribute(folder, "reset_method", method)
    try:
        write_attribute(folder, "reset", "1")
    finally:
        write_attribute(folder, "reset_method", former)


def _former(root: Path, address: str) -> FormerValues:
    folder, config = folder_of(root, address), read_config(root, address)
    return FormerValues(
        address,
        command_of(config) if is_alive(config) else None,
        read_text(folder / "power/control"),
        read_text(folder / "reset_method"),
    )


def _wake(root: Path, former: FormerValues) -> None:
    if former.power_control not in ("", "on"):
        write_attribute(folder_of(root, former.address), "power/control", "on")
    decode_memory(root, former.address)


def _restore(root: Path, former: Sequence[FormerValues]) -> None:
    for row in former:
        folder = folder_of(root, row.address)
        if not folder.exists():
            continue
        if row.reset_method and read_text(folder / "reset_method") != row.reset_method:
            write_attribute(folder, "reset_method", row.reset_method)
        if row.command is not None and is_alive(read_config(root, row.address)):
            _write_command(root, row.address, row.command)
        if row.power_control not in ("", read_text(folder / "power/control")):
            write_attribute(folder, "power/control", row.power_control)


def _write_command(root: Path, address: str, value: int) -> None:
    path = folder_of(root, address) / "config"
    try:
        syscalls.write_config(path, COMMAND, value.to_bytes(2, "little"))
    except OSError as error:
        raise WholecardError(
            f"cannot write the command register of {address}: {error.strerror}",
            resolution="Run it as root. A kernel in lockdown (Secure Boot) refuses it: see "
            "kernel_lockdown(7).",
        ) from error

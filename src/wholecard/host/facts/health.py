"""The health of a host's cards: sysfs, the kernel's log of this boot, QEMU's logs since boot."""

from __future__ import annotations

import os
import time
from pathlib import Path

from wholecard.core import WholecardError
from wholecard.core.small_files import listed, read_text, under
from wholecard.host.facts.card_events import kernel_events, qemu_events
from wholecard.host.facts.card_health import CardHealth, HostHealth, ports_above, read_health
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.kernel_journal import read_kernel_journal
from wholecard.host.facts.kernel_log import read_kernel_log
from wholecard.host.facts.libvirt_domains import running_domains

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wholecard.core.small_files import Root
    from wholecard.host.facts.card_events import CardEvent
    from wholecard.host.facts.card_health import FunctionHealth
    from wholecard.host.facts.host import Host
    from wholecard.host.facts.kernel_log import Record
    from wholecard.pci import Address, Card

# libvirt: docs/drvqemu, "Location of configuration files": one log for each domain.
QEMU_LOGS = "var/log/libvirt/qemu"
# Of a server's log the end is read: the last starts, and what was printed since.
_TAIL = 1 << 20


def read_host_health(root: Root = "/") -> tuple[HostHealth, Host]:
    """The health of the cards under `root`, and the host's facts that it rests on.

    What an ordinary user may not read is named in `unread`. Raises WholecardError as `inspect`.
    """
    ring = read_kernel_log(root)
    host = inspect(root, ring)
    slots = _slots(host)
    unread: list[str] = []
    log, log_from = _kernel_log(root, ring, unread)
    events, more = kernel_events(log, slots)
    if more:
        unread.append(f"the kernel's log: {more} older lines about cards are left out")
    domains = _domains(root, unread)
    health = HostHealth(
        hostname=read_text(under(root, "proc/sys/kernel/hostname")),
        boot_id=host.boot.boot_id,
        taken_at=round(time.time(), 3),
        cards=tuple(_card(root, host, card, domains) for card in host.cards),
        events=events + _qemu_events(root, slots, unread),
        log_from=log_from,
        unread=tuple(unread),
    )
    return health, host


def _card(root: Root, host: Host, card: Card, domains: Mapping[Address, str] | None) -> CardHealth:
    gpu = card.gpu[0]
    names = (domains.get(function.address, "") for function in card.functions) if domains else ()
    return CardHealth(
        slot=card.slot,
        model=f"{gpu.vendor_name} {gpu.device_name}".strip(),
        ids=gpu.ids,
        functions=tuple(_function(root, host, f.address) for f in card.functions),
        ports=tuple(_function(root, host, at) for at in ports_above(card)),
        domain=None if domains is None else next(filter(None, names), ""),
    )


def _function(root: Root, host: Host, address: Address) -> FunctionHealth:
    function = host.function(address)
    fields: dict[str, Any] = {}
    if function is not None:
        names = ("driver", "link_width", "link_width_max", "link_speed", "link_speed_max")
        fields = {name: getattr(function, name) for name in names}
    return read_health(root, address, function.ids if function else "?", fields)


def _slots(host: Host) -> dict[str, str]:
    """The card's slot by each text that a log may name it by; empty for a port of several cards."""
    slots: dict[str, str] = {}
    for card in host.cards:
        for address in ports_above(card):
            slots[str(address)] = "" if str(address) in slots else card.slot
    for card in host.cards:
        slots[card.slot] = card.slot
        slots.update((str(function.address), card.slot) for function in card.functions)
    return slots


def _kernel_log(
    root: Root, ring: tuple[Record, ...] | None, unread: list[str]
) -> tuple[tuple[Record, ...], float | None]:
    """The longer of the ring buffer and the journal, and from which second on."""
    if ring and ring[0].sequence == 0:
        return ring, 0.0
    journal = read_kernel_journal(root)
    # What both have is in the journal alone: it begins earlier, and has the newest line too.
    log = journal or ring
    if log is None:
        unread.append("the kernel's log: only root may read it")
        return (), None
    if journal is None and log:
        unread.append(f"the kernel's log before second {log[0].seconds:.0f}: it was overwritten")
    return log, log[0].seconds if log and journal is None else 0.0


def _domains(root: Root, unread: list[str]) -> dict[Address, str] | None:
    """The running domain that has a function; None where libvirt's state cannot be read."""
    folder = under(root, "run/libvirt/qemu")
    if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        unread.append("libvirt's running domains: only root may read them")
        return None
    try:
        return {at: name for name, given in running_domains(Path(root)) for at in given}
    except WholecardError as error:
        unread.append(f"libvirt's running domains: {error.brief}")
        return None


def _qemu_events(root: Root, slots: Mapping[str, str], unread: list[str]) -> tuple[CardEvent, ...]:
    folder = under(root, QEMU_LOGS)
    if not os.path.isdir(folder):
        return ()
    if not os.access(folder, os.R_OK | os.X_OK):
        unread.append("QEMU's logs: only root may read them")
        return ()
    boot = _boot_time(root)
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(boot))
    events: list[CardEvent] = []
    for name in listed(folder):
        if not name.endswith(".log"):
            continue
        try:
            # A log that nobody wrote to since boot has nothing of this boot.
            if os.stat(f"{folder}/{name}").st_mtime < boot:
                continue
            text = _tail(f"{folder}/{name}")
        except OSError as error:
            unread.append(f"QEMU's log {name}: {error.strerror}")
            continue
        events += qemu_events(name[: -len(".log")], text, since, slots)
    return tuple(events)


def _boot_time(root: Root) -> float:
    """Seconds since 1970 at boot (proc_stat(5), `btime`); 0 where it is not known."""
    for line in read_text(under(root, "proc/stat")).splitlines():
        name, _, value = line.partition(" ")
        if name == "btime" and value.isdigit():
            return float(value)
    return 0.0


def _tail(path: str) -> str:
    # A pipe in a foreign tree would block.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(file, "rb") as stream:
        size = os.fstat(file).st_size
        stream.seek(max(0, size - _TAIL))
        return stream.read(_TAIL).decode(errors="replace")

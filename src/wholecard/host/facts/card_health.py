"""What the kernel counts and knows of each card's health. Nothing is changed and nothing is woken.

Sources: linux, Documentation/ABI/testing/sysfs-bus-pci-devices-aer (since 4.19), sysfs-bus-pci
(`power_state`, since 5.12) and sysfs-devices-power (`runtime_status`).
"""

from __future__ import annotations

import os

from wholecard.core.json_text import plain_value
from wholecard.core.record import dataclass
from wholecard.core.small_files import is_plain, read_attribute, read_text, text_of, under
from wholecard.pci.sysfs import ASLEEP, DEVICES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wholecard.core.small_files import Root
    from wholecard.host.facts.card_events import CardEvent
    from wholecard.pci import Address, Card

# Counts up when a field changes its meaning or goes; new fields leave it.
SCHEMA = 1

# linux: drivers/pci/pcie/aer.c, aer_stats_dev_attr: a line for each kind and the total at the end.
_TOTALS = {
    "correctable": "TOTAL_ERR_COR",
    "nonfatal": "TOTAL_ERR_NONFATAL",
    "fatal": "TOTAL_ERR_FATAL",
}
# The same file, aer_stats_rootport_attr: what a root port received from all below it.
_RECEIVED = (
    "aer_rootport_total_err_cor",
    "aer_rootport_total_err_nonfatal",
    "aer_rootport_total_err_fatal",
)
# The header that every function has (PCI Local Bus Specification, 6.1); anybody may read it, as
# lspci does (linux: drivers/pci/pci-sysfs.c, pci_read_config).
_HEADER = 64
_ALL_ONES = b"\xff"


@dataclass(frozen=True)
class Errors:
    """AER's counters since boot: the totals, and each kind that is not zero (`BadTLP`, 3)."""

    correctable: int
    nonfatal: int
    fatal: int
    kinds: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class FunctionHealth:
    """One function of a card, or a port above it, by its address.

    `power_state` is the kernel's view (`D0`, `D3hot`, `D3cold`, `unknown`, `error`), empty before
    Linux 5.12; `runtime_status` as in sysfs. `config` is `alive`, `dead` (the header reads as all
    ones), `asleep` (not read, for reading would wake it) or `unread`. `errors` is None where the
    function has no AER, or the kernel does not count. `received` is what a root port was told by
    everything below it. Link widths are lanes and speeds GT/s; None where there is no link or it
    was not read.
    """

    address: str
    ids: str
    driver: str | None = None
    power_state: str = ""
    runtime_status: str = ""
    config: str = "unread"
    errors: Errors | None = None
    received: Errors | None = None
    link_width: int | None = None
    link_width_max: int | None = None
    link_speed: float | None = None
    link_speed_max: float | None = None


@dataclass(frozen=True)
class CardLink:
    """The link to a card: lanes in use, the card's and the slot's; `port` is above it.

    `address` is the GPU's, or that of the card's own switch. `slot_lanes` is None where no port is
    known.
    """

    address: str
    lanes: int
    card_lanes: int
    port: str = ""
    slot_lanes: int | None = None


@dataclass(frozen=True)
class CardHealth:
    """A card by its slot: its model's name, its functions, the ports above, and who runs with it.

    `domain` is the libvirt domain that has it, empty for none, None where that was not read.
    `link` is None where there is none, or it can change (Thunderbolt).
    """

    slot: str
    model: str
    ids: str
    functions: tuple[FunctionHealth, ...]
    ports: tuple[FunctionHealth, ...] = ()
    domain: str | None = None
    link: CardLink | None = None


@dataclass(frozen=True)
class HostHealth:
    """One host's answer: cards, what its logs say of them, and what was not read.

    `hostname` is its own name. `boot_id` is the kernel's and `taken_at` seconds since 1970, by the
    host's clock: counters and lines of another boot cannot be compared with these. `log_from` is
    how many seconds after boot the kernel's log that was read begins (0.0: nothing is missing),
    None where it was not read.
    """

    hostname: str
    boot_id: str
    taken_at: float
    cards: tuple[CardHealth, ...]
    events: tuple[CardEvent, ...] = ()
    log_from: float | None = None
    unread: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The published form."""
        plain: dict[str, Any] = plain_value(self)
        return {"schema": SCHEMA, **plain}


def read_health(root: Root, address: Address, ids: str, fields: dict[str, Any]) -> FunctionHealth:
    """What sysfs says of the function at `address`; `fields` are its driver and link."""
    folder = under(root, f"{DEVICES}/{address}")
    status = read_text(f"{folder}/power/runtime_status")
    state = read_text(f"{folder}/power_state")
    return FunctionHealth(
        str(address),
        ids,
        power_state=state,
        runtime_status=status,
        config=_config(folder, status, state),
        errors=_errors(folder),
        received=_received(folder),
        **fields,
    )


def ports_above(card: Card) -> tuple[Address, ...]:
    """The bridges above a card, from the root port down."""
    return tuple(dict.fromkeys(at for function in card.gpu for at in function.parents))


def _config(folder: str, status: str, state: str) -> str:
    # linux: drivers/pci/pci-sysfs.c, pci_config_pm_runtime_get resumes the bridges above, and the
    # function itself out of D3cold.
    if status in ASLEEP or state == "D3cold":
        return "asleep"
    path = f"{folder}/config"
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return "unread"
    try:
        if not is_plain(os.fstat(file).st_mode):
            return "unread"
        header = os.read(file, _HEADER)
    except OSError:
        return "unread"
    finally:
        os.close(file)
    if not header:
        return "unread"
    return "dead" if header.strip(_ALL_ONES) == b"" else "alive"


def _errors(folder: str) -> Errors | None:
    totals: dict[str, int] = {}
    kinds: list[tuple[str, int]] = []
    for severity, total in _TOTALS.items():
        data = read_attribute(f"{folder}/aer_dev_{severity}")
        if data is None:
            return None
        counts = dict(_counts(text_of(data)))
        if total not in counts:
            return None
        totals[severity] = counts.pop(total)
        kinds += [(f"{severity} {name}", count) for name, count in counts.items() if count]
    return Errors(totals["correctable"], totals["nonfatal"], totals["fatal"], tuple(kinds))


def _received(folder: str) -> Errors | None:
    texts = [text_of(read_attribute(f"{folder}/{name}")) for name in _RECEIVED]
    if not all(map(_is_number, texts)):
        return None
    correctable, nonfatal, fatal = map(int, texts)
    return Errors(correctable, nonfatal, fatal)


def _counts(text: str) -> Iterable[tuple[str, int]]:
    for line in text.splitlines():
        name, _, count = line.rpartition(" ")
        if name and _is_number(count):
            yield name, int(count)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 21

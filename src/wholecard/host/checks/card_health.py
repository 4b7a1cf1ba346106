"""What is wrong with a card, by its counters, its link and the logs. Pure.

Every number is since boot: the kernel's counters begin at zero there, and the logs are this boot's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.core import Finding, Severity
from wholecard.core.record import replace
from wholecard.core.units import counted
from wholecard.host.checks.function import WIDTH_ALL_ONES, own_switch
from wholecard.host.facts.card_events import CardEvent
from wholecard.host.facts.card_health import CardHealth, CardLink, FunctionHealth, HostHealth
from wholecard.host.facts.host import Host
from wholecard.pci import Card
from wholecard.pci.known_models import widest_link
from wholecard.pci.sysfs import ASLEEP

# A link that is in order repeats something now and then; the specification allows one damaged bit
# in 10^12 (PCI Express base specification, 4.3.3), at full load of 16 lanes some a day.
MANY_CORRECTABLE = 100

_RESET_KINDS = ("reset-failed", "recovery-failed", "vfio-no-reset", "vfio-resume-failed")
# NVIDIA, "Xid Errors" (docs.nvidia.com/deploy/xid-errors): memory errors that cannot be corrected
# (48, 64, 95, 140), NVLink (74), fallen off the bus (79), GSP without an answer (119, 120). Most
# others come from a program.
XID_OF_CARD = frozenset({48, 64, 74, 79, 95, 119, 120, 140})

_CLEANING = (
    "Clean the contacts of card, riser and cable and reseat them; exchange the card if the "
    "errors follow it into another slot."
)


def with_links(health: HostHealth, host: Host) -> HostHealth:
    """The health with each card's link, which its own switch and its model decide."""
    links = {card.slot: _card_link(host, card) for card in host.cards}
    cards = (replace(card, link=links.get(card.slot)) for card in health.cards)
    return replace(health, cards=tuple(cards))


def _card_link(host: Host, card: Card) -> CardLink | None:
    function = card.gpu[0]
    link = own_switch(host, card) or function
    most = widest_link(link)
    if not link.link_width or not most or most >= WIDTH_ALL_ONES or function.removable:
        return None
    port = host.function(link.parents[-1]) if link.parents else None
    if port is None:
        return CardLink(str(link.address), link.link_width, most)
    return CardLink(
        str(link.address), link.link_width, most, str(port.address), port.link_width_max
    )


def check_health(health: HostHealth, since: str = "boot") -> list[Finding]:
    """All findings of the cards of a host, by card and rule, and what was not read.

    `since` says from when on the counters and the logs are, for the messages.
    """
    findings: list[Finding] = []
    shared = [event for event in health.events if not event.slot]
    for card in health.cards:
        events = [event for event in health.events if event.slot == card.slot]
        events += [e for e in shared if e.address in {port.address for port in card.ports}]
        findings += _silent(card, events)
        findings += _uncorrectable(card, events, since)
        findings += _correctable(card, since)
        findings += _link(card)
        findings += _resets(card, events, since)
        findings += _driver(card, events, since)
        findings += _stopped(card, events)
    findings += [
        Finding("WC588", text.partition(":")[0], Severity.NOTE, f"Not read: {text}.", _AS_ROOT)
        for text in health.unread
    ]
    return findings


_AS_ROOT = "Run it as root: sudo, or --sudo with --on."


def is_broken(findings: Iterable[Finding]) -> bool:
    """Whether one of a card's findings says that no server should get it."""
    return any(f.severity is Severity.ERROR and f.rule != "WC589" for f in findings)


def _silent(card: CardHealth, events: list[CardEvent]) -> Iterator[Finding]:
    for function in card.functions:
        why = _why_silent(function)
        lost = [event for event in events if event.kind == "unreachable"
                and event.address == function.address]  # fmt: skip
        if not why and lost:
            why = f"the kernel said: {lost[-1].message!r}"
        if why:
            yield Finding(
                "WC580", function.address, Severity.ERROR,
                f"{function.address} {function.ids} does not answer: {why}.",
                "Take the card out of use, then reboot the host; if it stays, switch the host off "
                "and on, reseat the card and its power cables, or exchange it.",
            )  # fmt: skip


def _why_silent(function: FunctionHealth) -> str:
    if function.config == "dead":
        return "its configuration space reads as all ones"
    if function.power_state == "error":
        return "its power state is error"
    # linux: drivers/pci/pci.c, pci_power_up: one that cannot be reached is set to D3cold.
    if function.power_state == "D3cold" and function.runtime_status not in (*ASLEEP, ""):
        return f"it is in D3cold and its runtime status is {function.runtime_status}"
    return ""


def _uncorrectable(card: CardHealth, events: list[CardEvent], since: str) -> Iterator[Finding]:
    for part in (*card.functions, *card.ports):
        errors = part.errors
        if errors is None or not errors.fatal + errors.nonfatal:
            continue
        severity = Severity.ERROR if errors.fatal else Severity.WARNING
        kinds = [f"{name} {count}" for name, count in errors.kinds if not name.startswith("corr")]
        yield Finding(
            "WC581", part.address, severity,
            f"{_part(card, part)} had {counted(errors.fatal, 'fatal error')} and "
            f"{counted(errors.nonfatal, 'non-fatal error')} since {since} ({', '.join(kinds)}).",
            _uncorrectable_fix(severity),
        )  # fmt: skip
    contained = [event for event in events if event.kind == "containment"]
    if contained:
        yield Finding(
            "WC581", contained[-1].address, Severity.ERROR,
            f"The port {contained[-1].address} above card {card.slot} cut off its link "
            f"{counted(len(contained), 'time')} since {since} (DPC).",
            _uncorrectable_fix(Severity.ERROR),
        )  # fmt: skip


def _uncorrectable_fix(severity: Severity) -> str:
    if severity is Severity.ERROR:
        return f"Take the card out of use and read the kernel's log around it. {_CLEANING}"
    return (
        "Read the kernel's log: UnsupReq alone often comes from a driver or from a start of a "
        f"server, and harms nothing. If other kinds come again: {_CLEANING}"
    )


def _correctable(card: CardHealth, since: str) -> Iterator[Finding]:
    for part in (*card.functions, *card.ports):
        count = part.errors.correctable if part.errors else 0
        if not count or part.errors is None:
            continue
        many = count >= MANY_CORRECTABLE
        kinds = [f"{name} {number}" for name, number in part.errors.kinds
                 if name.startswith("corr")]  # fmt: skip
        yield Finding(
            "WC582", part.address, Severity.WARNING if many else Severity.NOTE,
            f"{_part(card, part)} had {counted(count, 'correctable error')} since {since} "
            f"({', '.join(kinds)}).",
            _CLEANING if many else "",
        )  # fmt: skip


def _part(card: CardHealth, part: FunctionHealth) -> str:
    if any(part is port for port in card.ports):
        return f"The port {part.address} above card {card.slot}"
    return f"{part.address} {part.ids}"


def _link(card: CardHealth) -> Iterator[Finding]:
    """A slot with fewer lanes is a note; lanes that both sides have and the link lacks, an error.

    The speed is not judged: idle cards lower it.
    """
    link = card.link
    if link is None or link.slot_lanes is None or link.lanes >= link.card_lanes:
        return
    if link.lanes >= link.slot_lanes:
        yield Finding(
            "WC583", card.slot, Severity.NOTE,
            f"The slot of {link.address} below {link.port} has {link.slot_lanes} lanes, the card "
            f"{link.card_lanes}: all that the slot has are in use.",
        )  # fmt: skip
        return
    yield Finding(
        "WC583", card.slot, Severity.ERROR,
        f"The link of {link.address} has {link.lanes} lanes; the card has {link.card_lanes} and "
        f"the slot below {link.port} has {link.slot_lanes}.",
        "Reseat the card and its riser. See whether the firmware splits the slot (bifurcation), "
        f"and whether the card's data sheet says {link.lanes} lanes.",
    )  # fmt: skip


def _resets(card: CardHealth, events: list[CardEvent], since: str) -> Iterator[Finding]:
    failed = [event for event in events if event.kind in _RESET_KINDS]
    if failed:
        yield Finding(
            "WC584", card.slot, Severity.ERROR,
            f"A reset or recovery of card {card.slot} failed "
            f"{counted(len(failed), 'time')} since {since}. The last: {failed[-1].message!r}.",
            "Take the card out of use and reboot the host. wholecard-host check says what is known "
            "of the model's resets (WC120, WC165).",
        )  # fmt: skip


def _driver(card: CardHealth, events: list[CardEvent], since: str) -> Iterator[Finding]:
    reported = [event for event in events if event.kind in ("xid", "gpu-reset")]
    if not reported:
        return
    numbers = [event.number for event in reported if event.number is not None]
    of_card = any(number in XID_OF_CARD for number in numbers)
    named = f" (Xid {', '.join(map(str, dict.fromkeys(numbers)))})" if numbers else ""
    yield Finding(
        "WC585", card.slot, Severity.ERROR if of_card else Severity.WARNING,
        f"The host's driver reported {counted(len(reported), 'error')} of card {card.slot} since "
        f"{since}{named}. The last: {reported[-1].message!r}.",
        "Look the number up: https://docs.nvidia.com/deploy/xid-errors/" if numbers
        else "Read the driver's lines around it in the kernel's log.",
    )  # fmt: skip


def _stopped(card: CardHealth, events: list[CardEvent]) -> Iterator[Finding]:
    stopped = [event for event in events if event.kind == "vfio-unrecoverable"]
    if stopped:
        last = stopped[-1]
        server = last.server or last.domain
        yield Finding(
            "WC586", card.slot, Severity.ERROR,
            f"QEMU stopped the server {server} at {last.time or 'a time that it did not write'}, "
            f"because card {card.slot} had an unrecoverable error.",
            "Read the kernel's log of that moment for the error itself; then hard-reboot the "
            f"server: openstack server reboot --hard {server}",
        )  # fmt: skip

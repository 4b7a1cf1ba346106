"""Whether a server has its cards where it is now: nova, Placement and, where it was read, libvirt.

The guest itself is not asked: it belongs to its tenant. `wholecard prove --host` boots a server of
our own there, whose guest reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from wholecard.audit.record import Domain
from wholecard.cloud.client.server_details import ServerDetails
from wholecard.core import Finding, Severity
from wholecard.moving.record import Holdings
from wholecard.nova.known_bugs import MOVE_TAKES_OTHER_CARD

RULE = "WC593"
# The domains of a host by its hypervisor's name, None where they cannot be read.
Domains = Callable[[str], tuple[Domain, ...] | None]


@dataclass(frozen=True)
class Expected:
    """What a server should be after a move: its host (the hypervisor's name), status, cards.

    `left` is the host that an evacuated server left, empty for other moves: until nova-compute
    starts there again, the server's allocation and nova's rows name that host too. `claims_anew` is
    whether nova chose the cards on this host in a move that can leave one too many in the
    allocation (`MOVE_TAKES_OTHER_CARD`).
    """

    node: str
    statuses: tuple[str, ...]
    cards: Mapping[str, int]
    left: str = ""
    claims_anew: bool = False


def proof(
    server: ServerDetails, holdings: Holdings, expected: Expected, domains: Domains | None = None
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """What is wrong with it, and what was not looked at, as sentences."""
    findings = [*_of_nova(server, expected), *_of_placement(server, holdings, expected)]
    unproved = [] if holdings.read else ["Placement does not show this user what the server holds."]
    read = domains(expected.node) if domains else None
    if read is None:
        unproved.append(f"libvirt on {expected.node} was not read: the domain's devices were not "
                        "compared.")  # fmt: skip
    elif holdings.cards:
        findings += _of_libvirt(server, read, expected)
    if expected.cards:
        unproved.append(f"The guest was not asked. wholecard prove --host {server.host} boots a "
                        "server of our own there, whose guest reports its cards.")  # fmt: skip
    return tuple(findings), tuple(unproved)


def _finding(server: ServerDetails, message: str, fix: str = "") -> Finding:
    fix = fix or f"See what nova did:\nopenstack server event list {server.id}"
    return Finding(RULE, server.name, Severity.ERROR, message, fix)


def _of_nova(server: ServerDetails, expected: Expected) -> Iterator[Finding]:
    if server.node != expected.node:
        yield _finding(server, f"it is on {server.node}, and not on {expected.node}")
    if server.status not in expected.statuses:
        fault = f": {server.fault}" if server.fault else ""
        yield _finding(
            server, f"it is {server.status}, and was to be {expected.statuses[0]}{fault}"
        )


def _of_placement(
    server: ServerDetails, holdings: Holdings, expected: Expected
) -> Iterator[Finding]:
    if not holdings.read:
        return
    fix = "wholecard audit compares Placement with nova and names what to do."
    here = holdings.on(expected.node) if expected.left else holdings.card_amounts
    if expected.claims_anew and _has_more(here, expected.cards):
        yield _one_too_many(server, here, expected)
    elif here != dict(expected.cards):
        has, had = _text(here), _text(expected.cards)
        yield _finding(server, f"Placement says that it holds {has}; before the move: {had}", fix)
    others = [host for host in holdings.hosts if host != expected.node]
    if others == [expected.left]:
        message = (
            f"its allocation and its rows also name {expected.left}, until nova-compute starts "
            "there again"
        )
        fix = "If that host never comes back: wholecard audit, then wholecard repair."
        yield Finding(RULE, server.name, Severity.NOTE, message, fix)
    elif others:
        where = ", ".join(others)
        yield _finding(server, f"its allocation in Placement is also on {where}", fix)


def _has_more(here: Mapping[str, int], cards: Mapping[str, int]) -> bool:
    """Whether it has all that it should, of the same classes, and something too many."""
    same = bool(cards) and here.keys() == cards.keys()
    return same and here != dict(cards) and all(here[name] >= cards[name] for name in cards)


def _one_too_many(server: ServerDetails, here: Mapping[str, int], expected: Expected) -> Finding:
    """The trace of nova's bug, which is no reason to take the server back."""
    bug = MOVE_TAKES_OTHER_CARD
    message = (
        f"the server has its cards; Placement counts {_text(here)} for it on {expected.node}, and "
        f"it has {_text(expected.cards)}: nova took another card than Placement had allocated, and "
        f"left both in the allocation. This is a bug of nova itself ({bug.link}), and no failure "
        "of the move"
    )
    fix = (
        "wholecard audit names the card (WC524), and wholecard repair plan takes it out of the "
        "allocation. Until then no server can get it."
    )
    return Finding(RULE, server.name, Severity.WARNING, message, fix)


def _of_libvirt(
    server: ServerDetails, domains: tuple[Domain, ...], expected: Expected
) -> Iterator[Finding]:
    fix = "wholecard audit shows the host's domains and rows side by side."
    domain = next((each for each in domains if each.uuid == server.id), None)
    if domain is None:
        if "ACTIVE" in expected.statuses and server.status == "ACTIVE":
            yield _finding(server, f"libvirt on {expected.node} has no domain of it", fix)
        return
    count = len(domain.hostdevs) + len(domain.mdevs)
    wanted = sum(expected.cards.values())
    if count < wanted:
        yield _finding(server, f"its domain has {count} devices of the host, not {wanted}", fix)


def _text(amounts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(amounts.items())) or "no card"

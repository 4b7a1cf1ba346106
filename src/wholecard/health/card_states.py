"""What each card is now: broken, given, dirty, free; and what follows from two of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wholecard.cloud.placement.card_state import CardState
from wholecard.core import Finding, Severity
from wholecard.health.record import CardRow, CloudCards, FunctionInventory, HostAnswer
from wholecard.host.checks.card_health import is_broken
from wholecard.host.facts.card_health import CardHealth


def card_rows(
    answers: Iterable[HostAnswer], cloud: CloudCards | None, *, cloud_expected: bool = False
) -> tuple[CardRow, ...]:
    """Each card of each host that answered; with the cloud also whose it is.

    Where a cloud was to be read and did not answer, it is not known which cards are free.
    """
    answers = tuple(answers)
    known = _by_host(cloud.providers) if cloud else {}
    names = {answer.host: _hypervisor(answer, known) for answer in answers}
    return tuple(
        _row(answer, card, known.get(names[answer.host], ()), cloud, cloud_expected)
        for answer in answers
        if answer.health is not None
        for card in answer.health.cards
    )


def state_findings(rows: Iterable[CardRow]) -> Iterator[Finding]:
    """WC587 and WC589: what a card's state and Placement say together."""
    for row in rows:
        subject = f"{row.host} {row.card.slot}"
        if row.state is CardState.DIRTY:
            yield Finding(
                "WC587", subject, Severity.NOTE,
                f"Card {row.card.slot} of {row.host} was used once and is reserved in Placement "
                "until it is cleaned.",
                "See what became of it: wholecard handover status. Where no hand-over runs: "
                "wholecard handover --once",
            )  # fmt: skip
        if row.state is CardState.BROKEN and row.offered and not row.server:
            yield Finding(
                "WC589", subject, Severity.ERROR,
                f"Card {row.card.slot} of {row.host} has an error, and Placement offers it: the "
                "next server can get it.",
                "Take the host out of scheduling until the card is exchanged: "
                f"openstack compute service set --disable {row.host} nova-compute",
            )  # fmt: skip


def _row(
    answer: HostAnswer,
    card: CardHealth,
    providers: Sequence[FunctionInventory],
    cloud: CloudCards | None,
    cloud_expected: bool,
) -> CardRow:
    own = _own(card, providers)
    server, project = _holder(answer, card, own, cloud)
    if is_broken(_findings_of(answer, card)):
        state = CardState.BROKEN
    elif server or any(row.used for row in own):
        state = CardState.GIVEN
    elif cloud is None and cloud_expected:
        state = CardState.UNKNOWN
    else:
        state = _unused(card, own)
    offered = any(row.is_offered for row in own) if own else None
    return CardRow(answer.host, card, state, server, project, offered)


def _own(card: CardHealth, providers: Sequence[FunctionInventory]) -> list[FunctionInventory]:
    """The card's providers: of its functions, and of VFs in its slot."""
    addresses = {function.address for function in card.functions}
    return [row for row in providers if row.address in addresses or row.address[:-2] == card.slot]


def _unused(card: CardHealth, own: Sequence[FunctionInventory]) -> CardState:
    """What a card is that no server has."""
    if any(row.is_dirty for row in own):
        return CardState.DIRTY
    if own:
        return CardState.FREE if any(row.is_offered for row in own) else CardState.RESERVED
    # Without a provider libvirt's word counts: a domain is stopped or none.
    return CardState.UNKNOWN if card.domain is None else CardState.FREE


def _holder(
    answer: HostAnswer, card: CardHealth, own: Sequence[FunctionInventory], cloud: CloudCards | None
) -> tuple[str, str]:
    """The server that has the card and its project: by Placement, else by libvirt's domain."""
    servers = cloud.servers if cloud else {}
    held = next((holder for row in own for holder in row.holders), "")
    if held:
        return held, servers[held].project if held in servers else ""
    if not card.domain:
        return "", ""
    for server in servers.values():
        if server.domain == card.domain and _same_host(server.host, answer):
            return server.id, server.project
    # What libvirt calls it is better than nothing.
    return card.domain, ""


def _findings_of(answer: HostAnswer, card: CardHealth) -> Iterator[Finding]:
    """The findings about a card: on its slot, its functions, and the ports above it."""
    subjects = {card.slot, *(part.address for part in (*card.functions, *card.ports))}
    named = {f"{answer.host} {subject}" for subject in subjects}
    return (finding for finding in answer.findings if finding.subject in named)


def _by_host(providers: Iterable[FunctionInventory]) -> dict[str, list[FunctionInventory]]:
    hosts: dict[str, list[FunctionInventory]] = {}
    for provider in providers:
        hosts.setdefault(provider.host, []).append(provider)
    return hosts


def _hypervisor(answer: HostAnswer, known: Mapping[str, object]) -> str:
    """The name under which nova knows a host: that of ssh, its own, or the only one like it."""
    own = answer.health.hostname if answer.health else ""
    for name in (answer.host, own):
        if name in known:
            return name
    first = {name.partition(".")[0] for name in (answer.host, own) if name}
    alike = [name for name in known if name.partition(".")[0] in first]
    return alike[0] if len(alike) == 1 else answer.host


def _same_host(hypervisor: str, answer: HostAnswer) -> bool:
    own = answer.health.hostname if answer.health else ""
    return hypervisor.partition(".")[0] in {answer.host.partition(".")[0], own.partition(".")[0]}

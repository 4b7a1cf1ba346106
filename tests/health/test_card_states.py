"""What a card is, by its findings, Placement and libvirt; and whose it is."""

from __future__ import annotations

import pytest

from support.health_reports import (
    GPU,
    PROJECT,
    SERVER,
    SLOT,
    answer,
    card,
    cloud,
    provider,
    server,
)
from wholecard.cloud.placement.card_state import CardState
from wholecard.health.card_states import card_rows, state_findings
from wholecard.health.record import CloudCards, FunctionInventory, HostAnswer
from wholecard.host.facts.card_health import CardHealth, Errors

USED = provider(used=1, holders=(SERVER,))
DIRTY = provider(reserved=1, one_time_use=True)
BROKEN = card(errors=Errors(0, 0, 1, (("fatal DLP", 1),)))
DOMAIN = "instance-00000007"
CASES: dict[str, tuple[CardHealth, CloudCards | None, str, str, str]] = {
    "free in Placement": (card(), cloud(provider()), "free", "", ""),
    "given in Placement": (card(), cloud(USED, servers=(server(),)), "given", SERVER, PROJECT),
    "given to a migration": (card(), cloud(USED), "given", SERVER, ""),
    "used once": (card(), cloud(DIRTY), "dirty", "", ""),
    "used once and in use": (
        card(), cloud(provider(reserved=1, one_time_use=True, used=1, holders=(SERVER,)),
                      servers=(server(),)), "given", SERVER, PROJECT,
    ),
    "reserved by a person": (card(), cloud(provider(reserved=1)), "reserved", "", ""),
    "broken and free": (BROKEN, cloud(provider()), "broken", "", ""),
    "broken and given": (BROKEN, cloud(USED, servers=(server(),)), "broken", SERVER, PROJECT),
    "not in Placement, free": (card(), cloud(), "free", "", ""),
    "not in Placement, given": (
        card(domain=DOMAIN), cloud(servers=(server(),)), "given", SERVER, PROJECT,
    ),
    "a domain of somebody else": (card(domain="mine"), cloud(), "given", "mine", ""),
    "the same domain elsewhere": (
        card(domain=DOMAIN), cloud(servers=(server(host="gpu-02"),)), "given", DOMAIN, "",
    ),
    "no cloud, given": (card(domain=DOMAIN), None, "given", DOMAIN, ""),
    "no cloud, free": (card(), None, "free", "", ""),
    "nothing read": (card(domain=None), None, "unknown", "", ""),
    "another card's provider": (
        card(), cloud(provider(address="0000:61:00.0", used=1, holders=(SERVER,))), "free", "", "",
    ),
    "the provider of another function": (
        card(), cloud(provider(address="0000:41:00.1", used=1, holders=(SERVER,))), "given",
        SERVER, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_state(name: str) -> None:
    """Each card has one state, and the server and project that have it."""
    one, known, state, server_id, project = CASES[name]
    (row,) = card_rows([answer(one)], known)
    assert (row.state.value, row.server, row.project) == (state, server_id, project)


def test_cloud_that_did_not_answer() -> None:
    """Without the cloud that was to be asked, nobody knows that a card is free."""
    (row,) = card_rows([answer()], None, cloud_expected=True)
    assert row.state is CardState.UNKNOWN


@pytest.mark.parametrize(
    ("host", "hypervisor"),
    [
        ("gpu-01", "gpu-01"),
        ("gpu-01", "gpu-01.example.org"),
        ("root-alias", "real-name"),
    ],
)
def test_names(host: str, hypervisor: str) -> None:
    """nova's name of a host may be longer than ssh's, or be only the host's own."""
    one = answer(host=host, hostname="real-name" if hypervisor == "real-name" else host)
    (row,) = card_rows([one], cloud(provider(host=hypervisor, used=1, holders=(SERVER,))))
    assert row.server == SERVER


def test_two_hosts_of_one_short_name() -> None:
    """Where two hosts of nova have the same short name, neither is guessed."""
    used: tuple[FunctionInventory, ...] = tuple(
        provider(host=f"gpu-01.{zone}", used=1, holders=(SERVER,)) for zone in ("a", "b")
    )
    (row,) = card_rows([answer()], cloud(*used))
    assert row.server == ""


def test_findings() -> None:
    """A dirty card is a note, and a broken one that Placement offers an error."""
    dirty = answer(card())
    broken = answer(BROKEN, host="gpu-02")
    known = cloud(DIRTY, provider(host="gpu-02"))
    found = list(state_findings(card_rows([dirty, broken], known)))
    assert [(one.rule, one.subject) for one in found] == [
        ("WC587", f"gpu-01 {SLOT}"), ("WC589", f"gpu-02 {SLOT}"),
    ]  # fmt: skip


@pytest.mark.parametrize("known", [cloud(USED), cloud(provider(reserved=1)), cloud(), None])
def test_broken_and_not_offered(known: CloudCards | None) -> None:
    """A broken card that nobody can get, or of which Placement knows nothing, is not WC589."""
    assert list(state_findings(card_rows([answer(BROKEN)], known))) == []


def test_host_without_answer() -> None:
    """A host that did not answer has no cards."""
    assert card_rows([HostAnswer("gpu-01", error="no")], cloud(provider(address=GPU))) == ()

"""The hand-over against a Placement with generations: what is cleaned, given back, kept out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from support.faults import counted, points_of
from support.one_time_cards import CLASS, UNREACHED, Card, Hosts, placement, report
from support.openstack_api import Api, serving
from wholecard.cloud.client.connection import connect
from wholecard.core import WholecardError
from wholecard.core.waiting import wait_until
from wholecard.handover.decisions import clean_again, keep_out
from wholecard.handover.record import HandoverStatus
from wholecard.handover.request import HandoverRequest, look, serve
from wholecard.handover.store import Store


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with a Keystone."""
    with serving(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def conn(api: Api) -> Connection:
    """Logged in there."""
    return connect("test", api.clouds)


PROVIDERS = "GET /placement/resource_providers"
Looked = Callable[..., HandoverStatus]


@pytest.fixture
def looked(api: Api, conn: Connection) -> Looked:
    """One look at these cards."""

    def run(store: Store, hosts: Hosts, *cards: Card) -> HandoverStatus:
        placement(api, *cards)
        with store.held():
            return look(conn, hosts, store, HandoverRequest(), lambda _: None)

    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that nobody has used."""
    return Store(tmp_path / "state")


def states(status: HandoverStatus) -> list[str]:
    return [f"{card.state.value} {card.rule}".strip() for card in status.cards]


def test_given_back(looked: Looked, store: Store) -> None:
    """A used card is cleaned and its reserved set to 0, everything else of its inventory kept."""
    card, hosts = Card(), Hosts()
    status = looked(store, hosts, card)
    assert (states(status), card.reserved) == (["given back"], 0)
    assert card.puts == [
        {"total": 1, "reserved": 0, "min_unit": 1, "max_unit": 1, "step_size": 1,
         "allocation_ratio": 1.0, "resource_provider_generation": 7}
    ]  # fmt: skip
    assert (status.counters.given_back, status.counters.cleanings) == (1, 1)
    assert status.counters.seconds_cleaning == 1.5


@pytest.mark.parametrize("card", [Card(used=1), Card(reserved=0), Card(host="elsewhere")])
def test_not_touched(looked: Looked, store: Store, card: Card) -> None:
    """A card that a server has, that is free already, or on a host not reached is left alone."""
    hosts = Hosts()
    assert states(looked(store, hosts, card)) == []
    assert (hosts.asked, card.puts) == ([], [])


@pytest.mark.parametrize(
    ("verdict", "rule", "expected"),
    [
        ("not cleared", "WC570", "not cleared WC570"),
        ("out", "WC571", "out WC571"),
        ("out", "WC572", "out WC572"),
        ("busy", "WC573", "waiting WC573"),
    ],
)
def test_not_given_back(
    looked: Looked, store: Store, verdict: str, rule: str, expected: str
) -> None:
    """A card that is not clean stays reserved, and the finding says why."""
    card, hosts = Card(), Hosts([report(verdict, rule, "why")])
    status = looked(store, hosts, card)
    assert (states(status), card.reserved, card.puts) == ([expected], 1, [])
    assert [(finding.rule, finding.message) for finding in status.findings] == [(rule, "why")]
    # A card that somebody has is asked about again, one that is out is not.
    looked(store, hosts, card)
    assert len(hosts.asked) == (2 if verdict == "busy" else 1)


def test_clean_note(looked: Looked, store: Store) -> None:
    """A clean card whose memory is not visible is given back, and WC574 is no finding then."""
    status = looked(store, Hosts([report("clean", "WC574", "not visible")]), Card())
    assert (status.cards[0].state.value, status.findings) == ("given back", ())


def test_unreached_host(looked: Looked, store: Store) -> None:
    """WC575: a card of a host that does not answer waits, the others are given back."""
    cards = [Card(), Card(host="gpu-02")]
    hosts = Hosts([UNREACHED])
    status = looked(store, hosts, cards[0])
    assert states(status) == ["waiting WC575"]
    hosts.reports = [report()]
    status = looked(store, hosts, *cards)
    assert states(status) == ["given back", "given back"]
    assert status.cards[0].tries == 2


def test_two_conflicts(looked: Looked, store: Store) -> None:
    """409 twice: it is read again each time, and given back at the generation of then."""
    card = Card(refusals=[409, 409])
    status = looked(store, Hosts(), card)
    assert states(status) == ["given back"]
    assert [put["resource_provider_generation"] for put in card.puts] == [7, 8, 9]
    assert status.counters.conflicts == 2


def test_conflict_by_a_server(looked: Looked, store: Store) -> None:
    """After a conflict a card that a server has now is left to it."""
    card = Card(refusals=[409])

    def taken() -> None:
        card.used = 1

    card.before_put = taken
    status = looked(store, Hosts(), card)
    assert (states(status), len(card.puts), card.reserved) == ([], 1, 1)


def test_endless_conflicts(looked: Looked, store: Store) -> None:
    """A provider that changes all the time keeps its clean card until a later look."""
    card = Card(refusals=[409] * 6)
    assert states(looked(store, Hosts(), card)) == ["clean"]
    assert states(looked(store, Hosts(), card)) == ["given back"]


def test_placement_fails_in_the_middle(looked: Looked, store: Store) -> None:
    """503: a clean card is given back at the next look, without a second cleaning."""
    card, hosts = Card(refusals=[503]), Hosts()
    assert states(looked(store, hosts, card)) == ["clean"]
    assert states(looked(store, hosts, card)) == ["given back"]
    assert len(hosts.asked) == 1


def test_used_since_it_was_cleaned(looked: Looked, store: Store) -> None:
    """A card that was cleaned, and used by a server before it was given back, is cleaned again."""
    card, hosts = Card(refusals=[503]), Hosts()
    looked(store, hosts, card)
    # Another hand-over gave it back, a server had it, and nova has reserved it once more.
    card.generation += 4
    assert states(looked(store, hosts, card)) == ["given back"]
    assert len(hosts.asked) == 2


def test_used_again(looked: Looked, store: Store) -> None:
    """Each use is followed by a cleaning."""
    card, hosts = Card(), Hosts()
    looked(store, hosts, card)
    card.reserved, card.generation = 1, 20
    assert states(looked(store, hosts, card)) == ["given back"]
    assert len(hosts.asked) == 2


def test_operator_decides(api: Api, conn: Connection, looked: Looked, store: Store) -> None:
    """`keep` leaves a card reserved (WC576), `retry` lets it be cleaned; --once says both."""
    card, hosts = Card(), Hosts()
    placement(api, card)
    with store.held():
        keep_out(conn, store, card.host, card.address, "RMA 4711")
    status = looked(store, hosts, card)
    assert (states(status), hosts.asked) == (["kept WC576"], [])
    assert status.findings[0].message == "RMA 4711"
    with store.held():
        clean_again(store, card.host, card.address)
    assert states(looked(store, hosts, card)) == ["given back"]


def test_given_back_by_hand(looked: Looked, store: Store) -> None:
    """A card that is out, and that an operator gives back in Placement, is forgotten."""
    card, hosts = Card(), Hosts([report("out", "WC571", "broken")])
    looked(store, hosts, card)
    card.reserved = 0
    assert states(looked(store, hosts, card)) == []


def test_gone(looked: Looked, store: Store) -> None:
    """A card that Placement does not have any more is forgotten."""
    looked(store, Hosts([report("out", "WC571", "broken")]), Card())
    assert states(looked(store, Hosts())) == []


def test_two_at_once(store: Store) -> None:
    """A second hand-over with the same state is refused and told which process has it."""
    refused = pytest.raises(WholecardError, match="another hand-over")
    with store.held(), refused as raised, store.held():
        pass
    assert str(os.getpid()) in raised.value.details


def test_damaged_record(looked: Looked, store: Store) -> None:
    """A damaged record is refused with its file; without the file the card is cleaned again."""
    looked(store, Hosts([report("out", "WC571", "broken")]), Card())
    file = next((store.folder / "cards").glob("*.json"))
    file.write_text("{")
    with pytest.raises(WholecardError, match="is damaged"):
        store.status()
    file.unlink()
    assert states(looked(store, Hosts(), Card())) == ["given back"]


def test_killed_anywhere(looked: Looked, tmp_path: Path) -> None:
    """Killed before any of its writes, the next look gives the card back, cleaned after its use."""
    whole = Store(tmp_path / "whole")
    points = points_of(lambda: looked(whole, Hosts(), Card()))
    assert len(points) > 10

    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    for at in range(1, len(points) + 1):
        card, hosts = Card(), Hosts()
        store = Store(tmp_path / str(at))
        with pytest.raises(KilledError), counted(at, killed, lasting=True):
            looked(store, hosts, card)
        given_back_before = card.reserved == 0
        looked(store, hosts, card)
        assert card.reserved == 0
        assert hosts.asked, at
        # It is given back once, and only after a cleaning.
        assert len(card.puts) == 1
        assert given_back_before or len(hosts.asked) in (1, 2)


def test_kill_9(api: Api, looked: Looked, tmp_path: Path) -> None:
    """kill -9 while Placement is asked: the next one gives it back, and does not clean it twice."""
    card = Card()
    placement(api, card)
    reached = threading.Event()

    def stuck() -> None:
        reached.set()
        api.hang()

    card.before_put = stuck
    program = (
        "import sys; sys.path[:0] = ['tests']\n"
        "from pathlib import Path\n"
        "from support.one_time_cards import Hosts\n"
        "from wholecard.cloud.client.connection import connect\n"
        "from wholecard.handover.request import HandoverRequest, look\n"
        "from wholecard.handover.store import Store\n"
        f"store = Store(Path({str(tmp_path / 'state')!r}))\n"
        "with store.held():\n"
        f"    look(connect('test', Path({str(api.clouds)!r})), Hosts(), store,\n"
        "         HandoverRequest(), print)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        assert reached.wait(60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    card.before_put = lambda: None
    store, hosts = Store(tmp_path / "state"), Hosts()
    assert states(store.status()) == ["clean"]
    assert states(looked(store, hosts, card)) == ["given back"]
    assert hosts.asked == []


def test_serve_looks_again(api: Api, conn: Connection, store: Store) -> None:
    """The service looks at each interval, also after Placement did not answer."""
    card, hosts = Card(), Hosts()
    said: list[str] = []
    placement(api, card)
    good = api.answers[PROVIDERS]
    api.answers[PROVIDERS] = (503, {})

    def pause(seconds: float) -> bool:
        if said:
            api.answers[PROVIDERS] = good
        return card.reserved == 0

    with store.held():
        serve(conn, hosts, store, HandoverRequest(interval=0), said.append, None, pause)
    assert "this look failed" in said[0]
    assert (card.reserved, store.counters().failures) == (0, 1)


def test_many_hosts_at_once(looked: Looked, store: Store) -> None:
    """Hosts clean side by side, the cards of one host one after the other."""
    cards = [
        Card(f"gpu-{number:02}", f"0000:{bus}:00.0") for number in range(4) for bus in (41, 42)
    ]
    meeting = threading.Barrier(4, timeout=20)
    hosts = Hosts(before=meeting.wait)
    status = looked(store, hosts, *cards)
    assert status.counters.given_back == 8
    wait_until("all are free", lambda: all(card.reserved == 0 for card in cards) or None, 1)


def test_class_is_read(api: Api, looked: Looked, store: Store) -> None:
    """The resource class is the provider's own, whatever its name is."""
    looked(store, Hosts(), Card())
    assert any(key.endswith(f"/inventories/{CLASS}") for key in api.asked if key.startswith("PUT"))

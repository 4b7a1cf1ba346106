"""A card replaced, moved, added or retired: what is said before the reboot, and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cards_on_board import GPU, NIC, board, gpu, nic, port, switch_card
from support.hosts import boot, host
from wholecard.core import UsageError
from wholecard.host.config_files import FileText, Settings
from wholecard.host.facts.host import Host
from wholecard.moving.card_change import CardStore, Kind
from wholecard.moving.card_request import CardReport, CardRequest, Surroundings, after, begin
from wholecard.moving.card_text import report_text

AFTER = "boot-two"


@pytest.fixture
def store(tmp_path: Path) -> CardStore:
    """An empty one."""
    return CardStore(tmp_path / "card")


def changed(
    store: CardStore, request: CardRequest, before: Host, now: Host,
    around: Surroundings | None = None,
) -> CardReport:  # fmt: skip
    """Begun, and compared after the boot, through the file."""
    begin(request, before, store, Surroundings())
    known = store.read()
    assert known is not None
    return after(*known, now, around or Surroundings(held={}))


def rules(report: CardReport) -> list[tuple[str, str]]:
    return [(each.rule, each.severity.value) for each in report.findings]


REPLACE = CardRequest(Kind.REPLACE, "gpu-01", slot="0000:43:00")


def test_replaced(store: CardStore) -> None:
    """Another card in the place; what another bus number has changed is named."""
    now = board(first=switch_card(1, 0x41), boot_id=AFTER)
    report = changed(store, REPLACE, board(), now)
    # Both have no serial number, so that it may be the old one.
    assert rules(report) == [("WC597", "note")]
    now = board(first=gpu(1, 0x41, "S9"), shift=-2, boot_id=AFTER)
    report = changed(store, REPLACE, board(), now)
    assert rules(report) == [("WC597", "warning"), ("WC595", "warning"), ("WC595", "note")]
    text = report_text(report, 80)
    assert "NVIDIA H100     0000:44:00.0  0000:42:00.0  the same place" in text
    assert max(map(len, text.splitlines())) <= 90


def test_addresses_before(store: CardStore) -> None:
    """Before the reboot: the card by its place, what may change, the steps; nothing is done."""
    report = begin(REPLACE, board(), store, Surroundings())
    text = report_text(report, 80)
    assert "in 0000:40/01.0/00" in text
    assert [str(row.function.address) for row in report.predictions] == [GPU, NIC]
    assert "wholecard drain gpu-01 --reason 'card replace'" in text
    assert report.findings == ()


def test_renamed_files_and_held_rows(store: CardStore) -> None:
    """WC598 for files that name the old address, WC596 for a server that holds it."""
    settings = Settings(files=(FileText("/etc/driverctl.d/x", f"vfio-pci {GPU}\n"),))
    now = board(first=gpu(1, 0x41, "S9"), shift=-2, boot_id=AFTER, settings=settings)
    around = Surroundings(held={GPU: "s1", "0000:c1:00.0": "s2"},
                          texts={"nova.conf": f'device_spec = {{"address": "{GPU}"}}'})  # fmt: skip
    report = changed(store, REPLACE, board(), now, around)
    found = [(each.rule, each.subject) for each in report.findings if each.rule != "WC595"]
    assert found == [
        ("WC597", "gpu-01 replace"), ("WC596", GPU), ("WC598", "/etc/driverctl.d/x"),
        ("WC598", "nova.conf"),
    ]  # fmt: skip
    held = next(each for each in report.findings if each.rule == "WC596")
    assert "the server s1 holds this address, and nothing is there now" in held.message
    assert "wholecard migrate s1" in held.fix
    commands = [step.command for step in report.steps]
    assert "wholecard --on gpu-01 host plan  # /etc/driverctl.d/x" in commands


def test_held_before(store: CardStore) -> None:
    """A server that holds an address of the host is named before the reboot too."""
    report = begin(REPLACE, board(), store, Surroundings(held={GPU: "s1"}))
    assert rules(report) == [("WC596", "error")]
    assert report.findings[0].fix == "wholecard drain gpu-01"


def test_not_as_planned(store: CardStore) -> None:
    """WC597: not started again, the old card still there, no card at all, another card gone."""
    before = host(port(1), port(2), *gpu(1, 0x41, "A"), *gpu(2, 0x42, "B"))
    request = CardRequest(Kind.REPLACE, "gpu-01", slot="A")
    second = boot(boot_id=AFTER)
    cases = {
        "has not been started again": before,
        "the old card is still": host(*before.functions, boot=second),
        "no card is at 0000:40/01.0/00": host(port(1), port(2), *gpu(2, 0x42, "B"), boot=second),
        "a card that was not to change is gone": host(port(1), port(2), *gpu(1, 0x41, "C"),
                                                      boot=second),
    }  # fmt: skip
    for words, now in cases.items():
        report = changed(store, request, before, now)
        assert [each.rule for each in report.findings] == ["WC597"], words
        assert words in report.findings[0].message


def test_as_planned(store: CardStore) -> None:
    """Each kind of change that went as planned has no finding but the new addresses."""
    second = boot(boot_id=AFTER)
    ports = tuple(port(number) for number in range(1, 5))
    before = host(*ports, *gpu(1, 0x41, "A"), *nic(3, 0x42))
    cases = [
        (CardRequest(Kind.REPLACE, "h", slot="A"),
         host(*ports, *gpu(1, 0x41, "B"), *nic(3, 0x42), boot=second), []),
        (CardRequest(Kind.RETIRE, "h", slot="0000:40/01.0/00"),
         host(*ports, *nic(3, 0x41), boot=second), ["WC595"]),
        (CardRequest(Kind.MOVE, "h", slot="41:00.0", to="0000:40:04.0"),
         host(*ports, *nic(3, 0x41), *gpu(4, 0x42, "A"), boot=second), ["WC595"] * 2),
        (CardRequest(Kind.ADD, "h", to="0000:40/02.0"),
         host(*ports, *gpu(1, 0x41, "A"), *gpu(2, 0x42, "N"), *nic(3, 0x43), boot=second),
         ["WC595"]),
        (CardRequest(Kind.ADD, "h"),
         host(*ports, *gpu(1, 0x41, "A"), *gpu(2, 0x42, "N"), *nic(3, 0x43), boot=second),
         ["WC595"]),
    ]  # fmt: skip
    for request, now, expected in cases:
        report = changed(store, request, before, now)
        assert [each.rule for each in report.findings] == expected, request.kind
        assert all(each.severity.value != "error" for each in report.findings)
        store.forget()


def test_called_wrongly(store: CardStore) -> None:
    """A card or port that the host does not have, and a second change beside the first."""
    wrong = [
        (CardRequest(Kind.REPLACE, "h", slot="0000:99:00"), "no card named"),
        (CardRequest(Kind.RETIRE, "h"), "needs --slot"),
        (CardRequest(Kind.ADD, "h", to="0000:99:00.0"), "no port"),
    ]
    for request, words in wrong:
        with pytest.raises(UsageError, match=words):
            begin(request, board(), store, Surroundings())
    begin(REPLACE, board(), store, Surroundings())
    with pytest.raises(UsageError, match="is being changed: replace"):
        begin(CardRequest(Kind.ADD, "h"), board(), store, Surroundings())
    assert store.forget()
    assert store.read() is None

"""What a person should know of an answer."""

from __future__ import annotations

from support.capacity_stock import CLASS, cards, flavor, host, machine, stock
from wholecard.capacity.counting import count
from wholecard.capacity.findings import findings_of
from wholecard.capacity.record import Stock
from wholecard.cloud.placement.provider_tree import Inventory


def found(cloud: Stock, mix: dict[str, int] | None = None, blazar: bool = False) -> list[list[str]]:
    """The findings' rule, severity, subject and message."""
    return [[one.rule, one.severity.value, one.subject, one.message]
            for one in findings_of(count(cloud, mix or {}), blazar)]  # fmt: skip


def test_nothing() -> None:
    """A cloud where everything can be given has no finding."""
    assert found(stock()) == []


def test_stranded() -> None:
    """Hosts with one reason are one finding, with all their units."""
    hosts = [host(f"gpu-0{number}", cards=cards(given=5)) for number in (1, 2)]
    assert found(stock(*hosts, flavors=(flavor("g4", 4),))) == [
        ["WC641", "note", "gpu-01 and 1 more",
         "6 units are free and cannot be given: for g4 3 of 4 cards are left."],
    ]  # fmt: skip


def test_mix() -> None:
    """A mix that does not fit is an error."""
    rules = found(stock(host(cards=cards(given=4))), {"g4": 2})
    assert rules == [["WC642", "error", "flavor g4", "1 of 2 servers got a place beside the mix's "
                      "others. It was packed greedily: another order may place more."]]  # fmt: skip


def test_flavors_that_are_not_counted() -> None:
    """A flavor that gets no device is a warning, one that is not known a note."""
    flavors = (flavor("g1"), flavor("bad", 0, **{f"resources__{CLASS}": "1"}),
               flavor("odd", 0, pci_passthrough__alias="a100:1"))  # fmt: skip
    assert sorted(row[:3] for row in found(stock(flavors=flavors))) == [
        ["WC643", "warning", "flavor bad"], ["WC644", "note", "flavor odd"],
    ]  # fmt: skip


def test_blazar() -> None:
    """Blazar's count is named where it is another one, and only to who asks."""
    assert found(stock(), blazar=False) == []
    (row,) = found(stock(), blazar=True)
    assert row[0] == "WC640"
    assert "16 of g1 (8 fit), 4 of g4 (2 fit)" in row[3]


def test_flavors_that_both_count() -> None:
    """With a class of the host's own beside the alias nova and Blazar count the same."""
    own = host(machine=(*machine(), Inventory("CUSTOM_CARDS", 8)))
    flavors = (flavor("g1", 1, resources__CUSTOM_CARDS="1"),
               flavor("g4", 4, resources__CUSTOM_CARDS="4"))  # fmt: skip
    assert found(stock(own, flavors=flavors), blazar=True) == []

"""A stock as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.capacity_stock import cards, host, nodes, split, stock
from wholecard.capacity.saved import read_saved, saved_text
from wholecard.core import UsageError


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 8), st.integers(0, 8), st.booleans(), st.booleans())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, given: int, slices: int, known: bool,
                    closed: bool) -> None:  # fmt: skip
    """What is read is what was written."""
    one = host(cards=(*cards(given=given), split(slices)), nodes=nodes() if known else None)
    two = host("gpu-02", machine=None, traits=None, closed="nova-compute is down" * closed)
    whole = stock(one, two, not_known=("the disks",))
    path = tmp_path_factory.mktemp("saved") / "stock.json"
    path.write_text(saved_text(whole))
    assert read_saved(path) == whole


def test_alike_hosts_share(tmp_path: Path) -> None:
    """What hosts have in common is one object, so that it is counted once."""
    path = tmp_path / "stock.json"
    path.write_text(saved_text(stock(host("gpu-01"), host("gpu-02"))))
    first, second = read_saved(path).hosts
    assert first.cards is second.cards
    assert first.machine is second.machine


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', "null", '{"format": 1, "shared": [["x", 1]]}'],
    ids=["empty", "nothing", "list", "format", "null", "unknown kind"],
)  # fmt: skip
def test_another_file(tmp_path: Path, text: str) -> None:
    """A file that is none of ours is refused with its name."""
    path = tmp_path / "stock.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"cannot read .*stock\.json"):
        read_saved(path)


def test_more_given_than_there_is(tmp_path: Path) -> None:
    """A file whose numbers cannot be is refused."""
    data = json.loads(saved_text(stock()))
    for name, content in data["shared"]:
        if name == "cards":
            content[0][3] = 2
    path = tmp_path / "stock.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError) as error:
        read_saved(path)
    assert "2 given and 0 reserved" in error.value.details

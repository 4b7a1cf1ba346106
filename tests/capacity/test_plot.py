"""The answer as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import pytest

from support.capacity_stock import cards, flavor, host, split, stock
from wholecard.capacity.counting import count
from wholecard.capacity.plot import bars_of, check_plot, draw
from wholecard.capacity.record import Stock
from wholecard.capacity.request import CapacityAnswer
from wholecard.core import UsageError


def answer(cloud: Stock, plan: Stock | None = None) -> CapacityAnswer:
    """The answer for the cloud, with a plan."""
    return CapacityAnswer(count(cloud, {}), count(plan, {}) if plan else None, cloud)


def test_parts_of_a_bar() -> None:
    """A host's bar is its cards: given, usable, stranded and reserved."""
    cloud = stock(host(cards=cards(given=2, reserved=1)), flavors=(flavor("g4", 4),))
    assert bars_of(answer(cloud)) == [
        ("gpu-01", {"given": 2, "free": 4, "reserved": 1, "stranded": 1})
    ]


def test_plan_beside_today() -> None:
    """A host's planned bar is below today's."""
    names = [name for name, _ in bars_of(answer(stock(), stock(host(), host("gpu-02"))))]
    assert names == ["gpu-01", "gpu-01, planned", "gpu-02, planned"]


def test_a_bar_for_each_type() -> None:
    """Where hosts have cards and slices, each type has its bar, with what of it is stranded."""
    cloud = stock(host(cards=(*cards(4, given=3), split(16, 5))), flavors=(flavor("g1", 1),))
    assert bars_of(answer(cloud)) == [
        ("gpu-01 CUSTOM_PCI_10DE_2330", {"given": 3, "free": 1, "reserved": 0, "stranded": 0}),
        ("gpu-01 VGPU", {"given": 5, "free": 0, "reserved": 0, "stranded": 11}),
    ]


def test_many_hosts() -> None:
    """Of more than forty hosts the bars are by type, and have all cards."""
    cloud = stock(*(host(f"gpu-{number}", cards=cards(given=3)) for number in range(50)))
    assert bars_of(answer(cloud)) == [
        ("CUSTOM_PCI_10DE_2330", {"given": 150, "free": 250, "reserved": 0, "stranded": 0})
    ]


@pytest.mark.parametrize(("suffix", "head"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_draw(tmp_path: Path, suffix: str, head: bytes) -> None:
    """The file is of the kind that its name says."""
    path = tmp_path / f"left{suffix}"
    check_plot(path)
    draw(answer(stock()), path)
    assert path.read_bytes().startswith(head)


def test_svg_has_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The axis has the hosts' names."""
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    draw(answer(stock()), tmp_path / "left.svg")
    assert ">gpu-01<" in (tmp_path / "left.svg").read_text()


def test_another_suffix() -> None:
    """Other kinds of pictures are refused before anything is read."""
    with pytest.raises(UsageError, match=r"ends neither in \.png nor in \.svg"):
        check_plot(Path("left.jpg"))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the extra is named."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError) as error:
        check_plot(Path("left.png"))
    assert error.value.resolution == "Install it: pip install 'wholecard[plot]'"


def test_no_folder(tmp_path: Path) -> None:
    """A file that cannot be written is named."""
    with pytest.raises(UsageError, match="cannot write"):
        draw(answer(stock()), tmp_path / "none" / "left.png")

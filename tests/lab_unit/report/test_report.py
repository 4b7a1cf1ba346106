"""The report: one page, whole and truthful, whatever the demo left."""

from __future__ import annotations

import dataclasses
from html import unescape
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from support import demos
from support.html_tags import VOID, Tags
from wholecard.lab.base.steps import LabStep
from wholecard.lab.report import chart as charts
from wholecard.lab.report.record import DemoRecord
from wholecard.lab.report.report import TITLE, outcome, page, plain, shares, verdict, write_report
from wholecard.lab.report.topology import WIDTH, Box, Picture, fold, way

SHAPES = VOID | {"circle", "path"}
EVERY = [demos.demo, demos.failed_demo, demos.short_demo]


def drawn(record: DemoRecord, kind: str) -> list[Box]:
    return [box for box in way(record).boxes if box.kind == kind]


@pytest.mark.parametrize("make", EVERY)
def test_page_is_well_formed(make) -> None:  # type: ignore[no-untyped-def]
    """Every element of the page is closed where it should be, however the demo went."""
    assert Tags(page(make()), SHAPES).wrong == []


@pytest.mark.parametrize("make", EVERY)
def test_page_loads_nothing(make) -> None:  # type: ignore[no-untyped-def]
    """The page has no script and loads nothing: no link, image, frame, import or address."""
    text = page(make())
    tags = Tags(text, SHAPES).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "image"}
    assert not [attrs for _, attrs in tags if {"src", "href", "xlink:href", "data"} & set(attrs)]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    assert "http" not in style


def test_page_has_what_else_the_guest_reported() -> None:
    """Who counts the cards, and the benchmark, are below the table of functions."""
    text = unescape(page(demos.demo()))
    assert [line for line in demos.LINES if line not in text] == []


def test_page_tells_of_the_move() -> None:
    """Each moment of the move has what nova's rows and the audit said; without one, no heading."""
    text = unescape(page(demos.demo()))
    assert "in VERIFY_RESIZE, before confirm" in text
    assert "gpu-01: 2 allocated\ngpu-02: 2 allocated" in text
    assert "A server moves" not in page(demos.short_demo())


def test_page_has_its_title() -> None:
    """Title and first heading are the same words."""
    text = page(demos.demo())
    assert f"<title>{TITLE}</title>" in text
    assert f"<h1>{TITLE}</h1>" in text


def test_evidence_is_escaped() -> None:
    """What programs wrote cannot become a part of the page."""
    record = demos.demo()
    record.steps[0].saw("<img src=x>", "</pre><script>alert(1)</script>")
    record.machine = "<b>machine</b>"
    text = page(record)
    assert "<script" not in text
    assert "<img" not in text
    assert "<b>machine" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_evidence_is_whole() -> None:
    """Evidence is in the page to its last line, however long."""
    text = page(demos.demo())
    assert demos.LONG in text
    assert "".join(Tags(text, SHAPES).text).count("pci 0000:01:00.0: BAR") == len(
        demos.LOG.splitlines()
    )


def test_evidence_is_folded() -> None:
    """Each step with evidence has a fold, closed unless the step failed."""
    good = [attrs for tag, attrs in Tags(page(demos.demo()), SHAPES).tags if tag == "details"]
    assert len(good) == len([step for step in demos.steps() if step.evidence])
    assert not [attrs for attrs in good if "open" in attrs]
    bad = [attrs for tag, attrs in Tags(page(demos.failed_demo()), SHAPES).tags if tag == "details"]
    assert len([attrs for attrs in bad if "open" in attrs]) == 1


def test_terminal_escapes_are_taken_out() -> None:
    """Colours, window titles and control characters of a console do not reach the page."""
    assert plain("\x1b[31mred\x1b[0m \x1b]0;title\x07a\r\nb\tc\x00\x08") == "red a\nb\tc"


def test_unwritable_characters_do_not_stop_the_report(tmp_path: Path) -> None:
    """A lone surrogate, as a log read with errors kept has, becomes U+FFFD."""
    record = demos.demo()
    record.steps[0].saw("log", "before \udcff after")
    write_report(record, tmp_path / "report.html")
    assert "before \N{REPLACEMENT CHARACTER} after" in (tmp_path / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_every_station_is_there() -> None:
    """What was seen at each station is in the page in full, and in short in the picture."""
    text = unescape(page(demos.demo()))
    for station in demos.STATIONS:
        assert all(seen in text for seen in station.seen)
    shown = "\n".join(line for box in way(demos.demo()).boxes for line in box.lines)
    for station in demos.STATIONS:
        assert station.seen[0][:40] in shown


def test_station_that_was_not_reached() -> None:
    """A station without a record is drawn as not reached, and the rest as usual."""
    record = demos.demo()
    record.stations = [station for station in record.stations if station.key != "kvm"]
    unreached = [box.title for box in way(record).boxes if not box.reached]
    assert unreached == ["KVM"]


def test_cards_are_drawn_on_both_sides() -> None:
    """Two cards are on the host and the same two in the guest, each with its addresses."""
    record = demos.demo()
    assert [box.title for box in drawn(record, "card")] == [
        "card 1  0000:01:00", "card 2  0000:02:00",
    ]  # fmt: skip
    guest = [line for box in drawn(record, "guest") for line in box.lines]
    assert guest == ["0000:06:01.0 1002:5046", "0000:06:02.0 1002:5046"]


def test_cards_without_a_server() -> None:
    """Where no server got a card, those that the station names are on the host."""
    record = demos.demo()
    record.servers = []
    assert [box.title[:6] for box in drawn(record, "card")] == ["card 1", "card 2"]
    assert drawn(record, "guest") == []


def test_card_that_the_guest_misses_is_drawn_so() -> None:
    """A card whose function the guest lacks has no arrow into the guest."""
    record = demos.failed_demo()
    assert [box.reached for box in drawn(record, "guest")] == [True, False]
    into = [arrow for arrow in way(record).arrows if arrow.kind == "card"]
    assert len(into) == 3


@pytest.mark.parametrize("make", EVERY)
def test_nothing_overlaps_in_the_picture(make) -> None:  # type: ignore[no-untyped-def]
    """Boxes lie side by side or one within the other, inside the canvas, and so does their text."""
    picture: Picture = way(make())
    for one, other in combinations(picture.boxes, 2):
        apart = (
            one.x + one.width <= other.x or other.x + other.width <= one.x
            or one.bottom <= other.y or other.bottom <= one.y
        )  # fmt: skip
        inside = one.x <= other.x and other.x + other.width <= one.x + one.width
        assert apart or (inside and one.y <= other.y and other.bottom <= one.bottom)
    for box in picture.boxes:
        assert 0 <= box.x < box.x + box.width <= WIDTH
        assert 0 <= box.y < box.bottom <= picture.height
        assert all(y < box.bottom for _, y, _ in box.placed_lines)


def test_long_lines_are_folded() -> None:
    """A line that does not fit goes on below, and lines too many end in an ellipsis."""
    assert fold(["a" * 30, "b\nc", "d"], 4, 200) == ("a" * 24, "  " + "a" * 6, "b", "c …")


def test_good_outcome() -> None:
    """Servers that have their cards, and one refused as it should be, are a success."""
    result = outcome(demos.demo())
    assert (result.good, result.headline) == (True, "All proved: 2 functions in 1 server")


def test_bad_outcome_says_what_failed() -> None:
    """Failed and unfinished steps and servers that are not as they should be are all named."""
    result = outcome(demos.failed_demo())
    assert not result.good
    assert result.wrong == (
        "step failed: server two-cards: boot, proof",
        "step unfinished: server one-too-many: refused",
        "two-cards: Not proved: 1 finding",
        "one-too-many: It should have been refused and is ACTIVE",
    )


def test_nothing_proved_is_no_success() -> None:
    """A demo without any server is not called proved."""
    record = demos.demo()
    record.servers = []
    assert not outcome(record).good


def test_failed_step_is_marked() -> None:
    """A failed step is marked in the chart, in the table and over its evidence."""
    text = page(demos.failed_demo())
    assert '<tr class="failed"><td>✗ server two-cards: boot, proof (failed)' in text
    assert '<details class="failed" open>' in text
    assert 'class="bar server failed"' in text
    assert "failed" not in page(demos.demo()).partition("</style>")[2]


def test_refused_server_is_as_it_should_be() -> None:
    """The refusal for want of a card is shown as right, with nova's words."""
    result = verdict(demos.refused())
    assert (result.state, result.words) == ("refused", "Refused, as expected: no card was free")
    assert "No valid host was found." in page(demos.demo())


def test_refusal_for_another_reason_is_not() -> None:
    """An error that says nothing of hosts is no expected refusal."""
    assert verdict(dataclasses.replace(demos.refused(), fault="Quota exceeded")).state == "bad"


def test_missing_function_is_shown() -> None:
    """A function that the guest lacks is shown as not seen, with the finding and its fix."""
    text = unescape(page(demos.failed_demo()))
    assert '<span class="absent">not seen</span>' in text
    assert demos.MISSING.message in text
    assert demos.MISSING.fix in text


def test_memory_is_sorted() -> None:
    """The service that takes most memory comes first, and the others as shares of it."""
    parts = shares({"a": 1 << 20, "b": 4 << 20})
    assert [(share.name, share.mib, share.percent) for share in parts] == [
        ("b", 4, 100),
        ("a", 1, 25),
    ]


def test_steps_that_overlap_are_drawn_over_each_other() -> None:
    """Bars begin where their steps do, so parallel steps are over the same stretch."""
    drawn = charts.chart(demos.steps(), 239.6)
    by_label = {bar.label: bar for bar in drawn.bars}
    node = by_label["node: power on, boot, ssh"]
    cloud = by_label["cloud: databases, RabbitMQ"]
    assert node.x == cloud.x
    assert (node.side, cloud.side) == ("node", "cloud")
    assert [bar.x for bar in drawn.bars] == sorted(bar.x for bar in drawn.bars)


@pytest.mark.parametrize("seconds", [0.0, 0.4, 30, 239.6, 719, 5000])
def test_chart_stays_on_its_canvas(seconds: float) -> None:
    """Whatever the time, bars and their figures end before the right edge and ticks are few."""
    drawn = charts.chart([LabStep("all", 0.0, seconds), LabStep("late", seconds, None)], seconds)
    assert all(
        bar.x + bar.width <= charts.WIDTH - charts.RIGHT + charts.THINNEST for bar in drawn.bars
    )
    assert 1 <= len(drawn.ticks) <= charts.MOST_TICKS + 1
    assert all(one.x < other.x for one, other in pairwise(drawn.ticks))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119.4, "119 s"), (180, "3 min"), (200.2, "3 min 20 s")]
)
def test_durations_are_readable(seconds: float, words: str) -> None:
    """Long times are given in minutes."""
    assert charts.duration(seconds) == words

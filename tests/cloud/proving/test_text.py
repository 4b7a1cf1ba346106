"""What a person sees of a proof: text, page, JUnit XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.golden import compare
from support.proof_reports import BAD, GOOD
from wholecard.cloud.proving.junit import junit_xml
from wholecard.cloud.proving.page import page, write_page
from wholecard.cloud.proving.record import ProveReport
from wholecard.cloud.proving.text import report_text, speed_text
from wholecard.core.plain_text import plain

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(("name", "report"), [("good", GOOD), ("bad", BAD)])
def test_text(name: str, report: ProveReport) -> None:
    """Card by card, what was asked for beside what the guest has; then the findings."""
    compare(f"{name}.txt", plain(report_text(report)) + "\n", GOLDEN)


@pytest.mark.parametrize(
    ("gflops", "text"),
    [(31843.72, "31,843.7 GFLOP/s"), (1.0, "1.0 GFLOP/s"), (0.02472, "0.025 GFLOP/s")],
)
def test_speed(gflops: float, text: str) -> None:
    """A slow processor's figure keeps two digits and is never zero."""
    assert speed_text(gflops) == text


@pytest.mark.parametrize(("name", "report"), [("good", GOOD), ("bad", BAD)])
def test_junit(name: str, report: ProveReport) -> None:
    """A test suite for each server, and a failure for each check that failed."""
    text = junit_xml(report)
    compare(f"{name}.xml", text, GOLDEN)
    suites = ET.fromstring(text)
    assert int(suites.get("failures", "")) == len(suites.findall(".//failure"))
    assert int(suites.get("tests", "")) == len(suites.findall(".//testcase"))


def test_json() -> None:
    """The record is plain JSON, with the verdict on top."""
    data = json.loads(json.dumps(BAD.to_json()))
    assert (data["proved"], [server["proved"] for server in data["servers"]]) == (
        False,
        [False] * 3,
    )
    device = json.loads(json.dumps(GOOD.to_json()))["servers"][0]["devices"][0]
    assert device["function"]["id"] == "10de:2330"
    assert device["gpus"][0]["source"] == "nvidia-smi"


class _Tags(HTMLParser):
    """The tags of a page, and whether each that was opened is closed in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", [GOOD, BAD], ids=["good", "bad"])
def test_page(report: ProveReport, tmp_path: Path) -> None:
    """The page loads nothing, runs nothing, and a guest's text is text in it."""
    write_page(report, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert "http" not in text.replace("http-equiv", "")
    assert "\x1b" not in text
    for server in report.servers:
        assert server.name in text
    assert page(report) == text


def test_narrow_screens() -> None:
    """Each cell names its column, because on a narrow screen the table has no head."""
    text = page(GOOD)
    devices = sum(len(server.devices) for server in GOOD.servers)
    heads = ["Device", "Ids", "In the guest", "Driver", "BARs", "Link", "NUMA", "Counted as"]
    assert devices
    assert [text.count(f' data-head="{head}"') for head in heads] == [devices] * 8
    assert [text.count(f"<th>{head}</th>") for head in heads] == [text.count("<thead>")] * 8

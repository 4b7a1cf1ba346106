"""The page of a site: hosts that look the same once, one cause one finding, nothing loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.golden import compare
from support.hosts import bound, function, host
from support.html_tags import Tags
from support.large_hosts import hgx
from support.production_host import production
from support.tree import grow
from wholecard.cli.app import run_app
from wholecard.core import Finding, Severity
from wholecard.host.facts.host import Host
from wholecard.host.facts.snapshot import save
from wholecard.site.report.page import page
from wholecard.site.report.request import SiteHost, causes, site_report

GOLDEN = Path(__file__).parents[1] / "golden"
MADE = "Made 2026-11-30 from facts of hosts"


def small() -> Host:
    """A GPU and a network card in its group, and a display of the BMC."""
    return host(
        bound("0000:01:00.0", driver="nvidia", vendor_name="NVIDIA Corporation",
              device_name="GH100 [H100 PCIe]", numa_node=0, link_width=16, link_speed=32.0),
        bound("0000:02:00.0", "15b3:1021", class_code="020000", driver="mlx5_core", iommu_group=1,
              numa_node=0),
        function("0000:03:00.0", "1a03:2000", "030000", driver="ast", boot_vga=True, numa_node=0),
    )  # fmt: skip


def of(hosts: dict[str, Host]) -> str:
    """The page of these hosts."""
    report = site_report({name: SiteHost(each) for name, each in hosts.items()})
    return page(report, "Site report", MADE)


def test_page() -> None:
    """A small site's page is this, from head to foot."""
    compare("report.html", of({"gpu-01": small(), "gpu-02": small()}), GOLDEN)


def test_page_alone() -> None:
    """A page is closed where it should be, loads nothing, and has no script."""
    text = of({"gpu-01": hgx(), "gpu-02": small()})
    tags = Tags(text)
    assert tags.wrong == []
    assert {tag for tag, _ in tags.tags} & {"script", "link", "img", "iframe", "object"} == set()
    links = {attrs[key] for _, attrs in tags.tags for key in ("src", "href") if key in attrs}
    assert links == {"#look-1", "#look-2"}
    assert re.findall(r"url\(|@import|https?://", text) == []


def test_hosts_that_look_the_same() -> None:
    """Hosts with equal pictures are drawn once; a host with a narrower link is apart."""
    made = {"a": hgx(), "b": hgx(slow="0000:19:00.0"), "c": hgx()}
    report = site_report({name: SiteHost(each) for name, each in made.items()})
    assert [look.names for look in report.looks] == [("a", "c"), ("b",)]
    assert [(row.name, row.look) for row in report.hosts] == [("a", 1), ("b", 2), ("c", 1)]
    assert report.models == (("NVIDIA H100 SXM5 80GB", 24, 3),)


def test_one_cause_is_one_finding() -> None:
    """The same words about several subjects, on several hosts, are one cause with its places."""
    found = {
        name: [Finding("WC107", slot, Severity.WARNING, f"{slot} is so", f"do it to {slot}")
               for slot in slots] + [Finding("WC101", "IOMMU", Severity.ERROR, "off")]
        for name, slots in (("a", ("s1", "s2")), ("b", ("s1", "s2")), ("c", ("s3",)))
    }  # fmt: skip
    assert [(each.finding.rule, each.where) for each in causes(found)] == [
        ("WC101", ((("a", "b", "c"), ("IOMMU",)),)),
        ("WC107", ((("a", "b"), ("s1", "s2")), (("c",), ("s3",)))),
    ]


def test_texts_of_others_are_escaped() -> None:
    """Names in facts neither become tags nor turn the direction of reading."""
    gpu = bound("0000:01:00.0", device_name="<script>alert(1)</script>\u202e")
    text = of({"<b>host</b>": host(gpu)})
    assert "<script" not in text
    assert "<b>host" not in text
    assert "\u202e" not in text
    assert Tags(text).wrong == []


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The command reads JSON and snapshots, writes the page, replaces it, and keeps no secret."""
    monkeypatch.chdir(tmp_path)
    save(grow(tmp_path / "root", production()), tmp_path / "rocky-01.tar")
    (tmp_path / "gpu-02.json").write_text("".join(small().to_lines()))
    for _ in range(2):
        assert run_app(["site", "report", "--facts", "rocky-01.tar", "n=gpu-02.json"]) == 0
    assert "wrote report.html: 2 hosts" in capsys.readouterr().out
    text = (tmp_path / "report.html").read_text()
    assert all(word in text for word in ("rocky-01", ">n<", "H100 SXM5 80GB", "WC103"))
    assert "hunter2" not in text
    assert run_app(["site", "report", "--facts", "gpu-02.json", "--host", "gpu-03"]) == 2
    assert "there are no facts of gpu-03" in capsys.readouterr().err
    assert run_app(["site", "report", "gpu-02.json", "--site", "site.yaml"]) == 2
    assert run_app(["site", "report", "gpu-02.json", "-o", "no/where.html"]) == 3
    assert "cannot write no/where.html" in capsys.readouterr().err


def test_site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a site file the page says how each card is given, and under which name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpu-01.json").write_text("".join(small().to_lines()))
    assert run_app(["site", "init", "--facts", "gpu-01.json"]) == 0
    assert run_app(["site", "report", "--site", "site.yaml", "-o", "site.html"]) == 0
    text = (tmp_path / "site.html").read_text()
    assert "In the site file" in text
    assert '<td data-head="In the site file">h100-pcie: whole</td>' in text

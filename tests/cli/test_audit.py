"""`wholecard audit`: its table, its formats, and what it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from support.audit_faults import AUDIT_FAULTS, card_for
from support.audit_views import FixedViews, addresses, audit_cloud, look, server_of
from support.golden import compare
from wholecard.audit.record import View
from wholecard.audit.report import AuditReport
from wholecard.audit.request import AuditWatcher, audit_views
from wholecard.audit.text import blocks
from wholecard.cli.app import run_app
from wholecard.cli.audit import named_hosts, show
from wholecard.core import UsageError

GOLDEN = Path(__file__).parent / "golden"
FAULTS = {
    "gpu-01": ("evacuated", "device detached", "row of a device in use is available"),
    "gpu-02": ("dead migration", "host driver", "wrong NUMA node", "allocation deleted"),
}


def damaged() -> FixedViews:
    """Two hosts with seven faults, one with a server that is being deleted."""
    views = audit_cloud(3, cards=8, given=4)
    for host, names in FAULTS.items():
        count = {"given": 0, "free": 0}
        for name in names:
            fault = AUDIT_FAULTS[name]
            views = fault.inject(views, host, card_for(fault, count[fault.on], given=4))
            count[fault.on] += 1
    views = views.with_service("gpu-01", is_up=False)
    server = server_of("gpu-03", 0)
    return views.with_instance(server, task_state="deleting").free("gpu-03", addresses(1)[0])


def report_of(views: FixedViews) -> AuditReport:
    return audit_views(look(views), None, AuditWatcher(), sleep=lambda seconds: None)


def drawn(report: AuditReport, width: int) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        for block in blocks(report):
            console.print(block, crop=False, overflow="ignore" if isinstance(block, Text) else None)
    lines = (line.rstrip() for line in capture.get().splitlines())
    text = "\n".join(lines) + "\n"
    return text.replace(f"{report.seconds:.1f} s", "0.1 s")


@pytest.mark.parametrize("width", [80, 140])
def test_table(width: int) -> None:
    """By host and card, what each place says side by side, then message, fix and a summary."""
    compare(f"audit-{width}.txt", drawn(report_of(damaged()), width), GOLDEN)


def test_all_well() -> None:
    """One line where all four places agree."""
    text = drawn(report_of(audit_cloud(2)), 80)
    assert text == "sysfs, libvirt, nova and Placement agree. 2 hosts, 8 devices, 0.1 s\n"


def test_unread() -> None:
    """What was not read is said, with what reads it, and is not called agreement."""
    views = audit_cloud(2).with_host("gpu-02", domains=None, unread={View.LIBVIRT: "No answer."})
    text = drawn(report_of(views), 100)
    assert "WC550  A view could not be read\n      libvirt was not read on 1 host: No" in text
    assert "read everywhere: sysfs, nova, placement" in text
    assert "agree" not in text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the findings with their facts and what each view says."""
    show(report_of(damaged()), "json", None)
    answer = json.loads(capsys.readouterr().out)
    assert {row["rule"] for row in answer["findings"]} == {
        "WC512", "WC513", "WC515", "WC521", "WC522", "WC523", "WC531", "WC540", "WC551",
    }  # fmt: skip
    row = next(row for row in answer["findings"] if row["rule"] == "WC513")
    assert row["facts"]["row_status"] == "available"
    assert set(row["views"]) == {"sysfs", "libvirt", "nova", "placement"}
    assert (answer["hosts"], answer["devices"]) == (3, 24)


def test_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """-c prints columns of the findings, as other commands do."""
    show(report_of(damaged()), "table", ["rule", "host", "address"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["RULE", "HOST", "ADDRESS"]
    assert ["WC512", "gpu-01", "0000:41:00.0"] in [line.split() for line in lines]


def test_named_hosts(tmp_path: Path) -> None:
    """--hosts takes a list, or a file with one on each line."""
    file = tmp_path / "hosts"
    file.write_text("# racks\ngpu-01\n\ngpu-02 # new\n")
    assert named_hosts("a, b,") == ("a", "b")
    assert named_hosts(f"@{file}") == ("gpu-01", "gpu-02")
    with pytest.raises(UsageError, match="cannot read the list of hosts"):
        named_hosts(f"@{tmp_path / 'none'}")


@pytest.mark.parametrize(
    ("words", "brief"),
    [
        (["--ssh-name", "gpu-01"], "has no name of ssh's"),
        (["--ssh-name", "gpu-01=10.0.0.1"], "work only with --ssh"),
        (["--databases", "none"], "none"),
    ],
)
def test_called_wrongly(words: list[str], brief: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that cannot be meant end with 2 and say why."""
    assert run_app(["audit", *words]) == 2
    assert brief in capsys.readouterr().err

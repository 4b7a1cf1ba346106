"""What the benchmarks' figures rest on: the log that is read, the query, the rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench_cloud import ini
from bench_picture import picture
from bench_query import nova_query
from bench_rows import BOOT_ROWS, CANDIDATE_ROWS, QUOTA, CandidateRow, rendered
from bench_tables import boots_table, candidates_table
from boots_bench import fault, reason
from oslo_config import cfg
from placement_log import Call, calls, candidate_queries, conflicts

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/explanation/placement-tuning.md"
BOOTS = json.loads((RESULTS / "2026-11-24-boots.json").read_text())
AGAIN = json.loads((RESULTS / "2026-11-25-boots.json").read_text())
CANDIDATES = json.loads((RESULTS / "2026-11-25-candidates.json").read_text())

SERVER = "73f42443-bfe7-42d6-921a-510e9ad7f174"
OTHER = "a4480abf-2183-4731-a9d8-3b0638806f80"
HEAD = "2026-11-24 23:43:41.755 2 INFO placement.requestlog [req-1 req-2 u p - - d d] 127.0.0.1 "


def logged(request: str, status: int) -> str:
    """A line as placement 16 writes it."""
    return f'{HEAD}"{request}" status: {status} len: 769 microversion: 1.36'


LOG = [
    logged(f"GET /allocations/{SERVER}", 200),
    logged(f"PUT /allocations/{SERVER}", 409),
    "2026-11-24 23:43:41.800 2 WARNING placement.objects.allocation [None] Over capacity",
    logged(f"PUT /allocations/{SERVER}", 409),
    logged(f"PUT /allocations/{SERVER}", 204),
    logged(f"PUT /allocations/{OTHER}", 409),
    logged("PUT /resource_providers/8c02d722-17ee-5965-ac0d-9d57d2c7bfb6/inventories", 409),
    logged("GET /allocation_candidates?limit=2&resources1%2D0=CUSTOM_PCI_10DE_2330%3A1", 200),
]


def test_calls() -> None:
    """Every request of the log is read and no other line."""
    assert len(calls(LOG)) == len(LOG) - 1
    assert calls(LOG)[1] == Call("PUT", f"/allocations/{SERVER}", 409)


def test_conflicts() -> None:
    """A conflict is a refused claim of a server; what a compute's report meets is none."""
    assert conflicts(calls(LOG)) == {SERVER: 2, OTHER: 1}


def test_candidate_queries() -> None:
    """A query comes back as nova built it."""
    assert candidate_queries(calls(LOG)) == [
        (("limit", "2"), ("resources1-0", "CUSTOM_PCI_10DE_2330:1"))
    ]


def test_query_is_novas() -> None:
    """The measured query is what nova sent in a real boot, but for the id of the PCI request."""
    captured = tuple((key, value) for key, value in BOOTS["candidates_query_of_8_cards"])
    suffixed = next(key for key, _ in captured if key.startswith("required") and key[-1] == "0")
    request_id = suffixed.removeprefix("required").removesuffix("-0")
    assert captured == nova_query(8, request_id)


@pytest.mark.parametrize("role", ["placement", "scheduler", "conductor"])
def test_every_setting_is_measured_alone(role: str) -> None:
    """What is rendered stands in a row of its own, apart from what is for wide trees alone."""
    alone = {
        option[1] for row in BOOT_ROWS[1:-3] for option in getattr(row, role) if option not in QUOTA
    }
    wide = {name for row in CANDIDATE_ROWS for name in row.options}
    assert {option[1] for option in rendered(role)} - alone - wide == set()


def test_last_row_is_what_is_rendered() -> None:
    """The row that is called rendered holds exactly what `tuning` gives."""
    last = BOOT_ROWS[-1]
    assert (last.name, last.placement, last.scheduler) == (
        "rendered", rendered("placement"), rendered("scheduler"),
    )  # fmt: skip
    assert last.conductor == (*QUOTA, *rendered("conductor"))
    assert CANDIDATE_ROWS[-1].placement(8, 100) == rendered("placement", 8, 100)


def test_candidate_row_with_a_limit_of_its_own() -> None:
    """A row may try another limit than the rendered one, and changes nothing else."""
    row = CandidateRow("one", ("max_allocation_candidates", "randomize_allocation_candidates"), 7)
    assert row.placement(8, 100) == (
        ("placement", "max_allocation_candidates", "7"),
        ("placement", "randomize_allocation_candidates", "true"),
    )


def test_ini_is_read_back(tmp_path: Path) -> None:
    """oslo.config reads what is written, sections that come twice included."""
    file = tmp_path / "row.conf"
    file.write_text(ini((("a", "x", "1"), ("b", "y", "two"), ("a", "z", "3"))))
    conf = cfg.ConfigOpts()
    for group, names in (("a", "xz"), ("b", "y")):
        conf.register_opts([cfg.StrOpt(name) for name in names], group=group)
    conf(args=[], default_config_files=[str(file)], default_config_dirs=[])
    assert (conf.a.x, conf.a.z, conf.b.y) == ("1", "3", "two")


FAULTS = [
    ({"status": "BUILD"}, "still BUILD at the cut-off"),
    ({"status": "ERROR", "fault": {"message": "No valid host was found. There"}}, "no valid host"),
    ({"status": "ERROR", "fault": {"message": "Exceeded maximum number of retries."}},
     "out of retries"),
    ({"status": "ERROR", "fault": {"message": "Quota exceeded for instances"}}, "over quota"),
    ({"status": "ERROR", "fault": {"message": "RemoteError"}}, "RemoteError"),
    ({"status": "ERROR"}, "no fault recorded"),
]  # fmt: skip


@pytest.mark.parametrize(("server", "expected"), FAULTS)
def test_fault(server: dict[str, object], expected: str) -> None:
    """A server that is not ACTIVE is counted by nova's own reason."""
    assert fault(server) == expected


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [(403, "Quota exceeded for cores", "over quota"), (403, "Policy", "HTTP 403"),
     (500, "", "HTTP 500")],
)  # fmt: skip
def test_reason(status: int, text: str, expected: str) -> None:
    """A refused request is over quota only where nova says so."""
    assert reason(status, text) == expected


@pytest.mark.parametrize(
    "table",
    [candidates_table(CANDIDATES), boots_table(BOOTS), boots_table(AGAIN)],
    ids=["candidates", "boots", "again"],
)
def test_page_has_the_measured_tables(table: str) -> None:
    """The documentation's tables are those of the newest figures (bench_tables.py prints them)."""
    assert table in PAGE.read_text()


def test_picture_is_of_these_figures() -> None:
    """The picture is drawn from the figures of its table (bench_picture.py draws it)."""
    assert (ROOT / "docs/images/boots.svg").read_text() == picture(BOOTS)


def test_candidates_meet_their_target() -> None:
    """Half a second for 8 of 8 cards on 100 hosts, on the clock, in the run of all the rows."""
    rendered = {row["hosts"]: row for row in CANDIDATES["rows"] if row["row"] == "rendered"}
    assert set(rendered) == {1, 10, 100}
    assert max(row["median"] for row in rendered.values()) <= 0.5


def test_boots_meet_their_target() -> None:
    """40 of 40, three times, and no server is refused more than once."""
    booted = [row for row in AGAIN["rows"] if row["row"] == "rendered"]
    assert len(booted) >= 3
    assert {row["active"] for row in booted} == {AGAIN["boots"]}
    both = [row for row in (*BOOTS["rows"], *AGAIN["rows"]) if row["row"] == "rendered"]
    assert max(row["conflicts_per_boot_max"] for row in both) <= 1

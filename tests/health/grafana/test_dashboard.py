"""The dashboard: what Grafana needs of it, and PromQL that Prometheus reads."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import yaml

from support.promtool import promtool
from wholecard.health.exporter.metrics import METRICS
from wholecard.health.grafana.dashboard import COLUMNS, PANELS, dashboard, dashboard_json

NAMES = {metric.name for metric in METRICS}
LABELS = {label for metric in METRICS for label in metric.labels}


def expressions() -> list[str]:
    """All PromQL of the panels, with a value for Grafana's variable."""
    queries = (query for panel in PANELS for query, _ in panel.queries)
    return [query.replace("$host", ".*") for query in queries]


def test_queries_name_our_metrics() -> None:
    """No panel asks for a metric that the exporter does not have."""
    used = {name for query in expressions() for name in re.findall(r"wholecard_\w+", query)}
    assert used <= NAMES


def test_promql(tmp_path: Path) -> None:
    """Prometheus reads each panel's query."""
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.status == 0, checked.stdout + checked.stderr


def test_places() -> None:
    """Panels have different numbers, stay within Grafana's columns and do not cover each other."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    boxes = [panel["gridPos"] for panel in panels]
    assert all(box["x"] + box["w"] <= COLUMNS for box in boxes)
    for one, other in itertools.combinations(boxes, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_table_columns() -> None:
    """A table's columns are labels of the metrics, or the value."""
    columns = {name for panel in PANELS for name in panel.columns}
    assert columns <= LABELS | {"Value"}


def test_json() -> None:
    """It is JSON, and each target names the data source that the import asks for."""
    known = json.loads(dashboard_json())
    assert known["templating"]["list"][0]["name"] == "datasource"
    targets = [target for panel in known["panels"] for target in panel["targets"]]
    assert {target["datasource"]["uid"] for target in targets} == {"${datasource}"}

"""The Grafana dashboard: its panels as records, and the JSON that Grafana imports.

Source of the format: grafana.com/docs, "Dashboard JSON model". The data source is a variable, so
that the import asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

# Grafana's rows have 24 columns.
COLUMNS = 24
# Dashboards of this version are read by Grafana 11 and newer.
SCHEMA_VERSION = 39
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_HOSTS = 'host=~"$host"'

_GREEN, _YELLOW, _ORANGE, _RED, _BLUE = "green", "yellow", "orange", "red", "blue"
_STATE_COLOURS = {
    "free": _GREEN, "given": _BLUE, "dirty": _YELLOW, "broken": _RED, "reserved": _ORANGE,
    "unknown": "text",
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One panel: `kind` is Grafana's, `queries` PromQL with each one's legend.

    `unit` is Grafana's unit; `steps` are colours from a value on. `columns` of a table are labels
    with their heads, in order.
    """

    title: str
    kind: str
    queries: tuple[tuple[str, str], ...]
    width: int
    height: int = 8
    description: str = ""
    unit: str = "short"
    steps: tuple[tuple[float | None, str], ...] = ((None, _GREEN),)
    columns: dict[str, str] = field(default_factory=dict)
    stacked: bool = False


def _by_state(state: str) -> str:
    return f'sum(wholecard_card_state{{{_HOSTS}, state="{state}"}}) or vector(0)'


PANELS = (
    *(
        Panel(
            f"{state.capitalize()} cards", "stat", ((_by_state(state), ""),), 4, 4,
            steps=((None, _GREEN), (1, colour)) if state in ("broken", "dirty")
            else ((None, colour),),
        )
        for state, colour in (("free", _GREEN), ("given", _BLUE), ("dirty", _YELLOW),
                              ("broken", _RED))
    ),
    Panel(
        "Sources not read", "stat", ((f"count(wholecard_source_up{{{_HOSTS}}} == 0) or vector(0)",
                                      ""),), 4, 4,
        description="Hosts and clouds that the exporter could not read.",
        steps=((None, _GREEN), (1, _RED)),
    ),
    Panel(
        "Oldest reading", "stat",
        (("time() - min(wholecard_source_last_success_timestamp_seconds > 0)", ""),), 4, 4,
        description="Age of the oldest source that was ever read.", unit="s",
        steps=((None, _GREEN), (600, _YELLOW), (1800, _RED)),
    ),
    Panel(
        "Cards by state", "timeseries",
        ((f"sum by (state) (wholecard_card_state{{{_HOSTS}}})", "{{state}}"),), 12, stacked=True,
    ),
    Panel(
        "Given cards by project", "timeseries",
        ((f"sum by (project) (wholecard_card_given{{{_HOSTS}}})", "{{project}}"),), 12,
        stacked=True,
    ),
    Panel(
        "Findings", "table",
        ((f"wholecard_card_findings{{{_HOSTS}}}", ""),), 12,
        description="What wholecard health reports. Each rule has a page.",
        columns={"host": "Host", "card": "Card", "rule": "Rule", "severity": "Severity",
                 "Value": "Findings"},
    ),
    Panel(
        "Broken and dirty cards", "table",
        ((f'wholecard_card_state{{{_HOSTS}, state=~"broken|dirty"}} == 1', ""),), 12,
        columns={"host": "Host", "card": "Card", "model": "Model", "state": "State"},
    ),
    Panel(
        "Uncorrectable errors, in an hour", "timeseries",
        ((f'sum by (host, card, address, severity) (increase(wholecard_pci_errors_total{{{_HOSTS}, '
          'severity=~"fatal|nonfatal"}[1h])) > 0', "{{host}} {{address}} {{severity}}"),), 8,
    ),
    Panel(
        "Correctable errors, in an hour", "timeseries",
        ((f'sum by (host, card, address) (increase(wholecard_pci_errors_total{{{_HOSTS}, '
          'severity="correctable"}[1h])) > 0', "{{host}} {{address}}"),), 8,
    ),
    Panel(
        "Lines in logs, in an hour", "timeseries",
        ((f"sum by (host, card, kind) (increase(wholecard_card_log_events_total{{{_HOSTS}}}[1h])) "
          "> 0", "{{host}} {{card}} {{kind}}"),), 8,
    ),
    Panel(
        "Lanes that links lack", "timeseries",
        ((f"wholecard_card_link_lanes_max{{{_HOSTS}}} - wholecard_card_link_lanes{{{_HOSTS}}}",
          "{{host}} {{card}}"),), 12,
        description="0 for a link that has all lanes of its card and its slot.",
    ),
    Panel(
        "Card-hours of projects, in a day", "timeseries",
        (("increase(wholecard_project_card_seconds_total[1d]) / 3600", "{{project}}"),), 12,
        description="Existence of servers times the cards of their flavors.", unit="h",
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana has it."""
    return {
        "uid": "wholecard",
        "title": "Wholecard: cards",
        "description": "Health and use of whole GPUs, from the metrics of wholecard exporter.",
        "tags": ["wholecard", "gpu", "openstack"],
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_data_source(), _host_variable()]},
        "annotations": {"list": []},
        "links": [],
        "panels": [
            _panel(number, panel, at)
            for number, (panel, at) in enumerate(zip(PANELS, _places(PANELS), strict=True), 1)
        ],
    }


def dashboard_json() -> str:
    """The dashboard as JSON, as it is imported."""
    return json.dumps(dashboard(), indent=2)


def _places(panels: Iterable[Panel]) -> list[dict[str, int]]:
    """Each panel beside the last, or below where the row is full."""
    places, x, y, row = [], 0, 0, 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, row = 0, y + row, 0
        places.append({"x": x, "y": y, "w": panel.width, "h": panel.height})
        x, row = x + panel.width, max(row, panel.height)
    return places


def _panel(number: int, panel: Panel, at: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "type": panel.kind,
        "datasource": _SOURCE,
        "gridPos": at,
        "targets": [_target(panel, n, *query) for n, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _colours(panel)},
        "options": _options(panel),
        "transformations": _table(panel) if panel.columns else [],
    }


def _target(panel: Panel, number: int, expression: str, legend: str) -> dict[str, Any]:
    now = panel.kind != "timeseries"
    return {
        "refId": chr(ord("A") + number),
        "datasource": _SOURCE,
        "expr": expression,
        "legendFormat": legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "table" if panel.columns else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
    }
    if panel.kind == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 0,
            "showPoints": "auto",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
    return defaults


def _colours(panel: Panel) -> list[dict[str, Any]]:
    """A state has its colour wherever it is drawn."""
    if "{{state}}" not in {legend for _, legend in panel.queries}:
        return []
    return [
        {
            "matcher": {"id": "byName", "options": state},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for state, colour in _STATE_COLOURS.items()
    ]


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "none",
        }
    if panel.kind == "table":
        return {"showHeader": True}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _table(panel: Panel) -> list[dict[str, Any]]:
    """Only these columns, in this order and under these heads."""
    order = {name: number for number, name in enumerate(panel.columns)}
    return [
        {"id": "filterFieldsByName", "options": {"include": {"names": list(panel.columns)}}},
        {"id": "organize", "options": {"indexByName": order, "renameByName": panel.columns}},
    ]


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source",
            "hide": 0, "refresh": 1, "regex": "", "multi": False, "includeAll": False}  # fmt: skip


def _host_variable() -> dict[str, Any]:
    return {
        "name": "host",
        "type": "query",
        "label": "Host",
        "datasource": _SOURCE,
        "query": {"query": "label_values(wholecard_card_info, host)", "refId": "host"},
        "definition": "label_values(wholecard_card_info, host)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
    }

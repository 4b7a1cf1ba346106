"""The alert rules fire on their cause and not before, as Prometheus evaluates them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from support.promtool import promtool
from wholecard.cloud.placement.card_state import CardState
from wholecard.core.rules import RULES
from wholecard.health.exporter.metrics import METRICS
from wholecard.health.grafana.alerts import alert_rules
from wholecard.host.facts.card_events import KINDS

GROUP = yaml.safe_load(alert_rules())["groups"][0]
ALERTS = {rule["alert"]: rule for rule in GROUP["rules"]}

_CARD = '{host="gpu-01", card="0000:41:00"'
_STATE = f'wholecard_card_state{_CARD}, model="H100", state='
_ERRORS = f'wholecard_pci_errors_total{_CARD}, address="0000:41:00.0", severity='
_LINES = f"wholecard_card_log_events_total{_CARD}, kind="
_UP = 'wholecard_source_up{source="host", host="gpu-01"}'
_READ = 'wholecard_source_last_success_timestamp_seconds{source="host", host="gpu-01"}'

# Series by minute, and the alerts that fire after so many minutes: `1x60` is 60 minutes of 1.
CASES: list[tuple[str, dict[str, str], dict[int, set[str]]]] = [
    ("in order", {
        _UP: "1x120", f'{_STATE}"free"}}': "1x120", f'{_STATE}"broken"}}': "0x120",
        f'{_ERRORS}"fatal"}}': "0x120", f'{_ERRORS}"correctable"}}': "0+1x120",
        f'{_LINES}"reset-failed"}}': "0x120",
        f"wholecard_card_link_lanes{_CARD}}}": "16x120",
        f"wholecard_card_link_lanes_max{_CARD}}}": "16x120",
    }, {30: set(), 119: set()}),
    ("exporter gone", {}, {9: set(), 11: {"WholecardExporterDown"}}),
    ("host down", {_UP: "1x5 0x60"}, {10: set(), 20: {"WholecardSourceDown"}}),
    ("reading stopped", {_UP: "1x60", _READ: "0x60"},
     {29: set(), 31: {"WholecardReadingStopped"}}),
    ("broken", {_UP: "1x60", f'{_STATE}"broken"}}': "0x5 1x60"},
     {5: set(), 10: {"WholecardCardBroken"}}),
    ("offered", {_UP: "1x9", f'wholecard_card_findings{_CARD}, rule="WC589"}}': "1x9",
                 f'wholecard_card_findings{_CARD}, rule="WC582"}}': "1x9"},
     {1: {"WholecardBrokenCardOffered"}}),
    ("silent", {_UP: "1x60", f'wholecard_function_responding{_CARD}, address="a"}}': "1x5 0x60"},
     {5: set(), 10: {"WholecardCardSilent"}}),
    ("fatal", {_UP: "1x60", f'{_ERRORS}"fatal"}}': "0x5 1x60"},
     {5: set(), 8: {"WholecardFatalErrors"}, 40: set()}),
    ("non-fatal", {_UP: "1x90", f'{_ERRORS}"nonfatal"}}': "0x5 1x10 4x80"},
     {12: set(), 40: {"WholecardNonFatalErrors"}}),
    ("a reboot", {_UP: "1x60", f'{_ERRORS}"fatal"}}': "7x10 0x50"}, {15: set(), 30: set()}),
    ("many correctable", {_UP: "1x90", f'{_ERRORS}"correctable"}}': "0+9x90"},
     {80: {"WholecardCorrectableErrors"}}),
    ("lanes", {_UP: "1x60", f"wholecard_card_link_lanes{_CARD}}}": "16x5 8x60",
               f"wholecard_card_link_lanes_max{_CARD}}}": "16x60"},
     {10: set(), 20: {"WholecardLinkLostLanes"}}),
    ("no reset", {_UP: "1x60", f'{_LINES}"reset-failed"}}': "0x5 1x60",
                  f'{_LINES}"recovery-failed"}}': "0x60"},
     {5: set(), 8: {"WholecardResetFailed"}}),
    ("stopped", {_UP: "1x60", f'{_LINES}"vfio-unrecoverable"}}': "0x5 1x60"},
     {8: {"WholecardServerStopped"}}),
    ("dirty", {_UP: "1x120", f'{_STATE}"dirty"}}': "1x120"},
     {50: set(), 70: {"WholecardCardDirty"}}),
    ("none free", {_UP: "1x60", f'{_STATE}"free"}}': "1x5 0x60"},
     {10: set(), 25: {"WholecardNoFreeCard"}}),
]  # fmt: skip


def _test(series: dict[str, str], expected: dict[int, set[str]]) -> dict[str, Any]:
    """A test in promtool's form: which alerts fire at each minute, and that no other does."""
    firing = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": f"{minute}m",
            "exp_samples": [
                {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
            ],
        }
        for minute, names in expected.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "promql_expr_test": firing}


def test_alerts(tmp_path: Path) -> None:
    """Each cause raises its own alert in time, and no other one."""
    (tmp_path / "alerts.yml").write_text(alert_rules())
    files = [tmp_path / f"{name.replace(' ', '-')}.yml" for name, _, _ in CASES]
    for file, (_, series, expected) in zip(files, CASES, strict=True):
        test = _test(series, expected)
        data = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test]}
        file.write_text(yaml.safe_dump(data))
    tested = promtool("test", "rules", *map(str, files))
    assert tested.status == 0, tested.stdout + tested.stderr


def test_every_alert_is_tried() -> None:
    """No rule is without a case above in which it fires."""
    fired = {name for _, _, expected in CASES for names in expected.values() for name in names}
    assert fired == set(ALERTS)


def test_rules_name_what_there_is() -> None:
    """Rules name metrics, states, kinds and codes that exist."""
    text = alert_rules()
    names = {metric.name for metric in METRICS}
    assert set(re.findall(r"wholecard_\w+", text)) <= names
    assert set(re.findall(r'state="(\w+)"', text)) <= {state.value for state in CardState}
    kinds = [kind for group in re.findall(r'kind=~?"([^"]+)"', text) for kind in group.split("|")]
    assert set(kinds) <= set(KINDS)
    assert set(re.findall(r"WC\d{3}", text)) <= set(RULES)


def test_severities() -> None:
    """Every alert says how urgent it is, and has a summary."""
    assert {rule["labels"]["severity"] for rule in GROUP["rules"]} == {
        "critical", "warning", "info",
    }  # fmt: skip
    assert all(rule["annotations"]["summary"] for rule in GROUP["rules"])

"""The alert rules as Prometheus reads them."""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_name("alerts.yml")


def alert_rules() -> str:
    """The file, whole."""
    return _FILE.read_text()

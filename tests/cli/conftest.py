"""A fleet of two hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fleets import FakeFleet


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    """gpu-01 and gpu-02, reached by a fake ssh."""
    return FakeFleet.make(tmp_path / "fleet", "gpu-01", "gpu-02")

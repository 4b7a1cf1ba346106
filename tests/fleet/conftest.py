"""A fleet of two hosts, and a node to prepare."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fleets import FakeFleet
from support.nodes import APART, bare
from support.tree import grow


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    """gpu-01 and gpu-02, reached by a fake ssh."""
    return FakeFleet.make(tmp_path / "fleet", "gpu-01", "gpu-02")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bare node whose two cards will have groups of their own."""
    return grow(tmp_path / "root", bare(APART))

"""Nodes to change, and tools that record how they were called."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fakes_on_path import fake_tools
from support.nodes import APART, TOGETHER, bare
from support.tree import grow


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's tools are fakes; the file in which they record their calls."""
    return fake_tools(tmp_path, monkeypatch)


@pytest.fixture
def apart(tmp_path: Path, calls: Path) -> Path:
    """A bare node whose two cards will have groups of their own."""
    return grow(tmp_path / "root", bare(APART))


@pytest.fixture
def together(tmp_path: Path, calls: Path) -> Path:
    """A bare node whose two cards sit on one conventional bus."""
    return grow(tmp_path / "root", bare(TOGETHER))

"""The fixtures of the moving room's tests: a small cloud, and a folder for what we write down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.moving_cloud import MovingCloud, moving_cloud
from support.openstack_api import serving
from wholecard.moving.journal import MoveJournal
from wholecard.moving.migrate_request import Tools
from wholecard.moving.move import Pace


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[MovingCloud]:
    """Two hosts with two cards each."""
    with serving(tmp_path) as api:
        yield moving_cloud(api)


@pytest.fixture
def journal(tmp_path: Path) -> MoveJournal:
    """An empty journal."""
    return MoveJournal(tmp_path / "moves")


@pytest.fixture
def tools(journal: MoveJournal) -> Tools:
    """The journal, and a pace for a cloud that answers at once."""
    return Tools(journal, pace=Pace(timeout=10.0, interval=0.0))

"""The fixtures of the moving room's tests: a small cloud, and a folder for what we write down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.moving_cloud import MovingCloud, moving_cloud
from support.openstack_api import Api, serving
from wholecard.moving.journal import MoveJournal
from wholecard.moving.migrate_request import Tools
from wholecard.moving.move import Pace


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The server, running, and a clouds.yaml that names it `test`."""
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def cloud(api: Api) -> MovingCloud:
    """Two hosts with two cards each, and one without."""
    return moving_cloud(api)


@pytest.fixture
def journal(tmp_path: Path) -> MoveJournal:
    """An empty journal."""
    return MoveJournal(tmp_path / "moves")


@pytest.fixture
def tools(journal: MoveJournal) -> Tools:
    """The journal, and a pace for a cloud that answers at once."""
    return Tools(journal, pace=Pace(timeout=10.0, interval=0.0))

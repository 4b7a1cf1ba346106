"""The fixture of a small API for the cloud room's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.openstack_api import Api, serving
from support.openstack_objects import Cloud, cloud_of


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The server, running, and a clouds.yaml that names it `test`."""
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def cloud(api: Api, tmp_path: Path) -> Cloud:
    """Objects that are made, changed and deleted as by the real API, and journals of them."""
    return cloud_of(api, tmp_path)

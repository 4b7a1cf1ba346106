"""The fixture of a small API for the tests of `explain --cloud`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.openstack_api import Api, serving


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The server, running, and a clouds.yaml that names it `test`."""
    with serving(tmp_path) as found:
        yield found

"""The fixture of a broken cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.repair_bench import Bench
from support.transactions import fast_folder


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Two hosts with a card each, both free, in a cloud within this process."""
    for folder in fast_folder(tmp_path):
        yield Bench(folder)

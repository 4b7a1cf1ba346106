"""Fixtures of the lab's unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.marked import Marked


@pytest.fixture
def marked() -> Iterator[Marked]:
    """Starts processes with a lab's marks; none of them outlives the test."""
    starter = Marked()
    yield starter
    starter.end()

"""Fixtures of the lab's unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.marked import Marked
from wholecard.lab.base import ports

# Neither a port of the lab nor one that Linux gives to clients.
APART = 3000


@pytest.fixture(autouse=True)
def ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are tried by listening on them: not on those of a lab that starts meanwhile.

    RabbitMQ ends where somebody listens on its distribution port at the moment it looks
    (`dist_port_already_used`, seen while these tests ran beside a lab).
    """
    apart = {name: port + APART for name, port in ports.PREFERRED.items()}
    monkeypatch.setattr(ports, "PREFERRED", apart)


@pytest.fixture
def marked() -> Iterator[Marked]:
    """Starts processes with a lab's marks; none of them outlives the test."""
    starter = Marked()
    yield starter
    starter.end()

"""The cloud that real nova made in peace, once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.nova_process import NovaProcess
from simulator.sound_world import SoundWorld


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundWorld]:
    """A world in which all agree."""
    folder = tmp_path_factory.mktemp("world")
    with NovaProcess(folder, 2, 6, seed=7) as nova:
        yield SoundWorld(folder, nova)


@pytest.fixture
def world(sound: SoundWorld) -> Iterator[SoundWorld]:
    """The same, restored afterwards."""
    yield sound
    sound.restore()

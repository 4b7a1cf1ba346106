"""Copies of NVIDIA's cards, by cuda-core and its events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from wholecard_bench.bandwidth.copies import Copy, repeated
from wholecard_bench.nbody.backend import Device
from wholecard_bench.nbody.cuda_backend import CudaBackend, connect, pinned, seconds_between


class CudaCopies:
    """Host and device by pinned and by ordinary memory, within a card, between cards."""

    name = "cuda"

    def __init__(self) -> None:
        self._backend = CudaBackend()

    def devices(self, count: int | None) -> tuple[Device, ...]:
        """Cards in the driver's order."""
        return self._backend.devices(count or len(self._backend.cards))

    def copies(self, devices: int, size: int, repeats: int) -> list[Copy]:
        """Card by card, then the pairs."""
        cards = self._backend.cards[:devices]
        copies = [copy for card in cards for copy in _of_one(card, size, repeats)]
        return copies + _between(cards, size, repeats)


def _of_one(card: Any, size: int, repeats: int) -> list[Copy]:
    card.set_current()
    stream, other = card.create_stream(), card.create_stream()
    near = [card.allocate(size, stream=stream) for _ in range(2)]
    host = [pinned(size) for _ in range(2)]
    for buffer in host:
        np.from_dlpack(buffer).view(np.uint8)[:] = 1  # touched, so that its pages are there
    stream.sync()

    def both() -> None:
        started = stream.record()
        other.wait(started)
        near[0].copy_from(host[0], stream=stream)
        host[1].copy_from(near[1], stream=other)
        stream.wait(other.record())

    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "host to device": (1, lambda: near[0].copy_from(host[0], stream=stream)),
        "device to host": (1, lambda: host[0].copy_from(near[0], stream=stream)),
        "both ways at once": (2, both),
        "within the device": (2, lambda: near[1].copy_from(near[0], stream=stream)),
    }
    copies = [
        Copy(name, card.device_id, times * size, repeated(_timed(stream, copy), repeats))
        for name, (times, copy) in ways.items()
    ]
    for buffer in [*near, *host]:
        buffer.close()
    return copies


def _between(cards: list[Any], size: int, repeats: int) -> list[Copy]:
    if len(cards) < 2:
        return []
    way = "peer to peer" if connect(cards) else "through the host"
    copies = []
    for source in cards:
        for target in cards:
            if source is target:
                continue
            source.set_current()
            stream = source.create_stream()
            near = source.allocate(size, stream=stream)
            stream.sync()
            target.set_current()
            stream = target.create_stream()
            far = target.allocate(size, stream=stream)
            name = f"to device {target.device_id}, {way}"
            copy = _timed(stream, partial(far.copy_from, near, stream=stream))
            copies.append(Copy(name, source.device_id, size, repeated(copy, repeats)))
            near.close()
            far.close()
    return copies


def _timed(stream: Any, copy: Callable[[], object]) -> Callable[[], float]:
    from cuda.core import EventOptions

    options = EventOptions(timing_enabled=True)

    def timed() -> float:
        start = stream.record(options=options)
        copy()
        end = stream.record(options=options)
        end.sync()
        return seconds_between(start, end)

    return timed

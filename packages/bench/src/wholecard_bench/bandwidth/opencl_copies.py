"""Copies by OpenCL: memory that the driver pins, and a device's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from wholecard_bench.bandwidth.copies import Copy, repeated
from wholecard_bench.nbody.backend import Device
from wholecard_bench.nbody.opencl_backend import OpenclBackend


class OpenclCopies:
    """Host and device, within a device, between devices of one platform."""

    name = "opencl"

    def __init__(self) -> None:
        self._backend = OpenclBackend()

    def devices(self, count: int | None) -> tuple[Device, ...]:
        """Devices of the first platform that has any."""
        return self._backend.devices(count or len(self._backend.listed))

    def copies(self, devices: int, size: int, repeats: int) -> list[Copy]:
        """Device by device, then the pairs."""
        import pyopencl as cl

        chosen = self._backend.first(devices)
        context = cl.Context(chosen)
        queues = [cl.CommandQueue(context, device) for device in chosen]
        copies = [
            copy
            for index, queue in enumerate(queues)
            for copy in _of_one(context, queue, index, size, repeats)
        ]
        for index, queue in enumerate(queues):
            for other, far in enumerate(queues):
                if other != index:
                    near_buffer = _buffer(context, queue, size)
                    far_buffer = _buffer(context, far, size)
                    copy = _timed(far, partial(_copy, far, far_buffer, near_buffer))
                    copies.append(Copy(f"to device {other}", index, size, repeated(copy, repeats)))
        return copies


def _of_one(context: Any, queue: Any, index: int, size: int, repeats: int) -> list[Copy]:
    import pyopencl as cl

    flags = cl.mem_flags
    near, other = _buffer(context, queue, size), _buffer(context, queue, size)
    hosted = cl.Buffer(context, flags.READ_WRITE | flags.ALLOC_HOST_PTR, size)
    host, _ = cl.enqueue_map_buffer(
        queue, hosted, cl.map_flags.READ | cl.map_flags.WRITE, 0, (size,), np.uint8
    )
    host[:] = 1
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "host to device": (1, lambda: _copy(queue, near, host)),
        "device to host": (1, lambda: _copy(queue, host, near)),
        "within the device": (2, lambda: _copy(queue, other, near)),
    }
    copies = [
        Copy(name, index, times * size, repeated(_timed(queue, copy), repeats))
        for name, (times, copy) in ways.items()
    ]
    host.base.release(queue)
    for buffer in (near, other, hosted):
        buffer.release()
    return copies


def _buffer(context: Any, queue: Any, size: int) -> Any:
    """Written once, for a driver may allocate only then."""
    import pyopencl as cl

    buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, size)
    cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, size)
    queue.finish()
    return buffer


def _copy(queue: Any, target: Any, source: Any) -> None:
    import pyopencl as cl

    # A copy between buffers has no is_blocking; `_timed` waits.
    host = isinstance(target, np.ndarray) or isinstance(source, np.ndarray)
    cl.enqueue_copy(queue, target, source, **({"is_blocking": False} if host else {}))


def _timed(queue: Any, copy: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        queue.finish()
        start = time.perf_counter()
        copy()
        queue.finish()
        return time.perf_counter() - start

    return timed

"""NVIDIA's cards: cuda-core compiles the kernel for the card that is there and runs it.

Each device has all positions twice (read, written) and its own bodies' velocities. After a step it
takes the other devices' new positions over peer access, or through pinned memory of the host.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wholecard_bench.errors import NoDeviceError, UsageError
from wholecard_bench.nbody.backend import Device, Mix, Timing, ranges
from wholecard_bench.nbody.bodies import Array, Bodies
from wholecard_bench.nbody.cuda_errors import no_card, no_driver, not_compiled
from wholecard_bench.nbody.geometry import Launch, plan_launch
from wholecard_bench.nbody.kernel import Precision, Variant, pack
from wholecard_bench.nbody.variants import cuda_mix, cuda_variants


class CudaBackend:
    """NVIDIA's cards, by cuda-core and NVRTC."""

    name = "cuda"
    cards: list[Any]

    def __init__(self) -> None:
        try:
            from cuda import core
        except ImportError as error:
            raise NoDeviceError(
                "The backend cuda is not installed",
                f"{error}",
                "Install it: pip install 'wholecard-bench[cu13]' with a driver of 580 or newer, "
                "'wholecard-bench[cu12]' with an older one",
            ) from error
        try:
            self.cards = list(core.Device.get_all_devices())
        except Exception as error:  # the library names its errors differently in each release
            raise no_driver(error) from error
        if not self.cards:
            raise no_card("The driver lists no device.")

    def devices(self, count: int) -> tuple[Device, ...]:
        """Cards in the driver's order."""
        if count > len(self.cards):
            raise UsageError(
                f"{count} devices were asked for, and CUDA has {len(self.cards)}",
                "\n".join(f"device {card.device_id}: {card.name}" for card in self.cards),
                "Count the cards that the guest has: nvidia-smi -L. A card that is missing there "
                "was not given to the server, or its driver did not bind",
            )
        return tuple(
            Device(
                card.device_id,
                card.name,
                f"{card.pci_bus_id}, {card.properties.multiprocessor_count} multiprocessors, "
                f"sm_{card.arch}",
            )
            for card in self.cards[:count]
        )

    def system(
        self, bodies: Bodies, devices: int, precision: Precision, softening: float
    ) -> CudaSystem:
        """The bodies on the first `devices` cards."""
        self.devices(devices)
        return CudaSystem(bodies, self.cards[:devices], precision, softening)

    def peak(self, devices: int, precision: Precision) -> float:
        """All of them together; each is measured alone, one after the other."""
        from wholecard_bench.nbody.cuda_peak import flops

        return sum(flops(card, precision) for card in self.cards[:devices])

    def mix(self, precision: Precision, bodies: Bodies) -> Mix | None:
        """Of the first card's architecture."""
        arch = self.cards[0].arch
        return cuda_mix(arch, cuda_variants(arch, precision, bodies.masses)[0])


@dataclass
class _Part:
    """A device with its range of bodies."""

    card: Any
    first: int
    count: int
    variant: Variant
    stream: Any
    forces: Any
    advance: Any
    launch: Launch
    read: Any = None
    write: Any = None
    velocities: Any = None
    accelerations: Any = None
    sums: Any = None
    done: Any = None
    pinned: list[Any] = field(default_factory=list)


class CudaSystem:
    """Bodies on one or more cards. A card may be listed twice, which is how two are tested."""

    def __init__(
        self,
        bodies: Bodies,
        cards: Sequence[Any],
        precision: Precision,
        softening: float,
        through_host: bool | None = None,
    ) -> None:
        self._exact = bodies
        self._precision = precision
        self._soft2 = precision.dtype.type(softening**2)
        self._peers = connect(cards) if through_host is None else not through_host
        self._parts = [
            _part(card, bodies, first, last, precision)
            for card, (first, last) in zip(cards, ranges(bodies.count, len(cards)), strict=True)
        ]
        self._scale = 1.0
        for part in self._parts:
            self._scale = _fill(part, bodies, host_copies=not self._peers and len(cards) > 1)

    @property
    def shares(self) -> tuple[int, ...]:
        """Bodies of each card."""
        return tuple(part.count for part in self._parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """The grid of each card, and how positions are exchanged."""
        notes = [
            f"device {part.card.device_id}: {part.launch.rows} x {part.launch.slices} groups of "
            f"{part.launch.threads} threads, {part.launch.bodies_a_thread} bodies a thread, "
            f"{'folded' if part.variant.folded else 'plain'}, balance {part.launch.balance:.3f}"
            for part in self._parts
        ]
        if len(self._parts) > 1:
            way = "peer to peer" if self._peers else "through the host's memory"
            notes.append(f"positions are exchanged {way}")
        return tuple(notes)

    def step(self, kick: float, drift: float) -> None:
        """Forces, then positions, then the exchange. Returns before it is done."""
        self._move(kick, drift)
        self._exchange()

    def measure(self, steps: int, step: float) -> Timing:
        """By the cards' own events: no wait of the host is between the steps."""
        marks = [self._marks()]
        for _ in range(steps):
            self._move(step, step)
            marks.append(self._marks())
            self._exchange()
            marks.append(self._marks())
        self._wait()
        # (before, moved, exchanged) of each step; a step ends where the next one begins.
        steps_marks = list(zip(marks[::2], marks[1::2], marks[2::2], strict=False))
        taken = tuple(max(_seconds(before, end)) for before, _, end in steps_marks)
        busy = [_seconds(before, moved) for before, moved, _ in steps_marks]
        return Timing(taken, tuple(statistics.median(card) for card in zip(*busy, strict=True)))

    def accelerations(self) -> Array:
        """(n, 3), in float64."""
        return self._gather([part.accelerations for part in self._parts])

    def bodies(self) -> Bodies:
        """As the first card has them; it has all positions."""
        positions = self._download(self._parts[0], self._parts[0].read)
        velocities = self._gather([part.velocities for part in self._parts])
        return Bodies(positions, velocities, self._exact.masses)

    def close(self) -> None:
        """Give the memory back."""
        self._wait()
        for part in self._parts:
            part.card.set_current()
            buffers = [part.read, part.write, part.velocities, part.accelerations, part.sums]
            for buffer in [*buffers, *part.pinned]:
                buffer.close()

    def _move(self, kick: float, drift: float) -> None:
        real = self._precision.dtype.type
        for part in self._parts:
            self._launch(part, real(kick), real(drift))

    def _exchange(self) -> None:
        for part in self._parts:
            self._collect(part)
        for part in self._parts:
            part.read, part.write = part.write, part.read
            part.pinned.reverse()

    def _launch(self, part: _Part, kick: Any, drift: Any) -> None:
        from cuda.core import LaunchConfig, launch

        i32, real = np.int32, self._precision.dtype.type
        part.card.set_current()
        threads, grid = part.launch.threads, part.launch
        launch(
            part.stream,
            LaunchConfig(grid=(grid.rows, grid.slices), block=threads),
            part.forces,
            part.read, part.sums, i32(self._exact.count), i32(part.first), i32(part.count),
            i32(grid.slice_bodies), self._soft2,
        )  # fmt: skip
        launch(
            part.stream,
            LaunchConfig(grid=-(-part.count // threads), block=threads),
            part.advance,
            part.sums, i32(grid.slices), part.read, part.write, part.velocities,
            part.accelerations, i32(part.first), i32(part.count), real(self._scale), kick, drift,
            real(1),
        )  # fmt: skip
        if part.pinned:
            _piece(part.write, part).copy_to(_piece(part.pinned[0], part), stream=part.stream)
        if len(self._parts) > 1:
            part.done = part.stream.record()

    def _collect(self, part: _Part) -> None:
        """The other cards' new positions into this card's."""
        part.card.set_current()
        for other in self._parts:
            if other is not part:
                part.stream.wait(other.done)
                source = other.pinned[0] if other.pinned else other.write
                _piece(part.write, other).copy_from(_piece(source, other), stream=part.stream)

    def _marks(self) -> list[Any]:
        """An event of each card, now."""
        from cuda.core import EventOptions

        options = EventOptions(timing_enabled=True)
        events = []
        for part in self._parts:
            part.card.set_current()
            events.append(part.stream.record(options=options))
        return events

    def _wait(self) -> None:
        for part in self._parts:
            part.card.set_current()
            part.stream.sync()

    def _gather(self, buffers: Sequence[Any]) -> Array:
        pairs = zip(self._parts, buffers, strict=True)
        return np.concatenate([self._download(part, buffer) for part, buffer in pairs])

    def _download(self, part: _Part, buffer: Any) -> Array:
        self._wait()
        part.card.set_current()
        host = pinned(buffer.size)
        buffer.copy_to(host, stream=part.stream)
        part.stream.sync()
        words: Array = _view(host, self._precision.dtype)[:, :3].astype(np.float64)
        host.close()
        return words


def _part(card: Any, bodies: Bodies, first: int, last: int, precision: Precision) -> _Part:
    card.set_current()
    count = last - first
    candidates = []
    for variant in cuda_variants(card.arch, precision, bodies.masses):
        forces, advance, groups = _kernels(card, variant)
        places = groups * card.properties.multiprocessor_count
        launch = plan_launch(bodies.count, count, places, variant.threads, variant.bodies_a_thread)
        candidates.append(
            _Part(card, first, count, variant, card.create_stream(), forces, advance, launch)
        )
    return max(candidates, key=lambda part: part.launch.speed)


def _kernels(card: Any, variant: Variant) -> tuple[Any, Any, int]:
    """`forces` and `advance` for the card, and how many groups a multiprocessor holds at once."""
    from wholecard_bench.nbody.cuda_compile import compile_cubin

    try:
        code = compile_cubin(variant, f"sm_{card.arch}")
        forces, advance = code.get_kernel("forces"), code.get_kernel("advance")
        groups = forces.occupancy.max_active_blocks_per_multiprocessor(variant.threads, 0)
    except Exception as error:
        raise not_compiled(card, error) from error
    return forces, advance, groups


def _fill(part: _Part, bodies: Bodies, host_copies: bool) -> float:
    """Allocate and upload; what was taken out of the masses."""
    part.card.set_current()
    packed = pack(bodies.positions, bodies.masses, part.variant)
    velocities = np.zeros((part.count, 4), packed.words.dtype)
    velocities[:, :3] = bodies.velocities[part.first : part.first + part.count]
    part.read = _upload(part, packed.words)
    part.write = _upload(part, packed.words)
    part.velocities = _upload(part, velocities)
    # Not a number until the first step has written them.
    part.accelerations = _upload(part, np.full_like(velocities, np.nan))
    part.sums = part.card.allocate(part.launch.slices * velocities.nbytes, stream=part.stream)
    if host_copies:
        part.pinned = [pinned(packed.words.nbytes), pinned(packed.words.nbytes)]
    return packed.scale


def _upload(part: _Part, words: Any) -> Any:
    buffer = part.card.allocate(words.nbytes, stream=part.stream)
    host = pinned(words.nbytes)
    _view(host, words.dtype)[:] = words
    buffer.copy_from(host, stream=part.stream)
    part.stream.sync()
    host.close()
    return buffer


def pinned(size: int) -> Any:
    """A buffer of the host's memory that a card copies from without a detour."""
    from cuda.core import LegacyPinnedMemoryResource

    return LegacyPinnedMemoryResource().allocate(size)


def _view(host: Any, dtype: Any) -> Any:
    return np.from_dlpack(host).view(dtype).reshape(-1, 4)


def _piece(buffer: Any, part: _Part) -> Any:
    """A device's own bodies in a buffer that has all of them."""
    from cuda.core import Buffer

    size = 4 * part.variant.precision.dtype.itemsize
    return Buffer.from_handle(
        int(buffer.handle) + part.first * size, part.count * size, owner=buffer
    )


def connect(cards: Sequence[Any]) -> bool:
    """Let every card read every other's memory, where all of them can."""
    pairs = [(a, b) for a in cards for b in cards if a.device_id != b.device_id]
    if not all(a.can_access_peer(b) for a, b in pairs):
        return False
    for card, other in pairs:
        card.set_current()
        other.set_current()
        if hasattr(card.memory_resource, "peer_accessible_by"):
            card.memory_resource.peer_accessible_by.add(other.device_id)
    return True


def _seconds(starts: Sequence[Any], ends: Sequence[Any]) -> list[float]:
    return [seconds_between(start, end) for start, end in zip(starts, ends, strict=True)]


def seconds_between(start: Any, end: Any) -> float:
    """Of two events; their difference is in milliseconds."""
    return float(end - start) / 1e3

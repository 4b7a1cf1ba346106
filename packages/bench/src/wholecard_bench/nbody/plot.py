"""The orbits of two clusters that meet, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wholecard_bench.nbody.backend import Backend
from wholecard_bench.nbody.bodies import SOFTENING, Array, two_clusters
from wholecard_bench.nbody.kernel import Precision

_BODIES = 2048
_TIME = 6.0
_STEP = 0.01
_EVERY = 4  # steps between the points of an orbit
_ORBITS = 160


def draw_orbits(backend: Backend, devices: int, precision: Precision, path: Path) -> None:
    """Move 2,048 bodies for 6 units of time, and draw the paths of 160 and where all are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    paths = _paths(backend, devices, precision)
    figure = Figure(figsize=(9, 9), facecolor="#0b0d14")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.03, 0.03, 0.94, 0.9), facecolor="#0b0d14")
    half = _BODIES // 2
    for first, color in ((0, "#f2a65a"), (half, "#6ab0f3")):
        chosen = np.linspace(first, first + half - 1, _ORBITS // 2).astype(int)
        lines = [paths[:, body, :2] for body in chosen]
        axes.add_collection(LineCollection(lines, colors=color, linewidths=0.5, alpha=0.45))
        last = paths[-1, first : first + half]
        axes.scatter(last[:, 0], last[:, 1], s=2.0, c=color, linewidths=0)
    reach = float(np.quantile(np.abs(paths[:, :, :2]), 0.985))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_axis_off()
    names = sorted({device.name for device in backend.devices(devices)})
    figure.suptitle(
        f"Two clusters of {half:,} bodies meet: the paths of {_ORBITS} of them, {_TIME:g} units of "
        f"time\n{devices} x {', '.join(names)}, {precision} precision, backend {backend.name}",
        color="#d8dee9",
        fontsize=11,
    )
    figure.savefig(path, dpi=120)


def _paths(backend: Backend, devices: int, precision: Precision) -> Array:
    """(points, bodies, 3)."""
    system = backend.system(two_clusters(_BODIES), devices, precision, SOFTENING)
    try:
        points = [system.bodies().positions]
        system.step(_STEP / 2, _STEP)
        for step in range(1, round(_TIME / _STEP)):
            system.step(_STEP, _STEP)
            if step % _EVERY == 0:
                points.append(system.bodies().positions)
        return np.stack(points)
    finally:
        system.close()

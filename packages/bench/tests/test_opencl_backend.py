"""The kernel's text, compiled as OpenCL and run on what is here: its numerics, and two devices."""

from __future__ import annotations

import numpy as np
import pytest
from systems import largest_error, moved, uneven_bodies

from wholecard_bench import bandwidth
from wholecard_bench.errors import NoDeviceError, UsageError
from wholecard_bench.nbody import reference
from wholecard_bench.nbody.backend import Device
from wholecard_bench.nbody.benchmark import energy_drift
from wholecard_bench.nbody.bodies import SOFTENING, plummer
from wholecard_bench.nbody.kernel import Precision, Variant
from wholecard_bench.nbody.opencl_backend import OpenclBackend, OpenclSystem


@pytest.fixture(scope="module")
def backend() -> OpenclBackend:
    """Debian's pocl-opencl-icd is enough."""
    try:
        return OpenclBackend()
    except NoDeviceError as error:
        pytest.skip(f"no OpenCL driver here (Debian: pocl-opencl-icd): {error.brief}")


def _devices(backend: OpenclBackend, count: int) -> tuple[Device, ...]:
    try:
        return backend.devices(count)
    except UsageError:
        pytest.skip(f"this OpenCL driver has no {count} devices")


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("bodies", [4, 513, 4099])
@pytest.mark.parametrize("equal", [True, False], ids=["folded", "plain"])
def test_accelerations(
    backend: OpenclBackend, bodies: int, precision: Precision, equal: bool
) -> None:
    """Tails of rows and slices, bodies without mass, both forms: within the bound."""
    sphere = plummer(bodies) if equal else uneven_bodies(bodies)
    assert largest_error(backend, sphere, 1, precision) <= precision.bound


@pytest.mark.parametrize("folded", [True, False])
def test_packed_form(backend: OpenclBackend, folded: bool) -> None:
    """Two bodies in one operation, as on Blackwell, are computed as one by one; odd numbers too."""
    bodies = uneven_bodies(1237)
    variant = Variant(folded=folded, threads=64, bodies_a_thread=8, packed=True)
    system = OpenclSystem(bodies, backend.first(1), Precision.SINGLE, SOFTENING, variant)
    system.step(0.0, 0.0)
    got = system.accelerations()
    system.close()
    want = reference.accelerations(bodies, SOFTENING, np.arange(bodies.count))
    assert reference.errors(got, want).largest <= Precision.SINGLE.bound


@pytest.mark.parametrize("devices", [1, 2])
def test_energy(backend: OpenclBackend, devices: int) -> None:
    """100 steps keep the energy, also where two devices exchange positions after each."""
    _devices(backend, devices)
    assert energy_drift(backend, plummer(1024), devices, Precision.SINGLE) <= 1e-6


def test_two_devices_move_bodies_as_one_does(backend: OpenclBackend) -> None:
    """Each has the other's new positions before its next step."""
    _devices(backend, 2)
    one, two = (moved(backend, uneven_bodies(777), devices, 20) for devices in (1, 2))
    assert np.abs(one.positions - two.positions).max() <= 1e-12


def test_too_many_devices(backend: OpenclBackend) -> None:
    """Neither devices nor parts of a processor are invented."""
    with pytest.raises(UsageError, match="OpenCL has"):
        backend.devices(100000)


def test_bandwidth(backend: OpenclBackend) -> None:
    """Every way of copying has a rate."""
    document = bandwidth.to_json(bandwidth.run("opencl", 1, 1))
    assert [copy["name"] for copy in document["copies"]] == [
        "host to device",
        "device to host",
        "within the device",
    ]
    assert all(copy["gb_per_second"]["median"] > 0 for copy in document["copies"])

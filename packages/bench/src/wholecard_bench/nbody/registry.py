"""The backends, and which one is taken where none was asked for."""

from __future__ import annotations

from collections.abc import Callable

from wholecard_bench.errors import NoDeviceError, UsageError
from wholecard_bench.nbody.backend import Backend


def _cuda() -> Backend:
    from wholecard_bench.nbody.cuda_backend import CudaBackend

    return CudaBackend()


def _opencl() -> Backend:
    from wholecard_bench.nbody.opencl_backend import OpenclBackend

    return OpenclBackend()


def _opencl_cards() -> Backend:
    from wholecard_bench.nbody.opencl_backend import OpenclBackend

    return OpenclBackend(cards_only=True)


def _numba() -> Backend:
    from wholecard_bench.nbody.numba_backend import NumbaBackend

    return NumbaBackend()


BACKENDS: dict[str, Callable[[], Backend]] = {"cuda": _cuda, "opencl": _opencl, "numba": _numba}

# A processor by numba is faster than by any OpenCL driver, so OpenCL is asked for cards alone.
ORDER: tuple[Callable[[], Backend], ...] = (_cuda, _opencl_cards, _numba, _opencl)


def choose_backend(name: str | None) -> tuple[Backend, tuple[str, ...]]:
    """The backend of that name, or the first that can be used; why the others before it cannot.

    A named backend that cannot be used raises its own NoDeviceError.
    """
    if name is not None:
        if name not in BACKENDS:
            raise UsageError(
                f"There is no backend {name}", resolution=f"Use one of {', '.join(BACKENDS)}"
            )
        return BACKENDS[name](), ()
    reasons: list[str] = []
    for backend in ORDER:
        try:
            return backend(), tuple(reasons)
        except NoDeviceError as error:
            reasons.append(error.brief)
    raise NoDeviceError(
        "No backend can be used",
        "\n".join(reasons),
        "Install one: pip install 'wholecard-bench[cu13]' (NVIDIA), '[opencl]' (AMD, Intel) or "
        "'[cpu]' (processor)",
    )

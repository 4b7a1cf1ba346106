"""The kernel's text, once for CUDA C++ and OpenCL C, and what the host sets in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from wholecard_bench.nbody.bodies import Array


class Precision(StrEnum):
    """What the forces are reckoned in. The values are the sample's words in its last line."""

    SINGLE = "single"
    DOUBLE = "double"

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float64]:
        """NumPy's type."""
        return np.dtype(np.float32) if self is Precision.SINGLE else np.dtype(np.float64)

    @property
    def bound(self) -> float:
        """The relative error of an acceleration that a backend may have."""
        return 1e-5 if self is Precision.SINGLE else 1e-12


class Language(StrEnum):
    """What the text is compiled as; the value names the file with the language's words."""

    CUDA = "cuda"
    OPENCL = "opencl"


@dataclass(frozen=True)
class Variant:
    """How the kernel is built: `threads` a group, `bodies_a_thread` in registers.

    `folded`: the mass is folded into the coordinates, which saves a product. `packed` (single
    precision alone): two bodies in one operation, which Blackwell's data centre cards have.
    """

    precision: Precision = Precision.SINGLE
    folded: bool = True
    threads: int = 128
    bodies_a_thread: int = 4
    unroll: int = 8
    packed: bool = False

    def constants(self) -> dict[str, int]:
        """The preprocessor's constants of `nbody.cu`."""
        constants = {
            "THREADS": self.threads,
            "BODIES": self.bodies_a_thread,
            "FORM": int(self.folded),
            "UNROLL": self.unroll,
            "PACKED": int(self.packed),
        }
        if self.precision is Precision.DOUBLE:
            constants["FP64"] = 1
        return constants


def program_text(language: Language, variant: Variant, kernel: str = "nbody.cu") -> str:
    """What the compiler is given: constants, the language's words, the kernel."""
    folder = files(__package__)
    lines = [f"#define {name} {value}" for name, value in variant.constants().items()]
    words = folder.joinpath(f"words_{language}.h").read_text()
    return "\n".join([*lines, words, folder.joinpath(kernel).read_text()])


@dataclass(frozen=True)
class Packed:
    """The bodies as the kernel reads them: x, y, z and a word for the mass. `scale`: see `pack`."""

    words: npt.NDArray[np.floating]
    scale: float


def pack(positions: Array, masses: Array, variant: Variant) -> Packed:
    """Folded: masses as shares m of the largest (the scale), written as m^(-1/2), 0 for no mass.

    So equal masses are exactly 1, and folding them loses no bit. Negative masses have no root.
    """
    words = np.zeros((len(masses), 4), variant.precision.dtype)
    words[:, :3] = positions
    if not variant.folded:
        words[:, 3] = masses
        return Packed(words, 1.0)
    heavy = masses > 0
    scale = float(masses.max()) if heavy.any() else 1.0
    words[heavy, 3] = (masses[heavy] / scale) ** -0.5
    return Packed(words, scale)


def folds_exactly(masses: Array) -> bool:
    """Whether folding loses nothing: all bodies that have a mass have the same.

    Otherwise a_j x_j is rounded, which moves a body by half a unit in its last place: most
    accelerations do not notice, a close pair does.
    """
    heavy = masses[masses > 0]
    return bool(len(heavy) == 0 or (heavy == heavy[0]).all())

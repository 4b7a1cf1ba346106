"""The kernel as a cubin, by NVRTC: that needs neither a card nor a driver."""

from __future__ import annotations

from cuda.core import ObjectCode, Program, ProgramOptions

from wholecard_bench.nbody.kernel import Language, Variant, program_text


def compile_cubin(variant: Variant, arch: str, kernel: str = "nbody.cu") -> ObjectCode:
    """For `arch`, such as "sm_90". To a cubin, never to PTX: for that NVRTC asks the driver."""
    # Denormals are flushed, as in the Makefile that NVIDIA's sample had before its CMake.
    options = ProgramOptions(arch=arch, ftz=True, fma=True, std="c++17")
    return Program(program_text(Language.CUDA, variant, kernel), "c++", options).compile("cubin")

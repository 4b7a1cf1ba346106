"""Which variant of the kernel a device gets, and what its inner loop costs there."""

from __future__ import annotations

from wholecard_bench.nbody.backend import Mix
from wholecard_bench.nbody.bodies import Array
from wholecard_bench.nbody.kernel import Precision, Variant, folds_exactly

# Lanes of a multiprocessor for fused products, by precision. Issue is 128 lanes a clock on all.
# CUDA programming guide, "Throughput of native arithmetic instructions", by compute capability.
_LANES = {
    "70": (64, 32), "75": (64, 2), "80": (64, 32), "86": (128, 2), "87": (128, 2), "89": (128, 2),
    "90": (128, 64), "100": (128, 64), "120": (128, 2),
}  # fmt: skip
_ISSUE_LANES = 128

# Where one instruction is two fused products of float32 (PTX ISA, fma.rn.f32x2: sm_100 and newer;
# sm_120 has it too, but its assembler makes two instructions of it).
_PACKED = ("100", "103")

# Instructions of the floating-point pipe, and all, an interaction: by precision, and whether the
# mass is folded. tests/test_sass.py counts them in NVRTC's code for sm_80, sm_90 and sm_100.
INSTRUCTIONS = {
    (Precision.SINGLE, True): (11.0, 12.5),
    (Precision.SINGLE, False): (12.0, 13.65),
    (Precision.DOUBLE, True): (15.0, 18.6),
    (Precision.DOUBLE, False): (16.0, 19.3),
}
PACKED_INSTRUCTIONS = {True: (5.5, 6.9), False: (6.0, 7.4)}


def cuda_variants(arch: str, precision: Precision, masses: Array) -> tuple[Variant, ...]:
    """What a card of `arch`, such as "90", may run; the one whose grid fits it best is taken.

    Measured on an H200: what binds there is neither the pipes nor the instructions issued, but the
    register file, which delivers three operands of one instruction in two clocks unless one is
    kept from the instruction before. So how the compiler orders the loop matters, and each row
    here is the best of some unrollings: the worst takes 8 % more time. 8 bodies a thread are fewer
    instructions, but fewer threads too: 5 % more time than 4.
    """
    folded = folds_exactly(masses)
    if precision is Precision.DOUBLE:
        return tuple(Variant(precision, folded, threads, 2, 16) for threads in (128, 256))
    if arch in _PACKED:
        return tuple(Variant(precision, folded, threads, 8, 16, True) for threads in (128, 256))
    shapes = ((128, 32), (256, 16)) if folded else ((256, 32),)
    return tuple(Variant(precision, folded, threads, 4, unroll) for threads, unroll in shapes)


def cuda_mix(arch: str, variant: Variant) -> Mix | None:
    """None for an architecture whose lanes are not in the table."""
    if arch not in _LANES:
        return None
    lanes = _LANES[arch][variant.precision is Precision.DOUBLE]
    pipe, instructions = INSTRUCTIONS[variant.precision, variant.folded]
    slots = pipe
    if variant.packed:
        pipe, instructions = PACKED_INSTRUCTIONS[variant.folded]
        slots = 2 * pipe  # each keeps the pipe for two slots
    return Mix(
        slots,
        instructions * lanes / _ISSUE_LANES,
        f"{pipe:g} of {instructions:g} instructions an interaction, counted in the machine code",
    )

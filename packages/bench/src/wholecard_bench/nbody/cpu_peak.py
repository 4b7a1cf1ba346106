"""A processor's peak: independent chains of fused products, in vectors as wide as it has them.

Written in LLVM's own language, because no compiler of a higher one promises to leave it as it is.
llvmlite comes with numba.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np
from llvmlite import binding as llvm

from wholecard_bench.nbody.kernel import Precision

_CHAINS = 14  # two pipes times the latency of 4 need 8; 16 registers less factor and term
_ROUNDS = 400_000  # some 10 ms
# Where fused products are emulated a round takes a thousand times as long.
_FIRST_ROUNDS = 2_000
_LONGEST_NS = 200_000_000


def flops_a_thread(precision: Precision, repeats: int = 5) -> float:
    """Flop/s of one thread by its own CPU time, so that other work on the machine hardly counts."""
    return max(_flops(precision, bits, repeats) for bits in _vector_bits())


def _vector_bits() -> list[int]:
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return [256, 512]  # some processors do 512 bits in two halves, some lower their clock
    return [256] if features.get("avx") else [128]


def _flops(precision: Precision, bits: int, repeats: int) -> float:
    width = bits // 8 // precision.dtype.itemsize
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
    )
    with llvm.create_mcjit_compiler(
        llvm.parse_assembly(_chains(precision, width)), machine
    ) as engine:
        engine.finalize_object()
        address = engine.get_function_address("peak")
        peak = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address)
        values = np.full(2 * width, 0.999, precision.dtype)
        result = np.empty(_CHAINS * width, precision.dtype)

        def measured(rounds: int) -> int:
            start = time.thread_time_ns()
            peak(rounds, values.ctypes.data, result.ctypes.data)
            return max(time.thread_time_ns() - start, 1)

        first = measured(_FIRST_ROUNDS)
        rounds = min(_ROUNDS, max(1, _FIRST_ROUNDS * _LONGEST_NS // first))
        best = min(measured(rounds) for _ in range(repeats)) / 1e9
    return 2.0 * width * _CHAINS * rounds / best


def _chains(precision: Precision, width: int) -> str:
    scalar, suffix = ("float", "f32") if precision is Precision.SINGLE else ("double", "f64")
    vector = f"<{width} x {scalar}>"
    fma = f"@llvm.fma.v{width}{suffix}"
    size = precision.dtype.itemsize
    chains = range(_CHAINS)
    lines = [
        f"declare {vector} {fma}({vector}, {vector}, {vector})",
        "define void @peak(i64 %rounds, ptr %values, ptr %result) #0 {",
        "entry:",
        f"  %factor = load {vector}, ptr %values, align {size}",
        f"  %second = getelementptr {scalar}, ptr %values, i64 {width}",
        f"  %term = load {vector}, ptr %second, align {size}",
        "  br label %loop",
        "loop:",
        "  %round = phi i64 [0, %entry], [%next, %loop]",
        *(f"  %x{c} = phi {vector} [%factor, %entry], [%y{c}, %loop]" for c in chains),
        *(
            f"  %y{c} = call {vector} {fma}({vector} %x{c}, {vector} %factor, {vector} %term)"
            for c in chains
        ),
        "  %next = add i64 %round, 1",
        "  %done = icmp eq i64 %next, %rounds",
        "  br i1 %done, label %end, label %loop",
        "end:",
    ]
    for c in chains:
        lines += [
            f"  %p{c} = getelementptr {scalar}, ptr %result, i64 {c * width}",
            f"  store {vector} %y{c}, ptr %p{c}, align {size}",
        ]
    attributes = '"prefer-vector-width"="512" "min-legal-vector-width"="512"'
    return "\n".join([*lines, "  ret void", "}", f"attributes #0 = {{ {attributes} }}"])

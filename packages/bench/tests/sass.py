"""What the kernel's inner loop costs: NVRTC compiles it, nvdisasm prints the machine code."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from pathlib import Path

from wholecard_bench.nbody.cuda_compile import compile_cubin
from wholecard_bench.nbody.kernel import Precision, Variant

# One of these is in every interaction, and nowhere else in the loop.
_ROOT = {Precision.SINGLE: "MUFU.RSQ", Precision.DOUBLE: "MUFU.RSQ64H"}
_PIPE = {
    Precision.SINGLE: ("FFMA", "FADD", "FMUL", "FFMA2", "FADD2", "FMUL2"),
    Precision.DOUBLE: ("DFMA", "DADD", "DMUL"),
}
_LABEL = re.compile(r"\s*(\.L_x_\d+):")
_INSTRUCTION = re.compile(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+ )?(.+?)\s*;")
_BRANCH = re.compile(r"BRA.*?`?\(?(\.L_x_\d+)")


@dataclass(frozen=True)
class Loop:
    """An inner loop, an interaction: all instructions, and those of the floating-point pipe."""

    instructions: float
    pipe: float
    names: Counter[str]


@cache
def inner_loop(variant: Variant, arch: str, folder: Path) -> Loop:
    """The shortest loop of `forces` that has roots in it. `folder` gets the cubin."""
    path = folder / "kernel.cubin"
    path.write_bytes(bytes(compile_cubin(variant, arch).code))
    listing = subprocess.run(
        [_nvdisasm(), "-c", path], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    root = _ROOT[variant.precision]
    loops = [loop for loop in _loops(listing) if any(root in line for line in loop)]
    body = min(loops, key=len)
    count = sum(root in line for line in body)
    names = Counter(line.split()[0].split(".")[0] for line in body)
    pipe = sum(names[name] for name in _PIPE[variant.precision])
    return Loop(len(body) / count, pipe / count, names)


def _loops(listing: str) -> list[list[str]]:
    """The instructions from a label to each branch back to it, in the function `forces`."""
    lines: list[str] = []
    labels: dict[str, int] = {}
    loops = []
    for line in listing[listing.index(".text.forces") :].splitlines():
        if ".text.advance" in line:
            break
        if label := _LABEL.match(line):
            labels[label[1]] = len(lines)
        if instruction := _INSTRUCTION.match(line):
            lines.append(instruction[1])
            branch = _BRANCH.match(instruction[1])
            if branch and branch[1] in labels:
                loops.append(lines[labels[branch[1]] :])
    return loops


@cache
def _nvdisasm() -> Path:
    packaged = files("nvidia-cuda-nvdisasm") or []
    return next(Path(str(file.locate())) for file in packaged if file.name == "nvdisasm")

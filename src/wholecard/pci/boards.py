"""Boards of GPUs: NVIDIA's SXM boards, whose GPUs are connected by NVSwitches.

Source: NVIDIA Fabric Manager User Guide, "NVSwitch-Based Systems" and "GPU Baseboard Topologies";
pci.ids; both as of 2026-11.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from wholecard.pci.function import Function

_NVIDIA = "10de"

# NVSwitches have the class "bridge, other". Of that class NVIDIA has them alone (1ac2 of HGX-2,
# 1af1 of A100, 22a3 of H100 and H200), but for nForce chipsets, whose ids are below.
_BRIDGE_OTHER = "0680"
_FIRST_NVSWITCH = "1ac0"

# GPUs of boards whose switches are no PCI devices of the host: B200, B300.
_HIDDEN_SWITCHES = frozenset({"2901", "3182"})


def nvswitches(functions: Iterable[Function]) -> tuple[Function, ...]:
    """The NVSwitches among the functions."""
    return tuple(function for function in functions if _is_nvswitch(function))


def _is_nvswitch(function: Function) -> bool:
    return (
        function.vendor == _NVIDIA
        and function.class_code.startswith(_BRIDGE_OTHER)
        and function.device >= _FIRST_NVSWITCH
    )


def is_on_nvlink_board(gpu: Function, switches: tuple[Function, ...]) -> bool:
    """Whether the GPU is one of a board with NVSwitches; `switches` are those of its host."""
    if gpu.vendor != _NVIDIA:
        return False
    # A card with a monitor's connector is in a slot beside the board.
    return gpu.device in _HIDDEN_SWITCHES or (bool(switches) and gpu.class_code.startswith("0302"))

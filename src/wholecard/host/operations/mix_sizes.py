"""NVIDIA's mode for vGPUs of several sizes on one card. Not run on hardware.

Source: NVML, nvmlDeviceSetVgpuHeterogeneousMode; `nvidia-smi vgpu -i ADDRESS -shm 1`, after the VFs
are made and before the first type; `sriov-manage` ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from wholecard.core import Step
from wholecard.host.operations.mig_instances import TOOL
from wholecard.host.operations.operation import HostContext, HostOperation
from wholecard.host.operations.run_tool import start
from wholecard.host.operations.virtual_functions import pci_address

_TIMEOUT = 60.0


@dataclass(frozen=True)
class MixSizes(HostOperation):
    """Let the vGPUs of the card at `address` have several sizes."""

    kind: ClassVar[str] = "mix-sizes"

    address: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MixSizes:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        return cls(pci_address(data["address"]))

    def describe(self) -> str:
        """The command as a person would type it."""
        return f"$ {' '.join(self._argv('1'))}"

    def _argv(self, value: str) -> tuple[str, ...]:
        return (TOOL, "vgpu", "-i", self.address, "-shm", value)

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- once or twice
        """Switch it on. Raises RunError."""
        start(context, self._argv("1"), _TIMEOUT)
        return {}

    def undo(self, context: HostContext, step: Step) -> str:  # noqa: ARG002 -- nothing to undo
        """Leave it: it ends with the VFs, which are undone next."""
        return f"the mode for several sizes of {self.address} ends when its VFs are made again"

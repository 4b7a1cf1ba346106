"""Virtual functions made, or ended, by a card's PF.

Source: linux, Documentation/PCI/pci-iov-howto.rst and Documentation/ABI/testing/sysfs-bus-pci:
`sriov_numvfs` takes another number only where it is 0, so a change of the number is two operations.
`sriov_drivers_autoprobe` says whether drivers take new VFs at once. NVIDIA's driver makes them
through its own script, `sriov-manage -e` and `-d` (vGPU User Guide, "Preparing the virtual function
for a vGPU").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step, WholecardError
from wholecard.core.small_files import read_text
from wholecard.host.operations import operation
from wholecard.host.operations.bind_driver import tell
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.host.operations.run_tool import start
from wholecard.host.operations.virtual_functions import (
    active_mdevs,
    attribute,
    pci_address,
    vf_count,
    virtual_functions,
)
from wholecard.pci import Address
from wholecard.pci.sysfs import DEVICES
from wholecard.transaction.json_fields import typed

SRIOV_MANAGE = "/usr/lib/nvidia/sriov-manage"
_TOOLS = ("", SRIOV_MANAGE)
_AUTOPROBE = "sriov_drivers_autoprobe"
_TIMEOUT = 300.0
_MOST = 65535


@dataclass(frozen=True)
class MakeVfs(HostOperation):
    """Let the PF at `address` have `count` VFs, of `before`; one of the two is 0.

    Without `probe` no driver takes the new VFs by itself. `tool` is NVIDIA's script, or empty.
    `again` says that an action before this one ends other VFs.
    """

    kind: ClassVar[str] = "make-vfs"

    address: str
    count: int
    before: int
    probe: bool = True
    tool: str = ""
    again: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MakeVfs:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        count, before = (typed(data[name], int) for name in ("count", "before"))
        if not (0 <= count <= _MOST and 0 <= before <= _MOST) or data["tool"] not in _TOOLS:
            raise ValueError("no such number of VFs, or no such tool")
        probe, again = (typed(data[name], bool) for name in ("probe", "again"))
        return cls(pci_address(data["address"]), count, before, probe, data["tool"], again)

    def describe(self) -> str:
        """The file and the number, or the command."""
        if self.tool:
            return f"$ {self.tool} {'-e' if self.count else '-d'} {self.address}"
        return f"/{DEVICES}/{self.address}/sriov_numvfs: {self.before} -> {self.count}"

    @property
    def state_before(self) -> State:
        """How many there are when the plan is made, where no other action changes that."""
        return {} if self.again else {self.address: str(self.before)}

    @property
    def state_after(self) -> State:
        """How many there are then."""
        return {self.address: str(self.count)}

    def look(self, context: HostContext) -> State:
        """How many there are; None where the PF is gone."""
        return {self.address: vf_count(context.root, self.address)}

    def begin(self, context: HostContext, state: State) -> dict[str, Any]:  # noqa: ARG002
        """Whether drivers take new VFs."""
        return {"autoprobe": read_text(attribute(context.root, self.address, _AUTOPROBE))}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:
        """Make them. Raises WholecardError where the driver makes another number."""
        self._set(context, self.count, str(step.begun.get("autoprobe", "")))
        return {}

    def former(self, context: HostContext, step: Step) -> State:  # noqa: ARG002 -- always the same
        """The former number; after a reboot there may be none, and that is as good."""
        present = vf_count(context.root, self.address)
        return {self.address: present if present == "0" else str(self.before)}

    def undo(self, context: HostContext, step: Step) -> str | None:
        """Give back the former number. A PF that is gone has no VFs."""
        present = vf_count(context.root, self.address)
        if present is None:
            return f"{self.address} does not exist any more: nothing to undo"
        self._set(context, self.before, str(step.begun.get("autoprobe", "")))
        return None

    def _set(self, context: HostContext, count: int, autoprobe: str) -> None:
        root = context.root
        present = vf_count(root, self.address)
        if present != str(count):
            if self.tool:
                argv = (self.tool, "-e" if count else "-d", self.address)
                start(context, argv, _TIMEOUT)
            else:
                self._tell_autoprobe(root, "1" if self.probe else "0")
                for number in ("0", str(count)) if count and present != "0" else (str(count),):
                    tell(root, Path(DEVICES, self.address, "sriov_numvfs"), number)
        self._tell_autoprobe(root, autoprobe)
        present = vf_count(root, self.address)
        if present != str(count):
            raise WholecardError(
                f"{self.address} has {present or 'no'} VFs, and {count} were asked for",
                "The driver accepted the request and made another number.",
                "See what the kernel says (dmesg).",
            )

    def _tell_autoprobe(self, root: Path, value: str) -> None:
        present = read_text(attribute(root, self.address, _AUTOPROBE))
        if present and value and present != value:
            tell(root, Path(DEVICES, self.address, _AUTOPROBE), value)

    def functions_taken(self, root: Path) -> tuple[Address, ...]:
        """The VFs that end."""
        if vf_count(root, self.address) == str(self.count):
            return ()
        return virtual_functions(root, self.address)

    def functions_given_back(
        self,
        context: HostContext,
        begun: Mapping[str, Any],  # noqa: ARG002 -- for those of one boot
    ) -> tuple[Address, ...]:
        """The VFs that end when it is undone."""
        if vf_count(context.root, self.address) == str(self.before):
            return ()
        return virtual_functions(context.root, self.address)

    def mdevs_taken(self, root: Path) -> tuple[str, ...]:
        """The mediated devices of the VFs that end."""
        return _mdevs_of(root, self.functions_taken(root))

    def mdevs_given_back(self, root: Path) -> tuple[str, ...]:
        """Those of the VFs that end when it is undone."""
        if vf_count(root, self.address) == str(self.before):
            return ()
        return _mdevs_of(root, virtual_functions(root, self.address))

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """How many VFs there are beside how many were made."""
        present = vf_count(root, self.address)
        subject = f"VFs of {self.address}"
        if present is None:
            yield Drift("slice", subject, operation.GONE)
        elif present == str(self.count):
            yield Drift("slice", subject, operation.AS_APPLIED)
        else:
            yield Drift("slice", subject, operation.CHANGED, f"{present}, not {self.count}")


def _mdevs_of(root: Path, functions: tuple[Address, ...]) -> tuple[str, ...]:
    parents = set(map(str, functions))
    return tuple(uuid for uuid, parent in active_mdevs(root) if parent in parents)

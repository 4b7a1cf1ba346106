"""How Intel's driver xe schedules one VF.

Source: linux 6.19, drivers/gpu/drm/xe/xe_sriov_pf_sysfs.c: `sriov_admin/vfN/profile/` has the
execution quantum and the preemption timeout of each VF. A priority can be set only for all at once,
in `sriov_admin/.bulk_profile/`, and read of each; when that is done it is one operation, of VF 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step
from wholecard.core.small_files import read_text
from wholecard.host.card_split import SCHEDULING
from wholecard.host.operations import operation
from wholecard.host.operations.bind_driver import tell
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.host.operations.virtual_functions import attribute, pci_address
from wholecard.pci.sysfs import DEVICES
from wholecard.transaction.json_fields import text, typed

# Set for the PF and all VFs at once.
FOR_ALL = ("sched_priority",)


@dataclass(frozen=True)
class SetScheduling(HostOperation):
    """Set `name` of the VF `index` (from 0) of the PF `card` to `value`.

    `before` is what it was when the plan was made: after a reboot the unit may set it first.
    """

    kind: ClassVar[str] = "set-scheduling"

    card: str
    index: int
    name: str
    value: str
    before: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SetScheduling:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        name, index = text(data["name"]), typed(data["index"], int)
        value, before = text(data["value"]), text(data["before"])
        if name not in SCHEDULING or index < 0 or not f"{value}{before}".isalnum():
            raise ValueError(f"{name!r} is no value of xe's")
        return cls(pci_address(data["card"]), index, name, value, before)

    def describe(self) -> str:
        """The file and the value."""
        return f"/{DEVICES}/{self.card}/{self._file}: {self.before or '?'} -> {self.value}"

    @property
    def _file(self) -> str:
        if self.name in FOR_ALL:
            return f"sriov_admin/.bulk_profile/{self.name}"
        return f"sriov_admin/vf{self.index + 1}/profile/{self.name}"

    @property
    def state_after(self) -> State:
        """The value."""
        return {self.name: self.value}

    def look(self, context: HostContext) -> State:
        """The value now."""
        return {self.name: scheduling_value(context.root, self.card, self.index, self.name) or None}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:
        """Set it."""
        if step.present.get(self.name) != self.value:
            tell(context.root, Path(DEVICES, self.card, self._file), self.value)
        return {}

    def former(self, context: HostContext, step: Step) -> State:  # noqa: ARG002 -- of the plan
        """The former value."""
        return {self.name: self.before or None}

    def undo(self, context: HostContext, step: Step) -> None:  # noqa: ARG002 -- from any state
        """Give back the former value, where the card still has one."""
        present = scheduling_value(context.root, self.card, self.index, self.name)
        if self.before and present and present != self.before:
            tell(context.root, Path(DEVICES, self.card, self._file), self.before)

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """The value beside the one that was set."""
        present = scheduling_value(root, self.card, self.index, self.name)
        subject = f"{self.name} of VF {self.index} of {self.card}"
        same = present == self.value
        state = operation.AS_APPLIED if same else operation.CHANGED
        yield Drift("slice", subject, state, "" if same else f"{present}, not {self.value}")


def scheduling_value(root: Path, pf: str, index: int, name: str) -> str:
    """A value of xe's `sriov_admin`; of several the one in brackets. Empty where there is none."""
    value = read_text(attribute(root, pf, f"sriov_admin/vf{index + 1}/profile/{name}"))
    chosen = [word for word in value.split() if word.startswith("[")]
    return chosen[0].strip("[]") if chosen else value

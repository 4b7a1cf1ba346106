"""A vendor's vGPU type given to a VF, or taken from it.

Source: KubeVirt's device manager, harvester/pcidevices and kernel/hypeman pull 364, which read and
write `nvidia/current_vgpu_type` (0 is none) and `nvidia/creatable_vgpu_types` of each VF. A VF's
path is used again and again: whoever clears a type must know whose it is, so an ID that is neither
the one that was set nor the former one is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import Step, UsageError, WholecardError
from wholecard.core.near_names import did_you_mean
from wholecard.core.small_files import read_bytes, read_text
from wholecard.host.operations import operation
from wholecard.host.operations.bind_driver import tell
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.host.operations.virtual_functions import (
    attribute,
    await_file,
    pci_address,
    virtual_function,
)
from wholecard.pci import Address
from wholecard.pci.sysfs import DEVICES
from wholecard.transaction.atomic_files import make_directories, under, write_atomically
from wholecard.transaction.json_fields import text, typed

CURRENT = "nvidia/current_vgpu_type"
CREATABLE = "nvidia/creatable_vgpu_types"
# Names and IDs of vGPU types that were seen: a driver lists only those that can be made now.
KNOWN_TYPES = "var/lib/wholecard/vgpu-types.json"
NONE = "0"


@dataclass(frozen=True)
class SetVgpuType(HostOperation):
    """Give the VF `index` of the PF `card` the type with this name or ID; an empty one clears it.

    The VF may be one that an earlier action makes. `before` is its type's ID when the plan is made,
    `0` for none.
    """

    kind: ClassVar[str] = "set-vgpu-type"

    card: str
    index: int
    type: str
    before: str = NONE

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SetVgpuType:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        before, index = text(data["before"]), typed(data["index"], int)
        if not before.isdigit() or index < 0:
            raise ValueError(f"{before!r} is not the ID of a type")
        return cls(pci_address(data["card"]), index, text(data["type"]), before)

    def describe(self) -> str:
        """The file and what is written to it."""
        return (
            f"/{DEVICES}/{self.card}/virtfn{self.index}/{CURRENT}: {self.before} -> "
            f"{self.type or NONE}"
        )

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:
        """Set it; the log keeps its `id` before that. Raises WholecardError and UsageError."""
        root = context.root
        address = self._address(root)
        await_file(attribute(root, address, CURRENT))
        type_id = str(step.begun.get("id", "")) or self._id(root, address)
        step.keep({"id": type_id})
        present = read_text(attribute(root, address, CURRENT)) or NONE
        if present != type_id:
            # From one type to another by way of none.
            for value in (NONE, type_id) if NONE not in (present, type_id) else (type_id,):
                tell(root, Path(DEVICES, address, CURRENT), value)
        present = read_text(attribute(root, address, CURRENT)) or NONE
        if present != type_id:
            raise WholecardError(
                f"{address} has the vGPU type {present}, and not {type_id} ({self.type})",
                "The driver accepted the request and set another type.",
                "See what the kernel says (dmesg), and nvidia-smi vgpu.",
            )
        return {"id": type_id}

    def _address(self, root: Path) -> str:
        address = virtual_function(root, self.card, self.index)
        if not address:
            raise WholecardError(
                f"{self.card} has no VF {self.index}",
                resolution="Plan again: the VFs have changed since.",
            )
        return address

    def _id(self, root: Path, address: str) -> str:
        """The type's ID; the name is remembered, for later the driver may not list it."""
        if not self.type:
            return NONE
        if self.type.isdigit():
            return self.type
        listed = creatable_types(read_text(attribute(root, address, CREATABLE)))
        known = {**read_known_types(root), **listed}
        if self.type not in known:
            raise UsageError(
                f"{address} has no vGPU type {self.type!r}",
                f"The driver offers: {', '.join(listed) or 'none now'}.",
                did_you_mean(self.type, listed) or "Name one of these.",
            )
        if listed and listed.items() - read_known_types(root).items():
            place = under(root, f"/{KNOWN_TYPES}")
            make_directories(place.parent)
            write_atomically(place, f"{json.dumps(known, indent=2)}\n".encode(), 0o644)
        return str(known[self.type])

    def refuse_undo(self, root: Path, step: Step) -> None:
        """Raises WholecardError where somebody else has given the VF another type since."""
        address = virtual_function(root, self.card, self.index)
        present = (read_text(attribute(root, address, CURRENT)) if address else NONE) or NONE
        ours = {NONE, self.before, str(step.begun.get("id", NONE))}
        if present not in ours:
            raise WholecardError(
                f"{address} has the vGPU type {present}, which Wholecard did not set",
                f"It set {step.begun.get('id', 'none')}. A VF's path is used again, so somebody "
                "else's type is not cleared.",
                "Find out who uses it; clear it yourself, then run it again.",
            )

    def undo(self, context: HostContext, step: Step) -> str | None:
        """Give back the former type. Raises WholecardError where it is somebody else's now."""
        root = context.root
        address = virtual_function(root, self.card, self.index)
        if not address:
            return f"{self.card} has no VF {self.index} any more: nothing to undo"
        self.refuse_undo(root, step)
        present = read_text(attribute(root, address, CURRENT)) or NONE
        if present != self.before:
            both = (NONE, self.before) if NONE not in (present, self.before) else (self.before,)
            for value in both:
                tell(root, Path(DEVICES, address, CURRENT), value)
        return None

    def functions_taken(self, root: Path) -> tuple[Address, ...]:
        """The VF, where it has another type now."""
        address = virtual_function(root, self.card, self.index)
        present = (read_text(attribute(root, address, CURRENT)) if address else NONE) or NONE
        known = read_known_types(root).get(self.type, self.type)
        return () if present in (NONE, str(known)) else (Address.parse(address),)

    def functions_given_back(
        self, context: HostContext, begun: Mapping[str, Any]
    ) -> tuple[Address, ...]:
        """The VF, where it has the type that was set."""
        address = virtual_function(context.root, self.card, self.index)
        present = (read_text(attribute(context.root, address, CURRENT)) if address else "") or NONE
        changes = present != self.before and present == str(begun.get("id", ""))
        return (Address.parse(address),) if changes and present != NONE else ()

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:
        """The VF's type beside the one that was set."""
        address = virtual_function(root, self.card, self.index)
        subject = f"vGPU type of VF {self.index} of {self.card}"
        if not address:
            yield Drift("slice", subject, operation.GONE)
            return
        present, type_id = read_text(attribute(root, address, CURRENT)) or NONE, done.get("id")
        if present == type_id:
            yield Drift("slice", subject, operation.AS_APPLIED)
        else:
            yield Drift("slice", subject, operation.CHANGED, f"{present}, not {type_id}")


def creatable_types(table: str) -> dict[str, int]:
    """IDs by name of a table `ID    : vGPU Name`."""
    rows = (line.partition(":") for line in table.splitlines())
    return {name.strip(): int(number) for number, _, name in rows if number.strip().isdigit()}


def read_known_types(root: Path) -> dict[str, int]:
    """The names and IDs that were seen earlier; none where they cannot be read."""
    try:
        stored = json.loads(read_bytes(str(root / KNOWN_TYPES)) or b"{}")
        return {str(name): int(value) for name, value in dict(stored).items()}
    except (ValueError, TypeError, RecursionError):
        # It is only what the driver said earlier: the driver is asked again.
        return {}

"""A VF given to a driver: vfio-pci, or a variant of it.

By `driver_override` and a probe, as `bind_driver` does it for a function whose address is known
when the plan is made; a VF exists only when an earlier action has made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import Step, WholecardError
from wholecard.host.operations import operation
from wholecard.host.operations.bind_driver import (
    DRIVERS,
    PROBE,
    driver_of,
    override_of,
    set_override,
    tell,
    unbind,
)
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.host.operations.virtual_functions import pci_address, virtual_function
from wholecard.pci import Address
from wholecard.pci.attributes import driver_name
from wholecard.transaction.json_fields import text, typed


@dataclass(frozen=True)
class BindVf(HostOperation):
    """Give the VF `index` of the PF `card` to `driver`; an empty one takes it from its driver.

    The latter comes before VFs end: undone, the VF that is there again is bound as before.
    """

    kind: ClassVar[str] = "bind-vf"

    card: str
    index: int
    driver: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> BindVf:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        driver, index = text(data["driver"]), typed(data["index"], int)
        if (driver and driver_name(driver) != driver) or index < 0:
            raise ValueError(f"{driver!r} is not the name of a driver")
        return cls(pci_address(data["card"]), index, driver)

    def describe(self) -> str:
        """`VF 3 of 0000:17:00.0 -> vfio-pci`."""
        driver = self.driver or "no driver"
        return f"VF {self.index} of {self.card} -> {driver} (driver_override, until reboot)"

    def begin(self, context: HostContext, state: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Driver and override of the VF, which exists by now."""
        address = virtual_function(context.root, self.card, self.index)
        driver = driver_of(context.root, address) if address else None
        return {"driver": driver, "override": override_of(context.root, address), "vf": address}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- once or twice
        """Bind it. Raises WholecardError where another driver has it then."""
        root = context.root
        address = virtual_function(root, self.card, self.index)
        if not address:
            raise WholecardError(
                f"{self.card} has no VF {self.index}",
                resolution="Plan again: the VFs have changed since.",
            )
        set_override(root, address, self.driver or None)
        if (driver_of(root, address) or "") != self.driver:
            unbind(root, address)
            if self.driver:
                tell(root, PROBE, address)
        driver = driver_of(root, address) or ""
        if driver != self.driver:
            raise WholecardError(
                f"{address} is on {driver or 'no driver'}, not on {self.driver or 'none'}",
                "The kernel was asked to probe it again and did not bind it.",
                "See what the kernel says (dmesg).",
            )
        return {"vf": address}

    def undo(self, context: HostContext, step: Step) -> str | None:
        """Give it back to what had it, where it is the same VF still."""
        root, begun = context.root, step.begun
        address = virtual_function(root, self.card, self.index)
        if not address or address != begun.get("vf"):
            return None
        former = begun.get("driver")
        set_override(root, address, begun.get("override"))
        if driver_of(root, address) != former:
            unbind(root, address)
            if former and (root / DRIVERS / former).is_dir():
                tell(root, DRIVERS / former / "bind", address)
        return None

    def functions_taken(self, root: Path) -> tuple[Address, ...]:
        """The VF, unless the driver or none has it."""
        address = virtual_function(root, self.card, self.index)
        driver = driver_of(root, address) if address else None
        is_other = driver is not None and driver != self.driver
        return (Address.parse(address),) if is_other else ()

    def functions_given_back(
        self, context: HostContext, begun: Mapping[str, Any]
    ) -> tuple[Address, ...]:
        """The VF, unless another driver than ours has it."""
        address = virtual_function(context.root, self.card, self.index)
        is_ours = bool(address) and driver_of(context.root, address) == self.driver
        changes = begun.get("driver") != self.driver
        return (Address.parse(address),) if is_ours and changes else ()

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """The VF's driver beside the one that took it."""
        address = virtual_function(root, self.card, self.index)
        subject = f"driver of VF {self.index} of {self.card}"
        driver = (driver_of(root, address) or "") if address else ""
        if not address:
            yield Drift("slice", subject, operation.GONE)
        elif driver == self.driver:
            yield Drift("slice", subject, operation.AS_APPLIED)
        else:
            detail = f"{driver or 'none'}, not {self.driver}"
            yield Drift("slice", subject, operation.CHANGED, detail)

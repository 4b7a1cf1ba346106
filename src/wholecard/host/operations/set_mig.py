"""MIG of one card: its mode and its instances, by `nvidia-smi`. Not run on hardware.

Source: NVIDIA MIG User Guide, "Getting Started with MIG": `-mig 1`, `mig -cgi PROFILES -C`, `mig
-dci` and `-dgi`; a MIG-backed vGPU needs a compute instance in each GPU instance (NVIDIA AI
Enterprise, "Configuring a GPU for MIG-Backed vGPUs"). The instances are gone after a reset or a
reboot, and the mode resets an A100 or A30.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step, WholecardError
from wholecard.core.plan import HALF
from wholecard.host.operations import operation
from wholecard.host.operations.mig_instances import TOOL, geometry_text, is_profile, read_mig
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.host.operations.run_tool import start
from wholecard.host.operations.virtual_functions import (
    active_mdevs,
    pci_address,
    virtual_functions,
)
from wholecard.pci import Address
from wholecard.transaction.json_fields import text, typed

_TIMEOUT = 300.0
Geometry = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class SetMig(HostOperation):
    """Let the card at `address` have these MIG instances; none, and MIG is switched off.

    `before` are those that it has when the plan is made, None where MIG is off.
    """

    kind: ClassVar[str] = "set-mig"

    address: str
    geometry: Geometry
    before: Geometry | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SetMig:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        before = data["before"]
        return cls(
            pci_address(data["address"]),
            _geometry(data["geometry"]),
            None if before is None else _geometry(before),
        )

    def to_json(self) -> dict[str, Any]:
        """The fields; geometries as objects."""
        before = None if self.before is None else dict(self.before)
        return {**super().to_json(), "geometry": dict(self.geometry), "before": before}

    def describe(self) -> str:
        """The commands, as a person would type them."""
        return "\n".join(f"$ {' '.join(argv)}" for argv in self._commands(self.before))

    @property
    def state_after(self) -> State:
        """The instances."""
        return {self.address: geometry_text(self.geometry)}

    def look(self, context: HostContext) -> State:
        """The instances now: those before or after, or something between."""
        state = read_mig(context.root, self.address)
        if state.mode is None:
            raise WholecardError(
                f"the MIG mode of {self.address} cannot be read",
                state.unread or "nvidia-smi says that the card has none.",
                "Load NVIDIA's driver, and see nvidia-smi -q.",
            )
        present = geometry_text(state.instances if state.mode else None)
        known = (geometry_text(self.before), geometry_text(self.geometry))
        return {self.address: present if present in known else HALF}

    def former(self, context: HostContext, step: Step) -> State:  # noqa: ARG002 -- always the same
        """The former instances."""
        return {self.address: geometry_text(self.before)}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:  # noqa: ARG002 -- once or twice
        """Make them. Raises RunError, and WholecardError where the card has others then."""
        self._set(context, self.geometry)
        return {}

    def undo(self, context: HostContext, step: Step) -> str | None:  # noqa: ARG002 -- any state
        """Give back the former instances, or switch MIG off."""
        state = read_mig(context.root, self.address)
        if state.mode is None:
            return f"MIG of {self.address} cannot be read: nothing to undo"
        self._set(context, self.before)
        return None

    def _set(self, context: HostContext, geometry: Geometry | None) -> None:
        state = read_mig(context.root, self.address)
        present = state.instances if state.mode else None
        if geometry_text(present) == geometry_text(geometry):
            return
        for argv in commands(self.address, present, geometry):
            start(context, argv, _TIMEOUT)
        state = read_mig(context.root, self.address)
        present = state.instances if state.mode else None
        if geometry_text(present) != geometry_text(geometry):
            raise WholecardError(
                f"{self.address} has {geometry_text(present)}, and not {geometry_text(geometry)}",
                "nvidia-smi ended without an error. On an A100 or A30 the mode waits for a reset.",
                "See nvidia-smi -q, and what uses the card; then run it again.",
            )

    def _commands(self, present: Geometry | None) -> Iterator[tuple[str, ...]]:
        return commands(self.address, present, self.geometry)

    def functions_taken(self, root: Path) -> tuple[Address, ...]:
        """The card's VFs: a vGPU holds an instance."""
        return virtual_functions(root, self.address)

    def functions_given_back(
        self,
        context: HostContext,
        begun: Mapping[str, Any],  # noqa: ARG002 -- for those of one boot
    ) -> tuple[Address, ...]:
        """The same."""
        return virtual_functions(context.root, self.address)

    def mdevs_taken(self, root: Path) -> tuple[str, ...]:
        """The card's mediated devices, and those of its VFs."""
        parents = {self.address, *map(str, virtual_functions(root, self.address))}
        return tuple(uuid for uuid, parent in active_mdevs(root) if parent in parents)

    def mdevs_given_back(self, root: Path) -> tuple[str, ...]:
        """The same."""
        return self.mdevs_taken(root)

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """The instances beside those that were made."""
        state, subject = read_mig(root, self.address), f"MIG of {self.address}"
        present = geometry_text(state.instances if state.mode else None)
        if state.mode is None:
            yield Drift("slice", subject, operation.UNREADABLE, state.unread)
        elif present == geometry_text(self.geometry):
            yield Drift("slice", subject, operation.AS_APPLIED)
        else:
            yield Drift("slice", subject, operation.CHANGED, present)


def commands(
    address: str, present: Geometry | None, geometry: Geometry | None
) -> Iterator[tuple[str, ...]]:
    """From the present instances to others; None is MIG switched off."""
    if present:
        yield (TOOL, "mig", "-i", address, "-dci")
        yield (TOOL, "mig", "-i", address, "-dgi")
    if geometry is None:
        yield (TOOL, "-i", address, "-mig", "0")
        return
    if present is None:
        yield (TOOL, "-i", address, "-mig", "1")
    if geometry:
        # The largest first: they have the fewest places.
        largest = sorted(geometry, key=lambda row: (-int(row[0][0]), row[0]))
        profiles = ",".join(name for name, count in largest for _ in range(count))
        yield (TOOL, "mig", "-i", address, "-cgi", profiles, "-C")


def _geometry(data: Any) -> Geometry:
    """A geometry out of a journal. Raises ValueError and TypeError."""
    rows = tuple((text(name), typed(n, int)) for name, n in typed(data, dict).items())
    if not all(is_profile(name) and 0 < count < 100 for name, count in rows):
        raise ValueError(f"{data!r} is no geometry")
    return rows

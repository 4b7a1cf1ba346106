"""AMD's VFs: GIM, the host driver of MxGPU, with its modes and the hosts that AMD tries.

Not run on hardware. All rows are of the release notes of amd/MxGPU-Virtualization.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.core.units import joined
from wholecard.pci.splitting.record import CardKind, Source, Way, dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wholecard.pci.splitting.record import Software, State, Version

VENDOR = "1002"
GIM = Source(
    "amd/MxGPU-Virtualization, releases 8.5.0.K and 9.1.0.K to 9.4.0.K; pci.ids", "2026-11-30"
)
_RHOSO = Source(
    "openstack-k8s-operators/architecture, examples/va/vaf/amd/mi300x-vgpu (18.0-fr6)", "2026-11-29"
)


@dataclass(frozen=True)
class Mode:
    """From `least` to `most` VFs in these modes, since this GIM; a Radeon has no modes."""

    least: int
    most: int
    modes: str = ""
    since: Version = (8,)

    @property
    def count(self) -> str:
        """`8`, or `1 to 12`."""
        return str(self.most) if self.least == self.most else f"{self.least} to {self.most}"

    def __str__(self) -> str:
        return f"{self.count} ({self.modes})" if self.modes else self.count


@dataclass(frozen=True)
class HostSystem:
    """A host that AMD tries, since this GIM."""

    name: str
    kernel: Version
    since: Version = (8,)


@dataclass(frozen=True)
class AmdCard:
    """A model by the ids of its PF; `vf` is the id of its VFs, empty where pci.ids has none."""

    name: str
    ids: tuple[str, ...]
    vf: str
    modes: tuple[Mode, ...]
    hosts: tuple[HostSystem, ...]
    since: Version = (8,)


_ONE = Mode(1, 1, "SPX NPS1")
_UBUNTU_22 = HostSystem("Ubuntu 22.04", (6, 8))
_UBUNTU_24 = HostSystem("Ubuntu 24.04", (6, 14))
_UBUNTU_26 = HostSystem("Ubuntu 26.04", (7, 0), (9, 3))
_RHEL_9 = HostSystem("RHEL 9.4", (5, 14))
_RHEL_10 = HostSystem("RHEL 10.2", (6, 12), (9, 2))
_MI350 = (_ONE, Mode(2, 2, "DPX NPS2", (9, 1)), Mode(8, 8, "CPX NPS2", (9, 1)))

# As of 30 November 2026, GIM 9.4.0.K.
MODELS = (
    AmdCard("Instinct MI300X", ("1002:74a1",), "1002:74b5",
            (_ONE, Mode(8, 8, "CPX NPS4", (8, 5))),
            (_UBUNTU_22, _UBUNTU_24, _UBUNTU_26, _RHEL_9, _RHEL_10)),
    AmdCard("Instinct MI325X", ("1002:74a5",), "1002:74b9", (_ONE,),
            (_UBUNTU_22, _UBUNTU_26, _RHEL_9, _RHEL_10)),
    AmdCard("Instinct MI350X", ("1002:75a0",), "", _MI350, (_UBUNTU_24, _UBUNTU_26)),
    AmdCard("Instinct MI355X", ("1002:75a3",), "", _MI350, (_UBUNTU_24, _UBUNTU_26)),
    AmdCard("Instinct MI350P", ("1002:75a8",), "", (_ONE,), (_UBUNTU_24,), (9, 4)),
    AmdCard("Instinct MI210", ("1002:740f",), "", (Mode(1, 1),), (_RHEL_9, _UBUNTU_26)),
    AmdCard("Radeon PRO V710", ("1002:7461", "1002:7460"), "", (Mode(1, 12),),
            (_UBUNTU_24, _UBUNTU_26)),
)  # fmt: skip
_SEVERAL = (
    "More than one VF needs the partition mode and the memory mode of the same row, set on the "
    "host; on Ubuntu 26.04 AMD tries one VF alone."
)
CARDS = tuple(CardKind(model.name, model.ids) for model in MODELS)


def ways(card: CardKind, software: Software) -> tuple[Way, ...]:
    """VFs by GIM; AMD has no mediated devices, and nothing like MIG without VFs."""
    model = next(model for model in MODELS if card.ids[0] in model.ids)
    no_mdev = Way("mdev", "no", "AMD's drivers make no mediated devices", sources=(GIM,))
    no_mig = Way("mig", "no", "MIG is NVIDIA's; AMD's partition modes go with VFs", sources=(GIM,))
    return (no_mdev, _vfs(model, software), no_mig)


def _vfs(model: AmdCard, software: Software) -> Way:
    driver, kernel = software.driver, software.kernel
    if driver is not None and driver < model.since:
        reason = f"needs GIM {dotted(model.since)}, and {dotted(driver)} is older"
        return Way("vfs", "no", reason, "gim", sources=(GIM,))
    state, reason = _host_state(model, driver, kernel)
    modes = [mode for mode in model.modes if driver is None or driver >= mode.since]
    needs = (
        "The PF on gim, and the host's amdgpu blacklisted.",
        f"The VFs{model.vf and f' ({model.vf})'} on vfio-pci; in nova an alias type-VF.",
        *((_SEVERAL,) if len(model.modes) > 1 else ()),
    )
    count = joined(map(str, modes), "or")
    return Way("vfs", state, reason, "gim", count, needs, (GIM, _RHOSO))


def _host_state(
    model: AmdCard, driver: Version | None, kernel: Version | None
) -> tuple[State, str]:
    tried = [host for host in model.hosts if driver is None or driver >= host.since]
    names = joined(f"{host.name} ({dotted(host.kernel)})" for host in tried)
    if kernel is None:
        return "depends", f"hosts that AMD tries, with their kernels: {names}"
    same = [host for host in tried if host.kernel == kernel[: len(host.kernel)]]
    if not same:
        return "depends", f"AMD does not try kernel {dotted(kernel)}; it tries {names}"
    return "yes", f"AMD tries {joined(host.name for host in same)}"

"""What is known of single models and that no kernel says: one table, with sources and dates.

As of November 2026. An entry goes when the kernel, or the device itself, tells the same.
"""

from __future__ import annotations

from wholecard.core.record import dataclass
from wholecard.pci.function import Function

# Cards with fewer lanes than their chip's link capability says, by ids and subsystem's device where
# one id is several boards. NVIDIA A2 data sheet (2021): PCIe 4.0 x8; a recorded host of harvester/
# pcidevices (tests/snapshots, vgpu-node) shows max_link_width 16 and 8 in use. The four GPUs of an
# A16 have the same id, and x8 too: NVIDIA A16 product brief (2021).
_LANES = {"10de:25b6": 8}


@dataclass(frozen=True)
class ResetBug:
    """Models (by ids) that a reset does not bring back: what happens, and what helps.

    A function that has the reset method `helped_by` is in order.
    """

    name: str
    ids: frozenset[str]
    effect: str
    fix: str
    helped_by: str = ""

    def has(self, function: Function) -> bool:
        """Whether it is one of the models, without what helps."""
        return function.ids in self.ids and self.helped_by not in (function.reset_methods or ())


def _ids(vendor: str, devices: str) -> frozenset[str]:
    return frozenset(f"{vendor}:{device}" for device in devices.split())


RESET_BUGS = (
    # https://github.com/amd/MxGPU-Virtualization/issues/25 (July 2026, open); the ids: linux,
    # drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c (MI300, MI308, MI325X, MI350X, MI355X), pci.ids.
    ResetBug(
        "AMD Instinct MI300 or MI350",
        _ids("1002", "74a0 74a1 74a2 74a5 74a8 74a9 75a0 75a3"),
        "if the whole card is given, its configuration space reads as all ones after a reset by "
        "VFIO, when a server starts or ends. Only a reboot of the host makes it work again.",
        "Try it with one card before production: start a server, delete it, start another. AMD "
        "supports virtual functions on these cards (its GIM driver).",
    ),
    # https://github.com/gnif/vendor-reset, src/device-db.h (2020 to 2026).
    ResetBug(
        "AMD Polaris, Vega, MI100 or Navi 1x",
        _ids(
            "1002",
            "67c0 67c1 67c2 67c4 67c7 67c8 67c9 67ca 67cc 67cf 67d0 67df 6fdf "
            "67e0 67e1 67e3 67e7 67e8 67e9 67eb 67ef 67ff 6980 6981 6985 6986 6987 6995 6997 699f "
            "6860 6861 6862 6863 6864 6867 6868 6869 686a 686b 686c 686d 686e 686f 687f "
            "66a0 66a1 66a2 66a3 66a4 66a7 66af 738c "
            "7310 7312 7318 7319 731a 731b 731e 731f 7340 7341 7347 734f 7360 7362",
        ),
        "after a guest has used it, a bus reset does not make it work again: the next server has "
        "no working card until the host is rebooted.",
        "Use the kernel module vendor-reset on the host (reset_method device_specific), and try "
        "starting a second server.",
        helped_by="device_specific",
    ),
)


# linux: drivers/vfio/pci/vfio_pci.c, vfio_pci_dev_in_denylist (6.18): QAT of C3xxx, C62x and
# DH895xCC with their VFs (since 5.9), DSA and IAX of Sapphire Rapids (since 6.9).
VFIO_DENIES = _ids("8086", "19e2 19e3 37c8 37c9 0435 0443 0b25 0cfe")


# Models whose function-level reset leaves state of the last user, and a reset of the bus does not:
# by ids, what stays. https://github.com/Dstack-TEE/dstack/pull/1048 (August 2026, an H200).
FLR_KEEPS_STATE = dict.fromkeys(
    ("10de:2335", "10de:233b"),
    "the GPU's processor (GSP) keeps session state after a function-level reset (seen on H200)",
)


def widest_link(function: Function) -> int | None:
    """The lanes that the card has, by the table or by the function's own word."""
    most = function.link_width_max
    known = _LANES.get(function.ids)
    return min(most, known) if most and known else most

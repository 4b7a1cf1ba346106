"""The displays of management controllers and hypervisors, which belong to the host.

A board's BMC shows the host's console over the network through a small VGA function of its own. It
is of class 0300 as a GPU is; in a guest the host's remote console would be gone.
"""

from __future__ import annotations

from wholecard.pci.function import Function

# Vendors and devices whose functions of class 03 are such displays. Sources: the id tables of the
# kernel's drivers named beside them, and https://pci-ids.ucw.cz where none is named. An empty set
# means every device of the vendor.
_CONSOLES: dict[str, frozenset[str]] = {
    "1a03": frozenset(),  # ASPEED makes BMCs alone: drivers/gpu/drm/ast
    "102b": frozenset(  # Matrox G200 in server boards: drivers/gpu/drm/mgag200
        {"0522", "0524", "0530", "0532", "0533", "0534", "0536", "0538"}
    ),
    "19e5": frozenset({"1711"}),  # HiSilicon Hi1710: drivers/gpu/drm/hisilicon/hibmc
    "126f": frozenset({"0750"}),  # Silicon Motion SM750: drivers/staging/sm750fb
    "18ca": frozenset({"0020", "0021"}),  # XGI Z7/Z9 in older server boards: pci.ids
    # Of hypervisors.
    "1234": frozenset({"1111"}),  # QEMU's standard VGA: drivers/gpu/drm/tiny/bochs.c
    "1013": frozenset({"00b8"}),  # Cirrus 5446, by QEMU: drivers/gpu/drm/tiny/cirrus-qemu.c
    "1b36": frozenset({"0100"}),  # QXL: drivers/gpu/drm/qxl
    "1af4": frozenset({"1050"}),  # virtio-gpu: drivers/gpu/drm/virtio
    "15ad": frozenset({"0405", "0406"}),  # VMware SVGA: drivers/gpu/drm/vmwgfx
    "80ee": frozenset({"beef"}),  # VirtualBox: drivers/gpu/drm/vboxvideo
    "1414": frozenset({"5353"}),  # Hyper-V: drivers/gpu/drm/hyperv
}


def is_bmc_display(function: Function) -> bool:
    """Whether `function` is the host's own console display, which is never given to a guest.

    Known by vendor and device, and only in the display class: the same chips have other functions.
    """
    if not function.class_code.startswith("03"):
        return False
    devices = _CONSOLES.get(function.vendor)
    return devices is not None and (not devices or function.device in devices)

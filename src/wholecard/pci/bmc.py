"""The displays of management controllers and hypervisors, which belong to the host.

A board's BMC shows the host's console over the network through a small VGA function of its own. It
is of class 0300 as a GPU is; in a guest the host's remote console would be gone.
"""

from __future__ import annotations

from wholecard.pci.function import Function
from wholecard.pci.vfio_drivers import module_of

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
    "1ab8": frozenset({"4005"}),  # Parallels: pci.ids
    # Of clouds' machines: pci.ids.
    "1d0f": frozenset({"1111"}),  # Amazon EC2
    # Small Radeons that server boards had for their console: drivers/gpu/drm/radeon, pci.ids.
    "1002": frozenset({"4752", "5159", "515e", "515f"}),  # Rage XL, RV100, ES1000
}

# Who makes GPUs that guests are given, or boards that emulate one of theirs. Any other VGA
# controller with little memory is a console's.
_GPU_MAKERS = frozenset({"10de", "1002", "8086", "1ed5", "0731", "1d17"})
_SMALL = 128 << 20
# linux: drivers/gpu/drm: drivers of such displays alone, whose ids the table may not have yet.
_CONSOLE_DRIVERS = frozenset({
    "ast", "mgag200", "hibmc_drm", "bochs", "bochs_drm", "cirrus", "cirrus_qemu", "qxl",
    "virtio_gpu", "vmwgfx", "vboxvideo", "hyperv_drm", "sm750fb", "xgifb", "gxp_drm",
})  # fmt: skip


def is_bmc_display(function: Function) -> bool:
    """Whether `function` is the host's own console display, which is never given to a guest.

    Known by vendor and device, or by the driver that this kernel has for it, and only in the
    display class: the same chips have other functions.
    """
    if not function.class_code.startswith("03"):
        return False
    devices = _CONSOLES.get(function.vendor)
    if devices is not None and (not devices or function.device in devices):
        return True
    drivers = {module_of(driver) for driver in (function.driver or "", *function.modules) if driver}
    return bool(drivers & _CONSOLE_DRIVERS)


def is_console_like(function: Function) -> bool:
    """Whether it behaves like a console's display: VGA, little memory, of no maker of GPUs.

    Such a card has to be named: nobody takes it for a GPU unasked.
    """
    return (
        function.class_code.startswith("0300")
        and function.vendor not in _GPU_MAKERS
        and max(function.bars, default=0) <= _SMALL
    )

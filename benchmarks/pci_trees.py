"""Trees of PCI functions as sysfs has them, of any size, for benchmarks.

The same size gives the same tree. A unit is what an eight-GPU server has of each kind: three root
ports, a GPU with audio, USB and serial functions, a network card of two PFs with eight VFs each,
an NVMe disk. 26 functions make one unit, and a host bridge has eight units.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RELEASE = "6.12.1-bench"

# What every function has besides its ids: the attributes of linux 6.12 that a person may read.
_COMMON = {
    "ari_enabled": "0\n",
    "broken_parity_status": "0\n",
    "consistent_dma_mask_bits": "32\n",
    "d3cold_allowed": "1\n",
    "dma_mask_bits": "64\n",
    "driver_override": "(null)\n",
    "enable": "1\n",
    "irq": "33\n",
    "local_cpulist": "0-31,64-95\n",
    "local_cpus": "00000000,ffffffff,00000000,ffffffff\n",
    "msi_bus": "1\n",
    "power/control": "auto\n",
    "power/runtime_active_time": "1\n",
    "power/runtime_suspended_time": "0\n",
    "power/runtime_usage": "0\n",
    "power_state": "D0\n",
    "subsystem_device": "0x1463\n",
}
_LINKED = {
    "current_link_speed": "16.0 GT/s PCIe\n",
    "current_link_width": "16\n",
    "max_link_speed": "32.0 GT/s PCIe\n",
    "max_link_width": "16\n",
}


@dataclass(frozen=True)
class Kind:
    """One kind of function: ids, class, driver, sizes of its BARs and what else it has."""

    vendor: str
    device: str
    class_code: str
    driver: str
    bars: tuple[int, ...]
    extra: tuple[tuple[str, str], ...] = ()


PORT = Kind("8086", "352a", "060400", "pcieport", (0x20000,), (("reset_method", "pm\n"),))
HOST_BRIDGE = Kind("8086", "09a2", "060000", "", ())
GPU = (
    Kind(
        "10de", "2330", "030200", "nvidia", (1 << 24, 0, 1 << 37, 0, 1 << 25),
        (("reset_method", "flr bus\n"), ("boot_vga", "0\n"), ("sriov_totalvfs", "16\n"),
         ("sriov_numvfs", "0\n")),
    ),
    Kind("10de", "22ba", "040300", "snd_hda_intel", (1 << 14,), (("reset_method", "bus\n"),)),
    Kind("10de", "1ad8", "0c0330", "xhci_hcd", (1 << 18,), (("reset_method", "bus\n"),)),
    Kind("10de", "1ad9", "0c8000", "", (1 << 12,), (("reset_method", "bus\n"),)),
)  # fmt: skip
PF = Kind(
    "15b3", "1021", "020000", "mlx5_core", (1 << 25,),
    (("reset_method", "flr bus\n"), ("sriov_totalvfs", "16\n"), ("sriov_numvfs", "8\n")),
)  # fmt: skip
VF = Kind("15b3", "101e", "020000", "mlx5_core", (1 << 21,), (("reset_method", "flr\n"),))
NVME = Kind("144d", "a80a", "010802", "nvme", (1 << 14,), (("reset_method", "flr bus\n"),))

Placed = tuple[str, tuple[str, ...], Kind, int]


def functions(count: int) -> Iterator[Placed]:
    """`count` functions: address, the path of names to it, its kind, its IOMMU group."""
    group = 0
    for placed in itertools.islice(_endless(), count):
        group += int(placed[0].endswith(".0"))
        yield (*placed, group)


def _endless() -> Iterator[tuple[str, tuple[str, ...], Kind]]:
    domain = 0
    while True:
        host = f"pci{domain:04x}:00"
        top = f"{domain:04x}:00:00.0"
        yield top, (host, top), HOST_BRIDGE
        for unit in range(8):
            for port, members in enumerate((_gpu, _network, _disk)):
                bus = 1 + unit * 3 + port
                above = f"{domain:04x}:00:{bus:02x}.0"
                yield above, (host, above), PORT
                for address, kind in members(f"{domain:04x}:{bus:02x}"):
                    yield address, (host, above, address), kind
        domain += 1


def _gpu(bus: str) -> Iterator[tuple[str, Kind]]:
    for number, kind in enumerate(GPU):
        yield f"{bus}:00.{number}", kind


def _network(bus: str) -> Iterator[tuple[str, Kind]]:
    for number in range(2):
        yield f"{bus}:00.{number}", PF
    for number in range(16):
        yield f"{bus}:{(number + 2) // 8:02x}.{(number + 2) % 8}", VF


def _disk(bus: str) -> Iterator[tuple[str, Kind]]:
    yield f"{bus}:00.0", NVME


def grow(root: Path, count: int) -> Path:
    """Make a host of `count` functions below `root`, and return it."""
    for folder in ("sys/bus/pci/devices", "sys/bus/pci/drivers", "sys/bus/pci/slots",
                   "sys/class/iommu/dmar0", "sys/kernel/iommu_groups"):  # fmt: skip
        (root / folder).mkdir(parents=True)
    for number, (address, steps, kind, group) in enumerate(functions(count)):
        _function(root, number, address, steps, kind, group)
    _rest(root)
    return root


def _function(
    root: Path, number: int, address: str, steps: tuple[str, ...], kind: Kind, group: int
) -> None:
    below = "/".join(("devices", *steps))
    folder = root / "sys" / below
    (folder / "power").mkdir(parents=True)
    files = {
        **_COMMON,
        "vendor": f"0x{kind.vendor}\n",
        "device": f"0x{kind.device}\n",
        "class": f"0x{kind.class_code}\n",
        "subsystem_vendor": f"0x{kind.vendor}\n",
        "revision": "0xa1\n",
        "numa_node": f"{int(address[:4], 16) % 2}\n",
        "modalias": _modalias(kind) + "\n",
        "uevent": _uevent(address, kind),
        "resource": _resource(number, kind),
        "power/runtime_status": "active\n" if kind.driver else "unsupported\n",
        **(_LINKED if kind is not HOST_BRIDGE else {}),
        **dict(kind.extra),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "config").write_bytes(_config(kind))
    up = "../" * (len(steps) + 1)
    (folder / "subsystem").symlink_to(f"{up}bus/pci")
    (root / "sys/bus/pci/devices" / address).symlink_to(f"../../../{below}")
    if kind.driver:
        (root / "sys/bus/pci/drivers" / kind.driver).mkdir(exist_ok=True)
        module = root / "sys/bus/pci/drivers" / kind.driver / "module"
        if kind.driver != "pcieport" and not module.is_symlink():
            module.symlink_to(f"../../../../module/{kind.driver}")
        (folder / "driver").symlink_to(f"{up}bus/pci/drivers/{kind.driver}")
    devices = root / f"sys/kernel/iommu_groups/{group}/devices"
    devices.mkdir(parents=True, exist_ok=True)
    (devices / address).symlink_to(f"../../../../{below}")
    (folder / "iommu_group").symlink_to(f"{up}kernel/iommu_groups/{group}")
    if kind is VF:
        (folder / "physfn").symlink_to(f"../{address[:7]}:00.0")


def _modalias(kind: Kind) -> str:
    vendor, device, code = (each.upper() for each in (kind.vendor, kind.device, kind.class_code))
    subsystem = f"sv0000{vendor}sd00001463"
    return f"pci:v0000{vendor}d0000{device}{subsystem}bc{code[:2]}sc{code[2:4]}i{code[4:]}"


def _uevent(address: str, kind: Kind) -> str:
    driver = f"DRIVER={kind.driver}\n" if kind.driver else ""
    return (
        f"{driver}PCI_CLASS={int(kind.class_code, 16):X}\n"
        f"PCI_ID={kind.vendor.upper()}:{kind.device.upper()}\n"
        f"PCI_SUBSYS_ID={kind.vendor.upper()}:1463\nPCI_SLOT_NAME={address}\n"
        f"MODALIAS={_modalias(kind)}\n"
    )


def _resource(number: int, kind: Kind) -> str:
    lines = []
    for bar in range(13):
        size = kind.bars[bar] if bar < len(kind.bars) else 0
        start = (number * 8 + bar + 1) << 38 if size else 0
        flags = 0x14220C if size else 0
        lines.append(f"0x{start:016x} 0x{start + size - bool(size):016x} 0x{flags:016x}\n")
    return "".join(lines)


def _config(kind: Kind) -> bytes:
    """The first 64 bytes of configuration space, for lspci alone."""
    data = bytearray(64)
    data[0:2] = int(kind.vendor, 16).to_bytes(2, "little")
    data[2:4] = int(kind.device, 16).to_bytes(2, "little")
    data[8] = 0xA1
    data[9:12] = int(kind.class_code, 16).to_bytes(3, "little")
    data[14] = int(kind is PORT)
    data[44:46] = int(kind.vendor, 16).to_bytes(2, "little")
    data[46:48] = (0x1463).to_bytes(2, "little")
    return bytes(data)


def _rest(root: Path) -> None:
    """What else a host has and inspect reads: command line, memory, processors, module tables."""
    cpus = "".join(
        f"processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel name\t: Bench CPU\n"
        f"physical id\t: {number // 32}\ncore id\t\t: {number % 32}\n"
        f"flags\t\t: {' '.join(f'flag{each}' for each in range(120))} vmx\n"
        "address sizes\t: 46 bits physical, 57 bits virtual\n\n"
        for number in range(64)
    )
    # As many lines as depmod writes for a distribution's kernel, and about as many of each vendor:
    # 13,000 for PCI, of which Intel has 1,500 and those who sell servers' other cards a few dozen.
    few = ("10DE", "15B3", "144D", "1002", "1AF4")
    pci = [("8086", 0x10000 - each) for each in range(1500)]
    pci += [(few[each % 5], each) for each in range(150)]
    pci += [(f"{0x9000 + each % 400:04X}", each) for each in range(11350)]
    aliases = "# Aliases extracted from modules themselves.\n" + "".join(
        [
            f"alias pci:v0000{vendor}d0000{device:04X}sv*sd*bc*sc*i* module_{device % 900}\n"
            for vendor, device in pci
        ]
        + [
            f"alias usb:v{each:04X}p0001d*dc*dsc*dp*ic*isc*ip*in* usb_{each}\n"
            for each in range(15000)
        ]
    )
    files = {
        "proc/cmdline": "root=/dev/vda1 ro intel_iommu=on\n",
        "proc/cpuinfo": cpus,
        "proc/meminfo": "MemTotal:       1056309000 kB\n",
        "proc/sys/kernel/osrelease": f"{RELEASE}\n",
        "sys/firmware/acpi/tables/DMAR": "",
        f"lib/modules/{RELEASE}/modules.alias": aliases
        + "alias pci:v000010DEd*sv*sd*bc03sc02i00* nouveau\n"
        "alias pci:v000015B3d00001021sv*sd*bc*sc*i* mlx5_core\n"
        "alias pci:v*d*sv*sd*bc01sc08i02* nvme\nalias pci:v*d*sv*sd*bc0Csc03i30* xhci_pci\n",
        f"lib/modules/{RELEASE}/modules.builtin": "kernel/drivers/pci/pcie/pcieport.ko\n" * 250,
        f"lib/modules/{RELEASE}/modules.dep": "".join(
            f"kernel/drivers/m{number}.ko.xz: kernel/lib/core.ko.xz\n" for number in range(4000)
        )
        + "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

"""Hosts of many devices as records: a board of eight GPUs behind switches, and eight AMD cards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from support import hosts
from wholecard.host.facts.host import Cpu, Host, Iommu, KernelUse, Memory
from wholecard.pci import Address, Function

NVIDIA = {"vendor_name": "NVIDIA Corporation"}
H100 = {**NVIDIA, "device_name": "GH100 [H100 SXM5 80GB]", "class_name": "3D controller"}
SWITCH3 = {**NVIDIA, "device_name": "GH100 [H100 NVSwitch]", "class_name": "Bridge"}
PLX = {"vendor_name": "Broadcom / LSI", "device_name": "PEX890xx PCIe Gen 5 Switch"}
CX7 = {
    "vendor_name": "Mellanox Technologies",
    "device_name": "MT2910 Family [ConnectX-7]",
    "class_name": "Infiniband controller",
}
E810 = {
    "vendor_name": "Intel Corporation",
    "class_name": "Ethernet controller",
    "device_name": "Ethernet Controller E810-C for QSFP",
}
PM1743 = {
    "vendor_name": "Samsung Electronics Co Ltd",
    "device_name": "NVMe SSD PM1743",
    "class_name": "Non-Volatile memory controller",
}
AST = {
    "vendor_name": "ASPEED Technology, Inc.",
    "device_name": "ASPEED Graphics Family",
    "class_name": "VGA compatible controller",
}
MI300X = {
    "vendor_name": "Advanced Micro Devices, Inc. [AMD/ATI]",
    "device_name": "Aqua Vanjaram [Instinct MI300X]",
    "class_name": "Processing accelerators",
}


def _link(width: int, speed: float = 32.0, most: float = 32.0) -> dict[str, Any]:
    return {
        "link_speed": speed,
        "link_width": width,
        "link_speed_max": most,
        "link_width_max": width,
    }


def _port(address: str, node: int, above: tuple[str, ...] = (), **more: Any) -> Function:
    parents = tuple(map(Address.parse, above))
    return hosts.function(
        address,
        "8086:352a",
        "060400",
        driver="pcieport",
        numa_node=node,
        parents=parents,
        **{**_link(16), **more},
    )


def hgx(slow: str = "", driver: str = "nvidia") -> Host:
    """Two sockets, four switches with two H100 and two network cards each, four NVSwitches.

    The link of the GPU at `slow` has eight lanes; `driver` is what the GPUs have.
    """
    functions: list[Function] = []
    for number, bus in enumerate((0x15, 0x45, 0x95, 0xC5)):
        functions += _behind_switch(bus, number // 2, driver)
    functions += _nvswitches(0x75, 0)
    functions += [
        *_on_port(
            "0000:00:1c.0", "0000:02:00.0", 0, "1a03:2000", "030000", "ast", AST, boot_vga=True
        ),
        *_on_port(
            "0000:00:1d.0", "0000:03:00.0", 0, "144d:a826", "010802", "nvme", PM1743, **_link(4)
        ),
        *_on_port(
            "0000:85:01.0",
            "0000:86:00.0",
            1,
            "8086:1592",
            "020000",
            "ice",
            E810,
            **_link(16, 16.0, 16.0),
        ),
        hosts.function(
            "0000:86:00.1",
            "8086:1592",
            "020000",
            driver="ice",
            numa_node=1,
            parents=(Address.parse("0000:85:01.0"),),
            **E810,
        ),
        hosts.function(
            "0000:00:14.0",
            "8086:1bcd",
            "0c0330",
            driver="xhci_hcd",
            numa_node=0,
            class_name="USB controller",
        ),
        hosts.function("0000:00:1f.0", "8086:1b81", "060100", numa_node=0, class_name="ISA bridge"),
        *(
            hosts.function(
                f"0000:{bus}:00.{n}",
                "8086:09a2",
                "088000",
                numa_node=int(bus == "80"),
                class_name="System peripheral",
            )
            for bus in ("00", "80")
            for n in (0, 1, 2)
        ),
        _port("0000:00:1b.0", 0),
        _port("0000:85:03.0", 1),
    ]
    grouped = []
    for number, each in enumerate(sorted(functions, key=lambda f: f.address)):
        lanes = 8 if str(each.address) == slow else each.link_width
        grouped.append(dataclasses.replace(each, iommu_group=number, link_width=lanes))
    return hosts.host(
        *grouped,
        cpu=Cpu(
            "GenuineIntel",
            "Intel(R) Xeon(R) Platinum 8480+",
            2,
            112,
            224,
            46,
            "vmx",
            ((0, "0-55,112-167"), (1, "56-111,168-223")),
            architecture="x86",
        ),
        memory=Memory(2 << 40, ((0, 1 << 40), (1, 1 << 40))),
        uses=(
            KernelUse("0000:03:00.0", "disk", "/dev/nvme0n1p2 at /"),
            KernelUse("0000:86:00.0", "default-route", "ens1f0"),
        ),
    )


def _behind_switch(bus: int, node: int, driver: str) -> Iterator[Function]:
    root, up = f"0000:{bus:02x}:01.0", f"0000:{bus + 1:02x}:00.0"
    yield _port(root, node)
    yield hosts.function(
        up,
        "1000:c030",
        "060400",
        driver="pcieport",
        numa_node=node,
        parents=(Address.parse(root),),
        **_link(16),
        **PLX,
    )
    below: list[tuple[str, str, str, dict[str, str], dict[str, Any]]] = [
        ("15b3:1021", "020700", "mlx5_core", CX7, _link(16)),
        ("10de:2330", "030200", driver, H100, _link(16)),
        ("15b3:1021", "020700", "mlx5_core", CX7, _link(16)),
        ("10de:2330", "030200", driver, H100, _link(16)),
        ("144d:a826", "010802", "nvme", PM1743, _link(4)),
    ]
    for number, (ids, code, name, words, link) in enumerate(below):
        down = f"0000:{bus + 2:02x}:{number:02x}.0"
        yield _port(down, node, (root, up))
        parents = tuple(map(Address.parse, (root, up, down)))
        yield hosts.function(
            f"0000:{bus + 3 + number:02x}:00.0",
            ids,
            code,
            driver=name,
            numa_node=node,
            parents=parents,
            **words,
            **link,
        )
    # A port of the switch that has nothing.
    yield _port(f"0000:{bus + 2:02x}:10.0", node, (root, up))


def _nvswitches(bus: int, node: int) -> Iterator[Function]:
    root, up = f"0000:{bus:02x}:01.0", f"0000:{bus + 1:02x}:00.0"
    yield _port(root, node)
    yield hosts.function(
        up,
        "1000:c030",
        "060400",
        driver="pcieport",
        numa_node=node,
        parents=(Address.parse(root),),
        **_link(16),
        **PLX,
    )
    for number in range(4):
        down = f"0000:{bus + 2:02x}:{number:02x}.0"
        yield _port(down, node, (root, up))
        parents = tuple(map(Address.parse, (root, up, down)))
        yield hosts.function(
            f"0000:{bus + 3 + number:02x}:00.0",
            "10de:22a3",
            "068000",
            driver="nvidia-nvswitch",
            numa_node=node,
            parents=parents,
            **SWITCH3,
            **_link(2, 16.0, 16.0),
        )


def _on_port(
    port: str,
    address: str,
    node: int,
    ids: str,
    code: str,
    driver: str,
    words: dict[str, str],
    **more: Any,
) -> Iterator[Function]:
    yield _port(port, node)
    yield hosts.function(
        address,
        ids,
        code,
        driver=driver,
        numa_node=node,
        parents=(Address.parse(port),),
        **words,
        **more,
    )


def eight_mi300x() -> Host:
    """Two EPYC with four NUMA nodes each, an MI300X at each, of which the first has eight VFs."""
    functions: list[Function] = []
    for number in range(8):
        port, bus = f"0000:{number * 0x20:02x}:01.1", number * 0x20 + 1
        address = f"0000:{bus:02x}:00.0"
        vfs = 8 if number == 0 else 0
        functions += _on_port(
            port,
            address,
            number,
            "1002:74a1",
            "120000",
            "gim" if vfs else "amdgpu",
            MI300X,
            sriov_total=8,
            sriov_vfs=vfs,
            **_link(16),
        )
        for vf in range(vfs):
            functions.append(
                hosts.function(
                    f"0000:{bus:02x}:02.{vf}",
                    "1002:74b5",
                    "120000",
                    driver="vfio-pci",
                    numa_node=number,
                    physfn=address,
                    parents=(Address.parse(port),),
                    **MI300X,
                )
            )
    grouped = [
        dataclasses.replace(each, iommu_group=number)
        for number, each in enumerate(sorted(functions, key=lambda f: f.address))
    ]
    cpus = tuple((node, f"{node * 24}-{node * 24 + 23}") for node in range(8))
    return hosts.host(
        *grouped,
        iommu=Iommu("amd-vi", on=True, interrupt_remapping=True),
        cpu=Cpu(
            "AuthenticAMD",
            "AMD EPYC 9654 96-Core Processor",
            2,
            192,
            192,
            52,
            "svm",
            cpus,
            architecture="x86",
        ),
        memory=Memory(3 << 40, tuple((node, 384 << 30) for node in range(8))),
    )

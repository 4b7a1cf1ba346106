"""A host of production as a tree: an H100 and its port, VFs, a disk and a link in use."""

from __future__ import annotations

from support.tree import Leaf

RELEASE = "6.12.1-amd64"
GPU = "0000:41:00.0"
AUDIO = "0000:41:00.1"
PF = "0000:61:00.0"
VF = "0000:61:00.2"
DISK = "0000:81:00.0"

_H100 = "devices/pci0000:40/0000:40:01.1"
_NIC = "devices/pci0000:60/0000:60:03.1"
_NVME = "devices/pci0000:80/0000:80:01.3"


def uevent(address: str, ids: str, subsystem: str, class_code: str, driver: str = "") -> str:
    """`uevent` as linux writes it: drivers/pci/pci-driver.c, pci_uevent."""
    vendor, device = ids.upper().split(":")
    head = f"DRIVER={driver}\n" if driver else ""
    return (
        f"{head}PCI_CLASS={int(class_code, 16):X}\nPCI_ID={vendor}:{device}\n"
        f"PCI_SUBSYS_ID={subsystem.upper()}\nPCI_SLOT_NAME={address}\n"
        f"MODALIAS=pci:v0000{vendor}d0000{device}sv0000{subsystem[:4].upper()}"
        f"sd0000{subsystem[5:].upper()}bc{class_code[:2].upper()}sc{class_code[2:4].upper()}"
        f"i{class_code[4:].upper()}\n"
    )


def function(
    place: str, address: str, ids: str, class_code: str, driver: str = "", **files: str
) -> dict[str, Leaf]:
    """One function below `place`, with `files` (`power__runtime_status` for `power/…`)."""
    here = f"{place}/{address}"
    up = "../" * (here.count("/") + 1)
    tree: dict[str, Leaf] = {
        f"sys/bus/pci/devices/{address}": f"-> ../../../{here}",
        f"sys/{here}/uevent": uevent(address, ids, "10de:16c1", class_code, driver),
        f"sys/{here}/revision": "0xa1\n",
        f"sys/{here}/numa_node": "1\n",
        f"sys/{here}/config": "never read",
    }
    if driver:
        tree[f"sys/{here}/driver"] = f"-> {up}bus/pci/drivers/{driver}"
        tree[f"sys/bus/pci/drivers/{driver}/module"] = f"-> ../../../../module/{driver}"
    for name, text in files.items():
        tree[f"sys/{here}/{name.replace('__', '/')}"] = text
    return tree


def link(speed: str = "16.0", width: int = 16) -> dict[str, str]:
    """The attributes of a link that could do 32 GT/s on 16 lanes."""
    return {
        "current_link_speed": f"{speed} GT/s PCIe\n",
        "current_link_width": f"{width}\n",
        "max_link_speed": "32.0 GT/s PCIe\n",
        "max_link_width": "16\n",
    }


def vpd(serial: bytes) -> bytes:
    """Vital product data: a name, then the read-only keywords with the serial number."""
    keywords = b"PN\x04ABCD" + b"SN" + bytes([len(serial)]) + serial
    name = b"\x82\x05\x00board"
    return name + b"\x90" + len(keywords).to_bytes(2, "little") + keywords + b"\x78"


def production() -> dict[str, Leaf]:
    """The host, with its IOMMU on."""
    bars = (
        "0x00000000d0000000 0x00000000d0ffffff 0x0000000000040200\n"
        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
        "0x0000004000000000 0x0000005fffffffff 0x000000000014220c\n"
    )
    gpu = {**link(), "resource": bars, "reset_method": "flr bus\n", "boot_vga": "0\n",
           "power__runtime_status": "active\n", "sriov_totalvfs": "16\n",
           "sriov_numvfs": "0\n"}  # fmt: skip
    pf = {**link(width=8), "sriov_totalvfs": "8\n", "sriov_numvfs": "1\n"}
    tree: dict[str, Leaf] = {
        **function("devices/pci0000:40", "0000:40:01.1", "1022:14ab", "060400", "pcieport",
                   **link()),
        **function(_H100, GPU, "10de:2330", "030200", "nvidia", **gpu),
        **function(_H100, AUDIO, "10de:22ba", "040300", "snd_hda_intel",
                   power__runtime_status="suspended\n", **link("2.5")),
        **function(_NIC, PF, "15b3:1021", "020000", "mlx5_core", **pf),
        **function(_NIC, VF, "15b3:101e", "020000", "mlx5_core"),
        **function(_NVME, DISK, "144d:a80a", "010802", "nvme"),
    }  # fmt: skip
    tree[f"sys/{_H100}/{GPU}/vpd"] = vpd(b"1654922000123")
    tree[f"sys/{_H100}/{AUDIO}/vpd"] = vpd(b"asleep")
    tree[f"sys/{_NIC}/{VF}/physfn"] = f"-> ../{PF}"
    numbers = {"0000:40:01.1": 20, GPU: 21, AUDIO: 21, PF: 22, VF: 23, DISK: 24}
    for address, number in numbers.items():
        where = str(tree[f"sys/bus/pci/devices/{address}"]).removeprefix("-> ../../../")
        up = "../" * (where.count("/") + 1)
        tree[f"sys/{where}/iommu_group"] = f"-> {up}kernel/iommu_groups/{number}"
        tree[f"sys/kernel/iommu_groups/{number}/devices/{address}"] = f"-> ../../../../{where}"
    return {**tree, **_system(), **_disk(), **_network()}


def _disk() -> dict[str, Leaf]:
    """An LVM volume on a partition of an NVMe disk that the kernel's multipath has."""
    disk = "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
    mapped = "sys/devices/virtual/block/dm-0"
    return {
        "sys/class/block/nvme0n1": f"-> ../../{disk[4:]}",
        "sys/class/block/nvme0n1p2": f"-> ../../{disk[4:]}/nvme0n1p2",
        "sys/class/block/dm-0": f"-> ../../{mapped[4:]}",
        f"{disk}/dev": "259:0\n",
        f"{disk}/nvme0n1p2/dev": "259:2\n",
        f"{mapped}/dev": "253:0\n",
        f"{mapped}/dm/name": "vg-root\n",
        f"{mapped}/slaves/nvme0n1p2": "-> ../../../nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p2",
        "sys/class/nvme-subsystem/nvme-subsys0": "-> "
        "../../devices/virtual/nvme-subsystem/nvme-subsys0",
        "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0": f"-> ../../../../{_NVME[8:]}"
        f"/{DISK}/nvme/nvme0",
        "proc/self/mountinfo": "22 1 253:0 / / rw,relatime shared:1 - ext4 "
        "/dev/mapper/vg-root rw\n"
        "23 22 0:21 / /proc rw - proc proc rw\n",
        "proc/swaps": "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    }


def _network() -> dict[str, Leaf]:
    """A bond over the PF's link, a VLAN on the bond, the default route by the VLAN."""
    port = f"{_NIC}/{PF}/net/eth0"
    return {
        "sys/class/net/eth0": f"-> ../../{port}",
        f"sys/{port}/operstate": "up\n",
        f"sys/{port}/flags": "0x1803\n",
        f"sys/{port}/device": "-> ../..",
        f"sys/{port}/master": "-> ../../../../../virtual/net/bond0",
        "sys/class/net/bond0": "-> ../../devices/virtual/net/bond0",
        "sys/devices/virtual/net/bond0/operstate": "up\n",
        "sys/devices/virtual/net/bond0/lower_eth0": f"-> ../../../../{port}",
        "sys/class/net/bond0.7": "-> ../../devices/virtual/net/bond0.7",
        "sys/devices/virtual/net/bond0.7/operstate": "up\n",
        "sys/devices/virtual/net/bond0.7/lower_bond0": "-> ../bond0",
        "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "bond0.7\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
    }


def _system() -> dict[str, Leaf]:
    processor = (
        "processor\t: {0}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9354\n"
        "physical id\t: {1}\ncore id\t\t: {2}\nflags\t\t: fpu svm\n"
        "address sizes\t: 52 bits physical, 57 bits virtual\n\n"
    )
    node = "sys/devices/system/node/node{0}"
    tree: dict[str, Leaf] = {
        "proc/cpuinfo": "".join(processor.format(n, n // 4, n % 2) for n in range(8)),
        "proc/meminfo": "MemTotal:        2113620992 kB\nMemFree: 1 kB\n",
        "proc/cmdline": "root=/dev/vg/root ro amd_iommu=on rd.iscsi.password=hunter2\n",
        "proc/sys/kernel/osrelease": f"{RELEASE}\n",
        "proc/sys/kernel/random/boot_id": "boot-one\n",
        "proc/iomem": "00000000-00000000 : PCI Bus 0000:00\n",
        "sys/firmware/acpi/tables/IVRS": "",
        "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": (
            b"\x06\x00\x00\x00\x01"
        ),
        "sys/class/iommu/ivhd0/": "",
        "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "960\n",
        "sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages": "959\n",
        "sys/devices/system/cpu/isolated": "2-7\n",
        "etc/os-release": '-> ../usr/lib/os-release',
        "usr/lib/os-release": 'ID="rocky"\nVERSION_ID="9.5"\nID_LIKE="rhel centos fedora"\n',
        "usr/lib/systemd/system/virtqemud.service": "[Service]\nLimitMEMLOCK=64M\n",
        f"lib/modules/{RELEASE}/modules.builtin": "kernel/drivers/vfio/vfio.ko\n",
        f"lib/modules/{RELEASE}/modules.dep": "kernel/drivers/vfio/pci/vfio-pci.ko.xz: x\n"
        "kernel/drivers/vfio/vfio_iommu_type1.ko.xz:\n",
        f"lib/modules/{RELEASE}/modules.alias": "# Aliases\n"
        "alias pci:v000010DEd*sv*sd*bc03sc02i00* nouveau\n",
        "usr/share/misc/pci.ids": (
            "# names\n10de  NVIDIA Corporation\n\t22ba  Audio\n\t2330  GH100 [H100 SXM5 80GB]\n"
            "\t\t10de 16c1  H100 SXM5\n15b3  Mellanox Technologies\n\t1021  ConnectX-7\n"
            "C 03  Display controller\n\t00  VGA\n\t02  3D controller\n"
            "C 04  Multimedia controller\n\t03  Audio device\n"
        ),
        "dev/kmsg": "6,0,0,-;Linux version 6.12 password=x\n"
        "6,1,9,-;AMD-Vi: Interrupt remapping enabled\n",
    }  # fmt: skip
    for number in range(2):
        tree[f"{node.format(number)}/cpulist"] = f"{number * 4}-{number * 4 + 3}\n"
        tree[f"{node.format(number)}/meminfo"] = f"Node {number} MemTotal: 1056810496 kB\n"
        pool = f"{node.format(number)}/hugepages/hugepages-1048576kB"
        tree[f"{pool}/nr_hugepages"] = "480\n"
        tree[f"{pool}/free_hugepages"] = "480\n"
    return tree

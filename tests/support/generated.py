"""Generated hosts, as trees: bridges, groups of every shape, cards, PFs with VFs, garbled bits."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from support.nodes import RELEASE
from support.tree import Leaf

DISPLAYS = ("030000", "030200", "038000", "120000")
OTHERS = ("040300", "0c0330", "020000", "010802", "010601", "0c8000", "088000", "060000")
DRIVERS = {
    "030000": "nouveau", "030200": "nvidia", "038000": "amdgpu", "120000": "habanalabs",
    "040300": "snd_hda_intel", "0c0330": "xhci_hcd", "020000": "ixgbe", "010802": "nvme",
    "010601": "ahci", "0c8000": "i2c_nvidia_gpu", "088000": "", "060000": "",
}  # fmt: skip
GARBAGE = (b"", b"\n", b"0x\n", b"0xzzzz\n", b"\xff\xfe\x00", b"-1\n", b"9" * 4000, b"0x10de 0x1\n",
           b"(null)\n", "٣٤\n".encode())  # fmt: skip
GARBLED = ("vendor", "device", "class", "uevent", "resource", "numa_node", "modalias", "revision",
           "driver_override", "boot_vga", "reset_method", "max_link_speed",
           "current_link_width", "sriov_totalvfs", "subsystem_vendor")  # fmt: skip


@dataclass
class Made:
    """One function to be made: where it hangs (bridges above, root first), what it is."""

    address: str
    above: tuple[str, ...]
    class_code: str
    ids: tuple[str, str]
    driver: str
    physfn: str = ""
    vfs: int = 0
    extra: dict[str, bytes] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


@dataclass
class MadeHost:
    """A host to be made: its functions, its groups by number, and what it lives from."""

    functions: list[Made]
    groups: dict[int, list[str]]
    disk: str = ""
    link: str = ""
    firmware: str = "DMAR"

    @property
    def bridges(self) -> set[str]:
        """The addresses of PCI-to-PCI bridges whose class can be read."""
        return {each.address for each in self.functions if each.class_code.startswith("0604")}


@st.composite
def made_hosts(draw: st.DrawFn) -> MadeHost:
    """A host with up to six root ports; what hangs on each is one of the shapes seen in servers."""
    functions: list[Made] = []
    domains = draw(st.sampled_from([("0000",), ("0000", "0001"), ("0000", "10000")]))
    bus = 1
    for domain in domains:
        for port in range(draw(st.integers(1, 4))):
            above = f"{domain}:00:{port + 1:02x}.0"
            functions.append(_bridge(above, ()))
            bus = _hang(draw, functions, domain, bus, (above,))
    functions.append(_endpoint(draw, "0000:00:1f.2", (), "010601"))
    for made in functions:
        _spoil(draw, made)
    return MadeHost(
        functions,
        _groups(draw, functions) if draw(st.booleans()) else {},
        disk=_one_of(draw, functions, ("0108", "0106")),
        link=_one_of(draw, functions, ("0200",)),
        firmware=draw(st.sampled_from(["DMAR", "IVRS", ""])),
    )


def _hang(
    draw: st.DrawFn, functions: list[Made], domain: str, bus: int, above: tuple[str, ...]
) -> int:
    """What is behind a port on bus `bus`; returns the next free bus."""
    shape = draw(st.sampled_from(["slot", "slot", "conventional", "pf", "switch", "nothing"]))
    if shape == "slot":
        _slot(draw, functions, f"{domain}:{bus:02x}:00", above)
    elif shape == "conventional":
        bridge = f"{domain}:{bus:02x}:00.0"
        functions.append(_bridge(bridge, above))
        bus += 1
        for device in range(1, draw(st.integers(1, 3)) + 1):
            _slot(draw, functions, f"{domain}:{bus:02x}:{device:02x}", (*above, bridge))
    elif shape == "pf":
        pf = f"{domain}:{bus:02x}:00.0"
        class_code = draw(st.sampled_from(["020000", "030200", "120000"]))
        vfs = draw(st.integers(0, 4))
        functions.append(_endpoint(draw, pf, above, class_code))
        functions[-1].vfs = vfs
        for number in range(1, vfs + 1):
            address = f"{domain}:{bus:02x}:{number // 8:02x}.{number % 8}"
            functions.append(_endpoint(draw, address, above, class_code))
            functions[-1].physfn = pf
    elif shape == "switch" and len(above) < 3:
        for port in range(draw(st.integers(1, 2))):
            bridge = f"{domain}:{bus:02x}:{port:02x}.0"
            functions.append(_bridge(bridge, above))
            bus = _hang(draw, functions, domain, bus + 1, (*above, bridge))
    return bus + 1


def _slot(draw: st.DrawFn, functions: list[Made], slot: str, above: tuple[str, ...]) -> None:
    first = draw(st.sampled_from([*DISPLAYS, *OTHERS]))
    rest = draw(st.lists(st.sampled_from([*OTHERS, *DISPLAYS]), max_size=3))
    for number, class_code in enumerate([first, *rest]):
        functions.append(_endpoint(draw, f"{slot}.{number}", above, class_code))
    if draw(st.integers(0, 5)) == 0:
        # A bridge among the functions of a slot, as in chipsets and on cards with a switch.
        functions.append(_bridge(f"{slot}.{len(rest) + 1}", above))


def _bridge(address: str, above: tuple[str, ...]) -> Made:
    return Made(address, above, "060400", ("8086", "2f04"), "pcieport")


def _endpoint(draw: st.DrawFn, address: str, above: tuple[str, ...], class_code: str) -> Made:
    ids = draw(st.sampled_from([("10de", "1eb8"), ("10de", "10f8"), ("1002", "740f"),
                                ("8086", "0bd5"), ("1a03", "2000"), ("ffff", "ffff")]))  # fmt: skip
    driver = draw(st.sampled_from(["", DRIVERS[class_code], DRIVERS[class_code], "vfio-pci"]))
    made = Made(address, above, class_code, ids, driver)
    if class_code.startswith("03"):
        made.extra["boot_vga"] = draw(st.sampled_from([b"0\n", b"0\n", b"1\n"]))
    made.extra["reset_method"] = draw(st.sampled_from([b"flr bus\n", b"bus\n", b"\n"]))
    return made


def _spoil(draw: st.DrawFn, made: Made) -> None:
    """One function in eight has attributes that are missing or garbled."""
    if draw(st.integers(0, 7)):
        return
    made.missing = frozenset(draw(st.sets(st.sampled_from(GARBLED), max_size=4)))
    for name in draw(st.sets(st.sampled_from(GARBLED), max_size=3)):
        made.extra[name] = draw(st.sampled_from(GARBAGE))


def _groups(draw: st.DrawFn, functions: list[Made]) -> dict[int, list[str]]:
    """Groups by slot; now and then two are one, or a slot's functions are apart."""
    keys: dict[str, int] = {}
    groups: dict[int, list[str]] = {}
    for made in functions:
        apart = made.physfn or draw(st.integers(0, 9)) == 0
        key = made.address if apart else made.address.rpartition(".")[0]
        if key not in keys:
            join = bool(groups) and draw(st.integers(0, 5)) == 0
            keys[key] = draw(st.sampled_from(sorted(groups))) if join else len(groups)
        groups.setdefault(keys[key], []).append(made.address)
    return groups


def _one_of(draw: st.DrawFn, functions: list[Made], classes: tuple[str, ...]) -> str:
    having = [each.address for each in functions if each.class_code[:4] in classes]
    return draw(st.sampled_from(["", *having]))


def tree_of(host: MadeHost, base: dict[str, Leaf]) -> dict[str, Leaf]:
    """The host as sysfs, procfs and `base` (its files besides) show it."""
    tree = dict(base)
    for table in ("DMAR", "IVRS"):
        tree.pop(f"sys/firmware/acpi/tables/{table}", None)
    if host.firmware:
        tree[f"sys/firmware/acpi/tables/{host.firmware}"] = ""
    if host.groups:
        tree["sys/class/iommu/dmar0/"] = ""
    places = {each.address: _place(each) for each in host.functions}
    for made in host.functions:
        tree |= _function(made, places)
    for number, addresses in host.groups.items():
        for address in addresses:
            place = places[address]
            up = "../" * (place.count("/"))
            tree[f"{place}/iommu_group"] = f"-> {up}kernel/iommu_groups/{number}"
            tree[f"sys/kernel/iommu_groups/{number}/devices/{address}"] = (
                f"-> ../../../../{place.removeprefix('sys/')}"
            )
    return tree | _living(host, places)


def _place(made: Made) -> str:
    domain = made.address.partition(":")[0]
    return "/".join((f"sys/devices/pci{domain}:00", *made.above, made.address))


def _function(made: Made, places: dict[str, str]) -> dict[str, Leaf]:
    place = places[made.address]
    vendor, device = made.ids
    modalias = (
        f"pci:v0000{vendor.upper()}d0000{device.upper()}sv000010DEsd00000001"
        f"bc{made.class_code[:2]}sc{made.class_code[2:4]}i{made.class_code[4:]}"
    )
    driver = f"DRIVER={made.driver}\n" if made.driver else ""
    files: dict[str, bytes] = {
        "vendor": f"0x{vendor}\n".encode(),
        "device": f"0x{device}\n".encode(),
        "class": f"0x{made.class_code}\n".encode(),
        "revision": b"0xa1\n",
        "driver_override": b"(null)\n",
        "modalias": f"{modalias}\n".encode(),
        "uevent": (
            f"{driver}PCI_CLASS={made.class_code.lstrip('0')}\nPCI_ID={vendor}:{device}\n"
            f"PCI_SUBSYS_ID=10DE:0001\nPCI_SLOT_NAME={made.address}\nMODALIAS={modalias}\n"
        ).encode(),
        "resource": (
            b"0x00000000de000000 0x00000000deffffff 0x0000000000040200\n"
            b"0x0000383fe0000000 0x0000383fefffffff 0x000000000014220c\n" + (b"0x0 0x0 0x0\n" * 4)
        ),
        "numa_node": b"0\n",
    }
    if made.vfs:
        files |= {"sriov_totalvfs": b"16\n", "sriov_numvfs": f"{made.vfs}\n".encode()}
    files |= made.extra
    tree: dict[str, Leaf] = {
        f"{place}/{name}": data for name, data in files.items() if name not in made.missing
    }
    tree[f"sys/bus/pci/devices/{made.address}"] = f"-> ../../../{place.removeprefix('sys/')}"
    up = "../" * place.count("/")
    if made.driver:
        tree[f"{place}/driver"] = f"-> {up}bus/pci/drivers/{made.driver}"
        tree[f"sys/bus/pci/drivers/{made.driver}/"] = ""
    if made.physfn:
        tree[f"{place}/physfn"] = f"-> ../{made.physfn}"
    return tree


def _living(host: MadeHost, places: dict[str, str]) -> dict[str, Leaf]:
    """The disk that `/` is on and the link with the default route, below their functions."""
    tree: dict[str, Leaf] = {
        "proc/self/mountinfo": "22 1 0:21 / /proc rw - proc proc rw\n",
        "proc/net/route": "Iface\tDestination\tGateway\tFlags\n",
    }
    if host.disk:
        block = f"{places[host.disk]}/ata1/host0/block/sda"
        tree[f"{block}/dev"] = "8:0\n"
        tree[f"{block}/sda1/dev"] = "8:1\n"
        tree[f"{block}/sda1/partition"] = "1\n"
        tree["sys/dev/block/8:0"] = f"-> ../../{block.removeprefix('sys/')}"
        tree["sys/dev/block/8:1"] = f"-> ../../{block.removeprefix('sys/')}/sda1"
        tree["sys/class/block/sda"] = f"-> ../../{block.removeprefix('sys/')}"
        tree["sys/class/block/sda1"] = f"-> ../../{block.removeprefix('sys/')}/sda1"
        tree["sys/block/sda"] = f"-> ../{block.removeprefix('sys/')}"
        tree["proc/self/mountinfo"] = "25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        tree["proc/mounts"] = "/dev/sda1 / ext4 rw,relatime 0 0\n"
    if host.link:
        net = f"{places[host.link]}/net/eth0"
        tree[f"{net}/operstate"] = "up\n"
        tree[f"{net}/flags"] = "0x1003\n"
        tree[f"{net}/carrier"] = "1\n"
        tree[f"{net}/device"] = "-> ../.."
        tree["sys/class/net/eth0"] = f"-> ../../{net.removeprefix('sys/')}"
        tree["proc/net/route"] = (
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
            "eth0\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        )
    return tree


def base(files: dict[str, Leaf]) -> dict[str, Leaf]:
    """`files` of a bare node without its PCI: what is the same for every generated host."""
    return {
        path: leaf
        for path, leaf in files.items()
        if not path.startswith(("sys/", "etc/modprobe.d/")) and RELEASE not in path
    } | {f"boot/initrd.img-{RELEASE}": ("old image", 0o600)}

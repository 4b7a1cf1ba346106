"""Hosts and services for the tests of lint, the hosts of the rules' pages among them."""

from __future__ import annotations

from functools import cache

from support.hosts import by_slot, function, host
from support.nova_conf import parsed
from wholecard.core.record import replace
from wholecard.core.releases import release
from wholecard.host.facts.host import Host, KernelUse
from wholecard.host.facts.mediated_devices import MediatedDevice
from wholecard.host.facts.offered_slices import MdevType, OfferedSlices
from wholecard.nova.lint import Diagnostic, Facts, Service, lint
from wholecard.nova.options import Role
from wholecard.pci import Function

__all__ = ["function", "host"]

FILTERS = (
    "enabled_filters = ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,"
    "ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter,PciPassthroughFilter"
)
H100 = '{"vendor_id": "10de", "product_id": "2330"}'
ALIAS = '{"name": "h100", "vendor_id": "10de", "product_id": "2330", "device_type": "type-PF"}'


def h100(address: str) -> Function:
    """An H100 as a host has it that is ready: SR-IOV unused, on vfio-pci."""
    return function(address, sriov_total=16, driver="vfio-pci")


@cache
def hosts() -> dict[str, Host]:
    """`gpu-01` has a bit of everything, `gpu-02` a card behind VMD, `gpu-08` eight cards.

    `vgpu-01` has two cards that give mediated devices, `debian-12` an H100 and an old libvirt.
    """
    ports = [
        each
        for bus in ("61", "62")
        for each in (
            function(f"0000:{bus}:00.0", "15b3:1021", "020000", sriov_total=8, sriov_vfs=2,
                     driver="mlx5_core"),
            function(f"0000:{bus}:00.2", "15b3:101e", "020000", physfn=f"0000:{bus}:00.0"),
            function(f"0000:{bus}:00.3", "15b3:101e", "020000", physfn=f"0000:{bus}:00.0"),
        )
    ]  # fmt: skip
    everything = host(
        function("0000:00:01.0", "8086:352a", "060400", driver="pcieport"),
        function("0000:01:00.0", "10de:2204", "030000", driver="nvidia"),
        function("0000:01:00.1", "10de:1aef", "040300", driver="snd_hda_intel"),
        function("0000:02:00.0", "10de:1cb3", "030000", driver="nouveau", boot_vga=True),
        function("0000:03:00.0", "1a03:2000", "030000", driver="ast"),
        h100("0000:41:00.0"),
        h100("0000:42:00.0"),
        *ports,
        function("0000:81:00.0", "144d:a80a", "010802", driver="nvme"),
        function("0000:82:00.0", "144d:a80a", "010802", driver="nvme"),
        group=by_slot,
        uses=(
            KernelUse("0000:61:00.0", "default-route", "ens1f0"),
            KernelUse("0000:81:00.0", "disk", "/dev/nvme0n1p2 at /"),
        ),
    )
    wide = host(
        h100("0000:41:00.0"),
        function("10000:01:00.0", sriov_total=16, driver="vfio-pci"),
        group=by_slot,
    )
    many = host(*(h100(f"0000:{bus:02x}:00.0") for bus in range(0x41, 0x49)), group=by_slot)
    grid = host(
        function("0000:84:00.0", "10de:13f2", "030000", driver="nvidia"),
        function("0000:85:00.0", "10de:13f2", "030000", driver="nvidia"),
        group=by_slot,
    )
    grid = replace(grid, slices=slices())
    plain = host(h100("0000:41:00.0"), group=by_slot)
    old = replace(plain, boot=replace(plain.boot, distribution="debian 12"))
    return {"gpu-01": everything, "gpu-02": wide, "gpu-08": many, "vgpu-01": grid,
            "debian-12": old}  # fmt: skip


def slices() -> OfferedSlices:
    """What the drivers of `vgpu-01` offer: of each card a type of 8 and one of 4, or mtty's 12."""
    types = [
        MdevType(f"0000:{bus}:00.0", type_id, label, free)
        for bus in ("84", "85")
        for type_id, label, free in (
            ("nvidia-35", "GRID M60-1Q", 8 if bus == "84" else 7), ("nvidia-36", "GRID M60-2Q", 4),
        )
    ]  # fmt: skip
    made = MediatedDevice("aa618089-8b16-4d01-a136-25a0f3c73123", "0000:85:00.0", "nvidia-35")
    return OfferedSlices((*types, MdevType("mtty", "mtty-2", "Dual port serial", 12)), (), (made,))


def service(
    text: str | bytes,
    role: Role | None = None,
    series: str = "2025.2",
    *on: str,
    path: str = "nova.conf",
) -> Service:
    """A service with one file of this text, on the hosts of these names."""
    data = text.encode() if isinstance(text, str) else text
    facts = tuple(Facts(name, hosts()[name]) for name in on)
    return Service(parsed(data, path), release(series), role, facts)


def rules(*services: Service) -> list[str]:
    """The rules that these services break, in the order of their places."""
    return [each.finding.rule for each in lint(services)]


def only(*services: Service) -> Diagnostic:
    """The one diagnostic there is."""
    (found,) = lint(services)
    return found

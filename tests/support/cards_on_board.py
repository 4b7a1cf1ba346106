"""A board with four ports: a card with a switch, a GPU, a network card, an empty port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from support import hosts
from wholecard.host.facts.host import Host
from wholecard.pci import Address, Function

# Their addresses on the whole board.
SWITCH, GPU, NIC = "0000:43:00.0", "0000:44:00.0", "0000:45:00.0"


def port(number: int) -> Function:
    """A root port of the board, on the root bus 40."""
    return hosts.function(
        f"0000:40:{number:02x}.0", "8086:352a", "060400", path=f"0000:40/{number:02x}.0",
        driver="pcieport",
    )  # fmt: skip


def _behind(number: int, *more: str) -> tuple[Address, ...]:
    return tuple(map(Address.parse, (f"0000:40:{number:02x}.0", *more)))


def gpu(number: int, bus: int, serial: str) -> tuple[Function, ...]:
    """An H100 behind the port."""
    return (
        hosts.function(
            f"0000:{bus:02x}:00.0", path=f"0000:40/{number:02x}.0/00.0", serial=serial,
            parents=_behind(number), driver="vfio-pci", vendor_name="NVIDIA", device_name="H100",
            subsystem_vendor="10de", subsystem_device="16c1",
        ),
    )  # fmt: skip


def nic(number: int, bus: int) -> tuple[Function, ...]:
    """A network card behind the port."""
    return (
        hosts.function(
            f"0000:{bus:02x}:00.0", "15b3:101d", "020000", path=f"0000:40/{number:02x}.0/00.0",
            parents=_behind(number), driver="mlx5_core", device_name="ConnectX-6",
        ),
    )  # fmt: skip


def switch_card(number: int, bus: int) -> tuple[Function, ...]:
    """A Flex 170: an upstream port, a downstream port, and the GPU behind both."""
    up, down, end = f"0000:{bus:02x}:00.0", f"0000:{bus + 1:02x}:01.0", f"0000:{bus + 2:02x}:00.0"
    path = f"0000:40/{number:02x}.0/00.0"
    bridge: dict[str, Any] = {"driver": "pcieport"}
    return (
        hosts.function(up, "8086:4fa0", "060400", path=path, parents=_behind(number), **bridge),
        hosts.function(down, "8086:4fa4", "060400", path=f"{path}/01.0",
                       parents=_behind(number, up), **bridge),
        hosts.function(end, "8086:56c0", "030000", path=f"{path}/01.0/00.0",
                       parents=_behind(number, up, down), driver="vfio-pci",
                       vendor_name="Intel", device_name="Flex 170"),
    )  # fmt: skip


def board(
    first: Iterable[Function] | None = None, shift: int = 0, boot_id: str = "boot-one",
    **fields: Any,
) -> Host:  # fmt: skip
    """The board; `first` is what is behind the first port, `shift` the buses after it more."""
    behind = switch_card(1, 0x41) if first is None else first
    functions = [
        *(port(number) for number in range(1, 5)), *behind, *gpu(2, 0x44 + shift, "S2"),
        *nic(3, 0x45 + shift),
    ]  # fmt: skip
    in_order = sorted(functions, key=lambda function: function.address)
    return hosts.host(*in_order, boot=hosts.boot(boot_id=boot_id), **fields)

"""A host's tree with a card that can be reset, and what its kernel does in a reset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.nodes import Device, pci_tree, with_groups
from support.tree import Leaf, grow
from wholecard.transaction import syscalls

PORT, GPU, AUDIO = "0000:00:02.0", "0000:01:00.0", "0000:01:00.1"
PAGE = 4096
PAGES = 8
# A memory BAR, 64 bit and prefetchable (linux: include/linux/ioport.h), as sysfs prints it.
RESOURCE = f"0x00000000e0000000 0x{0xE0000000 + PAGES * PAGE - 1:016x} 0x000000000014220c\n"
AER = "TOTAL_ERR_{word} {count}\n"


def config(vendor: int = 0x1002, command: int = 0, power: int = 0) -> bytes:
    """A header with a power capability at 0x50."""
    data = bytearray(256)
    data[0:2] = vendor.to_bytes(2, "little")
    data[4:6] = command.to_bytes(2, "little")
    data[0x10:0x14] = (0xE000000C).to_bytes(4, "little")
    data[0x34], data[0x50], data[0x51] = 0x50, 0x01, 0x00
    data[0x54] = power
    return bytes(data)


def host(
    root: Path,
    memory: bytes = bytes(PAGE * PAGES),
    ids: str = "10de:2330",
    methods: str = "flr bus",
    audio: bool = True,
    foreign: bool = False,
    driver: str = "vfio-pci",
    **extra: Leaf,
) -> Path:
    """A host with one card behind a port of its own; `extra` are files by function and name."""
    said = {
        "reset_method": methods, "power/control": "auto", "current_link_width": "16",
        "max_link_width": "16", "current_link_speed": "16.0 GT/s PCIe",
        "max_link_speed": "16.0 GT/s PCIe",
    }  # fmt: skip
    devices: list[Device] = [
        (PORT, (), "1b36:000c", "060400", "pcieport", {}),
        (GPU, (PORT,), ids, "030200", driver, said),
    ]
    if audio:
        devices.append((AUDIO, (PORT,), "10de:22ba", "040300", driver, said))
    if foreign:
        devices.append(("0000:01:01.0", (PORT,), "8086:1521", "020000", "igb", {}))
    tree: dict[str, Leaf] = {
        **with_groups(pci_tree(devices), {7: [GPU, AUDIO] if audio else [GPU]}),
        "proc/1/comm": "systemd\n",
        "run/": "",
        **{name.replace("__", "/"): leaf for name, leaf in extra.items()},
    }
    grow(root, tree)
    for address in (GPU, AUDIO) if audio else (GPU,):
        folder = root / "sys/bus/pci/devices" / address
        (folder / "config").write_bytes(config())
        for kind, word in (("correctable", "COR"), ("nonfatal", "NONFATAL"), ("fatal", "FATAL")):
            (folder / f"aer_dev_{kind}").write_text(AER.format(word=word, count=0))
    gpu = root / "sys/bus/pci/devices" / GPU
    (gpu / "resource").write_text(RESOURCE)
    (gpu / "resource0").write_bytes(memory)
    return root


@contextmanager
def kernel(
    effect: Callable[[Path], object] = lambda _: None,
    names: tuple[str, ...] = ("reset", "reset_subordinate"),
) -> Iterator[list[str]]:
    """What sysfs does when one of the attributes `names` is written: `effect` on the file's path.

    Yields what was written to all attributes, as `ADDRESS/NAME value`.
    """
    said: list[str] = []
    real = syscalls.write_sysfs

    def write(path: Path, text: str) -> None:
        folder = path.parent.parent if path.parent.name == "power" else path.parent
        said.append(f"{folder.name}/{path.name} {text.strip()}")
        if path.name in names:
            effect(path)
        if not path.name.startswith("reset") or path.name == "reset_method":
            real(path, text)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(syscalls, "write_sysfs", write)
        yield said

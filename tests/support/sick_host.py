"""A host with cards that have errors, as a tree: counters, a link, logs of the kernel and QEMU."""

from __future__ import annotations

from typing import Any

from support.production_host import function, link
from support.tree import Leaf

PORT, GPU, AUDIO = "0000:40:01.1", "0000:41:00.0", "0000:41:00.1"
PORT_2, GPU_2 = "0000:60:01.1", "0000:61:00.0"
SERVER = "0fcd1c4a-1a6e-4a3c-8f1e-4f2f33d3a4b5"
HEADER = bytes.fromhex("de103023") + bytes(60)
DEAD = b"\xff" * 64

_CORRECTABLE = ("RxErr", "BadTLP", "BadDLLP", "Rollover", "Timeout", "NonFatalErr", "CorrIntErr",
                "HeaderOF")  # fmt: skip
_UNCORRECTABLE = ("Undefined", "DLP", "SDES", "TLP", "FCP", "CmpltTO", "CmpltAbrt", "UnxCmplt",
                  "RxOF", "MalfTLP", "ECRC", "UnsupReq", "ACSViol", "UncorrIntErr")  # fmt: skip


def aer(correctable: int = 0, nonfatal: int = 0, fatal: int = 0) -> dict[str, str]:
    """The counters of one function: bad TLPs, unsupported requests, malformed TLPs."""

    def text(names: tuple[str, ...], counted: str, count: int, total: str) -> str:
        lines = [f"{name} {count if name == counted else 0}" for name in names]
        return "\n".join([*lines, f"TOTAL_{total} {count}", ""])

    return {
        "aer_dev_correctable": text(_CORRECTABLE, "BadTLP", correctable, "ERR_COR"),
        "aer_dev_nonfatal": text(_UNCORRECTABLE, "UnsupReq", nonfatal, "ERR_NONFATAL"),
        "aer_dev_fatal": text(_UNCORRECTABLE, "MalfTLP", fatal, "ERR_FATAL"),
    }


def received(correctable: int = 0, nonfatal: int = 0, fatal: int = 0) -> dict[str, str]:
    """What a root port was told."""
    return {
        "aer_rootport_total_err_cor": f"{correctable}\n",
        "aer_rootport_total_err_nonfatal": f"{nonfatal}\n",
        "aer_rootport_total_err_fatal": f"{fatal}\n",
    }


def card(
    port: str = PORT, gpu: str = GPU, ids: str = "10de:2330", *, config: Any = HEADER,
    port_files: Any = None, **files: str,
) -> dict[str, Leaf]:  # fmt: skip
    """A root port with a card below it; `files` are the card's, `port_files` the port's."""
    bus = f"devices/pci{port[:5]}{port[5:7]}"
    above = {**link(), **aer(), **received(), **(port_files or {})}
    below = {"power_state": "D0\n", "power__runtime_status": "active\n", **link(), **aer(), **files}
    tree = {
        **function(bus, port, "8086:352a", "060400", "pcieport", **above),
        **function(f"{bus}/{port}", gpu, ids, "030200", "vfio-pci", **below),
    }
    return {**tree, f"sys/{bus}/{port}/{gpu}/config": config}


def kernel_log(*lines: str, first: int = 0) -> dict[str, Leaf]:
    """`/dev/kmsg` with a line a second."""
    records = [f"6,{first + n},{(first + n) * 1_000_000},-;{line}" for n, line in enumerate(lines)]
    return {"dev/kmsg": "\n".join(records) + "\n"}


def qemu_log(*lines: str, domain: str = "instance-00000007") -> dict[str, Leaf]:
    """libvirt's log of one domain, with its command line at the beginning."""
    start = f"/usr/bin/qemu-system-x86_64 -name guest={domain} -uuid {SERVER} -msg timestamp=on"
    return {f"var/log/libvirt/qemu/{domain}.log": "\n".join([start, *lines, ""])}

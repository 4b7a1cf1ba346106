"""The tree as text: what a terminal of 80 and of 60 columns shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.golden import compare
from support.hosts import function
from support.large_hosts import eight_mi300x, hgx
from support.nodes import GROUPS_TOGETHER, TOGETHER, bare, with_groups
from support.production_host import production
from support.tree import grow
from wholecard.core.colour import coloured
from wholecard.host.agent.cli import main
from wholecard.host.agent.topology_text import topology_text
from wholecard.host.facts.device_words import short_name
from wholecard.host.facts.inspect import inspect


@pytest.mark.parametrize("width", [80, 60])
def test_text(tmp_path: Path, width: int) -> None:
    """A board of eight GPUs, a host of production and an emulated one look like this."""
    node = with_groups(bare(TOGETHER), GROUPS_TOGETHER)
    texts = [
        topology_text(hgx(slow="0000:19:00.0"), width),
        topology_text(eight_mi300x(), width),
        topology_text(inspect(grow(tmp_path / "production", production())), width),
        topology_text(inspect(grow(tmp_path / "node", node)), width),
    ]
    text = "\n----\n".join(texts)
    assert max(map(len, text.splitlines())) <= width
    compare(f"topology-{width}.txt", f"{text}\n")


@pytest.mark.parametrize(
    ("vendor", "device", "name"),
    [
        ("NVIDIA Corporation", "GH100 [H100 SXM5 80GB]", "NVIDIA H100 SXM5 80GB"),
        ("Advanced Micro Devices, Inc. [AMD/ATI]", "Aqua Vanjaram [Instinct MI300X]",
         "AMD/ATI Instinct MI300X"),
        ("Mellanox Technologies", "MT2910 Family [ConnectX-7]", "Mellanox ConnectX-7"),
        ("Broadcom / LSI", "PEX890xx PCIe Gen 5 Switch", "Broadcom PEX890xx PCIe Gen 5 Switch"),
        ("Samsung Electronics Co Ltd", "NVMe SSD PM1743", "Samsung NVMe SSD PM1743"),
        ("Red Hat, Inc.", "Virtio 1.0 network device", "Red Hat Virtio 1.0 network device"),
        ("ASPEED Technology, Inc.", "ASPEED Graphics Family", "ASPEED Graphics Family"),
        ("Intel Corporation", "", "Intel [8086:1592]"),
        ("", "", "[8086:1592]"),
        ("Inc", "[unclosed", "Inc [unclosed"),
    ],
)  # fmt: skip
def test_short_name(vendor: str, device: str, name: str) -> None:
    """A device is named as it is sold, by pci.ids; by its ids where that has no name."""
    made = function("0000:01:00.0", "8086:1592", vendor_name=vendor, device_name=device)
    assert short_name(made) == name


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """inspect --topology prints the tree; with JSON or a column it says what has the same."""
    root = grow(tmp_path / "root", production())
    assert main(["inspect", "--root", str(root), "--topology"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == topology_text(inspect(root), 100)
    for more in ("--json", "--column=address"):
        assert main(["inspect", "--root", str(root), "--topology", more]) == 2
        assert "inspect --json has each function" in capsys.readouterr().err


def test_colours() -> None:
    """On a terminal the address of a card and a NUMA node's name are bold."""
    bold = [line for line in coloured(topology_text(hgx(), 80)).splitlines() if "\x1b[1m" in line]
    assert len([line for line in bold if "card 0000:" in line]) == 9
    assert [line.partition("\x1b[0m")[0] for line in bold if "NUMA" in line] == [
        "\x1b[1mNUMA node 0:", "\x1b[1mNUMA node 1:",
    ]  # fmt: skip

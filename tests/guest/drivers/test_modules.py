"""Which module would bind a card, and whether a module fits the kernel: trees and small ELF files.

tests/guest/drivers/test_debian_root.py compares the same functions with kmod and a real kernel.
"""

from __future__ import annotations

import contextlib
import struct
from datetime import date
from pathlib import Path

import pytest

from support.tree import Leaf, grow
from wholecard.guest.drivers.driver_plan import DriverRequest, driver_plan
from wholecard.guest.drivers.generation import Card, generation_of
from wholecard.guest.drivers.modules import (
    binding_findings,
    card_alias,
    card_modules,
    module_facts,
    module_findings,
    would_bind,
)
from wholecard.guest.drivers.tree_checks import boot_kernel, tree_findings
from wholecard.guest.image.kernel_modules import ModuleError
from wholecard.guest.image.recipe import GuestOs

K = "6.12.118+deb13-amd64"
ALIASES = (
    "# Aliases extracted from modules themselves.\n"
    "alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\n"
    "alias pci:v000010DEd*sv*sd*bc03sc02i00* nvidia\n"
    "alias pci:v00001002d000074A1sv*sd*bc*sc*i* amdgpu\n"
)


def elf(vermagic: str, crcs: dict[str, int] | None = None, signed: bool = False) -> bytes:
    """A 64-bit module with the two sections that are read, and nothing else."""
    names = b"\0.modinfo\0__versions\0.shstrtab\0"
    info = f"license=GPL\0vermagic={vermagic}\0version=1.0\0".encode()
    versions = b"".join(
        struct.pack("<Q56s", crc, symbol.encode()) for symbol, crc in (crcs or {}).items()
    )
    bodies = [(1, info), (10, versions), (21, names)]
    data, headers = b"", [bytes(64)]
    for name, body in bodies:
        headers.append(struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, 64 + len(data), len(body),
                                   0, 0, 1, 0))  # fmt: skip
        data += body
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(data), 0, 64, 0, 0, 64, 4, 3
    )  # fmt: skip
    end = b"~Module signature appended~\n" if signed else b""
    return head + data + b"".join(headers) + end


def _tree(root: Path, **more: bytes | str) -> Path:
    base = f"lib/modules/{K}"
    tree: dict[str, Leaf] = {
        f"{base}/modules.alias": ALIASES,
        f"{base}/modules.dep": "updates/dkms/nvidia.ko:\nkernel/amdgpu.ko:\n",
        f"{base}/updates/dkms/nvidia.ko": elf(f"{K} SMP preempt", {"memcpy": 7}, signed=True),
        f"{base}/kernel/amdgpu.ko": elf(f"{K} SMP preempt"),
        f"usr/src/linux-headers-{K}/Module.symvers": "0x00000007\tmemcpy\tvmlinux\tEXPORT\t\n",
        **more,
    }  # fmt: skip
    return grow(root, tree)


def test_the_alias_of_a_card() -> None:
    """It is what the kernel writes to modalias of a 3D controller with these ids."""
    assert card_alias("10de:2330") == "pci:v000010DEd00002330sv00000000sd00000000bc03sc02i00"
    assert card_alias("1002:74a1", "120000").endswith("bc12sc00i00")


def test_the_blacklist_decides(tmp_path: Path) -> None:
    """Without a blacklist nouveau is first, as for udev; with it NVIDIA's module is alone."""
    root = _tree(tmp_path)
    assert would_bind(root, K, card_alias("10de:2330")) == ("nouveau", "nvidia")
    grow(root, {"etc/modprobe.d/a.conf": "# no\nblacklist nouveau\n"})
    assert would_bind(root, K, card_alias("10de:2330")) == ("nvidia",)


def test_a_file_of_etc_hides_its_namesake(tmp_path: Path) -> None:
    """modprobe.d(5): a file in /etc takes the place of one in /usr/lib with the same name."""
    root = _tree(tmp_path, **{
        "usr/lib/modprobe.d/nv.conf": "blacklist nouveau\n",
        "etc/modprobe.d/nv.conf": "# nothing\n",
    })  # fmt: skip
    assert would_bind(root, K, card_alias("10de:2330"))[0] == "nouveau"


def test_debians_alternatives(tmp_path: Path) -> None:
    """Debian's files are links to /etc/alternatives, and its `nvidia` is an install command."""
    links: dict[str, bytes | str] = {
        "etc/modprobe.d/nv.conf": "-> /etc/alternatives/nv.conf",
        "etc/alternatives/nv.conf": "-> /etc/nvidia/nv.conf",
        "etc/nvidia/nv.conf": "blacklist nouveau\nalias pci:v000010DEd*sv*sd*bc03sc02i00* nvidia\n"
                              "install nvidia modprobe -i nvidia-current-open $CMDLINE_OPTS\n",
        f"lib/modules/{K}/modules.dep": "updates/dkms/nvidia-current-open.ko:\n",
        f"lib/modules/{K}/updates/dkms/nvidia-current-open.ko": elf(f"{K} SMP", {"memcpy": 7}),
    }  # fmt: skip
    root = _tree(tmp_path, **links)
    assert would_bind(root, K, card_alias("10de:2330")) == ("nvidia",)
    assert module_findings(root, K, "nvidia") == ()


def test_aliases_of_modprobe_d_count_alone(tmp_path: Path) -> None:
    """Where an alias of modprobe.d matches, modules.alias is not asked."""
    line = "alias pci:v000010DEd*sv*sd*bc03sc02i00* nvidia-current-open\n"
    root = _tree(tmp_path, **{"etc/modprobe.d/n.conf": f"{line}blacklist nouveau\n"})
    assert would_bind(root, K, card_alias("10de:2330")) == ("nvidia_current_open",)


def test_the_wrong_driver(tmp_path: Path) -> None:
    """WC427 names who would bind the card, and is quiet where it is the expected one."""
    root = _tree(tmp_path)
    (finding,) = binding_findings(root, K, "10de:2330", "nvidia")
    assert (finding.rule, finding.fix) == ("WC427", "Blacklist nouveau in /etc/modprobe.d.")
    assert binding_findings(root, K, "1002:74a1", "amdgpu") == ()
    (none,) = binding_findings(root, K, "8086:56c0", "xe")
    assert "no module would bind it" in none.message


def test_no_kernel(tmp_path: Path) -> None:
    """A kernel without its table is an error, not an empty answer."""
    with pytest.raises(ModuleError, match=r"has no modules\.alias"):
        would_bind(tmp_path, K, card_alias("10de:2330"))


def test_facts_of_a_module() -> None:
    """vermagic, version, signature and the symbols' CRCs are those of the file."""
    facts = module_facts("nvidia", elf(f"{K} SMP", {"memcpy": 7, "printk": 9}, signed=True))
    assert (facts.vermagic, facts.version, facts.is_signed) == (f"{K} SMP", "1.0", True)
    assert facts.crcs == {"memcpy": 7, "printk": 9}


@pytest.mark.parametrize("cut", [0, 5, 40, 63, 64, 100, 200, 300])
def test_a_damaged_module(cut: int) -> None:
    """A file that ends too early is an error of ours, or has nothing in it."""
    data = elf(f"{K} SMP", {"memcpy": 7})[:cut]
    with contextlib.suppress(ModuleError):
        assert module_facts("x", data).vermagic in ("", f"{K} SMP")


def test_a_module_that_fits(tmp_path: Path) -> None:
    """It is there, for this kernel, and its symbols are the kernel's."""
    assert module_findings(_tree(tmp_path), K, "nvidia") == ()


@pytest.mark.parametrize(
    ("module", "what"),
    [
        (elf("6.12.90+deb13-amd64 SMP", {"memcpy": 7}), "it was built for 6.12.90+deb13-amd64"),
        (elf(f"{K} SMP", {"memcpy": 8}), "its symbols do not fit the kernel's: memcpy"),
        (elf("", {}), "it was built for no kernel"),
    ],
)
def test_a_module_that_does_not_fit(module: bytes, what: str, tmp_path: Path) -> None:
    """WC426 says what differs, and how the module is built again."""
    root = _tree(tmp_path, **{f"lib/modules/{K}/updates/dkms/nvidia.ko": module})
    (finding,) = module_findings(root, K, "nvidia")
    assert finding.rule == "WC426"
    assert what in finding.message
    assert f"dkms autoinstall -k {K}" in finding.fix


def test_a_module_that_is_missing(tmp_path: Path) -> None:
    """A module that another kernel has is missing for this one."""
    (finding,) = module_findings(_tree(tmp_path), K, "xe")
    assert "not installed for this kernel" in finding.message


def test_the_kernel_that_boots(tmp_path: Path) -> None:
    """The newest by its name, numbers as numbers; of one version the cloud kernel."""
    assert boot_kernel(tmp_path) is None
    for release in ("6.12.9+deb13-amd64", "6.12.118+deb13-amd64", "6.12.118+deb13-cloud-amd64"):
        grow(tmp_path, {f"lib/modules/{release}/modules.dep": ""})
    assert boot_kernel(tmp_path) == "6.12.118+deb13-cloud-amd64"


def _findings(root: Path, ids: str) -> list[str]:
    card = Card(ids, "", generation_of(ids[:4], ids[5:], ""))
    plan = driver_plan(DriverRequest((card,), GuestOs("debian", "13"), date(2026, 11, 30)))
    return [finding.rule for finding in tree_findings(root, plan)]


def test_a_whole_tree(tmp_path: Path) -> None:
    """An image is in order once nouveau is out; before, WC427; with a failed build, WC428 alone."""
    root = _tree(tmp_path)
    assert _findings(root, "10de:2330") == ["WC427"]
    grow(root, {"etc/modprobe.d/wholecard-nouveau.conf": "blacklist nouveau\n"})
    assert _findings(root, "10de:2330") == []
    assert _findings(root, "1002:74a1") == []
    grow(root, {"var/lib/dkms/nvidia/580/build/make.log": "a.c:1:1: error: no\n"})
    assert _findings(root, "10de:2330") == ["WC428"]


def test_a_processing_accelerator(tmp_path: Path) -> None:
    """amdgpu asks for classes: MI300X is class 12, Radeon Pro VGA, and no other's driver fits."""
    lines = "".join(
        f"alias pci:v00001002d*sv*sd*{code} amdgpu\n" for code in ("bc12sc00i00*", "bc03sc00i00*")
    )
    root = _tree(tmp_path, **{f"lib/modules/{K}/modules.alias": lines})
    assert would_bind(root, K, card_alias("1002:74a1")) == ()
    assert card_modules(root, K, "1002:74a1") == (("amdgpu",),)
    assert _findings(root, "1002:74a1") == []
    assert binding_findings(root, K, "10de:2330", "nvidia") != ()


def test_a_card_of_two_drivers(tmp_path: Path) -> None:
    """Both of Intel's drivers have the Flex 170 in their tables, and the first one takes it."""
    pattern = "pci:v00008086d000056C0sv*sd*bc03sc*i*"
    base = f"lib/modules/{K}"
    tree: dict[str, bytes | str] = {
        f"{base}/modules.alias": f"alias {pattern} i915\nalias {pattern} xe\n",
        f"{base}/modules.dep": "kernel/i915.ko:\n", f"{base}/kernel/i915.ko": elf(f"{K} SMP"),
    }  # fmt: skip
    root = _tree(tmp_path, **tree)
    assert _findings(root, "8086:56c0") == []


def test_a_tree_with_the_cloud_kernel(tmp_path: Path) -> None:
    """WC422 where the image would boot the kernel without drivers."""
    root = _tree(tmp_path, **{"lib/modules/6.12.118+deb13-cloud-amd64/modules.dep": ""})
    assert _findings(root, "1002:74a1") == ["WC422"]

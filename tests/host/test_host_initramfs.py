"""The initramfs scripts: their text, their place in the order, and what they do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from golden import compare
from tree import grow
from wholecard.host.initramfs import BOOT_SCRIPT_TEXT, HOOK_TEXT, table_text
from wholecard.host.settings import BOOT_SCRIPT
from wholecard.pci import Address, Function

A = "0000:01:00.0"
PLACE = f"bus/pci/devices/{A}"
SHELLS = [
    shell for shell in (["sh"], ["dash"], ["busybox", "sh"]) if shutil.which(shell[0]) is not None
]


def test_texts() -> None:
    """The hook and the boot script are these, byte for byte."""
    compare("hook.sh", HOOK_TEXT)
    compare("boot-script.sh", BOOT_SCRIPT_TEXT)


def test_table() -> None:
    """The table has a line for each function, by address, with its ids and its driver."""
    functions = [
        Function(Address(0, 1, 0, 1), vendor="8086", device="293e"),
        Function(Address(0x10000, 1, 0, 0), vendor="1002", device="5046"),
    ]
    lines = [line for line in table_text(functions).splitlines() if not line.startswith("#")]
    assert lines == ["0000:01:00.1 8086 293e vfio-pci", "10000:01:00.0 1002 5046 vfio-pci"]


@pytest.mark.skipif(shutil.which("tsort") is None, reason="tsort is not installed")
@pytest.mark.parametrize(
    "others",
    [
        {"all_generic_ide": "", "blacklist": "", "keymap": "", "udev": ""},
        {"udev": "", "zz": "udev"},
        {"udev": "blacklist", "blacklist": ""},
        {"brltty": "", "framebuffer": "udev", "udev": "keymap", "keymap": ""},
    ],
)
def test_order(others: dict[str, str]) -> None:
    """The boot script runs first of init-top, by the pairs that mkinitramfs gives to tsort."""
    name = Path(BOOT_SCRIPT).name
    needs = subprocess.run(
        ["sh", "-c", BOOT_SCRIPT_TEXT, "script", "prereqs"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    scripts = {**others, name: " ".join(needs)}
    # hook-functions, get_prereq_pairs: each script with itself, and each need before its script.
    pairs = [f"{script} {script}\n" for script in sorted(scripts)]
    pairs += [
        f"{need} {script}\n" for script in sorted(scripts) for need in scripts[script].split()
    ]
    order = subprocess.run(
        ["tsort"], input="".join(pairs), capture_output=True, text=True, check=True
    ).stdout.split()
    assert order[0] == name


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("text", [HOOK_TEXT, BOOT_SCRIPT_TEXT])
def test_syntax(shell: list[str], text: str, tmp_path: Path) -> None:
    """Both scripts are read by every shell that an initramfs may have."""
    grow(tmp_path, {"script": text})
    subprocess.run([*shell, "-n", str(tmp_path / "script")], check=True)


MODPROBE = """#!/bin/sh
echo "$*" >> "$SYS_TREE/../calls"
"""

# Stands for the kernel: after drivers_probe the driver link is there. The script only writes the
# file, so the link is prepared, and removed where the bind is to fail.


def run_script(tmp_path: Path, shell: list[str], table: str) -> str:
    grow(tmp_path, {"bin/modprobe": (MODPROBE, 0o755), "script": BOOT_SCRIPT_TEXT, "table": table})
    subprocess.run(
        [*shell, str(tmp_path / "script")],
        check=True,
        env={
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "SYS_TREE": str(tmp_path / "sys"),
            "WHOLECARD_SYS": str(tmp_path / "sys"),
            "WHOLECARD_TABLE": str(tmp_path / "table"),
            "WHOLECARD_KMSG": str(tmp_path / "kmsg"),
        },
    )
    log = tmp_path / "kmsg"
    return log.read_text() if log.exists() else ""


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("vendor", "driver", "said", "override"),
    [
        ("0x1002", "vfio-pci", f"{A} 1002:5046 claimed by vfio-pci", "(null)\n"),
        ("0x1002", None, f"{A} 1002:5046 not claimed by vfio-pci, driver: none", "vfio-pci\n"),
        (
            "0x1002",
            "radeon",
            f"{A} 1002:5046 not claimed by vfio-pci, driver: radeon",
            "vfio-pci\n",
        ),
        ("0x10de", "radeon", f"{A} is 10de:5046, not 1002:5046: left alone", "(null)\n"),
    ],
)
def test_claims(
    tmp_path: Path, shell: list[str], vendor: str, driver: str | None, said: str, override: str
) -> None:
    """A function with the planned ids is overridden and probed, and what became of it is logged."""
    grow(
        tmp_path / "sys",
        {
            f"{PLACE}/vendor": f"{vendor}\n",
            f"{PLACE}/device": "0x5046\n",
            f"{PLACE}/driver_override": "(null)\n",
            "bus/pci/drivers_probe": "",
        },
    )
    if driver:
        grow(tmp_path / "sys", {f"bus/pci/drivers/{driver}/unbind": ""})
        grow(tmp_path / "sys", {f"{PLACE}/driver": f"-> ../../drivers/{driver}"})
    log = run_script(tmp_path, shell, f"# head\n{A} 1002 5046 vfio-pci\n")
    assert log == f"<6>wholecard: {said}\n"
    assert (tmp_path / "sys" / PLACE / "driver_override").read_text() == override
    tried = override == "vfio-pci\n"
    assert (tmp_path / "sys/bus/pci/drivers_probe").read_text() == (f"{A}\n" if tried else "")
    assert (tmp_path / "calls").exists() == tried
    if driver == "radeon":
        unbound = (tmp_path / "sys/bus/pci/drivers/radeon/unbind").read_text()
        assert unbound == (f"{A}\n" if tried else "")


def test_missing(tmp_path: Path) -> None:
    """A function that is not there is logged and left alone; an empty table is nothing to do."""
    assert run_script(tmp_path, ["sh"], "") == ""
    log = run_script(tmp_path, ["sh"], f"{A} 1002 5046 vfio-pci\n")
    assert log == f"<6>wholecard: {A} is not there: left alone\n"


@pytest.mark.parametrize("builtin", ["", "kernel/drivers/vfio/pci/vfio-pci.ko\n"])
def test_hook(tmp_path: Path, builtin: str) -> None:
    """The hook asks for the modules that are not built in, and copies the table only."""
    functions = tmp_path / "functions"
    grow(
        tmp_path,
        {
            "functions": f'manual_add_modules() {{ echo "$@" >> {tmp_path}/modules; }}\n',
            "etc/bind": "the table\n",
            "lib/modules/6.12/modules.builtin": builtin,
            "dest/": "",
        },
    )
    script = (
        HOOK_TEXT.replace("/usr/share/initramfs-tools/hook-functions", str(functions))
        .replace("/lib/modules", f"{tmp_path}/lib/modules")
        .replace("/etc/wholecard/bind ", f"{tmp_path}/etc/bind ")
    )
    env = {**os.environ, "DESTDIR": str(tmp_path / "dest"), "version": "6.12"}
    subprocess.run(["sh", "-c", script], check=True, env=env)
    modules = (tmp_path / "modules").read_text().split()
    assert modules == (["vfio_iommu_type1"] if builtin else ["vfio-pci", "vfio_iommu_type1"])
    copied = [path for path in (tmp_path / "dest").rglob("*") if path.is_file()]
    assert [path.read_text() for path in copied] == ["the table\n"]

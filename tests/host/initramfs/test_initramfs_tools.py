"""initramfs-tools: the texts, the boot script's place in the order, and what the hook carries."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.golden import compare
from support.tree import grow
from wholecard.host.config_files import BOOT_SCRIPT
from wholecard.host.initramfs.initramfs_tools import BOOT_SCRIPT_TEXT, HOOK_TEXT


def test_texts() -> None:
    """The hook and the boot script are these, byte for byte."""
    compare("hook.sh", HOOK_TEXT)
    compare("boot-script.sh", BOOT_SCRIPT_TEXT)


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


@pytest.mark.parametrize("parked", ["vfio-pci", "pci-stub"])
@pytest.mark.parametrize("builtin", ["", "kernel/drivers/vfio/pci/vfio-pci.ko\n"])
def test_hook(tmp_path: Path, builtin: str, parked: str) -> None:
    """The hook asks for the table's drivers that are not built in, and copies the table only."""
    functions = tmp_path / "functions"
    grow(
        tmp_path,
        {
            "functions": f'manual_add_modules() {{ echo "$@" >> {tmp_path}/modules; }}\n',
            "etc/bind": f"the table {parked}\n",
            "lib/modules/6.12/modules.builtin": builtin,
            "dest/": "",
        },
    )
    script = (
        HOOK_TEXT.replace("/usr/share/initramfs-tools/hook-functions", str(functions))
        .replace("/lib/modules", f"{tmp_path}/lib/modules")
        .replace("/etc/wholecard/bind", f"{tmp_path}/etc/bind")
        .replace(f"${{DESTDIR}}{tmp_path}/etc/bind", "${DESTDIR}/etc/wholecard/bind")
    )
    env = {**os.environ, "DESTDIR": str(tmp_path / "dest"), "version": "6.12"}
    subprocess.run(["sh", "-c", script], check=True, env=env)
    modules = (tmp_path / "modules").read_text().split()
    wanted = ["vfio_iommu_type1"] if builtin else ["vfio-pci", "vfio_iommu_type1"]
    assert modules == [*wanted, *(["pci-stub"] if parked == "pci-stub" else [])]
    copied = [path for path in (tmp_path / "dest").rglob("*") if path.is_file()]
    assert [path.read_text() for path in copied] == [f"the table {parked}\n"]

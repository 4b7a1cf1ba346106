"""Module settings, and which driver would claim a function."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tree import grow
from wholecard.core import WholecardError
from wholecard.host.facts.module_aliases import native_modules, read_builtin
from wholecard.host.operations.config_change import HEAD_LINE
from wholecard.host.planning.modprobe import modprobe_text, modules_load_text
from wholecard.pci import Address, Function

AUDIO = Function(
    Address(0, 1, 0, 1),
    driver="snd_hda_intel",
    driver_module="snd_hda_intel",
    modalias="pci:v00008086d0000293Esv00001AF4sd00001100bc04sc03i00",
)


def test_modules_load() -> None:
    """vfio-pci is loaded at boot by name."""
    assert modules_load_text() == HEAD_LINE + "vfio-pci\n"


@pytest.mark.parametrize(
    ("function", "builtin", "standing", "natives"),
    [
        (Function(Address(0, 1, 0, 0)), (), "", []),
        (AUDIO, (), "", ["snd_hda_intel"]),
        (
            Function(Address(0, 1, 0, 2), driver="xhci_hcd", driver_module="xhci_pci"),
            (),
            "",
            ["xhci_pci"],
        ),
        (Function(Address(0, 1, 0, 2), driver="bochs-drm"), (), "", ["bochs_drm"]),
        (
            Function(Address(0, 1, 0, 0), modules=("nouveau", "nvidia")),
            (),
            "",
            ["nouveau", "nvidia"],
        ),
        (Function(Address(0, 1, 0, 2), driver="xhci_hcd"), ("xhci_hcd",), "", []),
        (Function(Address(0, 1, 0, 0), driver="pci-stub"), (), "", []),
        (
            Function(Address(0, 1, 0, 0), driver="vfio-pci"),
            (),
            HEAD_LINE + "softdep amdgpu pre: vfio-pci\n",
            ["amdgpu"],
        ),
        (AUDIO, (), HEAD_LINE + "softdep amdgpu pre: vfio-pci\n", ["snd_hda_intel"]),
    ],
)
def test_softdeps(
    function: Function, builtin: tuple[str, ...], standing: str, natives: list[str]
) -> None:
    """vfio-pci comes before each module that claims a function or would; never built-in ones."""
    text = modprobe_text([function], builtin, standing)
    assert text == HEAD_LINE + "".join(f"softdep {native} pre: vfio-pci\n" for native in natives)


def test_native_modules(tmp_path: Path) -> None:
    """A function's modules are those whose alias matches it, but for VFIO's variants."""
    grow(
        tmp_path,
        {
            "lib/modules/6.12/modules.alias": "# head\n"
            "alias pci:v00008086d*sv*sd*bc04sc03i00* snd_hda_intel\n"
            "alias pci:v00008086d0000293Fsv*sd*bc*sc*i* other\n"
            "alias pci:v*d*sv*sd*bc04sc03i00* generic\n"
            "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\nalias pci:broken\n",
            "lib/modules/6.12/modules.builtin": "kernel/drivers/vfio/pci/vfio-pci.ko\n",
        },
    )
    assert native_modules(tmp_path, "6.12", [AUDIO]) == {
        AUDIO.modalias: ("generic", "snd_hda_intel")
    }
    assert native_modules(tmp_path, "none", [AUDIO]) == {}
    assert read_builtin(tmp_path, "6.12") == {"vfio_pci"}


STRANGE = ("x\ninstall vfio_pci /bin/touch x #", "a b", "", "../x", "-x", "x" * 100, "\x1b[2J")


@pytest.mark.parametrize("name", STRANGE)
def test_no_module(name: str) -> None:
    """What is no module's name is not written, whoever calls: modprobe.d can run commands."""
    function = Function(Address(0, 1, 0, 0), modules=(name,))
    with pytest.raises(WholecardError, match="is not the name of a kernel module"):
        modprobe_text([function], (), "")
    with pytest.raises(WholecardError, match="is not the name of a kernel module"):
        modprobe_text([], (), "", [name])

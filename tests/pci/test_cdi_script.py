"""The CDI specification that the script writes of trees of sysfs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.tree import grow
from wholecard.pci.cdi_script import CDI_SCRIPT, KIND, NVIDIA_COMMAND, SCRIPT_FILE, unit_text

# CDI's rules for what is written here, more narrowly than its own schema: names as its parser
# takes them (pkg/parser), absolute paths, nothing else.
NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cdiVersion", "kind", "devices"],
    "properties": {
        "cdiVersion": {"const": "0.6.0"},
        "kind": {"pattern": r"^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]/[A-Za-z][A-Za-z0-9_.-]*$"},
        "devices": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "containerEdits"],
                "properties": {
                    "name": {"pattern": NAME},
                    "annotations": {"additionalProperties": {"type": "string"}},
                    "containerEdits": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "env": {"items": {"pattern": "^[A-Z0-9_a-f]+=.*$"}},
                            "deviceNodes": {
                                "minItems": 1,
                                "items": {
                                    "additionalProperties": False,
                                    "required": ["path"],
                                    "properties": {
                                        "path": {"pattern": "^/dev/"},
                                        "permissions": {"enum": ["r", "rw", "rwm"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
PCI = "sys/bus/pci/devices"


def function(
    address: str, vendor: str, class_code: str, driver: str, *nodes: str
) -> dict[str, Any]:
    """A function's files in sysfs; `nodes` are paths of its device nodes' folders."""
    base = f"{PCI}/{address}"
    return {
        f"{base}/vendor": f"0x{vendor[:4]}\n",
        f"{base}/device": f"0x{vendor[5:]}\n",
        f"{base}/class": f"0x{class_code}\n",
        f"{base}/driver": f"-> ../../../bus/pci/drivers/{driver}",
        **{f"{base}/{node}/dev": "226:0\n" for node in nodes},
    }


AMD = function("0000:41:00.0", "1002:74a1", "120000", "amdgpu", "drm/card1", "drm/renderD128")
SOUND = function("0000:05:00.1", "8086:2668", "040300", "snd_hda_intel", "sound/card0/controlC0",
                 "sound/card0/pcmC0D0p")  # fmt: skip
BOCHS = function("0000:05:00.0", "1234:1111", "030000", "bochs-drm", "drm/card0")
NVIDIA = function("0000:81:00.0", "10de:2330", "030200", "nvidia", "drm/card2")
GIVEN = function("0000:c1:00.0", "1002:74a1", "120000", "vfio-pci")


def _run(root: Path, *addresses: str) -> tuple[dict[str, Any] | None, str]:
    script = root / "cdi"
    script.write_text(CDI_SCRIPT)
    spec = root / "run/cdi/wholecard.json"
    environment = {"WHOLECARD_SYS": str(root / "sys"), "WHOLECARD_CDI": str(spec),
                   "PATH": "/usr/bin:/bin"}  # fmt: skip
    result = subprocess.run(
        ["sh", str(script), *addresses], env=environment, capture_output=True, text=True,
        check=True, timeout=30,
    )  # fmt: skip
    if not spec.exists():
        return None, result.stderr
    data = json.loads(spec.read_text())
    jsonschema.validate(data, SCHEMA)
    assert sorted(path.name for path in spec.parent.iterdir()) == ["wholecard.json"]
    return data, result.stderr


def _devices(data: dict[str, Any] | None) -> dict[str, list[str]]:
    assert data is not None
    assert data["kind"] == KIND
    return {
        device["name"]: [node["path"] for node in device["containerEdits"]["deviceNodes"]]
        for device in data["devices"]
    }


def test_every_gpu(tmp_path: Path) -> None:
    """Without an address each card with a GPU is a device, with the nodes of all its functions."""
    root = grow(tmp_path, {**AMD, **BOCHS, **SOUND, **GIVEN, "sys/class/kfd/": ""})
    data, errors = _run(root)
    assert _devices(data) == {
        "0000:05:00.0": ["/dev/dri/card0", "/dev/snd/controlC0", "/dev/snd/pcmC0D0p"],
        "0000:41:00.0": ["/dev/dri/card1", "/dev/dri/renderD128", "/dev/kfd"],
    }
    assert errors == ""
    assert data is not None
    assert data["devices"][1]["containerEdits"]["env"] == [
        "WHOLECARD_CARD_0000_41_00_0=0x1002:0x74a1"
    ]


def test_named_cards_alone(tmp_path: Path) -> None:
    """With addresses those cards are in it and no others, whatever their class."""
    root = grow(tmp_path, {**AMD, **BOCHS, **SOUND})
    assert list(_devices(_run(root, "0000:41:00.0")[0])) == ["0000:41:00.0"]


def test_a_card_of_a_guest_is_not_in_it(tmp_path: Path) -> None:
    """A card that vfio-pci has has no nodes, and a specification without devices is removed."""
    root = grow(tmp_path, {**GIVEN, "run/cdi/wholecard.json": "{}"})
    data, errors = _run(root)
    assert data is None
    assert "no card has device nodes" in errors


def test_nvidia_is_left_to_its_own_tool(tmp_path: Path) -> None:
    """The exact command for NVIDIA's cards is said, and other cards are written."""
    root = grow(tmp_path, {**NVIDIA, **AMD})
    data, errors = _run(root)
    assert list(_devices(data)) == ["0000:41:00.0"]
    assert NVIDIA_COMMAND in errors


@pytest.mark.parametrize("address", ["../../etc.0", "$(touch x).0", '0000:41:00";.0', "*.0"])
def test_what_is_no_address(address: str, tmp_path: Path) -> None:
    """Nothing but an address is looked for, and no command is run."""
    data, errors = _run(grow(tmp_path, AMD), address)
    assert data is None
    assert "is not a card" in errors
    assert not (tmp_path / "x").exists()


def test_strange_node_names_are_left_out(tmp_path: Path) -> None:
    """A name that could end the JSON text is not written."""
    root = grow(tmp_path, {**AMD, f'{PCI}/0000:41:00.0/drm/card"9/dev': "226:9\n"})
    paths = _devices(_run(root)[0])["0000:41:00.0"]
    assert paths == ["/dev/dri/card1", "/dev/dri/renderD128"]


def test_the_unit() -> None:
    """The service runs the script at each boot, after the drivers have loaded."""
    text = unit_text(("0000:41:00.0",))
    assert f"ExecStart={SCRIPT_FILE} 0000:41:00.0\n" in text
    assert "After=systemd-modules-load.service" in text

"""libvirt's hook for boards with NVSwitches, with a fake fmpm that answers as an HGX H100's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.boards import ADDRESSES, MODULES
from wholecard.host import libvirt_hook
from wholecard.host.operations.config_change import HEAD_LINE
from wholecard.host.planning.nvswitch import hook_text
from wholecard.pci.splitting.nvswitch import BOARDS

Hook = Callable[..., int]

# Of a domain of nova 34's libvirt driver, as libvirt 11.3 gives it to a hook.
DOMAIN = """<domain type='kvm' id='1'>
  <name>instance-0000002a</name>
  <metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'/></metadata>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='hostdev' managed='yes'>
      <source><address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x2'/></source>
    </interface>
%s    <hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'>
      <source><address uuid='4b20d080-1b54-4048-85b3-a6a62d165c01'/></source>
    </hostdev>
  </devices>
</domain>
"""
HOSTDEV = """    <hostdev mode='subsystem' type='pci' managed='yes'>
      <driver name='vfio'/>
      <source>
        <address domain='0x{0}' bus='0x{1}' slot='0x{2}' function='0x{3}'/>
      </source>
      <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
    </hostdev>
"""
# -a and -d change what -l prints; the numbers that are active are files of a folder.
FMPM = """#!/bin/sh
echo "$*" >> {0}/calls
if [ -e {0}/fails ]; then
    echo "Failed to connect to Fabric Manager instance."
    exit 253
fi
case "$1" in
-a) [ -e {0}/lazy ] || touch "{0}/active-$2" ;;
-d) rm -f "{0}/active-$2" ;;
-l) [ ! -e {0}/odd ] || {{ echo "no JSON"; exit 0; }}
    while read -r number rest; do
        active=0
        [ ! -e "{0}/active-$number" ] || active=1
        echo "$rest" | sed "s/ACTIVE/$active/"
    done < {0}/rows ;;
esac
"""


def rows() -> str:
    """What `fmpm -l` prints, a line for each partition, which begins with its number."""
    lines = ['- {"maxNumPartitions": 15, "numPartitions": 15, "partitionInfo": [']
    for partition in BOARDS[0].partitions:
        gpus = [{"physicalId": gpu, "uuid": "", "pciBusId": "", "numNvLinksAvailable": 18}
                for gpu in sorted(partition.gpus)]  # fmt: skip
        comma = "," if partition.number < 14 else ""
        lines.append(
            f'{partition.number} {{"gpuInfo": {json.dumps(gpus)}, "isActive": ACTIVE, '
            f'"numGpus": {partition.size}, "partitionId": {partition.number}}}{comma}'
        )
    return "\n".join([*lines, '- ], "version": 16909068}', ""])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a board: sysfs, the table of module ids, and fmpm on PATH."""
    for address in (*ADDRESSES, "0000:05:00.2"):
        folder = tmp_path / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        (folder / "vendor").write_text("0x15b3\n" if address[5:7] == "05" else "0x10de\n")
    (tmp_path / "modules.json").write_text(json.dumps({"modules": MODULES}))
    (tmp_path / "rows").write_text(rows())
    tool = tmp_path / "bin/fmpm"
    tool.parent.mkdir()
    tool.write_text(FMPM.format(tmp_path))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    return tmp_path


@pytest.fixture
def hook(place: Path) -> Hook:
    """Runs the hook as libvirt does, for a domain with the GPUs of these modules."""

    def running(operation: str, *modules: int, stage: str = "begin", domain: str = DOMAIN) -> int:
        addresses = [address for address, module in MODULES.items() if module in modules]
        parts = [address.replace(".", ":").split(":") for address in addresses]
        text = (
            domain % "".join(HOSTDEV.format(*part) for part in parts) if "%" in domain else domain
        )
        argv = ["qemu", "instance-0000002a", operation, stage, "-"]
        return libvirt_hook.main(
            argv, text.encode(), str(place / "modules.json"), str(place / "sys")
        )

    return running


def calls(place: Path) -> list[str]:
    """How fmpm was called."""
    return (place / "calls").read_text().splitlines() if (place / "calls").exists() else []


@pytest.mark.parametrize(
    ("modules", "number"), [((1, 3), 3), ((5, 6, 7, 8), 2), (range(1, 9), 0), ((6,), 12)]
)
def test_from_start_to_end(hook: Hook, place: Path, modules: tuple[int, ...], number: int) -> None:
    """A server's partition is activated before it starts, and deactivated after it ended."""
    assert hook("prepare", *modules) == 0
    assert calls(place) == ["-l", f"-a {number}", "-l"]
    assert hook("prepare", *modules) == 0
    assert calls(place)[3:] == ["-l"]
    assert hook("release", *modules, stage="end") == 0
    assert calls(place)[4:] == ["-l", f"-d {number}"]
    assert hook("release", *modules, stage="end") == 0
    assert calls(place)[6:] == ["-l"]


@pytest.mark.parametrize(
    ("operation", "stage"),
    [("start", "begin"), ("started", "begin"), ("stopped", "end"), ("migrate", "begin"),
     ("reconnect", "begin"), ("prepare", "end"), ("", "")],
)  # fmt: skip
def test_other_operations(hook: Hook, place: Path, operation: str, stage: str) -> None:
    """Nothing is done at libvirt's other operations."""
    assert hook(operation, 1, 2, stage=stage) == 0
    assert calls(place) == []


def test_servers_without_gpus(hook: Hook, place: Path) -> None:
    """A server without a GPU of the board starts, whatever is wrong with the table or with fmpm."""
    (place / "modules.json").unlink()
    (place / "fails").touch()
    assert hook("prepare") == 0
    assert calls(place) == []


def _no_fmpm(place: Path) -> None:
    (place / "bin/fmpm").unlink()


def _moved(place: Path) -> None:
    (place / "sys/bus/pci/devices/0000:88:00.0/vendor").unlink()


def _active(place: Path) -> None:
    (place / "active-1").touch()


@pytest.mark.parametrize(
    ("modules", "spoil", "said"),
    [
        ((1, 2), None, "modules 1 2 are no partition; of that number there are: 1 3; 2 4; 5 7; "
         "6 8"),
        ((1, 2, 3), None, "modules 1 2 3 are no partition; of that number there are: none"),
        ((1, 3), "fails", "fmpm -l ended with status 253, said: Failed to connect to Fabric "
         "Manager instance."),
        ((1, 3), "odd", "fmpm -l printed no partitions: no JSON"),
        ((1, 3), "lazy", "fmpm -a 3 ended well, and partition 3 is not active"),
        ((1, 3), _no_fmpm, "fmpm is not installed (NVIDIA/Fabric-Manager-Client)"),
        ((1, 3), _active, "partition 1 (modules 1 2 3 4) is active and has some of them; if no "
         "server has these GPUs: fmpm -d 1"),
        ((1, 3), _moved, "names 0000:88:00.0, and there is no GPU any more; read the module ids "
         "again (nvidia-smi -q), and apply again"),
        ((1, 3), "no table", "cannot be read"),
    ],
)  # fmt: skip
def test_refused(
    hook: Hook, place: Path, capsys: pytest.CaptureFixture[str], modules: tuple[int, ...],
    spoil: str | Callable[[Path], None] | None, said: str,
) -> None:  # fmt: skip
    """The server does not start, and one line says why; standard output stays empty."""
    if callable(spoil):
        spoil(place)
    elif spoil == "no table":
        (place / "modules.json").write_text("[]")
    elif spoil:
        (place / spoil).touch()
    assert hook("prepare", *modules) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("wholecard: the GPUs of instance-0000002a are not connected: ")
    assert err.endswith("\n")
    assert said in err
    assert err.count("\n") == 1


def test_broken_xml(hook: Hook, capsys: pytest.CaptureFixture[str]) -> None:
    """XML that is none refuses the start."""
    assert hook("prepare", domain="<domain>") == 1
    assert "libvirt's XML cannot be read" in capsys.readouterr().err


def test_as_installed(place: Path) -> None:
    """The installed file runs alone, on any Python 3, and knows nothing of Wholecard's modules."""
    text = hook_text()
    assert text.startswith(f"#!/usr/bin/env python3\n{HEAD_LINE}")
    assert "import wholecard" not in text
    assert "from wholecard" not in text
    compile(text, "hook", "exec", dont_inherit=True)

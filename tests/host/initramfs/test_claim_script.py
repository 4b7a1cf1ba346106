"""What claims the functions at boot: the table, and the script in each initramfs's frame."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.tree import Leaf, grow
from wholecard.core import WholecardError
from wholecard.host.initramfs import dracut, initramfs_tools
from wholecard.host.initramfs.claim_script import CLAIMED, HEAD, Claim, table_text
from wholecard.pci import Address, Function, slot_path

A = "0000:01:00.0"
MOVED = "0000:05:00.0"
PATH = "0000:00/02.0/00.0"
CLAIM = Claim(PATH, A, "1002", "5046")
SHELLS = [
    shell
    for shell in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"])
    if shutil.which(shell[0]) is not None
]
SCRIPTS = {
    "initramfs-tools": initramfs_tools.BOOT_SCRIPT_TEXT,
    "dracut": dracut.HOOK_TEXT,
}
TEXTS = [*SCRIPTS.values(), initramfs_tools.HOOK_TEXT, dracut.MODULE_TEXT]

# Stands for the kernel: after drivers_probe the driver link is there. The script only writes the
# file, so the link is prepared, and removed where the bind is to fail.
MODPROBE = """#!/bin/sh
echo "$*" >> "$SYS_TREE/../calls"
"""


def function(address: str, *ids: str, **more: str) -> dict[str, Leaf]:
    """A function below the root port 00:02.0, as sysfs shows it."""
    place = f"sys/devices/pci0000:00/0000:00:02.0/{address}"
    vendor, device = ids
    tree: dict[str, Leaf] = {
        f"{place}/vendor": f"0x{vendor}\n",
        f"{place}/device": f"0x{device}\n",
        f"{place}/driver_override": "(null)\n",
        "sys/bus/pci/drivers_probe": "",
    }
    return {**tree, **{f"{place}/{name}": text for name, text in more.items()}}


def with_driver(address: str, driver: str) -> dict[str, Leaf]:
    return {
        f"sys/bus/pci/drivers/{driver}/unbind": "",
        f"sys/devices/pci0000:00/0000:00:02.0/{address}/driver": (
            f"-> ../../../../bus/pci/drivers/{driver}"
        ),
    }


def run_script(
    tmp_path: Path, script: str, shell: list[str], table: str, modprobe: str = MODPROBE
) -> str:
    grow(tmp_path, {"bin/modprobe": (modprobe, 0o755), "script": script, "table": table})
    subprocess.run(
        [*shell, str(tmp_path / "script")],
        check=True,
        env={
            "PATH": os.environ["PATH"],
            "SYS_TREE": str(tmp_path / "sys"),
            "WHOLECARD_SYS": str(tmp_path / "sys"),
            "WHOLECARD_TABLE": str(tmp_path / "table"),
            "WHOLECARD_KMSG": str(tmp_path / "kmsg"),
            "WHOLECARD_MODPROBE": str(tmp_path / "bin/modprobe"),
        },
    )
    log = tmp_path / "kmsg"
    return log.read_text() if log.exists() else ""


def in_sys(tmp_path: Path, address: str, name: str) -> str:
    return (tmp_path / "sys/devices/pci0000:00/0000:00:02.0" / address / name).read_text()


def test_table() -> None:
    """The table has its version first, and a line for each function: path, address, ids, driver."""
    functions = [
        (Function(Address(0, 1, 0, 1), "8086", "293e", parents=(Address(0, 0, 2, 0),)), "vfio-pci"),
        (Function(Address(0x10000, 1, 0, 0), vendor="1002", device="5046"), "pci-stub"),
    ]
    text = table_text(Claim.of(each, driver) for each, driver in functions)
    assert text.startswith(f"{HEAD}\n")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        "0000:00/02.0/00.1 0000:01:00.1 8086 293e vfio-pci",
        "10000:01/00.0 10000:01:00.0 1002 5046 pci-stub",
    ]
    assert [str(Claim.parse(line)) for line in lines] == lines


@pytest.mark.parametrize(
    "line", ["", "0000:01:00.1", "0000:01:00.1 8086 293e", "a b c d", "a b c d e f"]
)
def test_no_claim(line: str) -> None:
    """What is not a planned function is an error, not a traceback."""
    with pytest.raises(WholecardError, match="not a planned function"):
        Claim.parse(line)


@pytest.mark.parametrize(
    ("parents", "address", "path"),
    [
        ((), "0000:00:02.0", "0000:00/02.0"),
        (("0000:00:02.0",), A, PATH),
        (("0000:80:01.1", "0000:81:00.0", "0000:82:10.0"), "0000:88:00.3", None),
        (("0000:00:0e.0", "10000:e0:06.0"), "10000:e1:00.0", "10000:e0/06.0/00.0"),
    ],
)
def test_path(parents: tuple[str, ...], address: str, path: str | None) -> None:
    """A path has the root bus and the slots below it, and no number of a bus in between."""
    above = tuple(Address.parse(parent) for parent in parents)
    found = slot_path(Function(Address.parse(address), parents=above))
    assert found == (path or "0000:80/01.1/00.0/10.0/00.3")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("text", TEXTS)
def test_syntax(shell: list[str], text: str, tmp_path: Path) -> None:
    """Every script is read by every shell that an initramfs may have."""
    grow(tmp_path, {"script": text})
    subprocess.run([*shell, "-n", str(tmp_path / "script")], check=True)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize(
    ("vendor", "driver", "said", "override"),
    [
        ("1002", "vfio-pci", f"{A} 1002:5046 claimed by vfio-pci", "(null)\n"),
        ("1002", None, f"{A} 1002:5046 not claimed by vfio-pci, driver: none", "vfio-pci\n"),
        ("1002", "radeon", f"{A} 1002:5046 not claimed by vfio-pci, driver: radeon", "vfio-pci\n"),
        ("10de", "radeon", f"{A} is 10de:5046, not 1002:5046: left alone", "(null)\n"),
    ],
)
def test_claims(
    tmp_path: Path,
    shell: list[str],
    script: str,
    vendor: str,
    driver: str | None,
    said: str,
    override: str,
) -> None:
    """A function with the planned ids is overridden and probed, and what became of it is logged."""
    grow(tmp_path, function(A, vendor, "5046"))
    if driver:
        grow(tmp_path, with_driver(A, driver))
    log = run_script(tmp_path, script, shell, table_text([CLAIM]))
    assert log == f"<6>wholecard: {said}\n"
    assert in_sys(tmp_path, A, "driver_override") == override
    tried = override == "vfio-pci\n"
    assert (tmp_path / "sys/bus/pci/drivers_probe").read_text() == (f"{A}\n" if tried else "")
    assert (tmp_path / "calls").exists() == tried
    if driver == "radeon":
        unbound = (tmp_path / "sys/bus/pci/drivers/radeon/unbind").read_text()
        assert unbound == (f"{A}\n" if tried else "")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_moved(tmp_path: Path, shell: list[str], script: str) -> None:
    """A function whose bus was numbered anew is found by its slots, and the log says so."""
    grow(tmp_path, {**function(MOVED, "1002", "5046"), **with_driver(MOVED, "vfio-pci")})
    log = run_script(tmp_path, script, shell, table_text([CLAIM]))
    assert log == f"<6>wholecard: {MOVED} 1002:5046 claimed by vfio-pci, planned at {A}\n"
    match = CLAIMED.search(log)
    assert match is not None
    assert (match["address"], match["driver"], match["planned"]) == (MOVED, "vfio-pci", A)


def test_stranger_at_the_address(tmp_path: Path) -> None:
    """Another card of the same kind that got the planned address is left alone."""
    grow(tmp_path, {**function(MOVED, "1002", "5046"), **with_driver(MOVED, "vfio-pci")})
    stranger = "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"
    grow(tmp_path, {f"{stranger}/{name}": text for name, text in IDENTICAL.items()})
    log = run_script(tmp_path, SCRIPTS["dracut"], ["sh"], table_text([CLAIM]))
    assert log == f"<6>wholecard: {MOVED} 1002:5046 claimed by vfio-pci, planned at {A}\n"
    assert (tmp_path / stranger / "driver_override").read_text() == "(null)\n"


IDENTICAL = {"vendor": "0x1002\n", "device": "0x5046\n", "driver_override": "(null)\n"}


def test_not_a_vf(tmp_path: Path) -> None:
    """A VF that repeats the slot's number below the same bridge is not taken for the function."""
    grow(tmp_path, {**function(A, "8086", "1572"), **function(MOVED, "1002", "5046", physfn="")})
    log = run_script(tmp_path, SCRIPTS["dracut"], ["sh"], table_text([CLAIM]))
    assert log == f"<6>wholecard: {A} is 8086:1572, not 1002:5046: left alone\n"


def test_below_a_vmd(tmp_path: Path) -> None:
    """A root bus below a device, as VMD makes one, is found too."""
    claim = Claim("10000:e0/06.0/00.0", "10000:e1:00.0", "1002", "5046")
    place = "sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0"
    grow(tmp_path, {f"{place}/{name}": text for name, text in IDENTICAL.items()})
    grow(tmp_path, {f"{place}/driver": "-> ../drivers/vfio-pci"})
    log = run_script(tmp_path, SCRIPTS["initramfs-tools"], ["sh"], table_text([claim]))
    assert log == "<6>wholecard: 10000:e1:00.0 1002:5046 claimed by vfio-pci\n"


def test_parked(tmp_path: Path) -> None:
    """A parked function is given to pci-stub, whose module is loaded."""
    grow(tmp_path, function(A, "1002", "5046"))
    parked = Claim(PATH, A, "1002", "5046", "pci-stub")
    run_script(tmp_path, SCRIPTS["dracut"], ["sh"], table_text([parked]))
    assert in_sys(tmp_path, A, "driver_override") == "pci-stub\n"
    assert (tmp_path / "calls").read_text() == "pci-stub\n"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "{table} is of another release: nothing is claimed"),
        (f"# head\n{A} 1002 5046 vfio-pci\n", "{table} is of another release: nothing is claimed"),
        (table_text([CLAIM]), f"{A} is not there: left alone"),
    ],
)
def test_nothing_claimed(tmp_path: Path, table: str, said: str) -> None:
    """A table of another release and a function that is not there are logged and left alone."""
    log = run_script(tmp_path, SCRIPTS["dracut"], ["sh"], table)
    assert log == f"<6>wholecard: {said.format(table=tmp_path / 'table')}\n"


def test_sourced(tmp_path: Path) -> None:
    """dracut sources its hooks: ours leaves the shell's variables and its life alone."""
    grow(tmp_path, {"hook": dracut.HOOK_TEXT})
    line = f". {tmp_path}/hook; echo $root $path alive"
    done = subprocess.run(
        ["sh", "-c", f"root=a path=b; {line}"],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "WHOLECARD_TABLE": str(tmp_path / "none")},
    )
    assert done.stdout == "a b alive\n"


@pytest.mark.parametrize(
    "fields",
    [
        (f"0000:00/1f.2 0000:00:1f.2 8086 2922 vfio-pci\n{PATH}", A, "1002", "5046"),
        (PATH, f"{A} x", "1002", "5046"),
        (PATH, A, "10020", "5046"),
        (PATH, A, "", "5046"),
        (PATH, A, "1002", "*"),
        (PATH, A, "1002", "5046", "vfio-pci\n"),
        ("0000:00/../00.0", A, "1002", "5046"),
        ("", A, "1002", "5046"),
    ],
)
def test_no_function(fields: tuple[str, ...]) -> None:
    """What would be another line of the boot script's table, or none, is no claim."""
    with pytest.raises(WholecardError, match="is not a function to bind"):
        Claim(*fields)


VARIANT_MODPROBE = """#!/bin/sh
echo "$*" >> "$SYS_TREE/../calls"
[ "$*" != absent_vfio_pci ]
"""


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("planned", "loaded", "override"),
    [
        ("nvgrace_gpu_vfio_pci", ["nvgrace_gpu_vfio_pci"], "nvgrace_gpu_vfio_pci\n"),
        ("other_vfio_pci", ["other_vfio_pci"], "other-vfio-pci\n"),
        ("absent_vfio_pci", ["absent_vfio_pci", "vfio-pci"], "vfio-pci\n"),
    ],
)
def test_variant(
    tmp_path: Path, script: str, shell: list[str], planned: str, loaded: list[str], override: str
) -> None:
    """A variant is bound by its driver's name; a kernel that lacks it binds vfio-pci."""
    grow(tmp_path, function(A, "1002", "5046"))
    grow(tmp_path, {"sys/module/other_vfio_pci/drivers/pci:other-vfio-pci": ""})
    table = table_text([Claim(PATH, A, "1002", "5046", planned)])
    run_script(tmp_path, script, shell, table, VARIANT_MODPROBE)
    assert (tmp_path / "calls").read_text().split() == loaded
    assert in_sys(tmp_path, A, "driver_override") == override
    assert (tmp_path / "sys/bus/pci/drivers_probe").read_text() == f"{A}\n"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_all_are_held_first(tmp_path: Path, script: str) -> None:
    """No module is loaded before every function is held: a variant may load the native driver."""
    second = "0000:00/03.0/00.0"
    grow(tmp_path, function(A, "1002", "5046"))
    grow(tmp_path, {
        f"sys/devices/pci0000:00/0000:00:03.0/0000:02:00.0/{name}": text
        for name, text in {
            "vendor": "0x1002\n", "device": "0x5046\n", "driver_override": "(null)\n"
        }.items()
    })  # fmt: skip
    claims = [Claim(path, a, "1002", "5046", "mlx5_vfio_pci") for path, a in (
        (PATH, A), (second, "0000:02:00.0"))]  # fmt: skip
    modprobe = '#!/bin/sh\ncat "$SYS_TREE"/devices/*/*/*/driver_override >> "$SYS_TREE/../calls"\n'
    run_script(tmp_path, script, SHELLS[0], table_text(claims), modprobe)
    assert (tmp_path / "calls").read_text().split()[:2] == ["mlx5_vfio_pci"] * 2

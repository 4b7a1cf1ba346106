"""init.sh, run by real shells against a tree of files, and read back by proof.parse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from importlib import resources
from pathlib import Path

import pytest

from wholecard.guest.proof.record import PREFIX, Proof, checksum, parse

SHELLS = [
    [path] + (["sh"] if name == "busybox" else [])
    for name in ("dash", "busybox", "bash")
    if (path := shutil.which(name)) is not None
]


def sysfs(root: Path) -> Path:
    """A sysfs with a bridge, a card of two functions behind it with a codec, and printk."""
    devices = root / "sys/devices/pci0000:00"
    card = devices / "0000:00:02.0"
    for path, files in {
        card: {"class": "0x060400", "vendor": "0x1b36", "device": "0x000c"},
        card / "0000:01:00.0": {"class": "0x030000", "vendor": "0x1002", "device": "0x5046"},
        card / "0000:01:00.1": {"class": "0x040300", "vendor": "0x8086", "device": "0x293e"},
    }.items():
        path.mkdir(parents=True)
        for name, value in {
            **files, "subsystem_vendor": "0x1af4", "subsystem_device": "0x1100",
        }.items():  # fmt: skip
            (path / name).write_text(value + "\n")
        (path / "resource").write_text(
            "0x00000000fd000000 0x00000000fdffffff 0x0000000000042208\n"
            "0x0000380000000000 0x00003807ffffffff 0x000000000014220c\n"
            + "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 4
            + "0x00000000febe0000 0x00000000febeffff 0x0000000000046200\n"
        )
        bus = root / "sys/bus/pci/devices"
        bus.mkdir(parents=True, exist_ok=True)
        (bus / path.name).symlink_to(path)
    (root / "work").mkdir()
    (root / "proc/sys/kernel/random").mkdir(parents=True)
    (root / "proc/sys/kernel/random/boot_id").write_text("0123abcd-1111-2222-3333-444455556666\n")
    (root / "proc/sys/kernel/osrelease").write_text("6.12.0-test\n")
    (root / "proc/sys/kernel/printk").write_text("7\n")
    return card / "0000:01:00.1"


def bind_sound(root: Path, sound: Path) -> None:
    """Give the sound function its driver, its interrupts and its codec."""
    for name in ("snd_hda_intel", "snd_hda_codec_generic"):
        (root / "sys/drivers" / name).mkdir(parents=True, exist_ok=True)
    (sound / "driver").symlink_to(root / "sys/drivers/snd_hda_intel")
    for irq in ("24", "25"):
        (sound / "msi_irqs").mkdir(exist_ok=True)
        (sound / "msi_irqs" / irq).write_text("msi\n")
    codec = sound / "hdaudioC0D0"
    codec.mkdir()
    (codec / "driver").symlink_to(root / "sys/drivers/snd_hda_codec_generic")
    (codec / "vendor_id").write_text("0x1af40012\n")
    (codec / "vendor_name").write_text('QE"M\\U\n')
    (codec / "chip_name").write_text("Generic\n")
    (root / "sys/bus/hdaudio/devices").mkdir(parents=True)
    (root / "sys/bus/hdaudio/devices/hdaudioC0D0").symlink_to(codec)


def start(
    root: Path, shell: list[str], wait: int = 0, repeat: int = 1, pause: float = 0
) -> subprocess.Popen[bytes]:
    """init.sh on this tree; what it says goes to the file `console`."""
    script = str(resources.files("wholecard.guest.proof").joinpath("init.sh"))
    variables = {
        "WHOLECARD_SYS": str(root / "sys"),
        "WHOLECARD_PROC": str(root / "proc"),
        "WHOLECARD_CONSOLE": str(root / "console"),
        "WHOLECARD_WORK": str(root / "work"),
        "WHOLECARD_WAIT": str(wait),
        "WHOLECARD_REPEAT": str(repeat),
        "WHOLECARD_PAUSE": str(pause),
    }
    return subprocess.Popen([*shell, script], env={**os.environ, **variables})


def report(root: Path, shell: list[str]) -> Proof:
    """What init.sh says of this tree."""
    assert start(root, shell).wait(timeout=20) == 0
    return parse((root / "console").read_text())


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_round_trip(tmp_path: Path, shell: list[str]) -> None:
    """Every fact of the tree arrives, in every shell that is here."""
    bind_sound(tmp_path, sysfs(tmp_path))
    proof = report(tmp_path, shell)
    assert (proof.complete, proof.damaged) == (True, 0)
    assert proof.kernel == "6.12.0-test"
    bridge, graphics, sound = proof.functions
    assert bridge.id == "1b36:000c"
    assert (graphics.address, graphics.driver, graphics.irqs) == ("0000:01:00.0", None, 0)
    assert graphics.path == ("0000:00:02.0", "0000:01:00.0")
    assert graphics.bars == (16 << 20, 32 << 30, 0, 0, 0, 0)
    assert (sound.driver, sound.irqs, sound.pci_class) == ("snd_hda_intel", 2, "040300")
    assert (sound.subsystem_vendor, sound.subsystem_device) == ("1af4", "1100")
    (codec,) = proof.codecs
    assert (codec.function, codec.id, codec.name) == ("0000:01:00.1", "1af40012", "QEMU Generic")
    assert codec.driver == "snd_hda_codec_generic"


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_it_says_the_same_again(tmp_path: Path, shell: list[str]) -> None:
    """Every repetition has the same lines, in order, each with its checksum and its boot."""
    bind_sound(tmp_path, sysfs(tmp_path))
    assert start(tmp_path, shell, repeat=3).wait(timeout=20) == 0
    lines = (tmp_path / "console").read_text().splitlines()
    assert lines == lines[: len(lines) // 3] * 3
    records = [each.removeprefix(PREFIX).split(" ", 1) for each in lines[: len(lines) // 3] if each]
    assert [checksum(text) for _, text in records] == [checked for checked, _ in records]
    decoded = [json.loads(text) for _, text in records]
    assert [(each["boot"], each["number"]) for each in decoded] == [
        ("0123abcd", number) for number in range(6)
    ]
    assert [each["record"] for each in decoded] == ["begin", *["function"] * 3, "codec", "end"]


def test_it_pauses_between_repetitions(tmp_path: Path) -> None:
    """The first report does not wait for the pause, the second does."""
    sysfs(tmp_path)
    process = start(tmp_path, SHELLS[0], repeat=2, pause=2)
    console = tmp_path / "console"
    while not (console.exists() and parse(console.read_text()).complete):
        time.sleep(0.02)
    once = console.read_text()
    assert process.poll() is None
    assert process.wait(timeout=10) == 0
    assert console.read_text() == once * 2


def test_the_kernel_is_made_quiet(tmp_path: Path) -> None:
    """Before it reports, the guest keeps kernel messages off the console."""
    sysfs(tmp_path)
    report(tmp_path, SHELLS[0])
    assert (tmp_path / "proc/sys/kernel/printk").read_text() == "1\n"


def test_a_half_line_before_the_report(tmp_path: Path) -> None:
    """What was half written on the console does not spoil the first record."""
    sysfs(tmp_path)
    (tmp_path / "console").write_text("[    4.2] igbvf: Copy")
    assert report(tmp_path, SHELLS[0]).complete


def test_an_empty_machine(tmp_path: Path) -> None:
    """Without any function the report is complete and empty."""
    sysfs(tmp_path)
    shutil.rmtree(tmp_path / "sys")
    proof = report(tmp_path, SHELLS[0])
    assert (proof.complete, proof.functions, proof.codecs) == (True, (), ())


def test_it_waits_until_sound_has_settled(tmp_path: Path) -> None:
    """The report comes once the sound function has a driver and a codec, and not before."""
    sound = sysfs(tmp_path)
    process = start(tmp_path, SHELLS[0], wait=30)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.7)
    assert not (tmp_path / "console").exists()
    bind_sound(tmp_path, sound)
    assert process.wait(timeout=10) == 0
    assert parse((tmp_path / "console").read_text()).functions[2].driver == "snd_hda_intel"


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A sound function that never gets a driver is reported without one."""
    sysfs(tmp_path)
    process = start(tmp_path, SHELLS[0], wait=1)
    assert process.wait(timeout=10) == 0
    assert parse((tmp_path / "console").read_text()).functions[2].driver is None

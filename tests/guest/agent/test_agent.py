"""agent.sh, run by real shells against a tree of files, and read back by the proof's parser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest

from support.tree import grow
from wholecard.guest.proof.record import Proof, ProofContainer, ProofGpu, ProofProblem
from wholecard.guest.proof.report import PREFIX, checksum, parse

SHELLS = [
    [path] + (["sh"] if name == "busybox" else [])
    for name in ("dash", "busybox", "bash")
    if (path := shutil.which(name)) is not None
]
SCRIPT = str(resources.files("wholecard.guest.agent").joinpath("agent.sh"))
RESOURCE = (
    "0x00000000fd000000 0x00000000fdffffff 0x0000000000042208\n"
    "0x0000380000000000 0x00003807ffffffff 0x000000000014220c\n"
    + "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 4
    + "0x00000000febe0000 0x00000000febeffff 0x0000000000046200\n"
)
in_every_shell = pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)


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
        (path / "resource").write_text(RESOURCE)
        bus = root / "sys/bus/pci/devices"
        bus.mkdir(parents=True, exist_ok=True)
        (bus / path.name).symlink_to(path)
    grow(
        root,
        {
            "proc/sys/kernel/random/boot_id": "0123abcd-1111-2222-3333-444455556666\n",
            "proc/sys/kernel/osrelease": "6.12.0-test\n",
            "proc/sys/kernel/printk": "7\t4\t1\t7\n",
            "proc/meminfo": "MemTotal:        4026528 kB\nMemFree: 1 kB\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
            "sys/devices/system/cpu/cpu0/online": "1\n",
            "sys/devices/system/cpu/cpu1/online": "1\n",
            "sys/devices/system/node/node0/cpulist": "0-1\n",
        },
    )
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
    root: Path, shell: list[str], *arguments: str, wait: int = 0, repeat: int = 1,
    pause: float = 0, extra: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:  # fmt: skip
    """The agent on this tree, with the programs of `bin`; its report goes to the file `console`."""
    variables = {
        "WHOLECARD_SYS": str(root / "sys"),
        "WHOLECARD_PROC": str(root / "proc"),
        "WHOLECARD_ETC": str(root / "etc"),
        "WHOLECARD_RUN_CDI": str(root / "run/cdi"),
        "WHOLECARD_CONFIG": str(root / "config"),
        "WHOLECARD_CONSOLE": str(root / "console"),
        "WHOLECARD_WORK": str(root / "work"),
        "WHOLECARD_WAIT": str(wait),
        "WHOLECARD_REPEAT": str(repeat),
        "WHOLECARD_PAUSE": str(pause),
        "TMPDIR": str(root),
        "PATH": f"{root / 'bin'}:/usr/bin:/bin",
        "WHOLECARD_PATH": "",
        **(extra or {}),
    }
    return subprocess.Popen(
        [*shell, SCRIPT, *arguments], env=variables, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> str:
    """What an agent printed that ended well."""
    try:
        said, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, said
    return said


def report(root: Path, shell: list[str] = SHELLS[0], *arguments: str) -> Proof:
    """What the agent says of this tree on its console; on its standard output it says nothing."""
    assert finished(start(root, shell, *arguments)) == ""
    return parse((root / "console").read_text())


def program(root: Path, name: str, script: str) -> None:
    """A program of the guest."""
    grow(root, {f"bin/{name}": f"#!/bin/sh\n{script}\n"})
    (root / "bin" / name).chmod(0o755)


@in_every_shell
def test_help(tmp_path: Path, shell: list[str]) -> None:
    """--help prints the usage with the name of the file that was called, and reports nothing."""
    called = tmp_path / "wholecard-agent"
    shutil.copy(SCRIPT, called)
    argv = [*shell, str(called)]
    ran = [
        subprocess.run([*argv, word], capture_output=True, text=True, timeout=20, check=False)
        for word in ("--help", "-h", "--no-such")
    ]
    assert [(each.returncode, each.stderr) for each in ran[:2]] == [(0, "")] * 2
    assert ran[0].stdout == ran[1].stdout
    assert ran[0].stdout.startswith("usage: wholecard-agent [--if-asked] [--stdout] ")
    assert (ran[2].returncode, ran[2].stdout) == (2, "")
    assert ran[2].stderr == "wholecard: unknown option --no-such\n" + ran[0].stdout


@in_every_shell
def test_functions(tmp_path: Path, shell: list[str]) -> None:
    """Every fact of the tree arrives, in every shell that is here."""
    sound = sysfs(tmp_path)
    bind_sound(tmp_path, sound)
    grow(
        sound.parent / "0000:01:00.0",
        {
            "numa_node": "1\n", "current_link_speed": "16.0 GT/s PCIe\n",
            "current_link_width": "16\n", "max_link_speed": "Unknown\n", "max_link_width": "255\n",
        },
    )  # fmt: skip
    proof = report(tmp_path, shell)
    assert (proof.complete, proof.damaged, proof.problems) == (True, 0, ())
    assert proof.machine is not None
    assert vars(proof.machine) == {
        "nonce": "", "agent": "linux", "kernel": "6.12.0-test",
        "os": "Debian GNU/Linux 13 (trixie)", "cpus": 2, "numa_nodes": 1, "memory_mib": 3932,
    }  # fmt: skip
    bridge, graphics, sound_function = proof.functions
    assert (bridge.id, bridge.numa, bridge.link) == ("1b36:000c", -1, None)
    assert (graphics.address, graphics.driver, graphics.irqs) == ("0000:01:00.0", None, 0)
    assert graphics.path == ("0000:00:02.0", "0000:01:00.0")
    assert graphics.bars == (16 << 20, 32 << 30, 0, 0, 0, 0)
    assert (graphics.numa, graphics.link, graphics.max_link) == (1, (16.0, 16), None)
    assert (sound_function.driver, sound_function.irqs) == ("snd_hda_intel", 2)
    assert (sound_function.subsystem_vendor, sound_function.subsystem_device) == ("1af4", "1100")
    (codec,) = proof.codecs
    assert (codec.function, codec.id, codec.name) == ("0000:01:00.1", "1af40012", "QEMU Generic")
    assert codec.driver == "snd_hda_codec_generic"


@in_every_shell
def test_it_says_the_same_again(tmp_path: Path, shell: list[str]) -> None:
    """Every repetition has the same lines, in order, each with its checksum and its boot."""
    bind_sound(tmp_path, sysfs(tmp_path))
    finished(start(tmp_path, shell, repeat=3))
    lines = (tmp_path / "console").read_text().splitlines()
    assert lines == lines[: len(lines) // 3] * 3
    records = [each.removeprefix(PREFIX).split(" ", 1) for each in lines[: len(lines) // 3] if each]
    assert [checksum(text) for _, text in records] == [checked for checked, _ in records]
    decoded = [json.loads(text) for _, text in records]
    assert [(each["boot"], each["number"]) for each in decoded] == [
        ("0123abcd", number) for number in range(6)
    ]
    assert [each["record"] for each in decoded] == ["begin", *["function"] * 3, "codec", "end"]


@pytest.mark.parametrize(("cards", "times"), [(1, 12), (60, 2)])
def test_all_repetitions_leave_room_for_the_boot(tmp_path: Path, cards: int, times: int) -> None:
    """All repetitions have some 40 KiB of the 100 that nova keeps, but a report comes twice."""
    sysfs(tmp_path)
    bus = tmp_path / "sys/bus/pci/devices"
    for number in range(1, cards):
        (bus / f"0000:{number + 1:02x}:00.0").symlink_to((bus / "0000:01:00.0").resolve())
    finished(start(tmp_path, SHELLS[0], repeat=12))
    console = (tmp_path / "console").read_text()
    assert console.count('"record":"end"') == times
    assert times == 2 or len(console) < 40_960


def test_it_pauses_between_repetitions(tmp_path: Path) -> None:
    """The first report does not wait for the pause, the second does."""
    sysfs(tmp_path)
    process = start(tmp_path, SHELLS[0], repeat=2, pause=2)
    console = tmp_path / "console"
    while not (console.exists() and parse(console.read_text()).complete):
        time.sleep(0.02)
    once = console.read_text()
    assert process.poll() is None
    finished(process)
    assert console.read_text() == once * 2


def test_the_kernel_is_quiet_meanwhile(tmp_path: Path) -> None:
    """While it reports the guest keeps kernel messages off the console, and not afterwards."""
    sysfs(tmp_path)
    os.mkfifo(tmp_path / "console")
    printk = tmp_path / "proc/sys/kernel/printk"
    process = start(tmp_path, SHELLS[0])
    # It cannot write, and so not end, as long as nobody has opened the pipe.
    while printk.read_text() != "1\n":
        assert process.poll() is None
    with (tmp_path / "console").open() as console:
        assert parse(console.read()).complete
    finished(process)
    assert printk.read_text() == "7\t4\t1\t7\n"


@in_every_shell
def test_an_agent_that_is_ended(tmp_path: Path, shell: list[str]) -> None:
    """A terminate signal ends it, and the kernel's messages come to the console again."""
    sysfs(tmp_path)
    process = start(tmp_path, shell, repeat=2, pause=1)
    console = tmp_path / "console"
    while not (console.exists() and parse(console.read_text()).complete):
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert (tmp_path / "proc/sys/kernel/printk").read_text() == "7\t4\t1\t7\n"


def test_a_half_line_before_the_report(tmp_path: Path) -> None:
    """What was half written on the console does not spoil the first record."""
    sysfs(tmp_path)
    (tmp_path / "console").write_text("[    4.2] igbvf: Copy")
    assert report(tmp_path).complete


def test_an_empty_machine(tmp_path: Path) -> None:
    """Without any function the report is complete and empty."""
    sysfs(tmp_path)
    shutil.rmtree(tmp_path / "sys")
    proof = report(tmp_path)
    assert (proof.complete, proof.functions, proof.codecs) == (True, (), ())


def test_it_waits_until_sound_has_settled(tmp_path: Path) -> None:
    """The report comes once the sound function has a driver and a codec, and not before."""
    sound = sysfs(tmp_path)
    process = start(tmp_path, SHELLS[0], wait=30)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.7)
    assert not (tmp_path / "console").exists()
    bind_sound(tmp_path, sound)
    finished(process)
    assert parse((tmp_path / "console").read_text()).functions[2].driver == "snd_hda_intel"


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A sound function that never gets a driver is reported without one."""
    sysfs(tmp_path)
    finished(start(tmp_path, SHELLS[0], wait=1))
    assert parse((tmp_path / "console").read_text()).functions[2].driver is None


# --- Who asks -------------------------------------------------------------------------------------


def config_drive(root: Path, name: str = "vm", **meta: str) -> None:
    """A config drive as nova writes it."""
    text = json.dumps({"uuid": "5", "name": name, "meta": meta, "hostname": "vm"})
    grow(root, {"config/openstack/latest/meta_data.json": text})


@in_every_shell
def test_the_nonce_of_the_config_drive(tmp_path: Path, shell: list[str]) -> None:
    """The nonce comes from the server's metadata, and not from what only looks like it."""
    sysfs(tmp_path)
    config_drive(tmp_path, '"wholecard_nonce": "feed"', wholecard_nonce="0a1b2c3d", other="x")
    assert report(tmp_path, shell, "--if-asked").nonce == "0a1b2c3d"


def test_nobody_asks(tmp_path: Path) -> None:
    """An image's own agent is silent in a server that is no proof, and may be asked later."""
    sysfs(tmp_path)
    for _ in range(2):
        assert finished(start(tmp_path, SHELLS[0], "--if-asked")) == ""
    assert not (tmp_path / "console").exists()
    config_drive(tmp_path, wholecard_nonce="0a1b")
    assert report(tmp_path, SHELLS[0], "--if-asked").nonce == "0a1b"


def test_user_data_before_metadata(tmp_path: Path) -> None:
    """The nonce of user data, which comes as a variable, is taken first."""
    sysfs(tmp_path)
    config_drive(tmp_path, wholecard_nonce="0a1b")
    finished(start(tmp_path, SHELLS[0], extra={"WHOLECARD_NONCE": "ffff"}))
    assert parse((tmp_path / "console").read_text()).nonce == "ffff"


def test_one_report_a_boot(tmp_path: Path) -> None:
    """An image's own agent and one in user data do not both report."""
    sysfs(tmp_path)
    report(tmp_path)
    (tmp_path / "console").unlink()
    assert finished(start(tmp_path, SHELLS[0])) == ""
    assert not (tmp_path / "console").exists()


def test_on_standard_output(tmp_path: Path) -> None:
    """By hand the report is printed once, as often as one likes."""
    sysfs(tmp_path)
    for _ in range(2):
        said = finished(start(tmp_path, SHELLS[0], "--stdout", repeat=5))
        assert parse(said).complete
        assert said.count('"record":"end"') == 1
    assert not (tmp_path / "console").exists()
    assert [path.name for path in tmp_path.glob("wholecard-agent*")] == []


# --- GPUs -----------------------------------------------------------------------------------------

NVIDIA_SMI = """echo "00000000:01:00.0, GPU-5c8e0b0e-1, 580.65.06, 81559, NVIDIA H100, 80GB HBM3"
echo "00000000:0A:00.0, GPU-5c8e0b0e-2, 580.65.06, [N/A], NVIDIA H100"
echo "WARNING: infoROM is corrupted at gpu 0000:0A:00.0" """


@in_every_shell
def test_nvidia_smi(tmp_path: Path, shell: list[str]) -> None:
    """nvidia-smi's rows become GPUs, its warnings do not, and what it does not know is None."""
    sysfs(tmp_path)
    program(tmp_path, "nvidia-smi", NVIDIA_SMI)
    first, second = report(tmp_path, shell).gpus
    assert first == ProofGpu(
        "nvidia-smi", "0000:01:00.0", "NVIDIA H100, 80GB HBM3", 81559, "GPU-5c8e0b0e-1",
        "580.65.06",
    )  # fmt: skip
    assert (second.address, second.memory_mib) == ("0000:0a:00.0", None)


# What `nvidia-smi -q` prints of a GPU, shortened around its section Fabric. Completed is what H100
# and H200 in VMs print with 590.48.01 (github.com/utkuozdemir/nvidia_gpu_exporter, folder
# internal/captures, where RTX and L40S print N/A), N/A also what A100 print
# (github.com/bottlerocket-os/bottlerocket/pull/3873). In Progress and what is beside it:
# github.com/NVIDIA/gpu-operator/issues/2511 (580.159.04). The words of health:
# github.com/leptonai/gpud, after NVML's. The section without Health is invented.
def fabric(state: str, status: str, summary: str | None = "N/A") -> str:
    """The section Fabric; with no summary it ends after Status."""
    health = (
        "" if summary is None else
        "        CliqueId                                       : 0\n"
        "        ClusterUUID                                    : 00000000-0000-0000-0000\n"
        f"        Health\n            Summary                                    : {summary}\n"
        "            Bandwidth                                  : N/A\n"
        "            Route Unhealthy                            : N/A\n"
    )  # fmt: skip
    return (
        "    Clock Policy\n        Auto Boost                                     : N/A\n"
        f"    Fabric\n        State                                          : {state}\n"
        f"        Status                                         : {status}\n{health}"
    )


def query(first: str, second: str = "", *, status: int = 0) -> str:
    """An nvidia-smi with two GPUs, whose -q prints these sections of them."""
    gpu = "    Product Name                                       : NVIDIA H100 80GB HBM3\n{}"
    end = (
        "    Processes                                          : None\n"
        "    Capabilities\n        State                                          : disabled\n"
    )
    return (
        f'if [ "$1" != -q ]; then\n{NVIDIA_SMI}\nexit; fi\ncat <<END\n'
        "==============NVSMI LOG==============\n\n"
        "Driver Version                                         : 590.48.01\n"
        f"Attached GPUs                                          : 2\nGPU 00000000:01:00.0\n"
        f"{gpu.format(first)}{end}\nGPU 00000000:0A:00.0\n{gpu.format(second)}{end}\nEND\n"
        f"exit {status}"
    )


NO_FABRIC = (None, None, None)


@in_every_shell
@pytest.mark.parametrize(
    ("script", "first", "second"),
    [
        (query(fabric("Completed", "Success"), fabric("In Progress", "N/A")),
         ("Completed", "Success", None), ("In Progress", None, None)),
        (query(fabric("Completed", "Success", "Limited Capacity"), fabric("Not Started", "N/A")),
         ("Completed", "Success", "Limited Capacity"), ("Not Started", None, None)),
        (query(fabric("Completed", "Unknown Error", "Healthy"), fabric("N/A", "N/A")),
         ("Completed", "Unknown Error", "Healthy"), NO_FABRIC),
        (query(fabric("Completed", "Success", None), fabric("N/A", "N/A", None)),
         ("Completed", "Success", None), NO_FABRIC),
        (query(fabric("Not Supported", "Success"), fabric("[N/A]", "[N/A]")), NO_FABRIC, NO_FABRIC),
        (query("", ""), NO_FABRIC, NO_FABRIC),
        # What was printed before a failure counts.
        (query(fabric("Completed", "Success"), status=14), ("Completed", "Success", None),
         NO_FABRIC),
        (f"[ \"$1\" != -q ] || exit 2\n{NVIDIA_SMI}", NO_FABRIC, NO_FABRIC),
    ],
    ids=["one waits", "capacity", "status", "older driver", "not supported", "old driver",
         "fails at the end", "no -q"],
)  # fmt: skip
def test_fabrics(
    tmp_path: Path, shell: list[str], script: str, first: tuple[str | None, ...],
    second: tuple[str | None, ...],
) -> None:  # fmt: skip
    """Each GPU has its own fabric; one without, and a driver that does not say, is no problem."""
    sysfs(tmp_path)
    program(tmp_path, "nvidia-smi", script)
    proof = report(tmp_path, shell)
    assert [
        (gpu.address, gpu.fabric_state, gpu.fabric_status, gpu.fabric_health) for gpu in proof.gpus
    ] == [("0000:01:00.0", *first), ("0000:0a:00.0", *second)]
    assert proof.complete
    assert proof.problems == ()
    assert ("fabric" in (tmp_path / "console").read_text()) == (first != NO_FABRIC)


@pytest.mark.parametrize(
    ("answers", "state", "pauses"), [(3, "Completed", 2), (9, "In Progress", 5)]
)
def test_a_fabric_in_progress(tmp_path: Path, answers: int, state: str, pauses: int) -> None:
    """It is asked again every 5 seconds until it is complete, for half of WHOLECARD_WAIT times."""
    sysfs(tmp_path)
    asked = tmp_path / "asked"
    after = query(fabric("Completed", "Success"), fabric("Completed", "Success"))
    program(
        tmp_path, "nvidia-smi",
        f'[ "$1" != -q ] || echo >>{asked}\n'
        f"if [ $(cat {asked} 2>/dev/null | wc -l) -ge {answers} ]; then\n:\n{after}\nfi\n"
        + query(fabric("Completed", "Success"), fabric("In Progress", "N/A")),
    )  # fmt: skip
    program(tmp_path, "sleep", f'[ "$1" != 5 ] || echo "$1" >>{tmp_path / "slept"}')
    assert finished(start(tmp_path, SHELLS[0], wait=10)) == ""
    _, second = parse((tmp_path / "console").read_text()).gpus
    assert second.fabric_state == state
    assert (tmp_path / "slept").read_text() == "5\n" * pauses


@in_every_shell
def test_a_tool_that_fails(tmp_path: Path, shell: list[str]) -> None:
    """A tool's failure is a problem with its exit status and words, made harmless."""
    sysfs(tmp_path)
    program(
        tmp_path, "nvidia-smi",
        "printf 'NVIDIA-SMI has failed because it \\033[31m\"could not\"\\n\\n{talk}\\n'; exit 9",
    )  # fmt: skip
    proof = report(tmp_path, shell)
    assert proof.complete
    assert proof.problems == (
        ProofProblem("nvidia-smi", 9, "NVIDIA-SMI has failed because it 31mcould not talk"),
    )


def test_nvidia_without_its_tool(tmp_path: Path) -> None:
    """Where nvidia-smi is not installed the kernel module's own list counts."""
    sysfs(tmp_path)
    grow(
        tmp_path / "proc/driver/nvidia",
        {
            "version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release"
            " Build  (dvs-builder@U22)\nGCC version:  gcc 14\n",
            "gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H200\nIRQ:   \t\t 24\n"
            "GPU UUID: \t GPU-77\nBus Location: \t 0000:01:00.0\n",
        },
    )
    gpu = ProofGpu("nvidia", "0000:01:00.0", "NVIDIA H200", None, "GPU-77", "580.65.06")
    assert report(tmp_path).gpus == (gpu,)


@in_every_shell
@pytest.mark.parametrize(
    ("tool", "script", "uuid"),
    [
        (
            "amd-smi",
            "printf 'GPU: 0\\n    BDF: 0000:01:00.0\\n    UUID: d4ff-74a1\\n'",
            "d4ff-74a1",
        ),
        ("rocm-smi", "printf '===\\nGPU[0]\\t\\t: PCI Bus: 0000:01:00.0\\n\\n===\\n'", None),
    ],
)
def test_amd(tmp_path: Path, shell: list[str], tool: str, script: str, uuid: str | None) -> None:
    """AMD's tools give the address, the driver's files in sysfs name and memory."""
    graphics = sysfs(tmp_path).parent / "0000:01:00.0"
    grow(
        graphics,
        {"mem_info_vram_total": "68702699520\n", "product_name": "AMD Instinct MI210\n"},
    )
    program(tmp_path, tool, script)
    gpu = ProofGpu(tool, "0000:01:00.0", "AMD Instinct MI210", 65520, uuid, None)
    assert report(tmp_path, shell).gpus == (gpu,)


@in_every_shell
def test_drm(tmp_path: Path, shell: list[str]) -> None:
    """Each DRM card with a PCI function counts, its connectors do not."""
    graphics = sysfs(tmp_path).parent / "0000:01:00.0"
    (tmp_path / "sys/drivers/bochs-drm").mkdir(parents=True)
    (graphics / "driver").symlink_to(tmp_path / "sys/drivers/bochs-drm")
    drm = tmp_path / "sys/class/drm"
    for name, device in (("card0", graphics), ("card1", tmp_path / "sys/platform/simple")):
        (graphics / "drm" / name).mkdir(parents=True)
        device.mkdir(parents=True, exist_ok=True)
        (graphics / "drm" / name / "device").symlink_to(device)
    drm.mkdir(parents=True)
    for name in ("card0", "card1"):
        (drm / name).symlink_to(graphics / "drm" / name)
    (drm / "card0-Virtual-1").symlink_to(graphics / "drm/card0")
    gpu = ProofGpu("drm", "0000:01:00.0", "bochs-drm", None, None, None)
    assert report(tmp_path, shell).gpus == (gpu,)


@pytest.mark.parametrize("drm", [False, True])
@in_every_shell
def test_framebuffer(tmp_path: Path, shell: list[str], drm: bool) -> None:
    """A framebuffer counts where its PCI function has a driver and no DRM device."""
    graphics = sysfs(tmp_path).parent / "0000:01:00.0"
    other = grow(tmp_path / "sys/platform/simple-framebuffer.0", {"driver/": ""})
    (tmp_path / "sys/drivers/aty128fb").mkdir(parents=True)
    (graphics / "driver").symlink_to(tmp_path / "sys/drivers/aty128fb")
    framebuffers = grow(tmp_path / "sys/class/graphics", {"fb0/name": "ATY Rage128\n", "fb1/": "",
                                                          "fbcon/": ""})  # fmt: skip
    (framebuffers / "fb0/device").symlink_to(graphics)
    (framebuffers / "fb1/device").symlink_to(other)
    gpu = ProofGpu("framebuffer", "0000:01:00.0", "ATY Rage128", None, None, None)
    if drm:
        (graphics / "drm").mkdir()
    assert report(tmp_path, shell).gpus == (() if drm else (gpu,))


# --- Benchmark and containers ---------------------------------------------------------------------

BENCH = """echo "$*" >"$(dirname "$0")/asked"
cat <<'EOT'
{
  "benchmark": "nbody",
  "backend": "cuda",
  "bodies": 65536,
  "devices": [
    {
      "index": 0,
      "name": "NVIDIA H100"
    },
    {
      "index": 1,
      "name": "NVIDIA H100"
    }
  ],
  "check": {
    "passed": true
  },
  "speed": {
    "gflops": 26915.671004304393,
    "devices": [
      {
        "gflops": 63.38851583692979
      }
    ]
  }
}
EOT"""


@in_every_shell
def test_benchmark(tmp_path: Path, shell: list[str]) -> None:
    """The benchmark runs on as many devices as the vendor's tool counts, and its figures arrive."""
    sysfs(tmp_path)
    program(tmp_path, "nvidia-smi", NVIDIA_SMI)
    program(tmp_path, "wholecard-bench", BENCH)
    (benchmark,) = report(tmp_path, shell, "--bench").benchmarks
    assert vars(benchmark) == {
        "name": "nbody", "backend": "cuda", "bodies": 65536, "devices": 2,
        "gflops": 26915.671004304393, "passed": True,
    }  # fmt: skip
    asked = "nbody --benchmark --num-bodies 65536 --json --num-devices 2"
    assert (tmp_path / "bin/asked").read_text().strip() == asked


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (None, ProofProblem("wholecard-bench", 127,
                            "wholecard-bench is not installed in this image")),
        ("echo no backend >&2; exit 1", ProofProblem("wholecard-bench", 1, "no backend")),
    ],
)  # fmt: skip
def test_no_benchmark(tmp_path: Path, script: str | None, problem: ProofProblem) -> None:
    """A benchmark that is not installed or fails is a problem, and the report is complete."""
    sysfs(tmp_path)
    config_drive(tmp_path, wholecard_nonce="0a1b", wholecard_bench="1024")
    if script:
        program(tmp_path, "wholecard-bench", script)
    proof = report(tmp_path)
    assert (proof.complete, proof.benchmarks, proof.problems) == (True, (), (problem,))


# Runs the probe with the guest's own shell and this tree's folder in place of /wholecard and /dev.
PODMAN = """here=$(dirname "$0")
case $1 in
import) echo "$*" >"$here/imported" ;;
run)
    echo "$*" >>"$here/asked"
    while [ "$1" != /bin/sh ]; do
        case $1 in *:/wholecard) meet=${1%:/wholecard} ;; esac
        shift
    done
    mkdir -p "$here/../dev/dri"
    : >"$here/../dev/dri/card0"
    sed "s,/wholecard,$meet,g; s,/dev/,$here/../dev/,g" "$meet/probe" >"$here/probe.$3"
    sh "$here/probe.$3" "$3" "$4" | sed "s,$here/../dev,/dev,"
    ;;
esac"""
CDI_JSON = '{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"0"},{"name":"all"}]}'
CDI_YAML = '---\ncdiVersion: 0.5.0\nkind: wholecard.dev/card\ndevices:\n- name: "0"\n- name: "1"\n'


@in_every_shell
@pytest.mark.parametrize(
    ("cdi", "devices"),
    [
        ({"etc/cdi/nvidia.json": CDI_JSON}, "--device nvidia.com/gpu=all"),
        ({"run/cdi/own.yaml": CDI_YAML},
         "--device wholecard.dev/card=0 --device wholecard.dev/card=1"),
    ],
    ids=["json", "yaml"],
)  # fmt: skip
def test_containers(tmp_path: Path, shell: list[str], cdi: dict[str, str], devices: str) -> None:
    """Two containers get the cards by CDI, run at one time, and each says what it saw."""
    sysfs(tmp_path)
    grow(tmp_path, cdi)
    program(tmp_path, "podman", PODMAN)
    proof = report(tmp_path, shell, "--containers", "2")
    assert proof.problems == ()
    assert proof.containers == tuple(
        ProofContainer(index, "podman", 0, 2, 0, ("/dev/dri/card0",), "") for index in range(2)
    )
    assert all(
        devices in line and "wholecard-empty /bin/sh" in line
        for line in (tmp_path / "bin/asked").read_text().splitlines()
    )


@in_every_shell
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("unresolvable CDI",), "unresolvable CDI"),
        (('time="2026" level=warning msg="Using cgroups-v1, an error"', "PIDs limit discarded.",
          "Error: unresolvable CDI"), "Error: unresolvable CDI"),
        (("docker: Error response: no CDI", "", "See 'docker run --help'."),
         "docker: Error response: no CDI See docker run --help."),
    ],
)  # fmt: skip
def test_a_container_that_fails(
    tmp_path: Path, shell: list[str], said: tuple[str, ...], words: str
) -> None:
    """A container that does not start is reported with the engine's error, not its warnings."""
    sysfs(tmp_path)
    grow(tmp_path, {"etc/cdi/a.json": CDI_JSON, "said": "\n".join(said) + "\n"})
    program(tmp_path, "docker", f"[ $1 = import ] || {{ cat {tmp_path}/said >&2; exit 126; }}")
    (container,) = report(tmp_path, shell, "--containers", "1").containers
    assert container == ProofContainer(0, "docker", 126, None, 0, (), words)


@pytest.mark.parametrize(
    ("programs", "words"),
    [((), "neither podman nor docker is installed in this image"), (("podman",), "no CDI")],
)
def test_no_containers(tmp_path: Path, programs: tuple[str, ...], words: str) -> None:
    """Without an engine, or without a CDI specification, the report says so."""
    sysfs(tmp_path)
    for name in programs:
        program(tmp_path, name, "exit 1")
    proof = report(tmp_path, SHELLS[0], "--containers", "2")
    assert proof.complete
    assert [problem.source for problem in proof.problems] == ["containers"]
    assert words in proof.problems[0].text

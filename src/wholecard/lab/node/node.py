"""A node: a QEMU machine with an emulated VT-d and two emulated graphics cards."""

from __future__ import annotations

import base64
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wholecard.core import Result, RunError
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.lab.base import process
from wholecard.lab.base.errors import LabError, log_tail
from wholecard.lab.base.node_spec import NodeSpec, Topology
from wholecard.lab.base.ports import INNER, LOOPBACK, OUTER_ADDRESS
from wholecard.lab.node import qmp

# What the node's kernel prints when a virtual CPU misses its own timer (kernel/rcu/tree_stall.h).
STALL = b"rcu: Possible timer handling issue"
RESETS = 3
# An emulated boot takes a minute of CPU, and five and more where other programs have the CPUs.
BOOT_SECONDS = 1500
# When udev's queue is empty, devices have their drivers.
# The folder with the sockets of the link between nodes, in the lab's folder and as QEMU sees it.
LINK = "link"
LINK_INSIDE = "/lab/link"
READY = "udevadm settle --timeout=20 && cat /proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class LabNode:
    """A node on this machine: what it is, where its files are, how it is reached.

    `folder` is its own, which its QEMU sees as `/lab`; `run_folder` is the lab's, by which its
    process is known, and in which is the folder of the link between nodes. `accelerator` is `kvm`
    or `tcg`.
    """

    spec: NodeSpec
    inside: Sandbox
    run_folder: Path
    folder: Path
    ports: dict[str, int]
    accelerator: str

    @property
    def serial_log(self) -> Path:
        """What the node's kernel prints."""
        return self.folder / "serial.log"

    @property
    def qemu_log(self) -> Path:
        """What QEMU itself prints."""
        return self.folder / "qemu.log"

    @property
    def _qmp(self) -> Path:
        return self.folder / "qmp.sock"

    def start(self, *, incoming: str = "", added: Sequence[str] = ()) -> None:
        """Power on; with `incoming` (a file as the node's QEMU sees it) wake a saved machine.

        `added` are further arguments of QEMU: devices that were put into the machine meanwhile.
        """
        link = self.run_folder / LINK
        link.mkdir(mode=0o700, exist_ok=True)
        # QEMU does not bind to a socket that a killed one has left.
        (link / f"{self.spec.name}.sock").unlink(missing_ok=True)
        mounts = [Mount(self.folder, "/lab", writable=True),
                  Mount(link, LINK_INSIDE, writable=True)]  # fmt: skip
        if self.accelerator == "kvm":
            mounts.append(Mount(Path("/dev/kvm"), "/dev/kvm", device=True))
        command = [*self.command(), *added]
        if incoming:
            command += ["-incoming", f"file:{incoming}"]
        self._qmp.unlink(missing_ok=True)
        qemu = process.start(
            self.inside.with_mounts(*mounts), self.run_folder, self.spec.name, command,
            self.qemu_log,
        )  # fmt: skip
        process.wait_until(
            self._qmp.exists, timeout=600, what="QEMU starts", service=qemu, log=self.qemu_log
        )
        if incoming:
            with qmp.session(self._qmp) as control:
                process.wait_until(
                    lambda: control.command("query-status")["status"] in ("paused", "running"),
                    timeout=600, what=f"the saved {self.spec.name} resumes", service=qemu,
                    log=self.qemu_log,
                )  # fmt: skip
                control.command("cont")

    def command(self) -> list[str]:
        """QEMU's argument list.

        The node reaches only the services' ports of one address, each connection carried by a
        socat to loopback outside; `restrict=on` prevents everything else (qemu(1), -netdev user).
        """
        forwards = "".join(
            f",guestfwd=tcp:{OUTER_ADDRESS}:{inner}-cmd:/usr/bin/socat - "
            f"TCP4:{LOOPBACK}:{self.ports[name]}"
            for name, inner in INNER.items()
        )
        return [
            "qemu-system-x86_64", "-name", self.spec.name, "-nodefaults", "-vga", "none",
            # The node's first program reads who it is here (`IDENTITY`, parts/root_filesystem.py).
            "-uuid", self.spec.compute_id, "-smbios", f"type=1,serial={self.spec.name}",
            "-display", "none", "-machine", "q35,kernel-irqchip=split",
            *self._cpu(), "-smp", str(self.spec.cpus(self.accelerator)),
            "-m", str(self.spec.memory_mib),
            "-device", "intel-iommu,intremap=on,caching-mode=on",
            "-drive", "file=/lab/disk.qcow2,if=none,id=disk,format=qcow2,cache=unsafe,"
                      "discard=unmap,detect-zeroes=unmap",
            "-device", "virtio-blk-pci,drive=disk,bus=pcie.0,addr=0x2,bootindex=1",
            "-netdev", f"user,id=net,ipv6=off,restrict=on{forwards},"
                       f"hostfwd=tcp:{LOOPBACK}:{self.ports[self.spec.ssh_port]}-:22",
            "-device", f"virtio-net-pci,netdev=net,mac={self.spec.mac},bus=pcie.0,addr=0x3,"
                       "romfile=",
            *self._link(),
            "-object", "rng-random,id=rng,filename=/dev/urandom",
            "-device", "virtio-rng-pci,rng=rng,bus=pcie.0,addr=0x4",
            "-audiodev", "none,id=sound",
            "-serial", "file:/lab/serial.log",
            "-qmp", "unix:/lab/qmp.sock,server=on,wait=off",
            # The host's own display, as a server's BMC has one: it must never go to a guest.
            "-device", "VGA,id=bmc,bus=pcie.0,addr=0x5,vgamem_mb=8",
            *cards(self.spec.topology),
            # A function that can have VFs and has none: nova reports it as type-PF.
            "-device", "pcie-root-port,id=port3,bus=pcie.0,chassis=3,slot=3,addr=0x12",
            "-device", "igb,bus=port3,id=pf,romfile=",
        ]  # fmt: skip

    def _link(self) -> list[str]:
        """The card to the other node: datagrams from socket to socket, without a port.

        Also where there is no other node, so that a saved node can get one: what is sent to a
        socket that does not exist is lost, as on a cable without an end.
        """
        own, peer = (f"{LINK_INSIDE}/{name}.sock" for name in (self.spec.name, self.spec.link_peer))
        return [
            "-netdev", f"dgram,id=link,local.type=unix,local.path={own},"
                       f"remote.type=unix,remote.path={peer}",
            "-device", f"virtio-net-pci,netdev=link,mac={self.spec.link_mac},bus=pcie.0,addr=0x6,"
                       "romfile=",
        ]  # fmt: skip

    def _cpu(self) -> list[str]:
        """TCG emulates AMD's SVM (and no VMX), so that the node has a KVM of its own under it."""
        if self.accelerator == "kvm":
            return ["-accel", "kvm", "-cpu", "host"]
        return ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Opteron_G3,+npt"]

    def ssh(
        self, argv: Sequence[str], *, timeout: float, stdin: str = "", check: bool = True,
        connect_seconds: int = 30,
    ) -> Result:  # fmt: skip
        """Run a program in the node as root; raises RunError as `run` does."""
        command = [*self._ssh(connect_seconds), shlex.join(argv)]
        return self.inside.run(command, timeout=timeout, stdin=stdin, check=check)

    def virsh(self, *words: str, timeout: float = 60, check: bool = True) -> Result:
        """A command of virsh for the node's servers, whose domains are the system's."""
        return self.ssh(["virsh", "-c", "qemu:///system", *words], timeout=timeout, check=check)

    def ssh_command(
        self, argv: Sequence[str], *, terminal: bool
    ) -> tuple[list[str], dict[str, str]]:
        """The argument list and environment of an ssh to the node, for a person's terminal."""
        *options, target = self._ssh()
        command = [*options, *(["-t"] if terminal else []), target]
        if argv:
            command.append(shlex.join(argv))
        env = self.inside.env() | {"TERM": os.environ.get("TERM", "dumb")}
        return self.inside.argv(command), env

    def _ssh(self, connect_seconds: int = 30) -> list[str]:
        return ["ssh", "-F", "none", "-q", "-i", "/root/.ssh/lab",
                "-p", str(self.ports[self.spec.ssh_port]),
                "-o", "UserKnownHostsFile=/root/.ssh/known_hosts",
                "-o", f"HostKeyAlias={self.spec.name}", "-o", "BatchMode=yes",
                "-o", f"ConnectTimeout={connect_seconds}", "-o", "ServerAliveInterval=10",
                "-o", "ServerAliveCountMax=6", f"root@{LOOPBACK}"]  # fmt: skip

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Put a file into the node, whole or not at all."""
        script = (
            'set -e; mkdir -p "$(dirname "$1")"; umask 077; base64 -d > "$1.part"; '
            'chmod "$2" "$1.part"; mv "$1.part" "$1"'
        )
        self.ssh(["sh", "-c", script, "sh", path, f"{mode:o}"],
                 timeout=600, stdin=base64.b64encode(data).decode())  # fmt: skip

    def wait_for_ssh(self, timeout: float = BOOT_SECONDS, other_than: str = "") -> str:
        """Wait until the node answers by ssh and its devices have their drivers; its boot's id.

        `other_than` is the id of a boot that does not count: the one before a reboot. A boot in
        which an emulated CPU hangs is reset and begins again. Raises LabError with the end of the
        node's console.
        """
        deadline = time.monotonic() + timeout
        last = ""
        stalls = _Stalls(self.serial_log)
        while time.monotonic() < deadline:
            if not self.is_running():
                raise self._error(f"the QEMU of {self.spec.name} ended")
            if self.accelerator == "tcg" and stalls.seen() and stalls.count <= RESETS:
                self.reset()
            try:
                # While a node boots a connection may hang: a new one is tried soon.
                answer = self.ssh(["sh", "-c", READY], timeout=60, connect_seconds=5)
                boot = answer.stdout.strip()
            except RunError as error:
                last, boot = error.details, ""
            if boot and boot != other_than:
                return boot
            time.sleep(0.5)
        raise self._error(f"{self.spec.name} did not answer by ssh within {timeout:.0f} s", last)

    def is_running(self) -> bool:
        """Whether its QEMU lives."""
        return self.spec.name in process.running(self.run_folder)

    def _error(self, brief: str, details: str = "") -> LabError:
        parts = [details, log_tail(self.serial_log), log_tail(self.qemu_log)]
        text = "\n".join(filter(None, parts))
        return LabError(brief, text, "Run `wholecard lab down`, then the command again.")

    def reboot(self, boot: str, timeout: float = BOOT_SECONDS) -> str:
        """Reboot the node by its own means and wait until it is back; returns the new boot's id."""
        self.ssh(["systemctl", "reboot"], timeout=600, check=False)
        return self.wait_for_ssh(timeout, other_than=boot)

    def reset(self) -> None:
        """Press the reset button."""
        with qmp.session(self._qmp) as control:
            control.command("system_reset")

    def power_off(self, timeout: float = 300) -> None:
        """Shut the node down; systemd gives each service 90 s to end (DefaultTimeoutStopSec)."""
        self.ssh(["systemctl", "poweroff"], timeout=600, check=False)
        process.wait_until(
            lambda: not self.is_running(),
            timeout=timeout, what=f"{self.spec.name} powered off", log=self.serial_log,
        )  # fmt: skip

    def save(self, target: str, folder: Path, timeout: float = 900) -> None:
        """Write the machine's state to `folder/target` and leave it paused (see `resume`)."""
        state = self.folder / target
        with qmp.session(self._qmp, timeout=timeout) as control:
            control.save_state(f"file:/lab/{target}", timeout)
        state.rename(folder / target)

    def resume(self) -> None:
        """Let a machine run on that `save` has paused."""
        with qmp.session(self._qmp) as control:
            control.command("cont")


class _Stalls:
    """Finds stalls of the node's CPUs in its console, each once.

    Seen with QEMU 10.0.13 and two emulated CPUs on a loaded machine: a CPU halts with its timer's
    interrupt in service (`info lapic`: it is in ISR and IRR) though its kernel has written the end
    of the interrupt, and gets no timer interrupt any more.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._from = self._size()
        self.count = 0

    def seen(self) -> bool:
        """Whether the console has a stall that no call before has seen."""
        if self._size() <= self._from:
            return False
        with self._log.open("rb") as log:
            log.seek(self._from)
            stalled = STALL in log.read()
        if stalled:
            self._from = self._size()
            self.count += 1
        return stalled

    def _size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0


def newcomer() -> list[str]:
    """QEMU's arguments for one more card in a slot before the others: their bus numbers shift."""
    return ["-device", "pcie-root-port,id=port9,bus=pcie.0,chassis=9,slot=9,addr=0x8",
            "-device", "nec-usb-xhci,id=newcomer,bus=port9"]  # fmt: skip


def cards(topology: Topology) -> list[str]:
    """QEMU's arguments for two emulated cards.

    Each is an `ati-vga` (1002:5046) and, in the same slot, an HDA controller with a codec
    (8086:293e) as its audio function.
    """

    def card(number: int, bus: str, slot: int) -> list[str]:
        return [
            # Without a video BIOS, as compute cards are: the guest's firmware would run it.
            "-device", f"ati-vga,bus={bus},addr=0x{slot:x}.0x0,multifunction=on,id=gpu{number},"
                       "romfile=",
            "-device", f"ich9-intel-hda,bus={bus},addr=0x{slot:x}.0x1,id=audio{number}",
            "-device", f"hda-output,bus=audio{number}.0,cad=0,audiodev=sound",
        ]  # fmt: skip

    if topology is Topology.TOGETHER:
        # Behind a conventional bridge requests carry the bridge's id: one group for all
        # (kernel: drivers/iommu/iommu.c, pci_device_group).
        return [
            "-device", "pcie-root-port,id=port1,bus=pcie.0,chassis=1,slot=1,addr=0x10",
            "-device", "pcie-pci-bridge,id=bridge,bus=port1",
            *card(1, "bridge", 1), *card(2, "bridge", 2),
        ]  # fmt: skip
    devices = []
    for number in (1, 2):
        devices += ["-device", f"pcie-root-port,id=port{number},bus=pcie.0,chassis={number},"
                               f"slot={number},addr=0x{0xF + number:x}"]  # fmt: skip
        devices += card(number, f"port{number}", 0)
    return devices

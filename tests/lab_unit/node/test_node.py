"""A node: who it is, what it reaches, which cards it has, how it is spoken to."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from support.marked import Marked
from support.tree import grow
from wholecard.core import RunError
from wholecard.guest.image.sandbox import Sandbox
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.node_spec import GPU_NODE, NODES, NodeSpec, Topology
from wholecard.lab.base.ports import INNER, PREFERRED
from wholecard.lab.node.node import LabNode, cards
from wholecard.lab.scenario import views

PORTS = {name: port + 1000 for name, port in PREFERRED.items()}

# bwrap runs its command on this machine, ssh its last argument, as the node's shell would.
FAKE_BWRAP = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
FAKE_SSH = """#!/bin/sh
printf '%s\\n' "$@" > "$CALLS"
[ ! -e "$CALLS.fail" ] || { echo 'Connection refused' >&2; exit 255; }
for last; do :; done
exec sh -c "$last"
"""


def node(
    top: Path, *, topology: Topology = Topology.APART, accelerator: str = "tcg",
    which: NodeSpec = GPU_NODE, **more: str,
) -> LabNode:  # fmt: skip
    """A node whose programs are fakes; `more` are programs that it has, by name."""
    programs = {"bwrap": (FAKE_BWRAP, 0o755), "ssh": (FAKE_SSH, 0o755)}
    programs |= {name: (f"#!/bin/sh\n{text}\n", 0o755) for name, text in more.items()}
    grow(top, {"node/serial.log": "Kernel panic\n", "node/qemu.log": ""})
    path = f"{grow(top / 'programs', programs)}:/usr/bin:/bin"
    environment = {"PATH": path, "CALLS": str(top / "calls")}
    inside = Sandbox(top / "root", environment=environment)
    spec = replace(which, topology=topology)
    return LabNode(spec, inside, top / "lab", top / "node", dict(PORTS), accelerator)


def option(command: list[str], name: str) -> list[str]:
    return [value for key, value in zip(command, command[1:], strict=False) if key == name]


@pytest.mark.parametrize("topology", Topology)
def test_node_reaches_the_services_alone(tmp_path: Path, topology: Topology) -> None:
    """The node's network is restricted to the services of one address, each carried to loopback,
    and to ssh from loopback.
    """
    netdev, _link = option(node(tmp_path, topology=topology).command(), "-netdev")
    words = netdev.split(",")
    assert words[:4] == ["user", "id=net", "ipv6=off", "restrict=on"]
    forwards = words[4:]
    assert forwards == [
        *(f"guestfwd=tcp:10.0.2.100:{inner}-cmd:/usr/bin/socat - TCP4:127.0.0.1:{PORTS[name]}"
          for name, inner in INNER.items()),
        f"hostfwd=tcp:127.0.0.1:{PORTS['ssh']}-:22",
    ]  # fmt: skip


def test_link_goes_from_node_to_node(tmp_path: Path) -> None:
    """Each node has a card to the other's socket, from the start and without a port."""
    ends = []
    for spec in NODES:
        command = node(tmp_path, which=spec).command()
        (link,) = (each for each in option(command, "-netdev") if "id=link" in each)
        kind, *words = link.split(",")
        facts = dict(word.split("=", 1) for word in words)
        assert (kind, facts["local.type"], facts["remote.type"]) == ("dgram", "unix", "unix")
        ends.append((facts["local.path"], facts["remote.path"]))
        (card,) = (each for each in option(command, "-device") if "netdev=link" in each)
        assert f"mac={spec.link_mac}" in card
    (first, to_second), (second, to_first) = ends
    assert (to_second, to_first) == (second, first)
    assert first != second


@pytest.mark.parametrize("spec", NODES)
def test_node_is_told_who_it_is(tmp_path: Path, spec: NodeSpec) -> None:
    """A node's firmware has its name and the id that nova and libvirt know it by."""
    command = node(tmp_path, which=spec).command()
    assert option(command, "-uuid") == [spec.compute_id]
    assert option(command, "-smbios") == [f"type=1,serial={spec.name}"]
    assert f"hostfwd=tcp:127.0.0.1:{PORTS[spec.ssh_port]}-:22" in " ".join(command)


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_qemu_listens_on_nothing_else(tmp_path: Path, accelerator: str) -> None:
    """QEMU's control is a unix socket in the node's folder; nothing is shown on a display."""
    command = node(tmp_path, accelerator=accelerator).command()
    assert option(command, "-qmp") == ["unix:/lab/qmp.sock,server=on,wait=off"]
    assert option(command, "-display") == ["none"]
    assert "-nodefaults" in command
    assert not {"-vnc", "-spice", "-monitor", "-chardev", "-gdb", "-s", "-daemonize"} & set(command)
    named = set(re.findall(r"\d+\.\d+\.\d+\.\d+", " ".join(command)))
    assert named == {"10.0.2.100", "127.0.0.1"}


def functions(arguments: list[str]) -> list[tuple[str, str, str]]:
    """Model, bus and address of each function in a slot of a card."""
    slots = []
    for device in option(arguments, "-device"):
        model, *rest = device.split(",")
        facts = dict(word.split("=", 1) for word in rest)
        if model in ("ati-vga", "ich9-intel-hda"):
            slots.append((model, facts["bus"], facts["addr"]))
    return slots


@pytest.mark.parametrize(
    ("topology", "slots"),
    [(Topology.APART, [("port1", "0x0"), ("port2", "0x0")]),
     (Topology.TOGETHER, [("bridge", "0x1"), ("bridge", "0x2")])],
)  # fmt: skip
def test_topologies_have_two_whole_cards(
    tmp_path: Path, topology: Topology, slots: list[tuple[str, str]]
) -> None:
    """Each topology has four functions: two slots with a display and its audio function each."""
    expected = [
        (model, bus, f"{slot}.{function}")
        for bus, slot in slots
        for function, model in (("0x0", "ati-vga"), ("0x1", "ich9-intel-hda"))
    ]
    assert functions(cards(topology)) == expected
    assert functions(node(tmp_path, topology=topology).command()) == expected


@pytest.mark.parametrize("topology", Topology)
def test_displays_are_multifunction_without_a_bios(topology: Topology) -> None:
    """A card's display announces that more functions follow, and has no video BIOS to run."""
    displays = [each for each in option(cards(topology), "-device") if each.startswith("ati-vga")]
    assert len(displays) == 2
    for display in displays:
        assert {"multifunction=on", "romfile="} <= set(display.split(","))


@pytest.mark.parametrize("topology", Topology)
def test_ids_are_given_once(tmp_path: Path, topology: Topology) -> None:
    """No two devices have the same id or the same slot, and every bus that is named exists."""
    command = node(tmp_path, topology=topology).command()
    devices = [
        dict(w.split("=", 1) for w in each.split(",")[1:]) for each in option(command, "-device")
    ]
    ids = [each["id"] for each in devices if "id" in each]
    slots = [(each.get("bus"), each["addr"]) for each in devices if "addr" in each]
    assert len(ids) == len(set(ids))
    assert len(slots) == len(set(slots))
    buses = {each["bus"].removesuffix(".0") for each in devices if "bus" in each}
    assert buses <= {"pcie", *ids}


@pytest.mark.parametrize("topology", Topology)
def test_node_has_an_iommu_and_a_display_of_its_own(tmp_path: Path, topology: Topology) -> None:
    """The node has a VT-d that remaps interrupts, and a display that is no card."""
    devices = option(node(tmp_path, topology=topology).command(), "-device")
    assert [each for each in devices if each.startswith("intel-iommu,")] == [
        "intel-iommu,intremap=on,caching-mode=on"
    ]
    assert len([each for each in devices if each.startswith("VGA,")]) == 1


AWKWARD = ["a b", "$HOME", "'", '"', "*", "", "a;echo b", "-n", "\\"]


def test_ssh_keeps_arguments_apart(tmp_path: Path) -> None:
    """What the node's shell makes of an argument list is that list, whatever is in it."""
    answer = node(tmp_path).ssh(["printf", "[%s]", *AWKWARD], timeout=20)
    assert answer.stdout == "".join(f"[{word}]" for word in AWKWARD)


def test_ssh_goes_to_loopback_and_knows_the_node(tmp_path: Path) -> None:
    """ssh takes no configuration of the person's, asks nothing, and checks the node's own key."""
    node(tmp_path).ssh(["true"], timeout=20)
    *words, target, command = (tmp_path / "calls").read_text().splitlines()
    assert (target, command) == ("root@127.0.0.1", "true")
    assert words[:2] == ["-F", "none"]
    assert option(words, "-p") == [str(PORTS["ssh"])]
    assert {"BatchMode=yes", "HostKeyAlias=gpu-01"} <= set(option(words, "-o"))
    assert not [each for each in words if "StrictHostKeyChecking" in each]


def test_ssh_raises_as_run_does(tmp_path: Path) -> None:
    """A program that fails in the node is an error with what it said, unless that is asked for."""
    host = node(tmp_path)
    with pytest.raises(RunError, match="broken") as caught:
        host.ssh(["sh", "-c", "echo broken >&2; exit 3"], timeout=20)
    assert caught.value.result is not None
    assert caught.value.result.status == 3
    assert host.ssh(["false"], timeout=20, check=False).status == 1


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_file_is_written_whole(tmp_path: Path, mode: int) -> None:
    """A file comes into the node byte for byte, with its mode, in folders that are made for it."""
    data = bytes(range(256)) * 400
    path = tmp_path / "in the node/etc/file name"
    node(tmp_path).write(str(path), data, mode)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == mode
    assert [each.name for each in path.parent.iterdir()] == ["file name"]


def test_wait_for_a_node_that_does_not_run(tmp_path: Path) -> None:
    """Without a QEMU nothing is waited for: the error has the end of the node's console."""
    with pytest.raises(LabError, match="the QEMU of gpu-01 ended") as caught:
        node(tmp_path).wait_for_ssh(timeout=60)
    assert "serial.log\n  Kernel panic" in caught.value.details


def test_wait_for_a_node_that_does_not_answer(tmp_path: Path, marked: Marked) -> None:
    """A node that runs and does not answer in time is an error with what ssh said last."""
    host = node(tmp_path)
    marked.start(host.run_folder, GPU_NODE.name)
    (tmp_path / "calls.fail").touch()
    with pytest.raises(LabError, match="did not answer by ssh within 0 s") as caught:
        host.wait_for_ssh(timeout=0.2)
    assert "Connection refused" in caught.value.details


def test_boot_that_does_not_count(tmp_path: Path, marked: Marked) -> None:
    """After a reboot only another boot's id counts as an answer."""
    turn = tmp_path / "turn"
    answer = f"[ -e {turn} ] && echo two || echo one; touch {turn}"
    host = node(tmp_path, cat=answer, udevadm="true")
    marked.start(host.run_folder, GPU_NODE.name)
    assert host.wait_for_ssh(timeout=30, other_than="one") == "two"


DOMAIN = "6b2f4d7c-0a51-4a7c-9f0e-2f9d6c1b8a11"


def test_drivers_of_functions(tmp_path: Path) -> None:
    """A function's driver is the name behind its link in sysfs, `none` where there is no link."""
    link = 'case "$1" in *:00.0/driver) echo ../../../bus/pci/drivers/vfio-pci;; *) exit 1;; esac'
    host = node(tmp_path, readlink=link)
    assert views.drivers(host, ["0000:01:00.0", "0000:01:00.1"]) == {
        "0000:01:00.0": "vfio-pci", "0000:01:00.1": "none"
    }  # fmt: skip
    assert views.drivers(host, []) == {}


def test_open_vfio_files(tmp_path: Path) -> None:
    """The VFIO groups of a server are what its QEMU has open, each once."""
    links = ["0 -> /dev/null", "9 -> /dev/vfio/11", "8 -> /dev/vfio/10", "7 -> /dev/vfio/11",
             "6 -> /dev/vfio/vfio", "5 -> socket:[1]"]  # fmt: skip
    listing = "\n".join(f"lrwx------ 1 root root 64 Nov 22 15:00 {link}" for link in links)
    host = node(tmp_path, pgrep=f'[ "$*" = "-f -- -uuid {DOMAIN}" ] && echo 77',
                 ls=f'[ "$2" = /proc/77/fd ] && cat <<"END"\n{listing}\nEND')  # fmt: skip
    assert views.vfio_files(host, DOMAIN) == ("/dev/vfio/10", "/dev/vfio/11", "/dev/vfio/vfio")


def test_xml_of_a_domain(tmp_path: Path) -> None:
    """A server's domain is asked of the system's libvirt by the server's id."""
    host = node(tmp_path, virsh='echo "<domain>$*</domain>"')
    assert views.domain_xml(host, DOMAIN) == (
        f"<domain>-c qemu:///system dumpxml {DOMAIN}</domain>\n"
    )

"""libvirt's domains and mediated devices, from files of libvirt, sysfs and mdevctl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.nodes import APART, bare
from support.tree import Leaf, grow
from wholecard.core import WholecardError
from wholecard.host.agent.cli import main
from wholecard.host.facts.given_devices import (
    GivenDevices,
    given_from_json,
    given_text,
    read_given_devices,
)
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.libvirt_domains import LibvirtDomain, read_domains
from wholecard.host.facts.mediated_devices import MediatedDevice, read_mdevs
from wholecard.host.facts.snapshot import open_snapshot, save

SCHEMA = Path(__file__).parents[3] / "docs/reference/host.schema.json"
ONE, TWO = "4f3e0a52-5f0c-4c0e-9d6b-000000000001", "4f3e0a52-5f0c-4c0e-9d6b-000000000002"
MDEV, IDLE = "d0310000-0000-4000-8000-000000000001", "5eee0000-0000-4000-8000-000000000002"
CARD = "0000:88:00.0"
HOSTDEV = """
<hostdev mode='subsystem' type='pci' managed='yes'>
  <source><address domain='0x0000' bus='0x88' slot='0x00' function='0x0'/></source>
  <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
</hostdev>"""
MDEV_DEVICE = f"""
<hostdev mode='subsystem' type='mdev' model='vfio-pci'>
  <source><address uuid='{MDEV.upper()}'/></source>
</hostdev>"""


def domain(uuid: str, devices: str = "", more: str = "") -> str:
    return (
        f"<domain type='kvm'><name>instance-0001</name><uuid>{uuid}</uuid>{more}"
        f"<devices>{devices}</devices></domain>"
    )


def running(uuid: str, devices: str = "", state: str = "running", more: str = "") -> str:
    inner = domain(uuid, devices, more)
    return f"<domstatus state='{state}' reason='booted' pid='77'>{inner}</domstatus>"


TREE: dict[str, Leaf] = {
    "run/libvirt/qemu/instance-0001.xml": running(ONE, HOSTDEV + MDEV_DEVICE),
    "etc/libvirt/qemu/instance-0001.xml": domain(ONE),
    "etc/libvirt/qemu/instance-0002.xml": domain(TWO, HOSTDEV),
    "etc/libvirt/qemu/networks/default.xml": "<network/>",
    f"sys/devices/pci0000:80/{CARD}/{MDEV}/mdev_type": "-> ../mdev_supported_types/nvidia-35",
    f"sys/bus/mdev/devices/{MDEV}": f"-> ../../../devices/pci0000:80/{CARD}/{MDEV}",
    f"etc/mdevctl.d/{CARD}/{MDEV}": '{"mdev_type": "nvidia-35", "start": "auto"}',
    f"etc/mdevctl.d/mtty/{IDLE}": '{"mdev_type": "mtty-2", "start": "auto"}',
    "etc/mdevctl.d/scripts.d/callouts/": "",
}
DOMAINS = (
    LibvirtDomain(ONE, "instance-0001", "running", (CARD,), (MDEV,)),
    LibvirtDomain(TWO, "instance-0002", "shut off", (CARD,)),
)
MDEVS = (
    MediatedDevice(IDLE, "mtty", "mtty-2", active=False),
    MediatedDevice(MDEV, CARD, "nvidia-35"),
)


def test_domains(tmp_path: Path) -> None:
    """What runs counts before what is only defined; a domain has functions and mdevs."""
    assert read_domains(grow(tmp_path, TREE)) == DOMAINS


@pytest.mark.parametrize(
    ("state", "processes", "said"),
    [
        ("running", (), "running"),
        ("paused", (), "paused"),
        ("shutoff", (), "shut off"),
        ("shutdown", (), "in shutdown"),
        ("pmsuspended", (), "pmsuspended"),
        ("running", ("proc/1/", "proc/77/"), "running"),
        ("running", ("proc/1/",), "crashed"),
    ],
)
def test_states(tmp_path: Path, state: str, processes: tuple[str, ...], said: str) -> None:
    """States are virsh's words; a domain whose QEMU is gone runs no more, whatever libvirt says."""
    tree: dict[str, Leaf] = dict.fromkeys(processes, "")
    grow(tmp_path, {**tree, "run/libvirt/qemu/a.xml": running(ONE, state=state)})
    assert [row.state for row in read_domains(tmp_path)] == [said]


def test_mdevs(tmp_path: Path) -> None:
    """A mediated device that exists is active; one that mdevctl only has defined is not."""
    assert read_mdevs(grow(tmp_path, TREE)) == MDEVS
    assert read_mdevs(tmp_path / "etc") == ()


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"start": "auto"}'])
def test_bad_definition(tmp_path: Path, text: str) -> None:
    """A definition that says no type is a mediated device all the same."""
    grow(tmp_path, {f"etc/mdevctl.d/mtty/{IDLE}": text})
    assert read_mdevs(tmp_path) == (MediatedDevice(IDLE, "mtty", "", active=False),)


def test_no_libvirt(tmp_path: Path) -> None:
    """Without libvirt's folder it is not known which domains there are."""
    with pytest.raises(WholecardError, match="has no folder /run/libvirt/qemu"):
        read_domains(tmp_path)
    given = read_given_devices(tmp_path)
    assert given.domains is None
    assert given.unread == "Libvirt's QEMU driver has no folder /run/libvirt/qemu."


def test_no_domain(tmp_path: Path) -> None:
    """A libvirt without domains has none, which is not the same as not known."""
    assert read_domains(grow(tmp_path, {"run/libvirt/qemu/": ""})) == ()


@pytest.mark.parametrize("text", ["", "<domstatus", running(ONE, HOSTDEV.replace("0x88", "x"))])
@pytest.mark.parametrize("folder", ["run", "etc"])
def test_unreadable(tmp_path: Path, text: str, folder: str) -> None:
    """One file that cannot be read makes all domains unknown: its cards could be any."""
    grow(tmp_path, {"run/libvirt/qemu/": "", f"{folder}/libvirt/qemu/a.xml": text})
    given = read_given_devices(tmp_path)
    assert given.domains is None
    assert given.unread.startswith("Cannot read the ")
    assert f"{folder}/libvirt/qemu/a.xml" in given.unread


def test_refused(tmp_path: Path) -> None:
    """A file that the system does not let us read makes the domains unknown, with the reason."""
    grow(tmp_path, {"run/libvirt/qemu/a.xml/": ""})
    assert "Is a directory" in read_given_devices(tmp_path).unread


def test_json(tmp_path: Path) -> None:
    """The JSON is read back to the same record."""
    given = read_given_devices(grow(tmp_path, TREE))
    assert given == GivenDevices(DOMAINS, MDEVS)
    assert given_from_json(json.loads(json.dumps(given.to_json()))) == given
    unknown = GivenDevices(None, (), "Why.")
    assert given_from_json(unknown.to_json()) == unknown


@pytest.mark.parametrize(
    "change",
    [
        {"domains": {}},
        {"domains": [{"uuid": ONE, "name": "a"}]},
        {"domains": [{"uuid": "x", "name": "a", "state": "running"}]},
        {"domains": [{"uuid": ONE, "name": "a\n", "state": "running"}]},
        {"domains": [{"uuid": ONE, "name": "a", "state": "running", "hostdevs": ["88:00.0"]}]},
        {"mdevs": [{"uuid": MDEV, "parent": CARD, "type_id": "t", "more": 1}]},
        {"mdevs": None},
    ],
)
def test_bad_json(change: dict[str, Any]) -> None:
    """What others wrote is checked: types, ids, addresses, names."""
    with pytest.raises(ValueError):  # noqa: PT011 -- each has its own text
        given_from_json({**GivenDevices(DOMAINS, MDEVS).to_json(), **change})


def test_snapshot(tmp_path: Path) -> None:
    """A snapshot has the domains' devices, and nothing else of what libvirt keeps of them."""
    secret = "<graphics type='vnc' passwd='hunter2'/><metadata>of a tenant</metadata>"
    tree = {
        **TREE,
        "run/libvirt/qemu/instance-0001.xml": running(ONE, HOSTDEV + MDEV_DEVICE, more=secret),
    }
    root = grow(tmp_path / "root", {**bare(APART), **tree})
    save(root, tmp_path / "host.tar")
    with open_snapshot(tmp_path / "host.tar") as opened:
        assert read_given_devices(opened) == GivenDevices(DOMAINS, MDEVS)
    data = (tmp_path / "host.tar").read_bytes()
    assert b"hunter2" not in data
    assert b"of a tenant" not in data


def test_snapshot_of_garbage(tmp_path: Path) -> None:
    """A domain that cannot be read on the host cannot be read in its snapshot either."""
    root = grow(tmp_path / "root", {**bare(APART), **TREE, "run/libvirt/qemu/b.xml": "nonsense"})
    save(root, tmp_path / "host.tar")
    with open_snapshot(tmp_path / "host.tar") as opened:
        assert read_given_devices(opened).domains is None


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`inspect --domains --json` prints the host's facts with what servers have."""
    root = grow(tmp_path, {**bare(APART), **TREE})
    assert main(["inspect", "--root", str(root), "--domains", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert Host.from_json(data) == inspect(root).without_secrets()
    assert given_from_json(data) == GivenDevices(DOMAINS, MDEVS)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(data)
    assert main(["inspect", "--root", str(root), "--json"]) == 0
    assert "domains" not in json.loads(capsys.readouterr().out)


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a person there is a line for each domain and each mediated device."""
    root = grow(tmp_path, {**bare(APART), **TREE})
    assert main(["inspect", "--root", str(root), "--domains"]) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == [
        f"domain instance-0001 {ONE} running: {CARD}, {MDEV}",
        f"domain instance-0002 {TWO} shut off: {CARD}",
        f"mdev {IDLE} mtty-2 of mtty, defined only",
        f"mdev {MDEV} nvidia-35 of {CARD}",
    ]
    assert given_text(GivenDevices((), ())) == "domains:    none"
    assert given_text(GivenDevices(None, (), "Why.")) == "not read: Why."

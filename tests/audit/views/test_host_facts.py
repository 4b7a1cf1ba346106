"""What hosts say of themselves: saved facts, and hosts over ssh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from support.fleets import FakeFleet
from support.nodes import APART, bare
from support.tree import grow
from wholecard.audit.record import Domain, Mdev, View
from wholecard.audit.views.combined_views import HostFacts
from wholecard.audit.views.host_facts import FactsInOrder, FleetFacts, SavedFacts
from wholecard.fleet import Ssh
from wholecard.host.agent.zipapp import agent_bytes
from wholecard.host.facts.given_devices import GivenDevices
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.facts.libvirt_domains import LibvirtDomain
from wholecard.host.facts.mediated_devices import MediatedDevice
from wholecard.host.facts.snapshot import save

SERVER, MDEV = "4f3e0a52-5f0c-4c0e-9d6b-000000000001", "d0310000-0000-4000-8000-000000000001"
GIVEN = GivenDevices(
    (LibvirtDomain(SERVER, "instance-1", "running", ("0000:01:00.0",), (MDEV,)),),
    (MediatedDevice(MDEV, "mtty", "mtty-2"),),
)
DOMAINS = (Domain(SERVER, "instance-1", "running", ("0000:01:00.0",), (MDEV,)),)
MDEVS = (Mdev(MDEV, "mtty", "mtty-2"),)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """The facts of a small host."""
    return inspect(grow(tmp_path / "root", bare(APART))).without_secrets()


def as_json(host: Host, given: GivenDevices | None = GIVEN) -> str:
    return json.dumps({**host.to_json(), **(given.to_json() if given else {})})


def unread(reason: str) -> HostFacts:
    return HostFacts(unread={View.SYSFS: reason, View.LIBVIRT: reason})


def test_saved_json(tmp_path: Path, host: Host) -> None:
    """The output of `inspect --domains --json` has both views of a host."""
    (tmp_path / "a.json").write_text(as_json(host))
    found = SavedFacts({"gpu-01": tmp_path / "a.json"}).facts(["gpu-01", "gpu-02"])
    assert found == {"gpu-01": HostFacts(host, DOMAINS, MDEVS)}


def test_without_domains(tmp_path: Path, host: Host) -> None:
    """The output of a plain `inspect --json` has no domains, and that is said."""
    (tmp_path / "a.json").write_text(as_json(host, None))
    facts = SavedFacts({"gpu-01": tmp_path / "a.json"}).facts(["gpu-01"])["gpu-01"]
    assert (facts.sysfs, facts.domains) == (host, None)
    assert "--domains" in facts.unread[View.LIBVIRT]
    assert View.SYSFS not in facts.unread


def test_unread_domains(tmp_path: Path, host: Host) -> None:
    """Where the host could not read its domains, its own reason is the view's."""
    (tmp_path / "a.json").write_text(as_json(host, GivenDevices(None, (), "Only root may.")))
    facts = SavedFacts({"gpu-01": tmp_path / "a.json"}).facts(["gpu-01"])["gpu-01"]
    assert facts == HostFacts(host, None, (), {View.LIBVIRT: "Only root may."})


def test_snapshot(tmp_path: Path) -> None:
    """A snapshot of `inspect --save` has both views too."""
    root = grow(tmp_path / "root", {**bare(APART), "run/libvirt/qemu/": ""})
    save(root, tmp_path / "host.tar")
    facts = SavedFacts({"gpu-01": tmp_path / "host.tar"}).facts(["gpu-01"])["gpu-01"]
    assert facts == HostFacts(inspect(root), (), ())


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "nonsense", "has no host's facts: it is not JSON."),
        ("a.json", "[]", "Host facts of schema 'None', not 2."),
        ("a.json", '{"schema": 1}', "Host facts of schema '1', not 2."),
        ("a.json", '{"schema": 2}', "has no host's facts: 'functions' is missing."),
        ("a.tar", "nonsense", "is not a complete snapshot."),
        ("none.json", None, "No such file or directory."),
    ],
)
def test_bad_file(tmp_path: Path, name: str, text: str | None, reason: str) -> None:
    """A file that is no host's facts leaves that host unread and says why."""
    if text is not None:
        (tmp_path / name).write_text(text)
    facts = SavedFacts({"gpu-01": tmp_path / name}).facts(["gpu-01"])["gpu-01"]
    assert (facts.sysfs, facts.domains) == (None, None)
    assert facts.unread[View.SYSFS] == facts.unread[View.LIBVIRT]
    assert facts.unread[View.SYSFS].endswith(reason)


@contextmanager
def on_path(fleet: FakeFleet) -> Iterator[None]:
    with patch.dict("os.environ", {"PATH": f"{fleet.place}/bin"}):
        yield


def answers(fleet: FakeFleet, name: str, output: str, status: int = 0) -> None:
    """Let a host of the fake fleet answer so, as its agent would."""
    agent = f"wholecard-host-{hashlib.sha256(agent_bytes()).hexdigest()[:16]}"
    home = fleet.home(name)
    (home / "facts").write_text(output)
    (home / "instead").write_text(f"echo {agent}; echo {agent} >&2; cat facts; exit {status}")


def test_over_ssh(tmp_path: Path, host: Host) -> None:
    """Hosts are asked by another name where it is given; a failure is that host's alone."""
    fleet = FakeFleet.make(tmp_path / "fleet", "one.example", "gpu-02", "gpu-03", "gpu-04")
    answers(fleet, "one.example", as_json(host))
    answers(fleet, "gpu-02", '{"error": {"brief": "cannot read x"}}', 3)
    answers(fleet, "gpu-03", "nonsense")
    with on_path(fleet):
        found = FleetFacts(Ssh(), {"gpu-01": "one.example"}, jobs=2, timeout=30).facts(
            ["gpu-01", "gpu-02", "gpu-03", "gpu-05"]
        )
    assert found["gpu-01"] == HostFacts(host, DOMAINS, MDEVS)
    assert found["gpu-02"] == unread("gpu-02: inspect failed: cannot read x.")
    assert found["gpu-03"] == unread("gpu-03 gave no facts: it is not JSON.")
    assert found["gpu-05"] == unread("gpu-05: ssh does not reach it.")


def test_real_agent(tmp_path: Path) -> None:
    """The agent that is sent has the command that is asked for."""
    fleet = FakeFleet.make(tmp_path / "fleet", "gpu-01")
    with on_path(fleet):
        facts = FleetFacts(Ssh(), timeout=60).facts(["gpu-01"])["gpu-01"]
    assert facts.sysfs is not None
    # This machine may have a libvirt or none; either is said.
    assert (facts.domains is None) == (View.LIBVIRT in facts.unread)


def test_order(tmp_path: Path, host: Host) -> None:
    """Saved facts count before ssh, which is asked for the others alone."""
    (tmp_path / "a.json").write_text(as_json(host))
    fleet = FakeFleet.make(tmp_path / "fleet", "gpu-02")
    answers(fleet, "gpu-02", as_json(host))
    sources = FactsInOrder((SavedFacts({"gpu-01": tmp_path / "a.json"}), FleetFacts(Ssh())))
    with on_path(fleet):
        found = sources.facts(["gpu-01", "gpu-02"])
    assert found == dict.fromkeys(["gpu-01", "gpu-02"], HostFacts(host, DOMAINS, MDEVS))
    calls: list[Any] = [json.loads(line) for line in fleet.place.joinpath("calls").open()]
    assert [call[0][-2] for call in calls] == ["gpu-02"]

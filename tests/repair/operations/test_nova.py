"""Resizes are decided through nova's API, and nova-compute is restarted over ssh."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.repair_bench import A, Bench
from support.repair_cloud import Answer
from wholecard.audit.record import Domain, View
from wholecard.core import WholecardError
from wholecard.fleet.ssh import Ssh
from wholecard.repair.hosts import SshHosts
from wholecard.repair.operations.resize import ResizeDecision
from wholecard.repair.operations.restart import RestartService

FAKE_SSH = """#!/bin/sh
# ssh … -- HOST COMMAND: runs the command here, with the fake systemctl.
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$1"
"""
FAKE_SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$CALLS"
[ "$1 $2" != "cat nova-compute.service" ]
"""


@pytest.mark.parametrize(("confirm", "asked"), [(True, "confirmResize"), (False, "revertResize")])
def test_decision(bench: Bench, confirm: bool, asked: str) -> None:
    """A resize is confirmed or reverted once; rollback says that nova cannot undo it."""
    bench.change(servers={A: {"status": "VERIFY_RESIZE"}})
    bench.apply(ResizeDecision(A, confirm))
    assert bench.cloud.state["servers"][A]["decided"] == asked
    (note,) = bench.rollback().notes
    assert note.endswith("nova cannot undo that")


def test_decision_that_was_interrupted(bench: Bench) -> None:
    """nova was asked and the answer was lost: the next run waits for it and asks nothing."""
    bench.change(servers={A: {"status": "VERIFY_RESIZE"}})

    def lost(when: str, method: str, path: str) -> Answer | None:
        return (503, {}) if (when, method) == ("after", "POST") else None

    bench.cloud.fault = lost
    with pytest.raises(WholecardError, match="the service failed"):
        bench.apply(ResizeDecision(A, True))
    bench.cloud.asked.clear()
    bench.finish()
    assert not [row for row in bench.cloud.asked if row.startswith("POST")]
    assert bench.status == "applied"


def test_restart(bench: Bench) -> None:
    """A restart is done when nova-compute has reported again, and leaves nothing to undo."""

    def reports(host: str) -> None:
        bench.change(services={host: {"state": "up", "updated_at": "2026-11-30T06:01:00"}})

    bench.hosts.at_restart = reports
    bench.apply(RestartService("gpu-01"))
    assert bench.hosts.restarted == ["gpu-01"]
    assert bench.rollback().notes == ()


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ssh and systemctl that write down how they were called."""
    for name, text in (("ssh", FAKE_SSH), ("systemctl", FAKE_SYSTEMCTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr("os.getuid", lambda: 0)
    return tmp_path / "calls"


class Reader:
    """A host that answers, one whose libvirt does not, and none."""

    def facts(self, hosts: tuple[str, ...]) -> dict[str, Reader]:
        return {host: Reader(host) for host in hosts if host != "gone"}

    def __init__(self, host: str = "") -> None:
        self.domains = None if host == "hung" else (Domain(A, host, "running"),)
        self.unread = {View.LIBVIRT: "libvirt hangs"} if host == "hung" else {}


def test_over_ssh(calls: Path) -> None:
    """The first unit of nova-compute that the host has is restarted; domains are read anew."""
    hosts = SshHosts(Ssh(), Reader())  # type: ignore[arg-type]
    assert hosts.restart_compute("gpu-01") == "openstack-nova-compute.service"
    assert calls.read_text().splitlines()[-1] == "restart openstack-nova-compute.service"
    assert hosts.domains("gpu-01")[0].uuid == A
    for host, said in (("hung", "libvirt hangs"), ("gone", "it gave no answer")):
        with pytest.raises(WholecardError, match="domains are not known") as caught:
            hosts.domains(host)
        assert said in caught.value.details


def test_no_unit(calls: Path) -> None:
    """A host without nova-compute by that name is told with the option that names it."""
    named = SshHosts(Ssh(), Reader(), unit="nova-compute.service")  # type: ignore[arg-type]
    with pytest.raises(WholecardError, match="no unit of nova-compute") as caught:
        named.restart_compute("gpu-01")
    assert "--compute-unit" in caught.value.resolution

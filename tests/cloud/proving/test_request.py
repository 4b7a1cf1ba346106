"""A whole proof against an API: what is booted, what is found, what is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.openstack_api import PASSWORD, Answer
from support.proof_cloud import (
    ALIAS,
    COMPUTE,
    GPUS,
    H100,
    H100_2,
    VIRTIO,
    Guest,
    ProofCloud,
    ProofServer,
    guest_of,
    honest,
    script_of,
)
from support.proofs import console_of, lines_of
from support.tree import grow
from wholecard.cloud.client.errors import CloudError
from wholecard.cloud.proving import leftovers, request
from wholecard.cloud.proving.record import ProveReport
from wholecard.cloud.proving.request import ProveRequest, ProveWatcher, delete_leftovers, prove
from wholecard.cloud.proving.server_watch import ServerProgress
from wholecard.core import UsageError

REQUEST = ProveRequest("test", "gpu", "debian", grace=0.0, interval=0.0, timeout=20.0)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Placement is waited for a second and not a minute."""
    monkeypatch.setattr(request, "FREE_SECONDS", 1.0)


def proved(cloud: ProofCloud, **more: object) -> ProveReport:
    """The report of a run, after which nothing is left."""
    report = prove(cloud.connection(), replace(REQUEST, **more))  # type: ignore[arg-type]
    assert cloud.running == []
    return report


def rules(report: ProveReport) -> list[str]:
    """The codes of all findings but the notes."""
    return [each.rule for each in report.all_findings if each.severity.value != "note"]


def test_a_proof(proving: ProofCloud) -> None:
    """One server with its card: booted with config drive and agent, judged, deleted, card free."""
    report = proved(proving)
    assert report.proved, report.to_json()
    (server,) = report.servers
    assert (server.status, server.host, server.freed) == ("ACTIVE", "gpu-01", True)
    (device,) = server.devices
    assert (device.name, device.ids, device.function) == ("h100", ("10de:2330",), H100)
    (booted,) = proving.servers.values()
    assert booted.body["config_drive"] is True
    assert booted.body["networks"] == "none"
    assert booted.body["flavorRef"] == "f1"
    assert booted.metadata["wholecard_proof"] == report.run
    assert f"export WHOLECARD_NONCE={booted.nonce}\n" in script_of(booted)


def test_the_real_agent(proving: ProofCloud, tmp_path: Path) -> None:
    """The user data that nova gets, run by a shell on a tree, proves the card."""
    card = tmp_path / "guest/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0"
    grow(
        card,
        {
            "vendor": "0x10de\n", "device": "0x2330\n", "class": "0x030200\n",
            "subsystem_vendor": "0x10de\n", "subsystem_device": "0x16c1\n",
            "resource": "0x80000000 0x80ffffff 0x0\n" + "0x0 0x0 0x0\n" * 5,
        },
    )  # fmt: skip
    grow(
        tmp_path / "guest",
        {
            "sys/bus/pci/devices/0000:01:00.0": f"-> {card}",
            "proc/sys/kernel/random/boot_id": "0123abcd-1111\n",
            "bin/nvidia-smi": (
                "#!/bin/sh\necho '00000000:01:00.0, GPU-1, 580.65, 81559, H100'\n", 0o755),
        },
    )  # fmt: skip

    def guest(server: ProofServer, _: int) -> str:
        console = tmp_path / "console"
        if not console.exists():
            variables = {name: str(tmp_path / "guest" / name.lower()) for name in ("SYS", "PROC")}
            subprocess.run(
                ["sh", "-c", script_of(server)], check=True, timeout=20,
                env={"PATH": f"{tmp_path}/guest/bin:/usr/bin:/bin", "WHOLECARD_PATH": "",
                     "WHOLECARD_CONSOLE": str(console), "WHOLECARD_REPEAT": "1",
                     "WHOLECARD_WORK": str(tmp_path / "work"), "WHOLECARD_CONFIG": str(tmp_path),
                     **{f"WHOLECARD_{name}": path for name, path in variables.items()}},
            )  # fmt: skip
        return console.read_text()

    proving.guests = [guest]
    report = proved(proving)
    assert report.proved, report.to_json()
    assert [gpu.name for gpu in report.servers[0].gpus_at("0000:01:00.0")] == ["H100"]


BROKEN: dict[str, tuple[Guest, list[str]]] = {
    "card left out": (honest(VIRTIO), ["WC401"]),
    "one too many": (honest(VIRTIO, H100, H100_2), ["WC402"]),
    "no memory": (honest(replace(H100, bars=(0,) * 6)), ["WC434"]),
    "not counted": (honest(H100, gpus=()), ["WC408"]),
    "another's nonce": (lambda *_: console_of(guest_of("feedfeed", H100)), ["WC406"]),
    "no nonce": (lambda *_: console_of(guest_of("", H100)), ["WC406"]),
    "contradictory": (
        lambda server, _: console_of(guest_of(server.nonce, H100))
        + console_of(guest_of(server.nonce, H100_2)), ["WC407"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_guest(proving: ProofCloud, case: str) -> None:
    """It fails with the difference, at once, and its server is deleted."""
    guest, expected = BROKEN[case]
    proving.guests = [guest]
    # A test is ended long before that.
    report = proved(proving, timeout=3600.0)
    assert rules(report) == expected
    assert not report.proved


NO_REPORT: dict[str, Guest] = {
    "nothing": lambda *_: "",
    "garbage": lambda *_: "\x00\xff\x1b]0;owned\x07\x1b[2J" * 1000,
    "10 MB": lambda *_: "login: " * 1_500_000,
    "half a report": lambda server, _: "".join(lines_of(guest_of(server.nonce, H100))[:-1]),
    "damaged": lambda server, _: console_of(guest_of(server.nonce, H100)).replace("10de", "10df"),
}


@pytest.mark.parametrize("case", NO_REPORT)
def test_no_report(proving: ProofCloud, case: str) -> None:
    """Without a whole report the time-out ends it, with how far it came and the console's end."""
    proving.guests = [NO_REPORT[case]]
    report = proved(proving, timeout=1.0)
    assert rules(report) == ["WC405"]
    assert len(report.servers[0].console_end) <= 1500


def test_a_chatty_guest(proving: ProofCloud) -> None:
    """What a guest has pushed out of nova's 100 KiB between two readings is not lost."""

    def guest(server: ProofServer, reads: int) -> str:
        lines = lines_of(guest_of(server.nonce, VIRTIO, H100))
        half = lines[: len(lines) // 2] if reads % 2 else lines[len(lines) // 2 :]
        return "NVRM: message\n" * 9000 + "".join(half)

    proving.guests = [guest]
    assert proved(proving).proved


def test_ours_after_a_foreign_report(proving: ProofCloud) -> None:
    """A foreign report that comes first is given a moment: then ours counts."""

    def guest(server: ProofServer, reads: int) -> str:
        foreign = console_of(guest_of("feedfeed"), "eeeeeeee")
        ours = console_of(guest_of(server.nonce, H100), "aaaaaaaa")
        return foreign + (ours if reads > 2 else "")

    proving.guests = [guest]
    assert proved(proving, grace=10.0).proved


def test_two_servers(proving: ProofCloud) -> None:
    """Each has a nonce of its own, and one that reports the other's GPU is found."""
    proving.extra_specs = {ALIAS: "h100:1"}
    report = proved(proving, count=2)
    assert len({server.nonce for server in proving.servers.values()}) == 2
    assert rules(report) == ["WC435"]
    other = replace(GPUS[0], uuid="GPU-other")
    proving.guests = [honest(H100), honest(H100, gpus=(other,))]
    assert proved(proving, count=2).proved


def test_the_others_nonce(proving: ProofCloud) -> None:
    """A guest that reports the nonce of its neighbour in the same run is refused."""
    first: list[str] = []

    def guest(server: ProofServer, _: int) -> str:
        first.append(server.nonce)
        return console_of(guest_of(first[0], H100))

    proving.guests = [guest]
    assert "WC406" in rules(proved(proving, count=2))


def test_error_server(proving: ProofCloud) -> None:
    """A server in ERROR is a finding with nova's words, explain's, and the command to ask again."""
    proving.statuses, proving.fault = ["BUILD", "ERROR"], "No valid host was found."
    asked: list[str] = []

    def explain(server_id: str) -> str:
        asked.append(server_id)
        assert not proving.servers[server_id].deleted
        return "WC312 gpu-01 has no free card"

    report = prove(proving.connection(), REQUEST, explain=explain)
    (finding,) = [each for each in report.all_findings if each.rule == "WC409"]
    assert "No valid host was found." in finding.message
    assert "WC312 gpu-01 has no free card" in finding.message
    assert f"wholecard explain --cloud test --server {asked[0]}" in finding.fix
    assert proving.running == []


def test_a_server_that_never_boots(proving: ProofCloud) -> None:
    """A server that stays in BUILD ends at the time-out, and is deleted."""
    proving.statuses = ["BUILD"]
    report = proved(proving, timeout=1.0)
    assert rules(report) == ["WC409"]
    assert "not ACTIVE within 1 s, it is BUILD/spawning" in report.all_findings[-1].message


REFUSED_BEFORE = {
    "flavor without a card": ({"extra_specs": {"hw:cpu_policy": "dedicated"}}, "asks for no card"),
    "malformed alias": ({"extra_specs": {ALIAS: "h100"}}, "which nova refuses"),
    "image queued": ({"image": {"id": "i1", "name": "debian", "status": "queued"}}, "is queued"),
}


@pytest.mark.parametrize("case", REFUSED_BEFORE)
def test_refused_before_anything_boots(proving: ProofCloud, case: str) -> None:
    """What cannot be a proof is refused before a server is created."""
    values, words = REFUSED_BEFORE[case]
    for name, value in values.items():
        setattr(proving, name, value)
    with pytest.raises(UsageError, match=words) as caught:
        prove(proving.connection(), REQUEST)
    assert caught.value.resolution
    assert proving.servers == {}


def test_one_host(proving: ProofCloud) -> None:
    """Each server is asked for on the named host and in the named zone; by default on none."""
    report = proved(proving, count=2, host="gpu-02", availability_zone="gpus")
    assert [server.host for server in report.servers] == ["gpu-02", "gpu-02"]
    assert report.to_json()["host"] == "gpu-02"
    bodies = [server.body for server in proving.servers.values()]
    assert [(body["host"], body["availability_zone"]) for body in bodies] == [
        ("gpu-02", "gpus"), ("gpu-02", "gpus"),
    ]  # fmt: skip
    proving.servers.clear()
    proved(proving)
    (server,) = proving.servers.values()
    assert not {"host", "availability_zone"} & server.body.keys()


def test_on_another_host(proving: ProofCloud) -> None:
    """A server that is elsewhere than asked proves nothing of the host."""
    proving.moved_to = "gpu-01"
    report = proved(proving, host="gpu-02")
    assert rules(report) == ["WC409"]
    assert "on gpu-01 and not on gpu-02" in report.all_findings[0].message


@pytest.mark.parametrize(
    ("host", "brief", "advice"),
    [("gpu-2", "no nova-compute on gpu-2", "compute service list"),
     ("scheduler", "no nova-compute on scheduler", "compute service list"),
     ("gpu-04", "gpu-04 is disabled: new firmware", "--enable gpu-04 nova-compute"),
     ("gpu-03", "nova-compute on gpu-03 is down", "Start it on gpu-03")],
)  # fmt: skip
def test_a_host_that_takes_no_server(
    proving: ProofCloud, host: str, brief: str, advice: str
) -> None:
    """A host on which nova starts nothing is refused before a server is created."""
    with pytest.raises(UsageError, match=brief) as caught:
        prove(proving.connection(), replace(REQUEST, host=host))
    assert advice in caught.value.resolution
    assert proving.servers == {}


def test_a_host_named_by_a_tenant(proving: ProofCloud) -> None:
    """Who may not list the services gets nova's own refusal, with the policy's name."""
    message = "Policy doesn't allow compute:servers:create:requested_destination to be performed."
    forbidden = 403, {"forbidden": {"message": message, "code": 403}}
    proving.api.answers[f"GET {COMPUTE}/os-services"] = forbidden
    proving.refuse = forbidden
    with pytest.raises(CloudError, match="it is not allowed") as caught:
        prove(proving.connection(), replace(REQUEST, host="gpu-02"))
    assert message in caught.value.details


@pytest.mark.parametrize("names", [{"flavor": "gpus"}, {"image": "x"}, {"network": "lan"}])
def test_unknown_names(proving: ProofCloud, names: dict[str, str]) -> None:
    """An unknown flavor, image or network is refused; so is a cloud without any network service."""
    if "image" in names:
        proving.api.answers["GET /image/v2/images"] = (200, {"images": []})
    with pytest.raises((UsageError, CloudError)):
        prove(proving.connection(), replace(REQUEST, **names))  # type: ignore[arg-type]
    assert proving.servers == {}


def test_quota(proving: ProofCloud) -> None:
    """Where the quota ends after the first server, the error says so and the first is deleted."""
    message = "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"
    proving.refuse = 403, {"forbidden": {"message": message, "code": 403}}
    proving.refuse_after = 1
    with pytest.raises(CloudError, match="cannot create the server") as caught:
        prove(proving.connection(), replace(REQUEST, count=3))
    assert message in caught.value.details
    assert len(proving.servers) == 1
    assert proving.running == []


def test_a_server_whose_creation_was_not_answered(proving: ProofCloud) -> None:
    """nova makes the server and its answer is lost: it is found by its mark, and deleted."""

    def lost() -> Answer:
        proving.create()
        return 500, {}

    proving.api.answers[f"POST {COMPUTE}/servers"] = lost
    with pytest.raises(CloudError):
        prove(proving.connection(), REQUEST)
    assert len(proving.servers) == 1
    assert proving.running == []


def test_a_service_that_fails_for_a_while(proving: ProofCloud) -> None:
    """A nova that answers 500 in between is asked again."""

    def guest(server: ProofServer, reads: int) -> str:
        if reads == 1:
            path = f"POST {COMPUTE}/servers/{server.id}/action"
            after = proving.api.answers[path]
            answers: Iterator[Answer] = iter([(500, {}), (503, {})])
            proving.api.answers[path] = lambda: next(answers, None) or after()  # type: ignore[operator]
            return ""
        return console_of(guest_of(server.nonce, H100))

    proving.guests = [guest]
    assert proved(proving).proved


@pytest.mark.parametrize(("held", "found"), [(1, []), (10_000, ["WC430"])])
def test_the_card_is_seen_free(proving: ProofCloud, held: int, found: list[str]) -> None:
    """Placement is asked until it has nothing of the server; one that keeps it is a finding."""
    proving.held = held
    assert rules(proved(proving)) == found


def test_a_tenant(proving: ProofCloud) -> None:
    """Who may not ask Placement gets a note on what is not known, and a proof all the same."""
    proving.placement_forbidden = True
    report = proved(proving)
    assert report.proved
    assert [each.rule for each in report.findings] == ["WC436"]
    assert report.servers[0].freed is None
    assert any("Placement was not asked" in note for note in report.notes)


def test_keep(proving: ProofCloud) -> None:
    """Kept servers stay, are named, are not taken for left behind, and go with --clean."""
    report = prove(proving.connection(), replace(REQUEST, keep=True))
    assert report.kept == (report.servers[0].name,) == tuple(proving.running)
    again = prove(proving.connection(), REQUEST)
    assert any("that was kept" in note for note in again.notes)
    assert proving.running == [report.servers[0].name]
    assert delete_leftovers(proving.connection()) == ()
    assert delete_leftovers(proving.connection(), kept=True) == report.kept
    assert proving.running == []


def test_left_behind(proving: ProofCloud) -> None:
    """A killed run's server is deleted by the next run, another's that goes on is not touched."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    marks = leftovers.marks("dead", time.time() + 900, keep=False)
    machine = marks[leftovers.OWNER].partition(":")[0]
    proving.add("left", {**marks, leftovers.OWNER: f"{machine}:{dead.pid}"}, {})
    proving.add("late", {**marks, leftovers.OWNER: "other:1", leftovers.UNTIL: "1000"}, {})
    proving.add("going on", {**marks, leftovers.OWNER: "other:1"}, {})
    proving.add("no proof", {"wholecard": "made"}, {})
    report = prove(proving.connection(), REQUEST)
    assert proving.running == ["going on", "no proof"]
    assert any("left, late" in note for note in report.notes)
    assert any("going on" in note for note in report.notes)


def begun(cloud: ProofCloud) -> subprocess.Popen[str]:
    """The command, as far as its server is building."""
    cloud.statuses = ["BUILD"]
    argv = ["prove", "--flavor", "gpu", "--image", "debian", "--clouds-file",
            str(cloud.api.clouds), "--cloud", "test"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "wholecard.cli.main", *argv], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    while "BUILD" not in process.stdout.readline():
        assert process.poll() is None
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(proving: ProofCloud, number: int, ctrl_c: None) -> None:
    """After Ctrl-C or a terminate signal no server is left, and no secret was printed."""
    process = begun(proving)
    try:
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert (len(proving.servers), proving.running) == (1, [])
    assert PASSWORD not in said


def test_killed(proving: ProofCloud) -> None:
    """What a run leaves that was killed without any chance, the next one deletes."""
    process = begun(proving)
    process.kill()
    process.communicate(timeout=30)
    left = proving.running
    proving.statuses = ["ACTIVE"]
    report = proved(proving)
    assert report.proved
    assert report.notes == (
        f"An earlier run had left servers behind, which were deleted: {left[0]}.",
    )


def test_what_is_shown_meanwhile(proving: ProofCloud) -> None:
    """A watcher sees each server's states, its console's size, and its records as they come."""

    class Seen(ProveWatcher):
        def __init__(self) -> None:
            self.progress: list[ServerProgress] = []

        def server(self, progress: ServerProgress) -> None:
            self.progress.append(progress)

    seen = Seen()
    prove(proving.connection(), REQUEST, seen)
    assert [each.state for each in seen.progress] == ["BUILD/spawning", "ACTIVE"]
    assert seen.progress[-1].records == 5
    assert seen.progress[-1].console_bytes > 1000

"""The whole way, each card in an IOMMU group of its own; the lab that the demo leaves."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from support.commands import Demo, wholecard
from wholecard.cloud.client import servers
from wholecard.cloud.client.connection import connect
from wholecard.cloud.client.waiting import wait_until
from wholecard.cloud.proving.judgement import Required, report_findings
from wholecard.cloud.proving.server_watch import ServerWatch
from wholecard.guest.agent.files import AgentRequest
from wholecard.guest.proof.comparison import MACHINE_OWN
from wholecard.lab import lab as labs
from wholecard.lab.base import process
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.scenario import emulated_gpu, prove_cards, views
from wholecard.lab.scenario.control_plane import DROP_IN, drop_in_path
from wholecard.lab.scenario.site_file import site_path
from wholecard.nova.options import ROLES
from wholecard.site.load import read_site

GIB = 1 << 30


def test_two_cards_are_proved(demo: Demo) -> None:
    """The guest of g1.work2 reports two GPU functions, from two cards of the host."""
    assert "proved: 2 functions from 2 card(s)" in demo.ran.stdout


def test_the_guests_driver_counts_its_cards(demo: Demo) -> None:
    """In a guest whose image was made here a driver binds both cards and registers a framebuffer
    for each.
    """
    bound = re.findall(r"gpu [12] of 2 +1002:5046 +\S+ +aty128fb .* framebuffer: ATY Rage128",
                       demo.ran.stdout)  # fmt: skip
    assert len(bound) == 2
    assert "counted by framebuffer: ATY Rage128" in demo.report


def test_nbody_runs_in_the_guest(demo: Demo) -> None:
    """wholecard-bench computes in it, its check passes, and the report's page has the figure."""
    result = r"nbody: [0-9.]+ GFLOP/s, 1,024 bodies, numba on 1 device, its check passed"
    assert re.search(result, demo.ran.stdout)
    assert re.search(result, demo.report)


def test_the_second_server_is_refused(demo: Demo) -> None:
    """While a server has both cards a second server gets no valid host."""
    assert re.search(r"one-too-many: ERROR, No valid host was found", demo.ran.stdout)


def test_the_refusal_is_explained(demo: Demo) -> None:
    """`explain` names one cause for it: the cards exist, and the first server has them."""
    assert re.search(r"server one-too-many: explain, why it was refused +[0-9.]+ s  WC318$",
                     demo.ran.stdout, re.MULTILINE)  # fmt: skip
    assert "WC318" in demo.report


def test_the_configuration_is_rendered_and_linted(demo: Demo, lab_folder: LabFolder) -> None:
    """nova.conf.d is rendered from the lab's site file; `nova lint` has nothing against it."""
    assert re.search(r"nova lint, before anything starts with it +[0-9.]+ s  0 findings",
                     demo.ran.stdout)  # fmt: skip
    lab = labs.require_up(lab_folder)
    file = read_site(site_path(lab))
    for role in ROLES:
        again = wholecard("nova", "render", "--site", str(file.path), "--role", role,
                          *(("--host", GPU_NODE.name) if role == "compute" else ()))  # fmt: skip
        assert again.stdout == drop_in_path(lab, role).read_text()
    copy = lab.node(GPU_NODE.name).ssh(["cat", f"/etc/nova/{DROP_IN}"], timeout=600).stdout
    assert copy == drop_in_path(lab, "compute").read_text()


def test_every_function_was_claimed_at_boot(demo: Demo) -> None:
    """After its own reboot the node has all four functions on vfio-pci, claimed at boot."""
    claimed = re.findall(r"(0000:0[12]:00\.[01]) +\S+ +vfio-pci .*claimed at", demo.ran.stdout)
    assert sorted(claimed) == ["0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:02:00.1"]


def test_a_server_moves_to_a_second_host(demo: Demo) -> None:
    """A server with two cards is migrated cold: in VERIFY_RESIZE it has two rows of nova on each
    host, after confirm two on the new one, and no audit has a finding.
    """
    moments = [(row["moment"], len(row["held"])) for row in demo.numbers["moves"]]
    assert moments == [
        ("before the move", 1), ("in VERIFY_RESIZE, before confirm", 2), ("after confirm", 1),
    ]  # fmt: skip
    (before,), both, (after,) = (row["held"] for row in demo.numbers["moves"])
    assert sorted([before, after]) == both == ["gpu-01: 2 allocated", "gpu-02: 2 allocated"]
    audits = re.findall(r"2 hosts, 4 devices, read: sysfs, libvirt, nova, placement",
                        demo.ran.stdout)  # fmt: skip
    assert len(audits) == len(moments)


def test_the_host_is_rolled_back(demo: Demo) -> None:
    """At the end every file that a plan may touch is as it was on the bare host."""
    assert re.search(r"compared byte for byte +[0-9.]+ s  [1-9][0-9]+ files .* as they were",
                     demo.ran.stdout)  # fmt: skip


def test_the_report_stands_alone(demo: Demo) -> None:
    """report.html loads nothing from elsewhere and shows each station with what was seen."""
    assert not re.search(r"""(?:src|href)=["']https?://""", demo.report)
    for seen in ("/dev/vfio/", "CUSTOM_PCI_1002_5046", "queue compute", "Claim successful",
                 "two-cards", "one-too-many"):  # fmt: skip
        assert seen in demo.report, seen


def test_memory(demo: Demo) -> None:
    """With a server running the whole lab takes less than 6 GiB."""
    assert 0 < sum(demo.numbers["memory_mib"].values()) << 20 < 6 * GIB


def listens_on(member: psutil.Process) -> list[Any]:
    """The addresses on which a process listens; none where it has ended as socats do."""
    try:
        connections = member.net_connections(kind="inet")
    except psutil.Error:
        return []
    return [one.laddr for one in connections if one.status == psutil.CONN_LISTEN]


def test_everything_listens_on_loopback(demo: Demo, lab_folder: LabFolder) -> None:
    """Every listening socket of the lab is on loopback, RabbitMQ's three ports too.

    epmd adds ::1 to the address that it gets (erlang.org, epmd).
    """
    listening = [
        (name, address)
        for name, service in process.running(lab_folder.run).items()
        for member in service.processes
        for address in listens_on(member)
    ]
    assert {name for name, _ in listening} >= {"rabbitmq", "nova-api", "keystone", GPU_NODE.name}
    ports = labs.require_up(lab_folder).settings.ports
    assert {address.port for name, address in listening if name == "rabbitmq"} == {
        ports[name] for name in ("rabbitmq", "rabbitmq-dist", "epmd")
    }
    assert [each for each in listening if each[1].ip not in {"127.0.0.1", "::1"}] == []


def test_the_openstack_command_works(demo: Demo, lab_folder: LabFolder) -> None:
    """`openstack --os-cloud wholecard-lab server list` answers with the lab's clouds.yaml."""
    openstack = Path(sys.executable).parent / "openstack"
    done = subprocess.run(
        [openstack, "--os-cloud", service_settings.CLOUD, "flavor", "list", "-f", "json"],
        env=os.environ | {"OS_CLIENT_CONFIG_FILE": str(lab_folder.clouds_yaml)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {row["Name"] for row in json.loads(done.stdout)} == {
        "g1.card2", "g1.card1", "g1.work2",
    }  # fmt: skip


def test_secrets_are_nowhere_to_be_read(demo: Demo, lab_folder: LabFolder) -> None:
    """No password of the lab is in a log, in the report or in what the demo printed."""
    passwords = service_settings.load_secrets(lab_folder.run / "secrets.json").values()
    assert passwords
    texts = {"report": demo.report, "stdout": demo.ran.stdout, "stderr": demo.ran.stderr}
    texts |= {str(log): log.read_text(errors="replace") for log in lab_folder.logs.iterdir()}
    assert [name for name, text in texts.items() for word in passwords if word in text] == []


def test_cards_are_free_again(demo: Demo, lab_folder: LabFolder) -> None:
    """After the demo nova's database, Placement and sysfs agree that every function is free."""
    lab = labs.require_up(lab_folder)
    conn = connect(service_settings.CLOUD, lab_folder.clouds_yaml)
    findings, text = views.free_findings(lab, conn)
    assert findings == [], text


def test_status(demo: Demo) -> None:
    """`lab status --json` says that all services live, and whether the lab is rootless."""
    ran = wholecard("lab", "status", "--json", timeout=600)
    facts = json.loads(ran.stdout)
    assert (ran.status, facts["state"], facts["rootless"]) == (0, "rolled-back", os.geteuid() != 0)
    assert all(service["alive"] for service in facts["services"].values())


def test_shell(demo: Demo) -> None:
    """`lab shell -- COMMAND` runs a command on the node and ends with its status."""
    assert wholecard("lab", "shell", "--", "hostname", timeout=600).stdout == "gpu-01\n"
    assert wholecard("lab", "shell", "--", "false", timeout=600).status == 1


def test_another_servers_report_is_not_believed(demo: Demo, lab_folder: LabFolder) -> None:
    """A complete and correct report with the nonce of another run proves nothing."""
    lab = labs.require_up(lab_folder)
    conn = connect(service_settings.CLOUD, lab_folder.clouds_yaml)
    flavor = conn.compute.find_flavor(emulated_gpu.CARD_FLAVOR.name, ignore_missing=False)
    image = conn.image.find_image(emulated_gpu.IMAGE, ignore_missing=False)
    given = AgentRequest("0" * 16)
    ours = "feedface" * 2
    server_id = servers.create(conn, servers.NewServer(
        "of-another", flavor.id, image.id, "none", given.metadata(), config_drive=True,
    ))  # fmt: skip
    watch = ServerWatch("of-another", server_id, ours, timeout=600, grace=1)

    def looked() -> bool | None:
        watch.poll(conn)
        return watch.done or None

    try:
        wait_until("a report, or the time is over", looked, 700, interval=3.0)
    finally:
        servers.delete_and_wait(conn, server_id, prove_cards.DELETE_SECONDS)
    assert watch.proof is not None
    assert (watch.proof.complete, watch.proof.nonce) == (True, given.nonce)
    findings = report_findings((), watch.proof, Required(ours), MACHINE_OWN)
    assert [finding.rule for finding in findings] == ["WC406"]
    assert views.free_findings(lab, conn)[0] == []


def test_a_card_that_was_left_out_is_missed(demo: Demo, lab_folder: LabFolder) -> None:
    """A card taken out of libvirt's domain behind nova's back: ACTIVE says nothing, the guest does.

    libvirt starts the server again with one <hostdev> of two, as somebody on the host could do.
    """
    lab = labs.require_up(lab_folder)
    conn = connect(service_settings.CLOUD, lab_folder.clouds_yaml)
    node, story = lab.node(GPU_NODE.name), Story(Console(file=io.StringIO()))
    booted = prove_cards.boot(conn, story, emulated_gpu.CARDS_FLAVOR, "one-left-out")
    try:
        domain = ET.fromstring(views.domain_xml(node, booted.outcome.id))
        card = domain.find("./devices/hostdev")
        assert card is not None
        node.write("/tmp/card.xml", ET.tostring(card))
        for words in (("destroy",), ("detach-device", "--config", "--file", "/tmp/card.xml"),
                      ("start",)):  # fmt: skip
            command, *options = words
            node.ssh(["virsh", "-c", "qemu:///system", command, booted.outcome.id, *options],
                     timeout=600)  # fmt: skip
        record = prove_cards.read_proof(lab, conn, story, emulated_gpu.CARDS_FLAVOR, booted)
        status = conn.compute.get_server(booted.outcome.id).status
    finally:
        prove_cards.delete(lab, conn, story, [booted])
    assert (status, [finding.rule for finding in record.findings]) == ("ACTIVE", ["WC401"])

"""`lab demo`: the whole way, printed step by step; what was seen is kept for the report."""

from __future__ import annotations

import datetime
import json
import os
import platform
from dataclasses import replace
from pathlib import Path

import psutil
from openstack.connection import Connection

from wholecard.cloud.proving.text import report_text
from wholecard.guest.image.sandbox import is_rootless
from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import GPU_NODE, Topology
from wholecard.lab.base.steps import Story
from wholecard.lab.lab import Lab
from wholecard.lab.report.record import DemoRecord
from wholecard.lab.report.report import write_report
from wholecard.lab.scenario import emulated_gpu, prove_cards, stations
from wholecard.lab.scenario.guest_proof import GuestProof
from wholecard.lab.scenario.hypervisor import Agent, roll_back
from wholecard.lab.scenario.move_between_hosts import move_between_hosts, retire_second_node
from wholecard.lab.scenario.second_node import add_second_node, first_alone
from wholecard.lab.scenario.up import bare_to_ready, begin, nothing_half

NUMBERS = "demo.json"
# The parts take longer than this only where one of them is built.
WARM_SECONDS = 20


def demo(folder: LabFolder, story: Story, topology: Topology, report: Path) -> DemoRecord:
    """Walk the whole way on a fresh node and fresh databases; write `report` in any case.

    Raises LabError when a server did not end as it should, or what a step raised.
    """
    record = DemoRecord(
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=machine(), topology=topology, accelerator="", accelerator_why="",
        rootless=is_rootless(), warm=False,
    )  # fmt: skip
    try:
        lock = cache.locked(folder.lock, "another `lab up` is running", timeout=1800)
        with lock, nothing_half(folder):
            _walk(folder, story, topology, record)
    finally:
        record.steps = story.steps
        record.seconds = story.elapsed()
        write_report(record, report)
        (report.parent / NUMBERS).write_text(json.dumps(record.numbers(), indent=1) + "\n")
    return record


def _walk(folder: LabFolder, story: Story, topology: Topology, record: DemoRecord) -> None:
    # Cards that share one IOMMU group are the story of one node.
    both = begin(folder, story, topology, 2 if topology is Topology.APART else 1)
    lab = first_alone(both)
    labs.write_state(lab, "starting")
    record.accelerator, record.accelerator_why = labs.choose_accelerator(folder, lab.parts.root)
    record.warm = story.elapsed() < WARM_SECONDS
    conn, bare = bare_to_ready(lab, story)
    labs.write_state(lab, labs.UP)
    record.versions = versions(lab)
    _two_cards(lab, conn, story, record)
    wrong = [server for server in record.servers if not server.as_it_should_be]
    if wrong:
        raise LabError(
            f"{wrong[0].name} did not end as expected",
            "\n".join(prove_cards.proof_text(server) for server in wrong),
            "The report has the evidence.",
        )
    if len(both.nodes) > 1:
        labs.write_state(both, labs.UP)
        add_second_node(both, conn, story)
        record.moves = move_between_hosts(both, conn, story)
        retire_second_node(both, conn, story)
    labs.write_state(lab, labs.ROLLED_BACK)
    node = lab.node(GPU_NODE.name)
    roll_back(node, Agent(node), story, bare)


def _two_cards(lab: Lab, conn: Connection, story: Story, record: DemoRecord) -> None:
    """A server with both cards, and a second one that is refused while the first has them.

    The first one's guest is a Debian system with a driver for the cards; it runs the n-body.
    """
    name, flavor = "two-cards", emulated_gpu.WORK_FLAVOR
    proof = GuestProof(lab, conn, story, flavor, emulated_gpu.GUEST_IMAGE, emulated_gpu.BODIES)
    proof.wait_until_active(name)
    second = prove_cards.boot(conn, story, emulated_gpu.CARDS_FLAVOR, "one-too-many")
    without = prove_cards.without_proof(emulated_gpu.CARDS_FLAVOR, second, refusal_expected=True)
    refused = prove_cards.explain(lab, story, without, second)
    record.servers.append(refused)
    story.say(f"one-too-many: {refused.status}, {refused.fault}\n"
              "This is correct: the first server has both cards.")  # fmt: skip
    first, proved, report = proof.result(name)
    # The lab deletes its server itself, and looks at more than Placement then.
    report = replace(report, kept=())
    record.servers.insert(0, proved)
    record.seconds_to_proof = story.elapsed()
    story.say(report_text(report), title=f"$ wholecard prove --flavor {report.flavor} "
              f"--image {report.image} --bench --num-bodies {emulated_gpu.BODIES}")  # fmt: skip
    story.say(prove_cards.proof_text(proved), title=f"the guest's proof: {name}")
    with story.step("what was seen at each step") as step:
        record.stations = stations.seen(lab, conn, first, proved)
        for station in record.stations:
            step.saw(station.name, "\n".join(station.seen))
        services = process.running(lab.folder.run).items()
        record.memory_bytes = {name: service.memory() for name, service in services}
    if findings := prove_cards.delete(lab, conn, story, [first, second]):
        lines = [f"{finding.subject}: {finding.message}" for finding in findings]
        raise LabError("cards are not free again", "\n".join(lines))


def machine() -> str:
    """This machine in a line: processor, cores, memory, system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    total = psutil.virtual_memory().total
    return (f"{processor}, {os.cpu_count()} cores, {total / (1 << 30):.0f} GiB, "
            f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}")  # fmt: skip


def versions(lab: Lab) -> dict[str, str]:
    """What the lab runs: packages of the private root and of OpenStack's environment."""
    numbers: dict[str, str] = {}
    packages = next(lab.parts.environment.glob("lib/python3.*/site-packages"))
    for name in ("nova", "keystone", "glance", "neutron", "openstack_placement"):
        for info in packages.glob(f"{name}-*.dist-info"):
            version = info.name.removesuffix(".dist-info").rpartition("-")[2]
            numbers[name.replace("_", "-")] = version
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", "qemu-system-x86",
             "libvirt-daemon", "rabbitmq-server", "mariadb-server",
             "linux-image-amd64"]  # fmt: skip
    for line in lab.control.inside().run(query, timeout=600).stdout.splitlines():
        package, _, version = line.partition(" ")
        numbers[package] = version
    return numbers

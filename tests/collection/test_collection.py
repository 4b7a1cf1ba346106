"""The collection on two hosts that are file trees: predicted, prepared, verified, given back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from collection.conftest import BIN, Ansible

from support.fakes_on_path import fake_tools
from support.nodes import APART, GROUPS_APART, GROUPS_TOGETHER, TOGETHER, bare, reboot
from support.sites import FACTS
from support.tree import grow, snapshot
from wholecard.nova.render.managed_files import OURS

# Each of three runs of ansible-playbook starts a Python for every task and host.
pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).parent
SECRET = "hunter2-of-the-console"
DEVICES = {"gpu-01": APART, "gpu-02": TOGETHER}
GROUPS = {"gpu-01": GROUPS_APART, "gpu-02": GROUPS_TOGETHER}
CARDS = {"gpu-01": ["0000:01:00.0"], "gpu-02": ["0000:02:01.0", "0000:02:02.0"]}
REFUSED = {"gpu-01": ["0000:09:00.0"], "gpu-02": ["0000:02:02.0"]}
FUNCTIONS = {
    "gpu-01": ["0000:01:00.0", "0000:01:00.1"],
    "gpu-02": ["0000:02:01.0", "0000:02:01.1", "0000:02:02.0", "0000:02:02.1"],
}
SITE = """\
release: 2025.2
cards:
  h100:
    match: [{vendor: 10de, product: "2330"}]
hosts:
  gpu-01: {facts: gpu-01.json}
  gpu-02: {facts: gpu-02.json}
"""


@dataclass(frozen=True)
class Day:
    """What a playbook printed, what its tasks answered by host and name, and the trees after it."""

    printed: str
    answers: dict[str, dict[str, Any]]
    trees: dict[str, dict[str, object]]


@dataclass(frozen=True)
class World:
    """Two hosts as trees in `folder`, an inventory, and a folder for Kolla's files."""

    ansible: Ansible
    folder: Path
    calls: Path

    def root(self, host: str) -> Path:
        """A host's tree."""
        return self.folder / host

    def tree(self, host: str, suffix: str = "") -> dict[str, object]:
        """A host's tree read; what the agent keeps for itself is left out."""
        return snapshot(self.folder / f"{host}{suffix}")

    def play(self, playbook: str, *words: str, status: int = 0) -> Day:
        """Run a playbook on both hosts."""
        answers = self.folder / f"answers-{Path(playbook).stem}"
        answers.mkdir()
        variables = {
            "answers": str(answers),
            "site": str(self.folder / "site.yaml"),
            "kolla_config": str(self.folder / "kolla"),
            "wholecard_command": str(BIN / "wholecard"),
        }
        printed = self.ansible.run(
            "ansible-playbook", "-i", self.folder / "inventory.json", "-e", json.dumps(variables),
            *words, playbook, status=status,
        )  # fmt: skip
        texts = {path.stem: path.read_text() for path in answers.iterdir()}
        assert SECRET not in printed + "".join(texts.values())
        read = {host: json.loads(text) for host, text in texts.items()}
        return Day(printed, read, {host: self.tree(host) for host in DEVICES})


@pytest.fixture(scope="module")
def world(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The hosts, bare, with a password on the kernel's command line; a site; foreign files."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        calls = fake_tools(folder, patch)
        for host, devices in DEVICES.items():
            tree = bare(devices)
            default = str(tree["etc/default/grub"]).replace("quiet", f"rd.znet_pass={SECRET} quiet")
            grow(folder / host, {**tree, "etc/default/grub": default})
        (folder / "gpu-02.failing.fail").touch()
        grow(folder, {"site.yaml": SITE, "kolla/globals.yml": "", "gpu-01.keep/": ""})
        grow(folder, {"kolla.foreign/nova/nova-api.conf": "[pci]\n"})
        for host, facts in FACTS.items():
            (folder / f"{host}.json").write_text("".join(facts.to_lines()))
        (folder / "inventory.json").write_text(json.dumps(_inventory(folder)))
        yield World(ansible, folder, calls)


def _inventory(folder: Path) -> dict[str, Any]:
    hosts = {
        host: {
            "wholecard_root": str(folder / host),
            "wholecard_refused": REFUSED[host],
            "wholecard_cards": CARDS[host],
        }
        for host in DEVICES
    }
    variables = {"ansible_connection": "local", "wholecard_become": False}
    return {"all": {"children": {"gpu_hosts": {"hosts": hosts, "vars": variables}}}}


@pytest.fixture(scope="module")
def bare_trees(world: World) -> dict[str, dict[str, object]]:
    """The trees before anything was done."""
    return {host: world.tree(host) for host in DEVICES}


@pytest.fixture(scope="module")
def first_day(world: World, bare_trees: object) -> Day:
    """Looked at, predicted, prepared, prepared again."""
    return world.play(str(HERE / "first_day.yml"))


@pytest.fixture(scope="module")
def verified(world: World, first_day: Day) -> Day:
    """The collection's own playbook after the reboot of the hosts, which trees cannot do."""
    for host, devices in DEVICES.items():
        taken = [function for function in FUNCTIONS[host]]
        reboot(world.root(host), devices, GROUPS[host], taken)
    return world.play("wholecard.gpu.prepare", "--diff", "--skip-tags", "reboot")


@pytest.fixture(scope="module")
def last_day(world: World, verified: Day) -> Day:
    """Rolled back, and nova's files written."""
    return world.play(str(HERE / "last_day.yml"))


@pytest.mark.parametrize("host", DEVICES)
def test_facts(first_day: Day, host: str) -> None:
    """host_facts answers what inspect and status do, without the password."""
    facts = first_day.answers[host]["facts"]["ansible_facts"]
    assert set(FUNCTIONS[host]) <= {each["address"] for each in facts["wholecard"]["functions"]}
    assert facts["wholecard_status"]["state"] == "clean"

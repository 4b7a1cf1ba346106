"""The collection on two hosts that are file trees: predicted, prepared, verified, given back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.ansible_core import BIN, Ansible
from support.fakes_on_path import fake_tools
from support.nodes import APART, GROUPS_APART, GROUPS_TOGETHER, TOGETHER, bare, reboot
from support.sites import FACTS
from support.tree import grow, snapshot
from wholecard.nova.render.managed_files import OURS

# Each of three runs of ansible-playbook starts a Python for every task and host.
pytestmark = pytest.mark.timeout(1800)

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
# What a boot makes anew.
RUNNING = ("sys", "proc", "dev")
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
            for name in (host, f"{host}.sick"):
                grow(folder / name, {**tree, "etc/default/grub": default})
            sleepy = f"{host}.sick/sys/bus/pci/devices/{CARDS[host][0]}/power/runtime_status"
            grow(folder, {sleepy: "error\n"})
        (folder / "gpu-02.failing.fail").touch()
        grow(folder, {"site.yaml": SITE, "kolla/globals.yml": ""})
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
            "wholecard_desired": {"cards": CARDS[host], "hugepages": ["1G:2"]},
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
        reboot(world.root(host), devices, GROUPS[host], FUNCTIONS[host])
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


@pytest.mark.parametrize("host", DEVICES)
def test_check(first_day: Day, host: str) -> None:
    """host_check reports the codes of a bare host; where it is to fail, with code and fix."""
    answers = first_day.answers[host]
    assert not answers["checked"]["changed"]
    assert "WC101" in answers["checked"]["rules"]
    assert answers["check_failed"]["failed"]
    assert "WC101 IOMMU: " in answers["check_failed"]["msg"]
    assert "  Fix: Boot with intel_iommu=on" in answers["check_failed"]["msg"]


def test_refused(first_day: Day) -> None:
    """A host that cannot be prepared fails with the rule and its fix, or with what it has."""
    half = first_day.answers["gpu-02"]["refused"]
    assert half["failed"]
    assert "WC107 Card 0000:02:02 shares the predicted IOMMU group" in half["msg"]
    assert "Select these cards together" in half["msg"]
    assert half["rules"] == ["WC107"]
    unknown = first_day.answers["gpu-01"]["refused"]["msg"]
    assert unknown.startswith("0000:09:00.0 is not a card\nCards on this host:\n")


@pytest.mark.parametrize("host", DEVICES)
def test_accept(first_day: Day, host: str) -> None:
    """An error that the plan does not change stops it before it begins, unless it is accepted."""
    sick = first_day.answers[host]["sick"]
    assert sick["failed"]
    assert sick["rules"] == ["WC121"]
    assert sick["msg"].startswith(
        "the host cannot be prepared as it is; nothing was changed\nWC121 "
    )
    assert "\n  Fix: " in sick["msg"]
    assert first_day.answers[host]["accepted"]["changed"]


@pytest.mark.parametrize("host", DEVICES)
def test_check_mode(
    world: World, first_day: Day, bare_trees: dict[str, dict[str, object]], host: str
) -> None:
    """Check mode changes nothing, and says what is done then; the diff has the files' lines."""
    assert world.tree(host, ".predicted") == bare_trees[host]
    assert not (world.folder / f"{host}.predicted/var/lib/wholecard").exists()
    predicted = first_day.answers[host]["predicted"]
    assert (predicted["changed"], predicted["reboot_required"]) == (True, True)
    assert "+softdep snd_hda_intel pre: vfio-pci" in predicted["diff"]["prepared"]
    if host == "gpu-01":
        assert predicted["actions"] == first_day.answers[host]["first"]["actions"]
    assert "+softdep snd_hda_intel pre: vfio-pci" in first_day.printed


@pytest.mark.parametrize("host", DEVICES)
def test_changed_once(first_day: Day, bare_trees: dict[str, dict[str, object]], host: str) -> None:
    """The first run changes the host, the second nothing; a reboot is needed until there is one."""
    first, second = (first_day.answers[host][name] for name in ("first", "second"))
    assert (first["changed"], first["reboot_required"], first["journals"]) == (True, True, ["0001"])
    assert (second["changed"], second["reboot_required"], second["actions"]) == (False, True, [])
    assert "diff" not in second
    assert first_day.trees[host] != bare_trees[host]


def test_interrupted(first_day: Day) -> None:
    """A tool that fails is the task's error; the next run finishes the same journal."""
    answers = first_day.answers["gpu-02"]
    assert answers["interrupted"]["failed"]
    assert "update-initramfs" in answers["interrupted"]["msg"]
    assert answers["first"]["journals"] == ["0001"]
    assert "stopped" in answers["first"]["diff"]["prepared"]


def test_verified(verified: Day, first_day: Day) -> None:
    """After the reboot the collection's playbook changes nothing and every card is bound."""
    assert verified.trees.keys() == first_day.trees.keys()
    for host in DEVICES:
        assert re.search(rf"^{host} .* changed=0 .* failed=0 ", verified.printed, re.MULTILINE)
    assert "Every card must be bound since the boot" in verified.printed


@pytest.mark.parametrize("host", DEVICES)
def test_rolled_back(
    world: World, verified: Day, last_day: Day, bare_trees: dict[str, dict[str, object]], host: str
) -> None:
    """absent is predicted, then restores every byte of the bare host, then changes nothing."""
    answers = last_day.answers[host]
    assert files_of(world.tree(host, ".kept")) == files_of(verified.trees[host])
    assert (answers["predicted"]["changed"], answers["first"]["changed"]) == (True, True)
    assert answers["predicted"]["actions"] == answers["first"]["actions"]
    assert (answers["second"]["changed"], answers["second"]["actions"]) == (False, [])
    assert files_of(last_day.trees[host]) == files_of(bare_trees[host])


def files_of(tree: dict[str, object]) -> dict[str, object]:
    """A tree without what the reboot changed: sysfs, proc and devices."""
    return {path: leaf for path, leaf in tree.items() if path.split("/")[0] not in RUNNING}


@pytest.mark.parametrize("host", DEVICES)
def test_edits_are_kept(last_day: Day, host: str) -> None:
    """A file that was edited since stops absent, which says which."""
    edited = last_day.answers[host]["edited"]
    assert edited["failed"]
    assert "/etc/modprobe.d/wholecard.conf" in edited["msg"]
    assert "discard_edits" in edited["msg"]


def test_nova_config(world: World, last_day: Day) -> None:
    """nova's files are predicted, written once as `nova render` writes them, with their diffs."""
    answers = last_day.answers["gpu-01"]
    predicted, first, second = (
        answers[f"nova_{name}"] for name in ("predicted", "first", "second")
    )
    assert answers["nova_untouched"]["stdout_lines"] == [str(world.folder / "kolla/globals.yml")]
    assert predicted["changed_files"] == first["changed_files"]
    assert predicted["diff"] == first["diff"]
    assert "nova/gpu-01/nova.conf" in first["changed_files"]
    for path in first["changed_files"]:
        text = (world.folder / "kolla" / path).read_text()
        assert text.startswith(OURS)
        assert text == first["files"][path]["after"]
    assert (second["changed"], second["changed_files"]) == (False, [])


def test_nova_config_refuses(world: World, last_day: Day) -> None:
    """Another's file is refused, in check mode too; without dest the texts are answered."""
    foreign = last_day.answers["gpu-01"]["nova_foreign"]
    assert foreign["failed"]
    assert "Wholecard did not write it" in foreign["msg"]
    texts = last_day.answers["gpu-01"]["nova_texts"]
    assert not texts["changed"]
    assert texts["files"]["nova-compute/gpu-02/90-wholecard.conf"]["after"].startswith(OURS)

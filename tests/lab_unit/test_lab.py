"""A lab's folder: created, read back, ended, removed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.marked import DAEMONISING, Marked
from support.tree import grow, snapshot
from wholecard.cli import lab as cli
from wholecard.cli.app import run_app
from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, default_folder, key_of, key_of_files
from wholecard.lab.base.node_spec import GPU_NODE, Topology
from wholecard.lab.control import database_seed
from wholecard.lab.control.service_settings import write_private
from wholecard.lab.lab import CONTROL_SERVICES, STATE, Lab, Parts
from wholecard.lab.parts import accelerator

SECRETS = {"admin": "a", "rabbitmq": "r", "nova": "n"}
SEED = {"secrets.json": json.dumps(SECRETS), "mysql/ibdata1": "data", "keystone/fernet/0": "key"}


@pytest.fixture
def lab_folder(tmp_path: Path) -> LabFolder:
    """A folder with a seed in its cache, in which no lab was ever up."""
    grow(tmp_path / "top", {f"cache/seed-1/{name}": text for name, text in SEED.items()})
    return LabFolder(tmp_path / "top")


def parts(lab_folder: LabFolder) -> Parts:
    names = ("root", "openstack", "node", "guest", "guest-image", "seed")
    return Parts(*(lab_folder.cache / f"{name}-1" for name in names))


def begun(lab_folder: LabFolder, topology: Topology = Topology.APART, nodes: int = 1) -> Lab:
    """A lab's folder as `lab up` makes it before anything is started."""
    lab = labs.new_lab(lab_folder, parts(lab_folder), topology, "tcg", nodes)
    labs.write_state(lab, "starting")
    database_seed.plant(lab.parts.seed, lab_folder.run)
    return lab


def test_new_lab_has_a_private_folder(lab_folder: LabFolder) -> None:
    """A new lab's folder is its owner's alone, and has the secrets of its seed."""
    lab = labs.new_lab(lab_folder, parts(lab_folder), Topology.TOGETHER, "tcg")
    assert lab_folder.run.stat().st_mode & 0o777 == 0o700
    assert lab.settings.secrets == SECRETS
    assert lab_folder.node(GPU_NODE.name).is_dir()
    assert lab_folder.logs.is_dir()


def test_new_lab_ends_the_old_one(lab_folder: LabFolder, marked: Marked) -> None:
    """What ran in the folder is ended, and what lay in it is gone."""
    grow(lab_folder.run, {"node/disk.qcow2": "old"})
    marked.start(lab_folder.run, "node")
    labs.new_lab(lab_folder, parts(lab_folder), Topology.APART, "tcg")
    assert process.running(lab_folder.run) == {}
    assert {path.name for path in lab_folder.run.iterdir()} == {"log", GPU_NODE.name, "ports.json"}


def test_unknown_topology_touches_nothing(
    lab_folder: LabFolder, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topology that does not exist is a usage error before anything is built or ended."""
    monkeypatch.setenv("WHOLECARD_LAB", str(lab_folder.top))
    monkeypatch.delenv("WHOLECARD_LAB_NAME", raising=False)
    marked.start(lab_folder.run, GPU_NODE.name)
    before = snapshot(lab_folder.top)
    for command in ("up", "demo"):
        assert run_app(["lab", command, "--topology", "nvlink"]) == 2
    assert snapshot(lab_folder.top) == before
    assert list(process.running(lab_folder.run)) == [GPU_NODE.name]


def test_node_that_the_lab_does_not_have(lab_folder: LabFolder) -> None:
    """A node is looked up by its name; a name that no node has is an error with those that are."""
    lab = begun(lab_folder)
    assert lab.node(GPU_NODE.name).folder == lab_folder.run / GPU_NODE.name
    with pytest.raises(LabError, match="the lab has no node gpu-02") as caught:
        lab.node("gpu-02")
    assert caught.value.resolution == "One of: gpu-01."


def test_lab_of_two_nodes(lab_folder: LabFolder) -> None:
    """Each node of a lab has a folder of its own, and is one of the lab's services."""
    lab = labs.new_lab(lab_folder, parts(lab_folder), Topology.TOGETHER, "tcg", nodes=2)
    assert [spec.name for spec in lab.nodes] == ["gpu-01", "gpu-02"]
    assert {spec.topology for spec in lab.nodes} == {Topology.TOGETHER}
    assert all(lab_folder.node(spec.name).is_dir() for spec in lab.nodes)
    assert lab.services[-2:] == ("gpu-01", "gpu-02")
    assert lab.up_command == "wholecard lab up --nodes 2 --topology together"
    assert [lab.titled(spec) for spec in lab.nodes] == ["node gpu-01", "node gpu-02"]


def test_lab_of_one_node(lab_folder: LabFolder) -> None:
    """A lab of one node names it only where that is needed, and is started without options."""
    lab = begun(lab_folder)
    assert (lab.up_command, lab.titled(lab.nodes[0])) == ("wholecard lab up", "node")


@pytest.mark.parametrize("count", [-1, 0, 3])
def test_number_of_nodes_that_no_lab_has(
    lab_folder: LabFolder, marked: Marked, monkeypatch: pytest.MonkeyPatch, count: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Another number of nodes than 1 or 2 is a usage error before anything is built or ended."""
    monkeypatch.setenv("WHOLECARD_LAB", str(lab_folder.top))
    monkeypatch.delenv("WHOLECARD_LAB_NAME", raising=False)
    marked.start(lab_folder.run, GPU_NODE.name)
    before = snapshot(lab_folder.top)
    assert run_app(["lab", "up", f"--nodes={count}"]) == 2
    assert f"a lab has 1 or 2 nodes, not {count}" in capsys.readouterr().err
    assert snapshot(lab_folder.top) == before
    assert list(process.running(lab_folder.run)) == [GPU_NODE.name]


def test_woken_lab_has_the_saved_secrets(lab_folder: LabFolder) -> None:
    """A lab that wakes has the passwords of its databases, also where the seed was made anew."""
    lab = begun(lab_folder)
    saved = grow(lab_folder.cache / "saved", {"secrets.json": json.dumps({"admin": "older"})})
    assert lab.with_secrets_of(saved).settings.secrets == {"admin": "older"}
    assert lab.with_secrets_of(saved).settings.ports == lab.settings.ports


def test_saved_lab_depends_on_what_prepared_it() -> None:
    """A saved lab depends on the code of every room that `lab up` runs; explain only says why."""
    program = "import sys, wholecard.lab.scenario.up; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    modules = [name.split(".") for name in ran.stdout.split() if name.startswith("wholecard.")]
    assert {names[1] for names in modules} - {"explain"} == set(labs.PREPARED_BY)


def test_woken_node_has_the_saved_disk(lab_folder: LabFolder) -> None:
    """QEMU of a node that was woken sees the saved lab below its disk, also when it starts anew."""
    lab = begun(lab_folder)
    new = [mount.outside for mount in lab.node(GPU_NODE.name).inside.mounts]
    (lab_folder.node(GPU_NODE.name) / "woken-from").write_text("/saved")
    woken = [mount.outside for mount in lab.node(GPU_NODE.name).inside.mounts]
    assert woken == [*new, Path("/saved")]


def test_saved_labs_of_one_and_two_nodes(lab_folder: LabFolder) -> None:
    """A lab of two nodes and one of its first node alone are saved beside each other."""
    grow(lab_folder.cache, {f"{name}-1/": "" for name in ("root", "openstack")})
    two = labs.new_lab(lab_folder, parts(lab_folder), Topology.APART, "tcg", nodes=2)
    one = labs.new_lab(lab_folder, parts(lab_folder), Topology.APART, "tcg")
    assert two.saved_folder(1) == one.saved_folder()
    assert one.saved_folder().name.startswith("saved-apart-")
    assert two.saved_folder().name.startswith("saved-2-apart-")
    assert not two.saved_folder().match("saved-apart-*")


@pytest.mark.parametrize("nodes", [1, 2])
def test_lab_is_read_back(lab_folder: LabFolder, nodes: int) -> None:
    """What another command reads in the folder is the same lab: parts, ports, secrets, state."""
    lab = begun(lab_folder, Topology.TOGETHER, nodes)
    assert labs.current(lab_folder) == (lab, "starting")
    labs.write_state(lab, "up")
    assert labs.current(lab_folder) == (lab, "up")
    assert (lab_folder.run / STATE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("file", [STATE, "secrets.json"])
@pytest.mark.parametrize("text", [None, "", "{", "7", "null", '"text"', "[1]"])
def test_unreadable_lab_is_none(lab_folder: LabFolder, file: str, text: str | None) -> None:
    """A folder whose state or secrets are gone or garbage has no lab; it is no error."""
    begun(lab_folder)
    (lab_folder.run / file).unlink()
    if text is not None:
        write_private(lab_folder.run / file, text)
    assert labs.current(lab_folder) is None


@pytest.mark.parametrize("some", [{}, {"root": "/r"}, {"root": 7}, [], {"more": "/m"}])
def test_state_of_another_version_is_none(lab_folder: LabFolder, some: object) -> None:
    """A state whose parts are not those of this version has no lab."""
    begun(lab_folder)
    facts = json.loads((lab_folder.run / STATE).read_text()) | {"parts": some}
    write_private(lab_folder.run / STATE, json.dumps(facts))
    assert labs.current(lab_folder) is None


@pytest.mark.parametrize("state", [None, "starting"])
def test_lab_that_is_not_up(lab_folder: LabFolder, state: str | None) -> None:
    """Where nothing runs, or a lab was only begun, the error says how one is started."""
    if state:
        begun(lab_folder)
    with pytest.raises(LabError, match="the lab is not up") as caught:
        labs.require_up(lab_folder)
    assert caught.value.resolution == "Start the lab: wholecard lab up"


def test_lab_that_is_up(lab_folder: LabFolder, marked: Marked) -> None:
    """A lab whose services all live is up; when some have died the error names them."""
    lab = begun(lab_folder)
    labs.write_state(lab, "up")
    for name in lab.services:
        marked.start(lab_folder.run, name)
    assert labs.require_up(lab_folder) == lab
    process.stop(lab_folder.run, [GPU_NODE.name, "glance"])
    with pytest.raises(LabError, match="glance, gpu-01 died") as caught:
        labs.require_up(lab_folder)
    assert str(lab_folder.logs) in caught.value.details
    assert caught.value.resolution == "Start these services again: wholecard lab up"


def test_after_a_reboot_everything_died(lab_folder: LabFolder) -> None:
    """A lab that was up when the machine went down has all its services dead."""
    labs.write_state(begun(lab_folder), "up")
    with pytest.raises(LabError) as caught:
        labs.require_up(lab_folder)
    assert caught.value.brief == f"{', '.join((*CONTROL_SERVICES, 'gpu-01'))} died"


def test_down_ends_everything_and_keeps_the_files(lab_folder: LabFolder, marked: Marked) -> None:
    """`down` ends every process, daemons too; the lab is not up afterwards, logs and cache stay."""
    labs.write_state(begun(lab_folder), "up")
    grow(lab_folder.logs, {"glance.out": "lines"})
    marked.start(lab_folder.run, "glance")
    marked.start_python(lab_folder.run, "node", DAEMONISING, lab_folder.top / "ready")
    assert sorted(labs.down(lab_folder)) == ["glance", "node"]
    assert process.running(lab_folder.run) == {}
    assert labs.current(lab_folder) is None
    assert (lab_folder.logs / "glance.out").exists()
    assert (lab_folder.cache / "seed-1").is_dir()
    assert labs.down(lab_folder) == []


def test_nothing_to_end_or_remove(tmp_path: Path) -> None:
    """`down` and `clean` of a folder that is empty or not there do nothing and raise nothing."""
    for lab_folder in (
        LabFolder(tmp_path / "none"),
        LabFolder(grow(tmp_path / "empty", {"./": ""})),
    ):
        assert labs.down(lab_folder) == []
        labs.clean(lab_folder, keep_cache=True)
        labs.clean(lab_folder)
    assert list(tmp_path.iterdir()) == []


def test_clean_removes_everything(lab_folder: LabFolder, marked: Marked) -> None:
    """`clean` ends the lab and removes its folder with all in it, closed folders too."""
    labs.write_state(begun(lab_folder), "up")
    with cache.locked(lab_folder.lock, "nobody"):
        pass
    marked.start(lab_folder.run, "node")
    grow(lab_folder.cache, {"root-1/var/lib/private/file": "", "root-1/etc/link": "-> /etc"})
    (lab_folder.cache / "root-1/var/lib/private").chmod(0)
    (lab_folder.cache / "root-1/var/lib").chmod(0o500)
    (lab_folder.run / "mysql").chmod(0)
    labs.clean(lab_folder)
    assert not lab_folder.top.exists()
    assert process.running(lab_folder.run) == {}


def test_clean_keeps_the_cache(lab_folder: LabFolder) -> None:
    """With `keep_cache` the lab is gone and what was slow to build is as it was."""
    begun(lab_folder)
    before = snapshot(lab_folder.cache)
    labs.clean(lab_folder, keep_cache=True)
    assert not lab_folder.run.exists()
    assert snapshot(lab_folder.cache) == before


def test_clean_removes_only_the_labs_own(lab_folder: LabFolder) -> None:
    """In a folder that holds other things too, those stay: a person may have named any folder."""
    begun(lab_folder)
    grow(lab_folder.top, {"thesis.tex": "years of work"})
    labs.clean(lab_folder)
    assert {path.name for path in lab_folder.top.iterdir()} == {"thesis.tex"}


def test_clean_follows_the_place(lab_folder: LabFolder) -> None:
    """A folder that is a link to a folder on a larger disk is emptied there."""
    linked = LabFolder(lab_folder.top.with_name("link"))
    linked.top.symlink_to(lab_folder.top)
    begun(linked)
    labs.clean(linked)
    assert list(lab_folder.top.iterdir()) == []


def test_seed_is_planted(lab_folder: LabFolder) -> None:
    """Databases and keys are copied with their secrets, private; what was there before is gone,
    and the seed stays as it was.
    """
    before = snapshot(lab_folder.cache)
    grow(lab_folder.run, {"mysql/old": "", "glance/images/old": ""})
    database_seed.plant(lab_folder.cache / "seed-1", lab_folder.run)
    assert snapshot(lab_folder.cache) == before
    files = {str(p.relative_to(lab_folder.run)) for p in lab_folder.run.rglob("*") if p.is_file()}
    assert files == {"mysql/ibdata1", "keystone/fernet/0", "secrets.json"}
    assert (lab_folder.run / "secrets.json").stat().st_mode & 0o777 == 0o600
    for scratch in ("glance/images", "glance/staging", "glance/tasks", "nova/lock", "neutron/lock"):
        assert (lab_folder.run / scratch).stat().st_mode & 0o777 == 0o700


def test_saved_images_are_planted(lab_folder: LabFolder) -> None:
    """A saved lab's images come with its databases."""
    saved = grow(lab_folder.cache / "saved", {**SEED, "glance/images/id": "qcow2"})
    lab_folder.run.mkdir()
    database_seed.plant(saved, lab_folder.run)
    assert (lab_folder.run / "glance/images/id").read_text() == "qcow2"


@pytest.fixture
def no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without KVM."""
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "dev/kvm")


@pytest.mark.usefixtures("no_kvm")
def test_without_kvm_the_node_is_emulated(tmp_path: Path) -> None:
    """Without /dev/kvm nothing is tried, and the reason is given."""
    assert accelerator.choose(tmp_path) == ("tcg", "this machine has no /dev/kvm")


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("qemu-system-x86_64: error: failed to set MSR 0x10a\nmore", "failed to set MSR 0x10a"),
        ("error: failed to set MSR 0x10a\n", "failed to set MSR 0x10a"),
        ("Could not access KVM kernel module", "Could not access KVM kernel module"),
    ],
)
def test_an_answer_is_no_error(stderr: str, said: str) -> None:
    """That KVM does not work is a result of the trial: it does not read as a failure of the lab."""
    assert accelerator.said_by_qemu(stderr) == said


@pytest.mark.usefixtures("no_kvm")
def test_trial_of_kvm_is_kept(lab_folder: LabFolder) -> None:
    """The result of the trial is kept until the machine is booted anew or the root changes."""
    kept = lab_folder.cache / "accelerator.json"
    root = lab_folder.cache / "root-1"
    assert labs.choose_accelerator(lab_folder, root)[0] == "tcg"
    known = json.loads(kept.read_text()) | {"accelerator": "kvm", "why": "tried"}
    kept.write_text(json.dumps(known))
    assert labs.choose_accelerator(lab_folder, root) == ("kvm", "tried")
    assert labs.choose_accelerator(lab_folder, lab_folder.cache / "root-2")[0] == "tcg"


@pytest.mark.usefixtures("no_kvm")
@pytest.mark.parametrize("garbage", ["", "{", "[]", "7", "{}", "null"])
def test_garbage_is_tried_anew(lab_folder: LabFolder, garbage: str) -> None:
    """A kept answer that cannot be read is tried anew and written."""
    grow(lab_folder.cache, {"accelerator.json": garbage})
    assert labs.choose_accelerator(lab_folder, lab_folder.cache / "root-1")[0] == "tcg"
    assert json.loads((lab_folder.cache / "accelerator.json").read_text())["accelerator"] == "tcg"


@pytest.mark.parametrize(
    ("environment", "top"),
    [
        ({"WHOLECARD_LAB": "/big/lab", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/big/lab"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/wholecard"),
        ({"HOME": "/home/me"}, "/home/me/.cache/wholecard"),
        ({"WHOLECARD_LAB": "", "XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/wholecard"),
    ],
)
def test_where_a_lab_lives(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], top: str
) -> None:
    """The lab's folder is the one that is named, else one in the person's cache."""
    for name in ("WHOLECARD_LAB", "WHOLECARD_LAB_NAME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == LabFolder(Path(top))


def test_labs_of_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab of another name has a folder and a lock of its own, and the same cache."""
    monkeypatch.setenv("WHOLECARD_LAB", "/big")
    monkeypatch.setenv("WHOLECARD_LAB_NAME", "second")
    second = default_folder()
    assert second == LabFolder(Path("/big"), "second")
    assert (second.run, second.lock) == (Path("/big/second"), Path("/big/second.lock"))
    assert second.cache == LabFolder(Path("/big")).cache


def test_status_of_a_named_lab(
    lab_folder: LabFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`lab status` shows the files of the lab that WHOLECARD_LAB_NAME names, and no other's."""
    monkeypatch.setenv("WHOLECARD_LAB", str(lab_folder.top))
    monkeypatch.setenv("WHOLECARD_LAB_NAME", "second")
    second = begun(default_folder())
    assert run_app(["lab", "status"]) == 1
    shown = capsys.readouterr().out
    assert f"logs: {second.folder.logs}" in shown
    assert f"{lab_folder.run}/" not in shown


def test_relative_place_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is named relatively stays the same one wherever a command is run later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHOLECARD_LAB", "lab")
    monkeypatch.delenv("WHOLECARD_LAB_NAME", raising=False)
    assert default_folder() == LabFolder(tmp_path / "lab")


def test_key_of_values() -> None:
    """A key is 12 hexadecimal digits, the same for the same values, another for others."""
    key = key_of("trixie", ("a", "b"), {"x": 1, "y": Path("/p")})
    assert key == key_of("trixie", ["a", "b"], {"y": Path("/p"), "x": 1})
    assert key != key_of("trixie", ("b", "a"), {"x": 1, "y": Path("/p")})
    assert len(key) == 12
    assert int(key, 16) >= 0


def test_key_of_files(tmp_path: Path) -> None:
    """A key of a folder changes with a file's content and name, not with where the folder is, nor
    with what Python keeps beside its modules.
    """
    tree = {"room/a.py": "one", "room/below/b.py": "two"}
    keys = {
        name: key_of_files(grow(tmp_path / name, {**tree, **more}) / "room")
        for name, more in {
            "first": {}, "moved": {"room/__pycache__/a.pyc": "code"}, "changed": {"room/a.py": "1"},
            "added": {"room/c.py": ""}, "empty": {"room/below/b.py": ""},
        }.items()
    }  # fmt: skip
    assert keys["moved"] == keys["first"]
    assert len(set(keys.values())) == 4
    (tmp_path / "first/room/a.py").rename(tmp_path / "first/room/d.py")
    assert key_of_files(tmp_path / "first/room") not in keys.values()


def test_interrupted_where_a_program_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C goes its way though a program that was to be ended has ended by itself."""
    done = subprocess.Popen(["true"])
    ended = psutil.Process(done.pid)
    done.wait(timeout=30)
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [ended])
    with pytest.raises(KeyboardInterrupt), cli._interruptible(LabFolder(tmp_path)):
        signal.raise_signal(signal.SIGINT)

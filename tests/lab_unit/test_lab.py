"""A lab's folder: made, read back, ended, removed."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from support.marked import DAEMONISING, Marked
from support.tree import grow, snapshot
from wholecard.cli import lab as cli
from wholecard.lab import lab as labs
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, default_place, key_of, key_of_files
from wholecard.lab.control import database_seed
from wholecard.lab.control.service_settings import write_private
from wholecard.lab.lab import CONTROL_SERVICES, SERVICES, STATE, Lab, Parts
from wholecard.lab.parts import accelerator

SECRETS = {"admin": "a", "rabbitmq": "r", "nova": "n"}
SEED = {"secrets.json": json.dumps(SECRETS), "mysql/ibdata1": "data", "keystone/fernet/0": "key"}


@pytest.fixture
def place(tmp_path: Path) -> LabFolder:
    """A place with a seed in its cache, in which no lab was ever up."""
    grow(tmp_path / "top", {f"cache/seed-1/{name}": text for name, text in SEED.items()})
    return LabFolder(tmp_path / "top")


def parts(place: LabFolder) -> Parts:
    names = ("root", "openstack", "node", "guest", "seed")
    return Parts(*(place.cache / f"{name}-1" for name in names))


def begun(place: LabFolder, layout: str = "separate") -> Lab:
    """A lab's folder as `lab up` makes it before anything is started."""
    lab = labs.new_lab(place, parts(place), layout, "tcg")
    labs.write_state(lab, "starting")
    database_seed.plant(lab.parts.seed, place.run)
    return lab


def test_new_lab_has_a_private_folder(place: LabFolder) -> None:
    """A new lab's folder is its owner's alone, and has the secrets of its seed."""
    lab = labs.new_lab(place, parts(place), "bridge", "tcg")
    assert place.run.stat().st_mode & 0o777 == 0o700
    assert lab.settings.secrets == SECRETS
    assert (place.run / "node").is_dir()
    assert place.logs.is_dir()


def test_new_lab_ends_the_old_one(place: LabFolder, marked: Marked) -> None:
    """What ran in the folder is ended, and what lay in it is gone."""
    grow(place.run, {"node/disk.qcow2": "old"})
    marked.start(place.run, "node")
    labs.new_lab(place, parts(place), "separate", "tcg")
    assert process.running(place.run) == {}
    assert {path.name for path in place.run.iterdir()} == {"log", "node", "ports.json"}


def test_unknown_layout_touches_nothing(place: LabFolder, marked: Marked) -> None:
    """A layout that is not known is an error before anything is ended or removed."""
    marked.start(place.run, "node")
    before = snapshot(place.top)
    with pytest.raises(LabError, match="no such layout: nvlink"):
        labs.new_lab(place, parts(place), "nvlink", "tcg")
    assert snapshot(place.top) == before
    assert list(process.running(place.run)) == ["node"]


def test_lab_is_read_back(place: LabFolder) -> None:
    """What another command reads in the folder is the same lab: parts, ports, secrets, state."""
    lab = begun(place, "bridge")
    assert labs.current(place) == (lab, "starting")
    labs.write_state(lab, "up")
    assert labs.current(place) == (lab, "up")
    assert (place.run / STATE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("file", [STATE, "secrets.json"])
@pytest.mark.parametrize("text", [None, "", "{", "7", "null", '"text"', "[1]"])
def test_unreadable_lab_is_none(place: LabFolder, file: str, text: str | None) -> None:
    """A folder whose state or secrets are gone or garbage has no lab; it is no error."""
    begun(place)
    (place.run / file).unlink()
    if text is not None:
        write_private(place.run / file, text)
    assert labs.current(place) is None


@pytest.mark.parametrize("some", [{}, {"root": "/r"}, {"root": 7}, [], {"more": "/m"}])
def test_state_of_another_version_is_none(place: LabFolder, some: object) -> None:
    """A state whose parts are not those of this version has no lab."""
    begun(place)
    facts = json.loads((place.run / STATE).read_text()) | {"parts": some}
    write_private(place.run / STATE, json.dumps(facts))
    assert labs.current(place) is None


@pytest.mark.parametrize("state", [None, "starting"])
def test_lab_that_is_not_up(place: LabFolder, state: str | None) -> None:
    """Where nothing runs, or a lab was only begun, the error says how one is started."""
    if state:
        begun(place)
    with pytest.raises(LabError, match="the lab is not up") as caught:
        labs.require_up(place)
    assert caught.value.resolution == "Start it: wholecard lab up"


def test_lab_that_is_up(place: LabFolder, marked: Marked) -> None:
    """A lab whose services all live is up; when some have died the error names them."""
    lab = begun(place)
    labs.write_state(lab, "up")
    for name in SERVICES:
        marked.start(place.run, name)
    assert labs.require_up(place) == lab
    process.stop(place.run, ["node", "glance"])
    with pytest.raises(LabError, match="glance, node died") as caught:
        labs.require_up(place)
    assert str(place.logs) in caught.value.details


def test_after_a_reboot_everything_died(place: LabFolder) -> None:
    """A lab that was up when the machine went down has all its services dead."""
    labs.write_state(begun(place), "up")
    with pytest.raises(LabError) as caught:
        labs.require_up(place)
    assert caught.value.brief == f"{', '.join(SERVICES)} died"
    assert (*CONTROL_SERVICES, "node") == SERVICES


def test_down_ends_everything_and_keeps_the_files(place: LabFolder, marked: Marked) -> None:
    """`down` ends every process, daemons too; the lab is not up afterwards, logs and cache stay."""
    labs.write_state(begun(place), "up")
    grow(place.logs, {"glance.out": "lines"})
    marked.start(place.run, "glance")
    marked.start_python(place.run, "node", DAEMONISING, place.top / "ready")
    assert sorted(labs.down(place)) == ["glance", "node"]
    assert process.running(place.run) == {}
    assert labs.current(place) is None
    assert (place.logs / "glance.out").exists()
    assert (place.cache / "seed-1").is_dir()
    assert labs.down(place) == []


def test_nothing_to_end_or_remove(tmp_path: Path) -> None:
    """`down` and `clean` of a folder that is empty or not there do nothing and raise nothing."""
    for place in (LabFolder(tmp_path / "none"), LabFolder(grow(tmp_path / "empty", {"./": ""}))):
        assert labs.down(place) == []
        labs.clean(place, keep_cache=True)
        labs.clean(place)
    assert list(tmp_path.iterdir()) == []


def test_clean_removes_everything(place: LabFolder, marked: Marked) -> None:
    """`clean` ends the lab and removes its folder with all in it, closed folders too."""
    labs.write_state(begun(place), "up")
    with cache.locked(place.lock, "nobody"):
        pass
    marked.start(place.run, "node")
    grow(place.cache, {"root-1/var/lib/private/file": "", "root-1/etc/link": "-> /etc"})
    (place.cache / "root-1/var/lib/private").chmod(0)
    (place.cache / "root-1/var/lib").chmod(0o500)
    (place.run / "mysql").chmod(0)
    labs.clean(place)
    assert not place.top.exists()
    assert process.running(place.run) == {}


def test_clean_keeps_the_cache(place: LabFolder) -> None:
    """With `keep_cache` the lab is gone and what was slow to build is as it was."""
    begun(place)
    before = snapshot(place.cache)
    labs.clean(place, keep_cache=True)
    assert not place.run.exists()
    assert snapshot(place.cache) == before


def test_clean_removes_only_the_labs_own(place: LabFolder) -> None:
    """In a folder that holds other things too, those stay: a person may have named any folder."""
    begun(place)
    grow(place.top, {"thesis.tex": "years of work"})
    labs.clean(place)
    assert {path.name for path in place.top.iterdir()} == {"thesis.tex"}


def test_clean_follows_the_place(place: LabFolder) -> None:
    """A place that is a link to a folder on a larger disk is emptied there."""
    linked = LabFolder(place.top.with_name("link"))
    linked.top.symlink_to(place.top)
    begun(linked)
    labs.clean(linked)
    assert list(place.top.iterdir()) == []


def test_seed_is_planted(place: LabFolder) -> None:
    """Databases and keys are copied with their secrets, private; what stood there before is gone,
    and the seed stays as it was.
    """
    before = snapshot(place.cache)
    grow(place.run, {"mysql/old": "", "glance/images/old": ""})
    database_seed.plant(place.cache / "seed-1", place.run)
    assert snapshot(place.cache) == before
    files = {str(p.relative_to(place.run)) for p in place.run.rglob("*") if p.is_file()}
    assert files == {"mysql/ibdata1", "keystone/fernet/0", "secrets.json"}
    assert (place.run / "secrets.json").stat().st_mode & 0o777 == 0o600
    for scratch in ("glance/images", "glance/staging", "glance/tasks", "nova/lock", "neutron/lock"):
        assert (place.run / scratch).stat().st_mode & 0o777 == 0o700


def test_saved_images_are_planted(place: LabFolder) -> None:
    """A saved lab's images come with its databases."""
    saved = grow(place.cache / "saved", {**SEED, "glance/images/id": "qcow2"})
    place.run.mkdir()
    database_seed.plant(saved, place.run)
    assert (place.run / "glance/images/id").read_text() == "qcow2"


@pytest.fixture
def no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without KVM."""
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "dev/kvm")


@pytest.mark.usefixtures("no_kvm")
def test_without_kvm_the_node_is_emulated(tmp_path: Path) -> None:
    """Without /dev/kvm nothing is tried, and the reason is told."""
    assert accelerator.choose(tmp_path) == ("tcg", "this machine has no /dev/kvm")


@pytest.mark.usefixtures("no_kvm")
def test_trial_of_kvm_is_kept(place: LabFolder) -> None:
    """What the trial said is kept until the machine is booted anew or the root changes."""
    kept = place.cache / "accelerator.json"
    root = place.cache / "root-1"
    assert labs.choose_accelerator(place, root)[0] == "tcg"
    known = json.loads(kept.read_text()) | {"accelerator": "kvm", "why": "tried"}
    kept.write_text(json.dumps(known))
    assert labs.choose_accelerator(place, root) == ("kvm", "tried")
    assert labs.choose_accelerator(place, place.cache / "root-2")[0] == "tcg"


@pytest.mark.usefixtures("no_kvm")
@pytest.mark.parametrize("garbage", ["", "{", "[]", "7", "{}", "null"])
def test_garbage_is_tried_anew(place: LabFolder, garbage: str) -> None:
    """A kept answer that cannot be read is tried anew and written."""
    grow(place.cache, {"accelerator.json": garbage})
    assert labs.choose_accelerator(place, place.cache / "root-1")[0] == "tcg"
    assert json.loads((place.cache / "accelerator.json").read_text())["accelerator"] == "tcg"


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
    assert default_place() == LabFolder(Path(top))


def test_labs_of_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab of another name has a folder and a lock of its own, and the same cache."""
    monkeypatch.setenv("WHOLECARD_LAB", "/big")
    monkeypatch.setenv("WHOLECARD_LAB_NAME", "second")
    second = default_place()
    assert second == LabFolder(Path("/big"), "second")
    assert (second.run, second.lock) == (Path("/big/second"), Path("/big/second.lock"))
    assert second.cache == LabFolder(Path("/big")).cache


def test_relative_place_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is named relatively stays the same one wherever a command is run later."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHOLECARD_LAB", "lab")
    monkeypatch.delenv("WHOLECARD_LAB_NAME", raising=False)
    assert default_place() == LabFolder(tmp_path / "lab")


def test_key_of_values() -> None:
    """A key is 12 hexadecimal digits, the same for the same values, another for others."""
    key = key_of("trixie", ("a", "b"), {"x": 1, "y": Path("/p")})
    assert key == key_of("trixie", ["a", "b"], {"y": Path("/p"), "x": 1})
    assert key != key_of("trixie", ("b", "a"), {"x": 1, "y": Path("/p")})
    assert len(key) == 12
    assert int(key, 16) >= 0


def test_key_of_files(tmp_path: Path) -> None:
    """A key of a folder changes with a file's content and name, not with the folder's place, nor
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

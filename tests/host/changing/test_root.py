"""One root, all doors: what apply, finish, rollback and status touch is below it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.transactions import PLAN, Node, fast_folder
from support.tree import grow, snapshot
from wholecard.core import Plan, WholecardError
from wholecard.host.changing.apply import finish
from wholecard.host.changing.rollback import rollback
from wholecard.host.config_files import read_settings
from wholecard.host.operations.bind_driver import set_override
from wholecard.transaction.atomic_files import expand
from wholecard.transaction.backup import read_backup, take_backup
from wholecard.transaction.checksummed import pack

OURS = "var/lib/wholecard"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A small host in memory."""
    for place in fast_folder(tmp_path):
        yield Node(place, monkeypatch)


@pytest.fixture
def outside(node: Node) -> Path:
    """A folder of the running machine, beside the image."""
    return grow(node.root.parent / "outside", {"file": "precious", "deep/file": "precious"})


def lead_out(node: Node, path: str, outside: Path) -> None:
    """Make `path` of the image an absolute link to a folder of the running machine."""
    link = node.root / path
    if link.is_dir():
        shutil.rmtree(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)


@pytest.mark.parametrize(
    "path",
    [
        "etc/wholecard", "etc", "boot", "boot/efi", "var", "var/lib", OURS, f"{OURS}/journal",
        f"{OURS}/journal/0001", f"{OURS}/lock",
    ],
)  # fmt: skip
def test_link_out(node: Node, outside: Path, path: str) -> None:
    """Wherever a link of an image leads out, apply is refused and nothing outside is touched."""
    if path in ("etc", "boot", "boot/efi"):
        # Where the tools' outputs lead out too.
        node.plan = Plan(PLAN.actions[2:3] if path == "etc" else PLAN.actions[4:6])
    lead_out(node, path, outside)
    before, image = snapshot(outside), snapshot(node.root)
    with pytest.raises(WholecardError):
        node.apply()
    assert snapshot(outside) == before
    assert snapshot(node.root) == image
    assert not node.calls.exists()


def test_draft_is_a_link(node: Node, outside: Path) -> None:
    """A link where a killed run would have left its draft is removed, and not what it leads to."""
    lead_out(node, f"{OURS}/journal/new", outside)
    before = snapshot(outside)
    node.apply()
    assert snapshot(outside) == before


def test_folder_inside(tmp_path: Path) -> None:
    """An absolute link that is right inside an image leads to the image's own files."""
    boot = tmp_path / "boot"
    root = grow(
        tmp_path / "root",
        {"boot": f"-> {boot}", f"{boot}/initrd-1": ("the image's", 0o640), f"{boot}/sub/": ""},
    )
    machine = snapshot(grow(boot, {"initrd-1": "the machine's", "initrd-2": "the machine's"}))
    paths = expand(root, ("/boot/initrd-*", "/b*t/initrd-1"))
    assert paths == ("/boot/initrd-1",)
    take_backup(root, tmp_path / "store", {0: paths}, ["/boot/sub/new/file"])
    before = snapshot(root)
    backup = read_backup(tmp_path / "store")
    assert backup.created == ("/boot/sub/new",)
    (root / f"{boot}/initrd-1".lstrip("/")).write_text("changed")
    backup.put_back(root, "/boot/initrd-1")
    assert snapshot(root) == before
    assert snapshot(boot) == machine


def hostile_journal(root: Path, state: str) -> None:
    """A journal that an image brings along: it writes and removes files through a link."""
    evil = b"* * * * * root id\n"

    def write(path: str, before: str | None) -> dict[str, Any]:
        fields = {"op": "write-file", "path": path, "content": evil.decode(), "mode": 0o644}
        do = {**fields, "before": before, "before_mode": 0o644, "expect_sha256": None}
        return {"kind": "write-file", "subject": path, "reason": "", "undo": "", "do": do}

    actions = [write("/out/new", None), write("/out/file", None)]
    plan = {"actions": actions, "reboot_needed": False}
    applied = {"plan": plan, "cards": [], "functions": [], "boot_id": "boot-one", "time": 1.0}
    former = {"path": "/out/new", "blob": "000", "sha256": hashlib.sha256(evil).hexdigest()}
    traits = {"mode": 0o4755, "uid": 0, "gid": 0, "link": None, "label": None, "mtime_ns": 1}
    index = {"files": [{**former, **traits}], "created": ["/out/deep"], "targets": {}}
    log = [
        {"event": event, "n": number, "time": 1.0, "boot": "boot-one"}
        for number in (0, 1)
        for event in ("begin", "done")
    ]
    lines = [*log, {"event": "applied", "time": 1.0}] if state == "applied" else []
    folder = f"{OURS}/journal/0001"
    grow(
        root,
        {
            f"{folder}/plan.json": pack(applied),
            f"{folder}/before/000": evil,
            f"{folder}/before/index.json": pack(index),
            f"{folder}/log.jsonl": "".join(f"{json.dumps(line)}\n" for line in lines),
        },
    )


@pytest.mark.parametrize(
    ("state", "run"),
    [
        ("applied", lambda root: rollback(root, discard_edits=True)),
        ("applying", rollback),
        ("applying", finish),
    ],
)
def test_journal_of_an_image(
    node: Node, outside: Path, state: str, run: Callable[[Path], Any]
) -> None:
    """A journal that leads out of its image is neither finished nor rolled back."""
    hostile_journal(node.root, state)
    lead_out(node, "out", outside)
    before = snapshot(outside)
    with pytest.raises(WholecardError, match="points outside"):
        run(node.root)
    assert snapshot(outside) == before


@pytest.mark.parametrize("path", ["/etc/../../x", "etc/x", "/etc/x\0y"])
def test_path_of_a_backup(node: Node, path: str) -> None:
    """A backup's index that names no absolute path below the root is damaged."""
    hostile_journal(node.root, "applied")
    index = node.root / OURS / "journal/0001/before/index.json"
    data = json.loads(index.read_text())
    del data["sum"]
    data["files"][0]["path"] = path
    index.write_bytes(pack(data))
    with pytest.raises(WholecardError, match="is damaged"):
        rollback(node.root, discard_edits=True)


def test_settings(tmp_path: Path) -> None:
    """Settings are an image's own too: a plan never quotes the running machine's."""
    grow(
        tmp_path / "outside", {"grub": 'GRUB_CMDLINE_LINUX="password=hunter2"\n', "x.cfg": "X=1\n"}
    )
    root = grow(tmp_path / "root", {"etc/default": f"-> {tmp_path}/outside"})
    with pytest.raises(WholecardError, match="points outside"):
        read_settings(root)
    root = grow(tmp_path / "other", {"etc/default/grub.d": f"-> {tmp_path}/outside"})
    assert [file.path for file in read_settings(root).grub] == []
    root = grow(tmp_path / "right", {"etc/default": "-> /opt/default", "opt/default/grub": "A=1\n"})
    assert [file.text for file in read_settings(root).grub] == ["A=1\n"]


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_settings_of_a_kind(tmp_path: Path, kind: str) -> None:
    """A settings file that is a pipe, a device or huge is refused, and not waited for."""
    path = grow(tmp_path, {"etc/default/": ""}) / "etc/default/grub"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device" and os.geteuid() == 0:
        os.mknod(path, 0o20666, os.makedev(1, 5))
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    with pytest.raises(WholecardError, match=r"not a plain file|larger than"):
        read_settings(tmp_path)


def test_sysfs_of_an_image(tmp_path: Path) -> None:
    """Nothing is written to a file of the running machine's for a function of an image."""
    outside = grow(tmp_path / "outside", {"driver_override": "(null)\n"})
    root = grow(tmp_path / "root", {"sys/bus/pci/devices/0000:01:00.0": f"-> {outside}"})
    with pytest.raises(WholecardError, match="points outside"):
        set_override(root, "0000:01:00.0", "vfio-pci")
    assert (outside / "driver_override").read_text() == "(null)\n"

"""A plan for a system that comes from an image: refused in place, and written out to paste."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from support.distributions import debian_12, el, leap, tumbleweed
from support.golden import compare
from support.tree import Leaf, grow
from wholecard.core import UsageError
from wholecard.host.agent.cli import main
from wholecard.host.changing.apply import apply
from wholecard.host.desired_state import resolve
from wholecard.host.facts.host import Host
from wholecard.host.facts.inspect import inspect
from wholecard.host.planning.image_changes import KINDS, image_changes
from wholecard.host.planning.plan import plan

EL = el("rhel", "10.0", "6.12.0-55.9.1.el10_0.x86_64").tree
READ_ONLY: dict[str, Leaf] = {"proc/mounts": "/dev/sda1 / btrfs ro 0 0\n"}
OSTREE: dict[str, Leaf] = {"run/ostree-booted": "", "usr/bin/bootc": ""}
MICRO_OS: dict[str, Leaf] = {**READ_ONLY, "usr/sbin/transactional-update": ""}
IMAGES = {
    "bootc": {**EL, **OSTREE},
    "rpm-ostree": {**EL, **OSTREE, "usr/bin/rpm-ostree": ""},
    "transactional-update": {**leap().tree, **MICRO_OS},
    "transactional-update-entries": {**tumbleweed("systemd-boot").tree, **MICRO_OS},
    "files": {**debian_12().tree, **READ_ONLY},
}


@pytest.mark.parametrize("name", IMAGES)
def test_refused(tmp_path: Path, name: str) -> None:
    """Nothing is changed in place, whatever could be written; the error names the way."""
    host = inspect(grow(tmp_path, IMAGES[name]))
    with pytest.raises(UsageError, match="comes from an image") as caught:
        plan(host, resolve(host, [], all_cards=True))
    assert "plan --for-image" in caught.value.resolution
    kargs = "rpm-ostree kargs --append-if-missing=intel_iommu=on --append-if-missing=iommu=pt"
    assert (kargs in caught.value.details) == (name == "rpm-ostree")


@pytest.mark.parametrize("name", IMAGES)
def test_printed(tmp_path: Path, name: str) -> None:
    """What is to be pasted reads as this."""
    host = inspect(grow(tmp_path, IMAGES[name]))
    compare(f"image-{name}.txt", image_changes(host, resolve(host, [], all_cards=True)) + "\n")


def in_place(root: Path, calls: Path) -> dict[str, str]:
    """What apply writes on the same system, if it were an ordinary one."""
    host = inspect(root)
    desired = resolve(host, [], all_cards=True)
    made = plan(host, desired)
    apply(root, host, desired, made)
    paths = [action.subject for action in made.actions if action.kind == "write-file"]
    assert calls.exists()
    return {path: (root / path[1:]).read_text() for path in paths}


def below(script: str, root: Path) -> str:
    """The script with its paths below `root`."""
    return re.sub(r"^(mkdir -p |cat >>? |chmod \d+ )/", rf"\1{root}/", script, flags=re.M)


@pytest.mark.parametrize("name", ["transactional-update", "transactional-update-entries", "files"])
def test_same_files(tmp_path: Path, calls: Path, name: str) -> None:
    """The pasted commands leave the files that apply would leave, with their modes."""
    text = _text(inspect(grow(tmp_path / "image", IMAGES[name])))
    ordinary = {p: leaf for p, leaf in IMAGES[name].items() if p not in MICRO_OS}
    written = in_place(grow(tmp_path / "ordinary", ordinary), calls)
    root = grow(tmp_path / "pasted", IMAGES[name])
    tool = '#!/bin/sh\necho "$1" "$2" >> "$CALLS.tool"\n[ "$1" != run ] || { shift; exec "$@"; }\n'
    programs = grow(
        tmp_path / "update",
        {"transactional-update": (tool, 0o755), "systemctl": ("#!/bin/sh\n", 0o755)},
    )
    env = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(calls)}
    subprocess.run(["sh", "-ec", below(text, root)], env=env, check=True)
    for path, content in written.items():
        if "/grub" not in path:
            assert (root / path[1:]).read_text() == content, path
            mode = (tmp_path / "ordinary" / path[1:]).stat().st_mode
            assert (root / path[1:]).stat().st_mode == mode, path
    if name == "transactional-update":
        shell = f'. {root}/etc/default/grub; echo "$GRUB_CMDLINE_LINUX_DEFAULT"'
        done = subprocess.run(["sh", "-ec", shell], capture_output=True, text=True, check=True)
        assert done.stdout.endswith(" intel_iommu=on iommu=pt\n")
    if name != "files":
        assert Path(f"{calls}.tool").read_text().split("\n")[1] == "--continue initrd"


def _text(host: Host) -> str:
    return image_changes(host, resolve(host, [], all_cards=True))


def test_container_files(tmp_path: Path) -> None:
    """The Containerfile has each file of the change as it is, and the kernel arguments."""
    text = _text(inspect(grow(tmp_path, IMAGES["bootc"])))
    files = dict(re.findall(r'^COPY --chmod=\d+ <<"END-OF-FILE" (\S+)\n(.*?)END-OF-FILE$', text,
                            re.MULTILINE | re.DOTALL))  # fmt: skip
    assert files["/usr/lib/bootc/kargs.d/10-wholecard.toml"] == (
        'kargs = ["intel_iommu=on", "iommu=pt"]\n'
    )
    assert "0000:01:00.0" in files["/etc/wholecard/bind"]
    assert {path.rpartition("/")[2] for path in files} >= {"module-setup.sh", "wholecard.conf"}


def test_ordinary_host(tmp_path: Path) -> None:
    """An ordinary host has no image; with the kind named, it is printed from its facts."""
    host = inspect(grow(tmp_path, EL))
    desired = resolve(host, [], all_cards=True)
    with pytest.raises(UsageError, match="changed in place") as caught:
        image_changes(host, desired)
    assert all(kind in caught.value.resolution for kind in KINDS)
    assert "bootc switch" in image_changes(host, desired, "bootc")


def test_usr_alone(tmp_path: Path) -> None:
    """A read-only /usr prevents nothing where all files are in /etc and /boot."""
    mounts: dict[str, Leaf] = {"proc/mounts": "/dev/a / ext4 rw 0 0\n/dev/b /usr ext4 ro 0 0\n"}
    host = inspect(grow(tmp_path / "debian", {**debian_12().tree, **mounts}))
    assert plan(host, resolve(host, [], all_cards=True)).actions
    host = inspect(grow(tmp_path / "leap", {**leap().tree, **mounts}))
    with pytest.raises(UsageError, match="read-only /usr"):
        plan(host, resolve(host, [], all_cards=True))


@pytest.mark.parametrize("option", [["--for-image"], ["--for-image", "bootc"]])
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    """`plan --for-image` prints it, also as JSON."""
    root = str(grow(tmp_path, IMAGES["bootc"]))
    assert main(["plan", "--root", root, "--all-cards", *option]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# Where images are built.")
    assert main(["plan", "--root", root, "--all-cards", "--json", *option]) == 0
    assert json.loads(capsys.readouterr().out)["for_image"] + "\n" == text


def test_mkinitcpio(tmp_path: Path) -> None:
    """Where the initramfs tool prevents the plan, it is named, and no argument that is there."""
    tree = {p: leaf for p, leaf in debian_12().tree.items() if "initramfs" not in p}
    tree = {p: leaf for p, leaf in tree.items() if "update-grub" not in p}
    tree.update({"usr/bin/mkinitcpio": "", "proc/cmdline": "ro intel_iommu=on iommu=pt\n"})
    host = inspect(grow(tmp_path, tree))
    with pytest.raises(Exception, match="mkinitcpio is not supported") as caught:
        plan(host, resolve(host, [], all_cards=True))
    assert "iommu" not in str(caught.value)


def test_owner_that_is_not_supported(tmp_path: Path) -> None:
    """Where an unknown tool owns the entries nothing is written that it would write over."""
    tree = {**debian_12().tree, "usr/bin/sdboot-manage": ""}
    host = inspect(grow(tmp_path / "before", tree))
    assert (host.boot.loader, host.boot.loaders) == (None, ())
    with pytest.raises(Exception, match="sdboot-manage is not supported") as caught:
        plan(host, resolve(host, [], all_cards=True))
    assert "intel_iommu=on iommu=pt" in str(caught.value)
    host = inspect(grow(tmp_path / "after", {**tree, "proc/cmdline": "intel_iommu=on iommu=pt\n"}))
    assert plan(host, resolve(host, [], all_cards=True)).actions

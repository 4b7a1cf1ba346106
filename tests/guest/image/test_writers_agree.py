"""One recipe, three writers: the same files.

The root's own apt and dpkg work in all three, and for user data the root's own cloud-init.
virt-customize is a stand-in that carries out its operations on a folder; libguestfs itself is not
run here.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deb_mirror import INSIDE, PACKAGE, deb_mirror
from support.virt_customize_of_root import stand_in
from wholecard.guest.image import debian_root, sandbox
from wholecard.guest.image.cloud_config import CloudConfig
from wholecard.guest.image.recipe import (
    AddRepository,
    GuestOs,
    InstallPackages,
    Recipe,
    RunInGuest,
    WriteGuestFile,
)
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.guest.image.virt_customize import VirtCustomize
from wholecard.lab.base import cache
from wholecard.lab.base.folder import default_folder, key_of

pytestmark = [
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap makes the root"),
    pytest.mark.skipif(sandbox.is_rootless(), reason="only root keeps the owners"),
    pytest.mark.timeout(900),
]
SUITE = "trixie"
BASE = ("cloud-init", "gpg", "gpg-agent", "python3-minimal")
# What says when and how, but not what: logs, caches, lists, cloud-init's own memory.
WITHOUT = ("var/log", "var/cache", "var/lib/apt", "var/lib/cloud", "run", "tmp", "var/tmp",
           "etc/machine-id", "dev", "proc", "sys", "srv", "root", "var/lib/dpkg/status-old",
           "var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/wholecard")  # fmt: skip


@pytest.fixture(scope="module")
def base() -> Path:
    """A Debian root with cloud-init, from the cache."""
    folder = default_folder().cache

    def build(target: Path) -> None:
        debian_root.unpack(SUITE, target / "root", BASE)

    key = key_of(SUITE, BASE)
    return cache.entry(folder, "writers-root", key, build, ("root/usr/bin/apt-get",)) / "root"


def recipe(key: str) -> Recipe:
    """A file before and after a package, a repository with its key, and a command."""
    return Recipe(GuestOs("debian", "13"), (
        WriteGuestFile("/etc/tiny.d/first.conf", b"first\n", "before any package", 0o600),
        AddRepository("tiny", f"file:{INSIDE}", "a local mirror", ("./",), (), key),
        InstallPackages((PACKAGE,), "the package under test"),
        WriteGuestFile("/etc/tiny.state", b"ours\n", "it replaces what the package wrote"),
        WriteGuestFile("/opt/tiny/run", b"#!/bin/sh\nexit 0\n", "a program", 0o755),
        RunInGuest(("sh", "-c", "echo \"$1\" > /etc/tiny.command", "sh", "a b'c"), "words stay"),
    ))  # fmt: skip


def by_root(recipe: Recipe, root: Path, mirror: Path, _scratch: Path) -> None:
    SandboxRoot((Mount(mirror, INSIDE),)).write(recipe, root, lambda _text: None)


def by_virt_customize(recipe: Recipe, root: Path, mirror: Path, scratch: Path) -> None:
    image = scratch / "image"
    image.write_text(str(root))
    with pytest.MonkeyPatch.context() as patch:
        programs = stand_in(scratch / "bin", "--ro-bind", str(mirror), INSIDE)
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        VirtCustomize().write(recipe, image, lambda _text: None)


def by_cloud_config(recipe: Recipe, root: Path, mirror: Path, scratch: Path) -> None:
    """The root's cloud-init finds the user data as on a NoCloud seed; three modules run."""
    seed = root / "var/lib/cloud/seed/nocloud"
    seed.mkdir(parents=True)
    (seed / "meta-data").write_text("instance-id: one\n")
    CloudConfig().write(recipe, seed / "user-data", lambda _text: None)
    settings = scratch / "only.cfg"
    settings.write_text(
        "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n"
        "cloud_init_modules: [write_files]\ncloud_config_modules: [runcmd]\n"
        "cloud_final_modules: [scripts_user]\n"
    )
    inside = Sandbox(root, (Mount(mirror, INSIDE), Mount(settings, "/run/only.cfg")), writable=True)
    for stage in (("init", "--local"), ("init",), ("modules", "--mode", "config"),
                  ("modules", "--mode", "final")):  # fmt: skip
        inside.run(["cloud-init", *stage, "--file", "/run/only.cfg"], timeout=300)


Write = Callable[[Recipe, Path, Path, Path], None]
WRITERS: dict[str, Write] = {
    "root": by_root, "virt-customize": by_virt_customize, "cloud-config": by_cloud_config,
}  # fmt: skip


def files_of(root: Path) -> dict[str, tuple[object, ...]]:
    """Every file, link and folder: its kind and mode, owner, and content."""
    seen: dict[str, tuple[object, ...]] = {}
    for above, folders, files in os.walk(root):
        here = Path(above).relative_to(root)
        folders[:] = [name for name in folders if str(here / name) not in WITHOUT]
        for name in (*folders, *files):
            path = Path(above, name)
            if str(here / name) in WITHOUT or name.endswith((".pyc", "__pycache__")):
                continue
            status = path.lstat()
            content: object = None
            if path.is_symlink():
                content = str(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            seen[str(here / name)] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return seen


@pytest.fixture(scope="module")
def written(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What each writer's root has that the base has not, by the writer's name."""
    top = tmp_path_factory.mktemp("writers")
    mirror = top / "mirror"
    key = deb_mirror(mirror, base)
    before = files_of(base)
    changed: dict[str, dict[str, object]] = {}
    for name, write in WRITERS.items():
        root, scratch = top / name, top / f"{name}.scratch"
        scratch.mkdir()
        shutil.copytree(base, root, symlinks=True, ignore=lambda _folder, _names: {"dev"})
        (root / "dev").mkdir(exist_ok=True)
        write(recipe(key), root, mirror, scratch)
        after = files_of(root)
        changed[name] = {path: after.get(path) for path in {*before, *after}
                         if before.get(path) != after.get(path)}  # fmt: skip
        shutil.rmtree(root)
    return changed


def test_the_recipe_is_carried_out(written: dict[str, dict[str, object]]) -> None:
    """Files have their content and mode, the package is installed and configured, and the command
    got its words.
    """
    files = written["root"]
    assert files["etc/tiny.d/first.conf"] == ("0o100600", 0, 0, b"first\n")
    assert files["usr/share/tiny/greeting"] == ("0o100644", 0, 0, b"hello\n")
    assert files["etc/tiny.state"] == ("0o100644", 0, 0, b"ours\n")
    assert files["opt/tiny/run"] == ("0o100755", 0, 0, b"#!/bin/sh\nexit 0\n")
    assert files["etc/tiny.command"] == ("0o100644", 0, 0, b"a b'c\n")
    assert "etc/apt/keyrings/tiny.asc" in files
    assert not {"usr/sbin/policy-rc.d", "etc/resolv.conf"} & set(files)


@pytest.mark.parametrize("name", ["virt-customize", "cloud-config"])
def test_the_writers_agree(written: dict[str, dict[str, object]], name: str) -> None:
    """The other writers change the same files, in the same way."""
    assert written[name] == written["root"]

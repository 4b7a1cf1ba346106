"""OpenStack's locked Python environment, made with the private root's own Python."""

from __future__ import annotations

import shutil
from pathlib import Path

from wholecard.guest.image.sandbox import Mount, Sandbox, registry_environment, registry_mounts
from wholecard.lab.base import cache
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.parts.root_filesystem import RELEASE

LOCK = Path(__file__).parents[1] / "openstack.txt"
INSIDE = "/opt/openstack"
MUST_HAVE = ("bin/nova-compute", "bin/privsep-helper", "etc/nova/api-paste.ini",
             "lib/python3.*/site-packages/nova/__init__.py",
             "lib/python3.*/site-packages/keystone/__init__.py")  # fmt: skip


def environment_entry(folder: LabFolder, root: Path) -> Path:
    """The environment's tree in the cache; it works where it is mounted at `/opt/openstack`.

    Every package has the version and hash in `openstack.txt`, and is byte-compiled once.
    Raises LabError without uv, RunError where the package registry does not answer.
    """
    key = key_of(RELEASE, key_of_files(LOCK, Path(__file__)))

    def build(target: Path) -> None:
        uv = shutil.which("uv")
        if uv is None:
            raise LabError("uv is not on PATH", "", "Use `make`, which installs it, or install uv.")
        download = folder.cache / "uv"
        download.mkdir(exist_ok=True)
        inside = Sandbox(
            root,
            (
                *registry_mounts(),
                Mount(target, INSIDE, writable=True),
                Mount(download, "/opt/cache", writable=True),
                Mount(Path(uv).resolve().parent, "/opt/tools"),
                Mount(LOCK.parent, "/lab"),
            ),
            environment={**registry_environment(), "UV_CACHE_DIR": "/opt/cache"},
        )
        _install(inside)

    return cache.entry(folder.cache, "openstack", key, build, MUST_HAVE)


def _install(inside: Sandbox) -> None:
    uv = "/opt/tools/uv"
    inside.run([uv, "venv", "--quiet", "--system-site-packages", "--allow-existing",
                "--python", "/usr/bin/python3", INSIDE], timeout=60)  # fmt: skip
    inside.run([uv, "pip", "install", "--quiet", "--require-hashes", "--link-mode", "copy",
                "--compile-bytecode", "--python", f"{INSIDE}/bin/python", "--requirement",
                f"/lab/{LOCK.name}"],
               timeout=1200)  # fmt: skip

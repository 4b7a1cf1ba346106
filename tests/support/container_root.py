"""A Debian root with the profile `containers`, cached as the lab's parts are, and a guest of it.

The guest is the root in a sandbox: its own podman and crun start containers in it. Its cards are a
tree of sysfs, and their device nodes are nodes of this machine that every machine has.
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from support.tree import grow
from wholecard.core import Result
from wholecard.guest.drivers.containers import container_steps
from wholecard.guest.image import debian_root
from wholecard.guest.image.profile import ProfileSettings
from wholecard.guest.image.recipe import GuestOs, Recipe
from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.guest.image.sandbox_root import SandboxRoot
from wholecard.lab.base import cache
from wholecard.lab.base.folder import LabFolder, key_of
from wholecard.lab.parts.root_filesystem import NOT_UNPACKED
from wholecard.pci.cdi_script import SCRIPT_FILE

SYSTEM = GuestOs("debian", "13")
# The profile enables a service.
BASE = ("systemd",)
# Where podman writes; the root is read-only. With the machine's own cgroups crun 1.21 does not
# start where v1 and v2 are both mounted ("cgroups in hybrid mode").
SCRATCH = ("sys/fs/cgroup", "var/lib/containers", "var/cache")
# containers.conf(5): no cgroup is made, for the guest has no cgroups of its own.
_CONF = '[containers]\ncgroups = "disabled"\n'
_TREE = "/tmp/guest"
AGENT = f"{_TREE}/agent.sh"
_BOOT = f"""set -e
for folder in {" ".join(SCRATCH)}; do mount -t tmpfs none /$folder; done
{SCRIPT_FILE}
"""


def container_root(folder: LabFolder) -> Path:
    """A Debian root on which the profile's steps were carried out."""
    recipe = Recipe(SYSTEM, container_steps(SYSTEM, ProfileSettings()))

    def build(root: Path) -> None:
        debian_root.unpack("trixie", root, BASE, not_unpacked=NOT_UNPACKED)
        SandboxRoot().write(recipe, root, lambda line: None)
        shutil.rmtree(root / "var/lib/apt/lists")
        for name in SCRATCH:
            (root / name).mkdir(parents=True, exist_ok=True)

    key = key_of("trixie", BASE, NOT_UNPACKED, SCRATCH, recipe.steps)
    must_have = ["usr/bin/podman", "usr/bin/crun", SCRIPT_FILE.lstrip("/")]
    return cache.entry(folder.cache, "containers-root", key, build, must_have)


def in_guest(root: Path, tree: Path, nodes: dict[str, str], script: str) -> Result:
    """What the shell script prints in a guest that has just written its CDI specification.

    `tree` has the guest's `sys`; `nodes` are its device nodes by the machine's nodes that they are.
    """
    agent = resources.files("wholecard.guest.agent").joinpath("agent.sh").read_text()
    grow(tree, {"agent.sh": agent, "containers.conf": _CONF})
    mounts = [Mount(Path(real), node, device=True) for node, real in nodes.items()]
    environment = {"WHOLECARD_SYS": f"{_TREE}/sys", "WHOLECARD_WAIT": "0",
                   "CONTAINERS_CONF_OVERRIDE": f"{_TREE}/containers.conf"}  # fmt: skip
    guest = Sandbox(root, (Mount(tree, _TREE), *mounts), environment=environment)
    return guest.run(["sh", "-c", _BOOT + script], timeout=120)

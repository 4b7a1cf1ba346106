"""One lab: what it is made of, where it runs, its state."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from wholecard.guest.image.sandbox import Mount, Sandbox
from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.base.node_spec import NodeSpec, Topology, node_specs
from wholecard.lab.base.ports import load_or_choose
from wholecard.lab.base.required_tools import require_tools
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.control.database_seed import SECRETS, seed_entry
from wholecard.lab.control.services import APIS, DAEMONS, Control
from wholecard.lab.node.node import LabNode
from wholecard.lab.parts import accelerator as accelerators
from wholecard.lab.parts.guest_image import guest_image_entry
from wholecard.lab.parts.images import guest_entry, node_entry
from wholecard.lab.parts.node_modules import KernelMovedOnError, modules_entry
from wholecard.lab.parts.python_environment import environment_entry
from wholecard.lab.parts.root_filesystem import root_entry

CONTROL_SERVICES = ("mariadb", "rabbitmq", *APIS, *DAEMONS)
STATE = "lab.json"
# The rooms whose code makes a lab ready; what others do in it changes nothing that is saved.
PREPARED_BY = ("core", "transaction", "pci", "host", "guest", "site", "nova", "cloud", "lab")
# States of a lab that runs whole. Nodes that were rolled back still give their cards to servers
# until their next boot: rollback changes what the boot reads, not the running kernel.
UP = "up"
ROLLED_BACK = "rolled-back"
# Where a node's QEMU finds the disk of the image, and a saved lab.
IMAGE_INSIDE = "/opt/cache"
SAVED_INSIDE = "/opt/tree"
# In a woken node's folder: the saved lab over whose disk its own lies.
WOKEN_FROM = "woken-from"


@dataclass(frozen=True)
class Parts:
    """What a lab is made of: folders in the cache."""

    root: Path
    environment: Path
    node: Path
    guest: Path
    guest_image: Path
    seed: Path

    def key(self, nodes: Sequence[NodeSpec], accelerator: str) -> str:
        """What a saved lab depends on: all parts, its nodes, and the code that prepared them.

        A part that was built anew has other bytes under its name, and Glance has the old ones.
        """
        source = Path(__file__).parent.parent
        code = key_of_files(*(source / room for room in PREPARED_BY))
        names = [cache.identity(path) for path in vars(self).values()]
        return key_of(names, code, [asdict(spec) for spec in nodes], accelerator)


@dataclass(frozen=True)
class Lab:
    """A lab that runs or is about to."""

    folder: LabFolder
    parts: Parts
    settings: service_settings.ServiceSettings
    nodes: tuple[NodeSpec, ...]
    accelerator: str

    @property
    def control(self) -> Control:
        """The control plane."""
        run = self.folder.run
        return Control(self.parts.root, self.parts.environment, run, run, self.settings.ports)

    @property
    def services(self) -> tuple[str, ...]:
        """The names of all that runs in this lab: the control plane's services and the nodes."""
        return (*CONTROL_SERVICES, *(spec.name for spec in self.nodes))

    @property
    def up_command(self) -> str:
        """The command that starts what died in this lab; with other options it would be ended."""
        words = ["wholecard lab up"]
        if len(self.nodes) > 1:
            words.append(f"--nodes {len(self.nodes)}")
        if self.nodes[0].topology is not Topology.APART:
            words.append(f"--topology {self.nodes[0].topology}")
        return " ".join(words)

    def titled(self, spec: NodeSpec) -> str:
        """How a step names a node: without its name where the lab has only one."""
        return "node" if len(self.nodes) == 1 else f"node {spec.name}"

    def with_secrets_of(self, saved: Path) -> Lab:
        """This lab with the secrets of a saved one.

        The seed may have been built anew since that was saved, with other secrets.
        """
        secrets = service_settings.load_secrets(saved / SECRETS)
        return replace(self, settings=replace(self.settings, secrets=secrets))

    def saved_folder(self, count: int | None = None) -> Path:
        """Where such a lab is saved in the cache, or the same with only its first `count` nodes."""
        nodes = self.nodes[:count]
        key = self.parts.key(nodes, self.accelerator)
        return self.folder.cache / f"{saved_kind(nodes)}-{key}"

    def node(self, name: str, saved: Path | None = None) -> LabNode:
        """The node of this name, or LabError; it wakes from `saved`, the folder of a saved lab.

        One that was woken has the saved lab it came from: its disk lies over the saved one.
        """
        spec = next((spec for spec in self.nodes if spec.name == name), None)
        if spec is None:
            raise LabError(
                f"the lab has no node {name or 'without a name'}",
                resolution=f"One of: {', '.join(spec.name for spec in self.nodes)}.",
            )
        mounts = [Mount(self.parts.node, IMAGE_INSIDE)]
        kept = self.folder.node(name) / WOKEN_FROM
        if saved is None and kept.is_file():
            saved = Path(kept.read_text())
        if saved is not None:
            mounts.append(Mount(saved, SAVED_INSIDE))
        return LabNode(
            spec, Sandbox(self.parts.root, tuple(mounts)), self.folder.run,
            self.folder.node(name), dict(self.settings.ports), self.accelerator,
        )  # fmt: skip


def for_each_node(lab: Lab, work: Callable[[LabNode], None], saved: Path | None = None) -> None:
    """Do something with every node, side by side; the first error is raised."""
    with ThreadPoolExecutor(len(lab.nodes)) as pool:
        for done in [pool.submit(work, lab.node(spec.name, saved)) for spec in lab.nodes]:
            done.result()


def saved_kind(nodes: Sequence[NodeSpec]) -> str:
    """How a saved lab of such nodes is named in the cache, before its key."""
    number = f"{len(nodes)}-" if len(nodes) > 1 else ""
    return f"saved-{number}{nodes[0].topology}"


def build_parts(folder: LabFolder, story: Story) -> Parts:
    """Everything that is built once, from the cache or anew, side by side where it can be."""
    try:
        return _build_parts(folder, story)
    except KernelMovedOnError:
        # A root that was cached before the mirror got a newer kernel.
        root = root_entry(folder)
        if cache.in_use(root):
            raise
        cache.remove_tree(root)
        return _build_parts(folder, story)


def _build_parts(folder: LabFolder, story: Story) -> Parts:
    require_tools()
    folder.top.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.cache.mkdir(exist_ok=True, mode=0o700)

    def build(title: str, entry: Callable[..., Path], *parts: Path) -> Path:
        with story.step(title):
            return entry(folder, *parts)

    root = build("private Debian root (QEMU, RabbitMQ, MariaDB, kernel)", root_entry)
    environment = build(
        "OpenStack's locked environment (nova 34 and other services)", environment_entry, root
    )

    def build_node() -> Path:
        modules = build("kernel modules for slices and live migration", modules_entry, root)
        return build("the nodes' disk", node_entry, root, environment, modules)

    with ThreadPoolExecutor(4) as pool:
        builds = [
            pool.submit(build, "OpenStack's databases", seed_entry, root, environment),
            pool.submit(build_node),
            pool.submit(build, "the proof guest's image", guest_entry, root),
            pool.submit(build, "the Debian guest's image (kernel, numba)", guest_image_entry, root),
        ]
        seed, node, guest, guest_image = (part.result() for part in builds)
    return Parts(root, environment, node, guest, guest_image, seed)


def choose_accelerator(folder: LabFolder, root: Path) -> tuple[str, str]:
    """`kvm` or `tcg`, and why; tried once per root and kernel of the machine."""
    path = folder.cache / "accelerator.json"
    key = key_of(root.name, Path("/proc/sys/kernel/random/boot_id").read_text())
    try:
        last = json.loads(path.read_text())
        if last["key"] == key:
            return str(last["accelerator"]), str(last["why"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    chosen, why = accelerators.choose(root)
    path.write_text(json.dumps({"key": key, "accelerator": chosen, "why": why}))
    return chosen, why


def new_lab(
    folder: LabFolder, parts: Parts, topology: Topology, accelerator: str, nodes: int = 1
) -> Lab:
    """An empty run folder with ports and the secrets of the seed; what ran there is ended."""
    specs = node_specs(nodes, topology)
    down(folder)
    cache.remove_tree(folder.run)
    folder.run.mkdir(mode=0o700)
    folder.logs.mkdir()
    for spec in specs:
        folder.node(spec.name).mkdir()
    secrets = service_settings.load_secrets(parts.seed / SECRETS)
    settings = service_settings.ServiceSettings(load_or_choose(folder), secrets)
    return Lab(folder, parts, settings, specs, accelerator)


def write_state(lab: Lab, state: str) -> None:
    """Write in the run folder what the lab is made of and its state (starting, UP, ROLLED_BACK)."""
    facts = {
        "state": state, "nodes": [asdict(spec) for spec in lab.nodes],
        "accelerator": lab.accelerator,
        "parts": {name: str(path) for name, path in vars(lab.parts).items()},
    }  # fmt: skip
    service_settings.write_private(lab.folder.run / STATE, json.dumps(facts, indent=1))


def current(folder: LabFolder) -> tuple[Lab, str] | None:
    """The lab in the run folder and its state; None where there is none that can be read."""
    try:
        facts = json.loads((folder.run / STATE).read_text())
        parts = Parts(**{name: Path(path) for name, path in facts["parts"].items()})
        secrets = service_settings.load_secrets(folder.run / SECRETS)
        nodes = tuple(
            NodeSpec(**values | {"topology": Topology(values["topology"])})
            for values in facts["nodes"]
        )
        settings = service_settings.ServiceSettings(load_or_choose(folder), secrets)
        lab = Lab(folder, parts, settings, nodes, facts["accelerator"])
        return lab, str(facts["state"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def require_up(folder: LabFolder, part: str = "") -> Lab:
    """The lab that runs; raises LabError where none does, or `part` or any part of it has died."""
    lab, state = current(folder) or (None, "")
    if lab is None or state not in (UP, ROLLED_BACK):
        raise LabError("the lab is not up", resolution="Start the lab: wholecard lab up")
    alive = process.running(folder.run)
    dead = [name for name in lab.services if name not in alive and part in ("", name)]
    if dead:
        raise LabError(
            f"{', '.join(dead)} died",
            f"logs: {folder.logs}",
            f"Start these services again: {lab.up_command}",
        )
    return lab


def down(folder: LabFolder) -> list[str]:
    """End every process of the lab; returns their services' names."""
    ended = process.stop(folder.run)
    (folder.run / STATE).unlink(missing_ok=True)
    return ended


def clean(folder: LabFolder, keep_cache: bool = False) -> None:
    """End the lab and remove its files; with `keep_cache` the cache stays.

    Only the lab's own files are removed: `folder.top` may be any folder that the person named, or
    a link to one, and is removed only where it is empty afterwards.
    """
    down(folder)
    cache.remove_tree(folder.run)
    if not keep_cache:
        if cache.in_use(folder.cache):
            raise LabError(
                "another lab still uses the cache",
                str(folder.cache),
                "Stop it (WHOLECARD_LAB_NAME selects it), or clean with --keep-cache.",
            )
        cache.remove_tree(folder.cache)
        folder.lock.unlink(missing_ok=True)
        with suppress(OSError):
            folder.top.rmdir()

"""One lab: what it is made of, where it runs, and what it is doing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wholecard.lab.base import cache, process
from wholecard.lab.base.errors import LabError
from wholecard.lab.base.folder import LabFolder, key_of, key_of_files
from wholecard.lab.base.ports import load_or_choose
from wholecard.lab.base.sandbox import Mount, Sandbox, require_tools
from wholecard.lab.base.steps import Story
from wholecard.lab.control import service_settings
from wholecard.lab.control.database_seed import SECRETS, seed_entry
from wholecard.lab.control.services import APIS, DAEMONS, Control
from wholecard.lab.node.node import LAYOUTS, LabNode
from wholecard.lab.parts import accelerator as accelerators
from wholecard.lab.parts.images import guest_entry, node_entry
from wholecard.lab.parts.python_environment import environment_entry
from wholecard.lab.parts.root_filesystem import root_entry

CONTROL_SERVICES = ("mariadb", "rabbitmq", *APIS, *DAEMONS)
SERVICES = (*CONTROL_SERVICES, "node")
STATE = "lab.json"
# States of a lab that runs whole. A node that was rolled back serves on until its next boot.
UP = "up"
ROLLED_BACK = "rolled-back"
# Where the node's QEMU finds the disk of the image, and a saved node.
IMAGE_INSIDE = "/opt/cache"
SAVED_INSIDE = "/opt/tree"


@dataclass(frozen=True)
class Parts:
    """What a lab is made of: folders in the cache."""

    root: Path
    environment: Path
    node: Path
    guest: Path
    seed: Path

    def key(self, layout: str, accelerator: str) -> str:
        """What a saved node depends on: all parts, and the code that prepared it."""
        code = key_of_files(Path(__file__).parent.parent)
        names = [path.name for path in (self.root, self.environment, self.node, self.guest,
                                        self.seed)]  # fmt: skip
        return key_of(names, code, layout, accelerator)


@dataclass(frozen=True)
class Lab:
    """A lab that runs or is about to."""

    place: LabFolder
    parts: Parts
    settings: service_settings.Settings
    layout: str
    accelerator: str

    @property
    def control(self) -> Control:
        """The control plane."""
        run = self.place.run
        return Control(self.parts.root, self.parts.environment, run, run, self.settings.ports)

    def node(self, saved: Path | None = None) -> LabNode:
        """The node; `saved` is the folder of a saved one that it wakes from."""
        mounts = [Mount(self.parts.node, IMAGE_INSIDE)]
        if saved is not None:
            mounts.append(Mount(saved, SAVED_INSIDE))
        return LabNode(
            Sandbox(self.parts.root, tuple(mounts)), self.place.run, self.place.run / "node",
            dict(self.settings.ports), self.layout, self.accelerator,
        )  # fmt: skip


def build_parts(place: LabFolder, story: Story) -> Parts:
    """Everything that is built once, from the cache or anew, side by side where it can be."""
    require_tools()
    place.top.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.cache.mkdir(exist_ok=True, mode=0o700)
    with story.step("private Debian root (QEMU, RabbitMQ, MariaDB, kernel)"):
        root = root_entry(place)
    with story.step("OpenStack's locked environment (nova 34 and its peers)"):
        environment = environment_entry(place, root)

    def node() -> Path:
        with story.step("the node's disk"):
            return node_entry(place, root, environment)

    def guest() -> Path:
        with story.step("the proof guest's image"):
            return guest_entry(place, root)

    def seed() -> Path:
        with story.step("OpenStack's databases"):
            return seed_entry(place, root, environment)

    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(part) for part in (seed, node, guest)]
        seed_path, node_path, guest_path = (part.result() for part in made)
    return Parts(root, environment, node_path, guest_path, seed_path)


def choose_accelerator(place: LabFolder, root: Path) -> tuple[str, str]:
    """`kvm` or `tcg`, and why; tried once per root and kernel of the machine."""
    kept = place.cache / "accelerator.json"
    key = key_of(root.name, Path("/proc/sys/kernel/random/boot_id").read_text())
    try:
        known = json.loads(kept.read_text())
        if known["key"] == key:
            return str(known["accelerator"]), str(known["why"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    chosen, why = accelerators.choose(root)
    kept.write_text(json.dumps({"key": key, "accelerator": chosen, "why": why}))
    return chosen, why


def new_lab(place: LabFolder, parts: Parts, layout: str, accelerator: str) -> Lab:
    """An empty run folder with ports and the secrets of the seed; what ran there is ended."""
    if layout not in LAYOUTS:
        raise LabError(f"no such layout: {layout}", resolution=f"One of: {', '.join(LAYOUTS)}.")
    down(place)
    cache.remove_tree(place.run)
    place.run.mkdir(mode=0o700)
    place.logs.mkdir()
    (place.run / "node").mkdir()
    return _lab(
        place, parts, layout, accelerator, service_settings.load_secrets(parts.seed / SECRETS)
    )


def _lab(
    place: LabFolder, parts: Parts, layout: str, accelerator: str, secrets: dict[str, str]
) -> Lab:
    ports = load_or_choose(place)
    return Lab(place, parts, service_settings.Settings(ports, secrets), layout, accelerator)


def write_state(lab: Lab, state: str) -> None:
    """Say in the run folder what the lab is made of and is: `starting`, `up`, `rolled-back`."""
    facts = {
        "state": state, "layout": lab.layout, "accelerator": lab.accelerator,
        "parts": {name: str(path) for name, path in vars(lab.parts).items()},
    }  # fmt: skip
    service_settings.write_private(lab.place.run / STATE, json.dumps(facts, indent=1))


def current(place: LabFolder) -> tuple[Lab, str] | None:
    """The lab in the run folder and its state; None where there is none that can be read."""
    try:
        facts = json.loads((place.run / STATE).read_text())
        parts = Parts(**{name: Path(path) for name, path in facts["parts"].items()})
        secrets = service_settings.load_secrets(place.run / SECRETS)
        lab = _lab(place, parts, facts["layout"], facts["accelerator"], secrets)
        return lab, str(facts["state"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def require_up(place: LabFolder) -> Lab:
    """The lab that runs; raises LabError where none does or a part of it has died."""
    found = current(place)
    if found is None or found[1] not in (UP, ROLLED_BACK):
        raise LabError("the lab is not up", resolution="Start it: wholecard lab up")
    alive = process.running(place.run)
    dead = [name for name in SERVICES if name not in alive]
    if dead:
        raise LabError(
            f"{', '.join(dead)} died", f"logs: {place.logs}", "`wholecard lab up` brings it back."
        )
    return found[0]


def down(place: LabFolder) -> list[str]:
    """End every process of the lab; returns their services' names."""
    ended = process.stop(place.run)
    (place.run / STATE).unlink(missing_ok=True)
    return ended


def clean(place: LabFolder, keep_cache: bool = False) -> None:
    """End the lab and remove its files; with `keep_cache` what was slow to build stays.

    Only what is the lab's own is removed: `place.top` may be any folder that the person named, or
    a link to one, and goes only where it is empty then.
    """
    down(place)
    cache.remove_tree(place.run)
    if not keep_cache:
        if cache.in_use(place.cache):
            raise LabError(
                "another lab still uses the cache",
                str(place.cache),
                "End it (WHOLECARD_LAB_NAME names it), or clean with --keep-cache.",
            )
        cache.remove_tree(place.cache)
        place.lock.unlink(missing_ok=True)
        with suppress(OSError):
            place.top.rmdir()

"""Where everything of the lab lives: one folder, `$XDG_CACHE_HOME/wholecard`."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabFolder:
    """The lab's one folder, and the paths in it.

    `cache/` holds what is slow to build, each entry named by a key of what went in; a folder of
    the lab's name holds the running lab: configuration, databases, logs, sockets, secrets. All of
    it is private to its owner. Labs of several names share a cache.
    """

    top: Path
    name: str = "lab"

    @property
    def cache(self) -> Path:
        """What is slow to build and can be built again."""
        return self.top / "cache"

    @property
    def run(self) -> Path:
        """The running lab."""
        return self.top / self.name

    def node(self, name: str) -> Path:
        """A node's own folder: its disk, its console, its control socket."""
        return self.run / name

    @property
    def lock(self) -> Path:
        """The lock of the process that starts this lab."""
        return self.top / f"{self.name}.lock"

    @property
    def logs(self) -> Path:
        """One log per service and step."""
        return self.run / "log"

    @property
    def clouds_yaml(self) -> Path:
        """For openstacksdk and the `openstack` command (`OS_CLIENT_CONFIG_FILE`)."""
        return self.run / "clouds.yaml"


def default_folder() -> LabFolder:
    """`$WHOLECARD_LAB`, else `$XDG_CACHE_HOME/wholecard`, else `~/.cache/wholecard`.

    `$WHOLECARD_LAB_NAME` names another lab than `lab` in it.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    top = os.environ.get("WHOLECARD_LAB") or str(Path(base) / "wholecard")
    return LabFolder(Path(top).absolute(), os.environ.get("WHOLECARD_LAB_NAME") or "lab")


def key_of(*parts: object) -> str:
    """A short key (12 hexadecimal digits) of anything that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def key_of_files(*paths: Path) -> str:
    """A key of the contents of files, and of all files below folders, with their names."""
    digest = hashlib.sha256()
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.relative_to(path.parent)).encode() + b"\0")
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]

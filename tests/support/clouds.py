"""A real OpenStack without a node: the lab's control plane, and a nova-compute on nova's own fake.

Its one host has no cards; what a cloud is asked for here are objects in its APIs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openstack.connection import Connection
from rich.console import Console

from support.commands import Ran
from support.computes import fake_compute
from wholecard.cloud.placement.resource_providers import wait_for_providers
from wholecard.lab import lab as labs
from wholecard.lab.base.folder import LabFolder
from wholecard.lab.base.node_spec import Topology
from wholecard.lab.base.steps import Story
from wholecard.lab.scenario.control_plane import start_cloud, write_configuration

NAME = "test-cloud"
HOST = "fake-host"


@dataclass(frozen=True)
class Cloud:
    """The running control plane, a connection to it, and a folder for a test's own files."""

    folder: LabFolder
    conn: Connection

    def wholecard(self, *words: str, state: Path, timeout: float = 900) -> Ran:
        """`wholecard cloud …` as a person runs it."""
        done = subprocess.run(
            self.command(*words, state=state), capture_output=True, text=True, timeout=timeout,
            check=False, env=os.environ | {"COLUMNS": "120"},
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def command(self, *words: str, state: Path) -> list[str]:
        """The command line of `wholecard cloud WORDS` for this cloud."""
        where = ["--cloud", "wholecard-lab", "--clouds-file", str(self.folder.clouds_yaml)]
        state_option = [] if words[0] == "plan" else ["--state", str(state)]
        if words[0] == "status":
            where = where[:2]
        return [
            *(sys.executable, "-m", "wholecard.cli.main", "cloud", words[0]),
            *where, *state_option, *words[1:],
        ]  # fmt: skip


@contextmanager
def control_plane(lab_folder: LabFolder) -> Iterator[Cloud]:
    """Start it, and end it with all its processes; tests/lab/conftest.py keeps a failure's logs."""
    labs.clean(lab_folder, keep_cache=True)
    story = Story(Console(file=sys.stderr))
    parts = labs.build_parts(lab_folder, story)
    lab = labs.new_lab(lab_folder, parts, Topology.APART, "tcg")
    try:
        write_configuration(lab)
        conn = start_cloud(lab, story, parts.seed)
        with fake_compute(lab, conn, HOST):
            wait_for_providers(
                conn, lambda providers: any(each.name == HOST for each in providers), 60
            )
            yield Cloud(lab_folder, conn)
    finally:
        labs.clean(lab_folder, keep_cache=True)

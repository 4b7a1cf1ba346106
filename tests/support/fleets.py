"""A fleet of hosts that are folders: a fake ssh runs their commands here, each in its own HOME."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from support.commands import Ran
from support.fakes_on_path import FAKE_CHROOT
from support.tree import grow
from wholecard.cli.app import run_app

# Records its arguments as a line of JSON, and how many bytes it was given. A host's folder may
# hold `before` (run by its login shell first), `instead` (run instead of the command) and `after`.
FAKE_SSH = """#!{python} -IS
import json, os, subprocess, sys

fleet = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
host, command = sys.argv[sys.argv.index("--") + 1:]
given = sys.stdin.buffer.read()
with open(fleet + "/calls", "a") as calls:
    calls.write(json.dumps([sys.argv[1:], len(given)]) + "\\n")
home = os.path.join(fleet, "hosts", host)
if not os.path.isdir(home):
    sys.exit(sys.stderr.write("ssh: Could not resolve hostname " + host + "\\n") and 255)
path = home + "/path"
os.environ.update(HOME=home, CALLS=home + "/calls")
os.environ["PATH"] = (path if os.path.isdir(path) else fleet + "/there") + ":" + fleet + "/tools"
os.chdir(home)

def script(name):
    try:
        with open(name) as file:
            return file.read() + "\\n"
    except FileNotFoundError:
        return ""

text = script("before") + (script("instead") or command) + "\\n" + script("after")
sys.exit(subprocess.run(["sh", "-c", text], input=given).returncode)
"""
# What the remote end needs besides Python and the agent's own tools.
TOOLS = ("sh", "cat", "chmod", "cp", "cut", "find", "id", "mkdir", "mktemp", "mv", "rm", "sed",
         "sha256sum", "sleep", "touch")  # fmt: skip


@dataclass(frozen=True)
class FakeFleet:
    """The folder of a fleet."""

    place: Path

    @classmethod
    def make(cls, place: Path, *hosts: str) -> FakeFleet:
        """A fleet with a ssh of its own and these hosts, whose Python is the tests' own."""
        python = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
        grow(place, {
            "bin/ssh": (FAKE_SSH.format(python=sys.executable), 0o755),
            "there/python3": (python, 0o755),
            "there/chroot": (FAKE_CHROOT, 0o755),
            **{f"hosts/{host}/": "" for host in hosts},
        })  # fmt: skip
        (place / "tools").mkdir()
        for tool in TOOLS:
            found = next(
                folder / tool
                for folder in (Path("/usr/bin"), Path("/bin"))
                if (folder / tool).exists()
            )
            (place / "tools" / tool).symlink_to(found)
        return cls(place)

    def home(self, host: str) -> Path:
        """A host's home."""
        return self.place / "hosts" / host

    def agents(self, host: str) -> list[Path]:
        """The agents that a host holds."""
        return sorted(self.home(host).glob(".cache/wholecard/*"))

    def calls(self) -> list[tuple[list[str], int]]:
        """How ssh was called: its arguments, and how many bytes it was given."""
        file = self.place / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(argv, size) for argv, size in map(json.loads, lines)]

    def sent(self) -> list[str]:
        """The hosts to which the agent was sent."""
        return [argv[-2] for argv, size in self.calls() if size]

    @contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """The `wholecard` command while the block runs, killed where it does not end with it."""
        with subprocess.Popen(
            [sys.executable, "-m", "wholecard.cli.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *words: str) -> Ran:
        """The `wholecard` command with `--on`, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with patch.dict(os.environ, self.environment()), redirect_stdout(out), redirect_stderr(err):
            status = run_app(words)
        return Ran(status, out.getvalue(), err.getvalue())

    def environment(self) -> dict[str, str]:
        """This process's, with the fleet's ssh."""
        return os.environ | {"PATH": f"{self.place}/bin:/usr/bin:/bin", "COLUMNS": "80"}

"""ansible-core as tests run it, with the collection installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ansible:
    """ansible-core with an installed collection; everything that it writes is below `folder`."""

    folder: Path

    @property
    def collections(self) -> Path:
        """What `ansible-galaxy collection install -p` was told."""
        return self.folder / "collections"

    def run(self, program: str, *words: object, status: int = 0) -> str:
        """What a program of ansible-core prints; its errors are part of the assertion."""
        done = subprocess.run(
            [BIN / program, *map(str, words)], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, cwd=self.folder, env=self._environment(),
        )  # fmt: skip
        assert done.returncode == status, (
            f"{program}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        # Nothing of the person's own configuration, and no colours; Ansible insists on UTF-8.
        keep = {name: value for name, value in os.environ.items() if "ANSIBLE" not in name}
        return {
            **keep,
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        }

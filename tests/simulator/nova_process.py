"""The process that has real nova, and what it is told, a line of JSON each."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any, Self

from differential.environments import python_of

NOVA = 34
SIDE = Path(__file__).parent / "novaside.py"
# A start takes half a minute of CPU on a machine that has other work.
SECONDS = 600


class NovaProcess:
    """A world of nova's in `folder`. Raises AssertionError where nova's side breaks or hangs."""

    def __init__(self, folder: Path, hosts: int, cards: int, seed: int) -> None:
        self.folder = folder
        self._errors = (folder / "nova.log").open("w")
        self._process = subprocess.Popen(
            # The order of sets is that of a seed too.
            [str(python_of(NOVA)), "-s", "-P", "-W", "ignore", str(SIDE)],
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip
        made = self.tell("world", folder=str(folder), hosts=hosts, cards=cards, seed=seed)
        self.port: int = made["port"]

    def tell(self, what: str, **arguments: Any) -> Any:
        """The answer to one command."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        line = process.stdout.readline() if ready else ""
        if not line:
            raise AssertionError(f"{what}: no answer; see {self.folder}/nova.log: {self._log()}")
        answer = json.loads(line)
        if "broken" in answer:
            raise AssertionError(f"{what} {arguments}\n{answer['broken']}")
        return answer

    def _log(self) -> str:
        return (self.folder / "nova.log").read_text()[-2000:]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""This program installed on the host, for what runs at each boot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step, WholecardError
from wholecard.host.operations import operation
from wholecard.host.operations.agent_archive import agent_bytes
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.transaction import atomic_files
from wholecard.transaction.atomic_files import state_of, under
from wholecard.transaction.json_fields import optional, text

AGENT = "/usr/local/lib/wholecard/wholecard-host.pyz"
_MODE = 0o755


@dataclass(frozen=True)
class InstallAgent(HostOperation):
    """Write the agent with this digest to its place; `before` is the digest of what is there."""

    kind: ClassVar[str] = "install-agent"

    sha256: str
    before: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> InstallAgent:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        return cls(text(data["sha256"]), optional(data["before"], str))

    def describe(self) -> str:
        """The file and its digest."""
        return f"{AGENT}: this program, sha256 {self.sha256[:16]}…"

    def targets(self, root: Path) -> tuple[str, ...]:  # noqa: ARG002 -- it may not exist yet
        """The file."""
        return (AGENT,)

    @property
    def writes(self) -> tuple[str, ...]:
        """The file."""
        return (AGENT,)

    def space(self, root: Path) -> Iterator[tuple[Path, int]]:
        """The new file beside the old one."""
        folder = under(root, AGENT).parent
        while not folder.is_dir():
            folder = folder.parent
        yield folder, len(agent_bytes())

    @property
    def state_before(self) -> State:
        """What was there when the plan was made."""
        return {AGENT: self.before}

    @property
    def state_after(self) -> State:
        """The digest."""
        return {AGENT: self.sha256}

    def look(self, context: HostContext) -> State:
        """The file as `state_of` says it."""
        return {AGENT: state_of(under(context.root, AGENT))}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:
        """Write it. Raises WholecardError where this is another release than the plan's."""
        if step.present.get(AGENT) == self.sha256:
            return {}
        data = agent_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise WholecardError(
                "this is another release of Wholecard than the one that made the plan",
                resolution="Finish it with that release, or roll back and apply again.",
            )
        target = under(context.root, AGENT)
        atomic_files.make_directories(target.parent)
        atomic_files.write_atomically(target, data, _MODE)
        return {}

    def undo(self, context: HostContext, step: Step) -> None:  # noqa: ARG002 -- from any state
        """Put back what was there."""
        atomic_files.remove(atomic_files.scratch(under(context.root, AGENT)))
        context.backup.put_back(context.root, AGENT)

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """The file beside what was written."""
        state = state_of(under(root, AGENT))
        same = {self.sha256: operation.AS_APPLIED, None: operation.GONE}
        yield Drift("file", AGENT, same.get(state, operation.EDITED))

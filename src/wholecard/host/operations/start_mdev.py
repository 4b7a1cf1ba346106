"""A mediated device made in the running kernel.

Source: linux, Documentation/driver-api/vfio-mediated-device.rst: a UUID written to `create` of a
type makes one, `1` written to its `remove` ends it. It lasts until the host goes down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wholecard.core import State, Step
from wholecard.core.small_files import exists, link_name, under
from wholecard.host.operations import operation
from wholecard.host.operations.bind_driver import tell
from wholecard.host.operations.operation import Drift, HostContext, HostOperation
from wholecard.host.operations.virtual_functions import MDEVS, await_file
from wholecard.transaction.json_fields import text

BUS = "sys/class/mdev_bus"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True)
class StartMdev(HostOperation):
    """Make the mediated device `uuid` of this type below `parent`, a name in the mdev bus."""

    kind: ClassVar[str] = "start-mdev"

    uuid: str
    parent: str
    type: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StartMdev:
        """The inverse of `to_json`. Raises ValueError, TypeError and KeyError."""
        uuid, parent, kind = (text(data[name]) for name in ("uuid", "parent", "type"))
        if not (_UUID.fullmatch(uuid) and _NAME.fullmatch(parent) and _NAME.fullmatch(kind)):
            raise ValueError(f"{uuid!r} of {parent!r} is no mediated device")
        return cls(uuid, parent, kind)

    def describe(self) -> str:
        """The file and what is written to it."""
        return f"/{self._folder}/create: {self.uuid}"

    @property
    def _folder(self) -> str:
        return f"{BUS}/{self.parent}/mdev_supported_types/{self.type}"

    @property
    def state_before(self) -> State:
        """There is none."""
        return {self.uuid: None}

    @property
    def state_after(self) -> State:
        """Its type."""
        return {self.uuid: self.type}

    def look(self, context: HostContext) -> State:
        """Its type now."""
        return {self.uuid: link_name(under(context.root, f"{MDEVS}/{self.uuid}/mdev_type"))}

    def do(self, context: HostContext, step: Step) -> dict[str, Any]:
        """Make it."""
        if step.present.get(self.uuid) != self.type:
            await_file(under(context.root, f"{self._folder}/create"))
            tell(context.root, Path(self._folder, "create"), self.uuid)
        return {}

    def undo(self, context: HostContext, step: Step) -> None:  # noqa: ARG002 -- from any state
        """End it, where it exists."""
        if exists(under(context.root, f"{MDEVS}/{self.uuid}")):
            tell(context.root, Path(MDEVS, self.uuid, "remove"), "1")

    def mdevs_given_back(self, root: Path) -> tuple[str, ...]:
        """It itself, where it exists."""
        return (self.uuid,) if exists(under(root, f"{MDEVS}/{self.uuid}")) else ()

    def drift(self, root: Path, done: Mapping[str, Any]) -> Iterator[Drift]:  # noqa: ARG002
        """Whether it exists."""
        there = exists(under(root, f"{MDEVS}/{self.uuid}"))
        state = operation.AS_APPLIED if there else operation.GONE
        yield Drift("slice", f"mediated device {self.uuid}", state)

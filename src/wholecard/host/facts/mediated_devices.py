"""Mediated devices: those that exist in sysfs, and those that mdevctl only has defined.

Source: linux, Documentation/driver-api/vfio-mediated-device.rst and Documentation/ABI/testing/
sysfs-bus-vfio-mdev; mdevctl(8): /etc/mdevctl.d/PARENT/UUID.
"""

from __future__ import annotations

import os

from wholecard.core.record import dataclass
from wholecard.core.small_files import link_name, listed, read_bytes, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wholecard.core.small_files import Root

DEVICES = "sys/bus/mdev/devices"
DEFINED = "etc/mdevctl.d"
_UUID_LENGTH = 36
_PATTERNS = {"uuid": "[0-9a-f-]{36}", "parent": "[!-~]{1,255}", "type_id": "[!-~]{0,255}"}


@dataclass(frozen=True)
class MediatedDevice:
    """One mediated device; `parent` is its parent's name in sysfs (`0000:84:00.0`, `mtty`)."""

    uuid: str
    parent: str
    type_id: str
    active: bool = True

    def to_json(self) -> dict[str, Any]:
        """The fields by their names."""
        return {
            "uuid": self.uuid, "parent": self.parent, "type_id": self.type_id,
            "active": self.active,
        }  # fmt: skip


def mdevs_from_json(data: Any) -> tuple[MediatedDevice, ...]:
    """The inverse of `to_json` for a list that others wrote. Raises ValueError."""
    # Late: `inspect` reads no JSON.
    from wholecard.core.json_records import read_list, record_reader

    return read_list(data, "mdevs", record_reader(MediatedDevice, _PATTERNS))


def read_mdevs(root: Root) -> tuple[MediatedDevice, ...]:
    """All mediated devices, by UUID; one that exists is active, be it defined or not."""
    found = dict(_defined(root))
    for name in listed(under(root, DEVICES)):
        path = under(root, f"{DEVICES}/{name}")
        try:
            # sys/devices/…/PARENT/UUID
            target = os.readlink(path)
        except OSError:
            continue
        parent = os.path.basename(os.path.dirname(target))
        kind = link_name(f"{path}/mdev_type") or ""
        found[name.lower()] = MediatedDevice(name.lower(), parent, kind)
    return tuple(found[uuid] for uuid in sorted(found))


def _defined(root: Root) -> dict[str, MediatedDevice]:
    found = {}
    for parent in listed(under(root, DEFINED)):
        for name in listed(under(root, f"{DEFINED}/{parent}")):
            if len(name) != _UUID_LENGTH:
                # scripts.d and the like.
                continue
            # Late: most hosts have none, and `inspect` reads no JSON.
            import json

            try:
                data = json.loads(read_bytes(under(root, f"{DEFINED}/{parent}/{name}")) or b"")
                kind = str(data.get("mdev_type", "")) if isinstance(data, dict) else ""
            except (ValueError, RecursionError):
                kind = ""
            found[name.lower()] = MediatedDevice(name.lower(), parent, kind, active=False)
    return found

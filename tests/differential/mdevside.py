"""What real nova makes of mediated devices' types: run with the Python of an environment with nova.

Reads cases as JSON lines on standard input, writes one answer a line. nova's own configuration and
libvirt driver decide; only what libvirt lists of the host comes from the case.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import pathlib
import sys
import tempfile

logging.disable(logging.CRITICAL)

from nova.virt.libvirt import driver  # noqa: E402

import nova.conf  # noqa: E402

CONF = nova.conf.CONF
REAL_EXISTS = os.path.exists


class Driver(driver.LibvirtDriver):
    """The driver with the case's host instead of libvirt's."""

    def __init__(self, case):
        self.case = case
        self.pgpu_type_mapping = collections.defaultdict(str)
        self.mdev_class_mapping = collections.defaultdict(lambda: "VGPU")
        self.mdev_classes = set()
        self.mdev_type_max_mapping = collections.defaultdict(str)
        self.pgpu_type_default = None
        self.virtual_mdevs = set()
        self.supported_vgpu_types = self._get_supported_vgpu_types()

    def _get_mdev_capable_devices(self, types=None):
        return [
            {"dev_id": name, "types": {
                kind: {"availableInstances": free} for kind, free in offered.items()
                if not types or kind in types}}
            for name, offered in self.case["parents"]
        ]  # fmt: skip

    def _get_mediated_devices(self, types=None):
        return [
            {"parent": parent, "type": kind} for parent, kind in self.case["mdevs"]
            if not types or kind in types
        ]  # fmt: skip


def exists(path):
    """Of /sys/devices/virtual only mtty's parent is there."""
    if path.startswith("/sys/devices/virtual/"):
        return path == "/sys/devices/virtual/mtty/mtty"
    return REAL_EXISTS(path)


def answer(case, file):
    file.write_text(case["conf"])
    # Options of a type are registered for ever; without this a case would see those of another.
    for group in [name for name in CONF._groups if name.startswith("mdev_")]:
        del CONF._groups[group]
    CONF.reset()
    CONF(
        ["--config-file", str(file)],
        project="nova",
        default_config_files=[],
        default_config_dirs=[],
    )
    driver.os.path.exists = exists
    try:
        found = Driver(case)
    except Exception as error:
        return {"refused": type(error).__name__, "about": str(error).split()[-1]}
    finally:
        driver.os.path.exists = REAL_EXISTS
    found_types = found._get_gpu_inventories()
    return {
        "used": list(found.supported_vgpu_types),
        "counted": sorted(found._get_supported_mdev_resource_classes()),
        "inventories": {
            name: [found._get_resource_class_for_device(name), inventory["total"]]
            for name, inventory in sorted(found_types.items())
        },
    }


with tempfile.TemporaryDirectory() as folder:
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(answer(case, pathlib.Path(folder) / "nova.conf")), flush=True)

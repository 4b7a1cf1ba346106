"""GPUs of a board with NVSwitches: libvirt's hook, and which GPU has which module id. Pure."""

from __future__ import annotations

import json
import pkgutil
from functools import lru_cache

from wholecard.host.config_files import NVSWITCH_HOOK, NVSWITCH_MODULES, FileText
from wholecard.host.desired_state import DesiredState
from wholecard.host.operations.config_change import HEAD_LINE, ConfigChange
from wholecard.pci.splitting.nvswitch import read_modules


def nvswitch_change(desired: DesiredState) -> ConfigChange:
    """The hook and its table; none where no GPU of a board is named."""
    if not desired.modules:
        return ConfigChange()
    table = {"modules": read_modules(desired.modules)}
    return ConfigChange(
        files=(
            (
                FileText(NVSWITCH_MODULES, f"{json.dumps(table, indent=2, sort_keys=True)}\n"),
                "The module id of each GPU, by which Fabric Manager knows it.",
            ),
            (
                FileText(NVSWITCH_HOOK, hook_text(), 0o755),
                "libvirt runs it: a server's GPUs are connected before it starts, or it does not "
                "start.",
            ),
        )
    )


@lru_cache(maxsize=1)
def hook_text() -> str:
    """The hook as it is installed: one file, which imports nothing of Wholecard."""
    # As a folder and as an archive, the agent's.
    source = pkgutil.get_data("wholecard.host", "libvirt_hook.py") or b""
    return f"#!/usr/bin/env python3\n{HEAD_LINE}{source.decode()}"

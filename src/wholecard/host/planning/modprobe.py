"""Module settings: vfio-pci is loaded, and before the drivers that would claim the functions.

A softdep orders without forbidding: cards that stay with the host keep their drivers. Source: kmod,
modprobe.d(5); systemd, modules-load.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wholecard.core import WholecardError
from wholecard.core.module_names import is_module_name
from wholecard.host.checks.driver_binding import NOT_NATIVE, natives
from wholecard.host.operations.config_change import HEAD_LINE
from wholecard.pci import Function

_SOFTDEP = re.compile(r"^softdep (\S+) pre: vfio-pci$", re.MULTILINE)


def modules_load_text() -> str:
    """The text of `/etc/modules-load.d/wholecard.conf`."""
    return HEAD_LINE + "vfio-pci\n"


def modprobe_text(
    functions: Iterable[Function],
    builtin: Iterable[str],
    present: str,
    blacklist: Iterable[str] = (),
) -> str:
    """The text of `/etc/modprobe.d/wholecard.conf`.

    One softdep for each module that claims a function now or would by its alias; modules built
    into the kernel are left out, for they are never loaded. Raises WholecardError for a name that
    is no module's. `present` is the file's text now: when
    VFIO has a function, the driver that it had before can no longer be seen, so the softdeps
    in the file are kept. `blacklist` are modules that must never be loaded by their aliases.
    """
    functions = tuple(functions)
    modules = {module for function in functions for module in natives(function)}
    if any(function.is_on_vfio for function in functions):
        modules.update(_SOFTDEP.findall(present))
    modules -= {*builtin, *NOT_NATIVE}
    strangers = [name for name in (*modules, *blacklist) if not is_module_name(name)]
    if strangers:
        # In modprobe.d a line of its own may run a command, so it is no matter who calls.
        raise WholecardError(
            f"{strangers[0][:80]!r} is not the name of a kernel module",
            "It would be written to modprobe.d, which root's tools read.",
            "See where it comes from: the facts, the desired state, or a driver's link in sysfs.",
        )
    lines = [f"softdep {module} pre: vfio-pci\n" for module in sorted(modules)]
    lines += [f"blacklist {module}\n" for module in sorted({*blacklist})]
    return HEAD_LINE + "".join(lines)

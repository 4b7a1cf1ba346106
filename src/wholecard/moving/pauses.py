"""How long guests stood still at the end of live migrations: measured, kept, expected again.

libvirt on the destination has the figure of the last migration of a domain, by QEMU's clock
(virDomainGetJobStats with VIR_DOMAIN_JOB_STATS_COMPLETED). nova shows it nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter, ValidationError

from wholecard.core import WholecardError, run
from wholecard.core.json_text import encode
from wholecard.fleet.ssh import Ssh, program_argv
from wholecard.transaction.atomic_files import make_directories, write_atomically

# nova/conf/libvirt.py: `live_migration_downtime`, in ms. nova raises it step by step while the
# guest changes its memory faster than it is copied; a device's own state comes on top.
NOVAS_AIM = 0.5
# What is kept of each flavor, and how many of the last the expectation is made of.
KEPT, COUNTED = 20, 9
FILE = "pauses.json"
# By the hypervisor's name and the server's id; None where libvirt does not say.
ReadPause = Callable[[str, str], float | None]

_MEASURED = TypeAdapter(dict[str, list[tuple[str, float]]])
# virsh(1), domjobinfo: a migration that is over has `Total downtime`, one that goes on `Expected`.
_DOWNTIME = re.compile(r"^Total downtime:\s+(\d+)\s+ms$", re.MULTILINE)
# libvirt runs on the host or in a container of Kolla's.
_SCRIPT = (
    'sudo=; [ "$(id -u)" -eq 0 ] || sudo="sudo -n"; LC_ALL=C; export LC_ALL; '
    'for virsh in virsh "docker exec nova_libvirt virsh" "podman exec nova_libvirt virsh"; do '
    '$sudo $virsh -c qemu:///system domjobinfo --completed --keep-completed "$1" 2>/dev/null '
    "&& exit; done; exit 1"
)
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a guest is expected to pause, in seconds, and why that is thought."""

    seconds: float
    source: str


@dataclass(frozen=True)
class Pauses:
    """The pauses of earlier moves by flavor and destination, in a folder; without one none is kept.

    Two hosts pause a guest for times of their own: 2.0 and 2.9 s were seen for one server.
    """

    folder: Path | None = None
    read: ReadPause | None = None

    @property
    def measured(self) -> Mapping[str, list[tuple[str, float]]]:
        """Destination and seconds by flavor, the newest last; nothing where the file is damaged."""
        if self.folder is None:
            return {}
        try:
            return _MEASURED.validate_json((self.folder / FILE).read_bytes())
        except (OSError, ValidationError):
            return {}

    def expected(self, flavor: str, node: str = "") -> Expected:
        """The median of the last ones of this flavor, of those to this host where there are any; or
        nova's aim where none was measured."""
        measured = self.measured.get(flavor, [])
        to_node = [seconds for to, seconds in measured if to == node]
        known = (to_node or [seconds for _, seconds in measured])[-COUNTED:]
        if known:
            where = f" to {node}" if to_node else ""
            return Expected(median(known), f"the median of {len(known)} that were measured{where}")
        return Expected(
            NOVAS_AIM,
            "nova's default of [libvirt] live_migration_downtime; none of this flavor was measured",
        )

    def measure(self, flavor: str, node: str, server: str) -> float | None:
        """Read the pause of the move that is just over, and keep it; None where it is not known."""
        seconds = self.read(node, server) if self.read else None
        if seconds is not None and self.folder is not None:
            kept = {**self.measured}
            kept[flavor] = [*kept.get(flavor, []), (node, round(seconds, 3))][-KEPT:]
            make_directories(self.folder)
            write_atomically(self.folder / FILE, f"{encode(kept)}\n".encode(), 0o600)
        return seconds


@dataclass(frozen=True)
class SshPauses:
    """Asks libvirt of hosts over ssh; `names` are their names for ssh where these differ."""

    ssh: Ssh
    names: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, node: str, server: str) -> float | None:
        """Seconds, None where the host or its libvirt does not answer."""
        words = ("sh", "-c", _SCRIPT, "wholecard", server)
        argv = program_argv(self.ssh, self.names.get(node, node), words)
        try:
            return downtime(run(argv, timeout=_SECONDS, check=False).stdout)
        except WholecardError:
            return None


def downtime(domjobinfo: str) -> float | None:
    """Seconds, from what `virsh domjobinfo --completed` prints; None without a migration."""
    found = _DOWNTIME.search(domjobinfo)
    return int(found[1]) / 1000 if found else None

"""Hypervisor hosts over ssh, as a repair asks them: their domains, and nova-compute's restart."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wholecard.audit.record import Domain, View
from wholecard.core import WholecardError, run
from wholecard.fleet.ssh import Ssh, program_argv

# The names of nova-compute's unit: Debian's and OpenStack-Ansible's, RDO's, Kolla Ansible's
# (kolla-ansible, service-* roles), RHOSO's (edpm-ansible, edpm_nova).
UNITS = (
    "nova-compute.service",
    "openstack-nova-compute.service",
    "kolla-nova_compute-container.service",
    "edpm_nova_compute.service",
)
_NO_UNIT = 94
# systemd waits for nova-compute's end, by default 90 s.
_SECONDS = 180.0

_SCRIPT = (
    'sudo=; [ "$(id -u)" -eq 0 ] || sudo="sudo -n"; for unit in "$@"; do '
    'if systemctl cat "$unit" > /dev/null 2>&1; then '
    'echo "$unit"; exec $sudo systemctl restart "$unit"; fi; done; '
    f"exit {_NO_UNIT}"
)


class HostAnswer(Protocol):
    """What one host says of itself."""

    @property
    def domains(self) -> tuple[Domain, ...] | None:
        """Its domains, None where they could not be read."""

    @property
    def unread(self) -> Mapping[View, str]:
        """Why a view could not be read."""


class HostReader(Protocol):
    """Reads hosts anew each time (`audit.views.host_facts.FleetFacts`)."""

    def facts(self, hosts: Sequence[str]) -> Mapping[str, HostAnswer]:
        """What each of these hosts says."""


@dataclass(frozen=True)
class SshHosts:
    """Hosts that are reached by ssh; `names` are their names for ssh where these differ."""

    ssh: Ssh
    reader: HostReader
    names: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""

    def domains(self, host: str) -> tuple[Domain, ...]:
        """The host's domains as libvirt has them at this moment. Raises WholecardError."""
        answer = self.reader.facts((host,)).get(host)
        if answer is None or answer.domains is None:
            reason = "it gave no answer" if answer is None else answer.unread.get(View.LIBVIRT, "")
            raise WholecardError(f"{host}: libvirt's domains are not known", reason)
        return answer.domains

    def restart_compute(self, host: str) -> str:
        """Restart nova-compute there; the name of its unit. Raises WholecardError."""
        words = ("sh", "-c", _SCRIPT, "wholecard", *((self.unit,) if self.unit else UNITS))
        argv = program_argv(self.ssh, self.names.get(host, host), words)
        result = run(argv, timeout=_SECONDS, check=False)
        unit = result.stdout.strip().splitlines()
        if result.status == 0 and unit:
            return unit[-1]
        if result.status == _NO_UNIT:
            raise WholecardError(
                f"{host} has no unit of nova-compute by a name that is known",
                f"Looked for: {shlex.join(words[4:])}",
                "Name it: --compute-unit UNIT",
            )
        raise WholecardError(
            f"nova-compute on {host} was not restarted (status {result.status})",
            result.stderr.strip()[-400:],
            "ssh has to reach the host, and sudo -n to be allowed there.",
        )

"""`device_spec` of nova-computes whose configuration a person names, added to the hosts' views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wholecard.audit.record import CloudViews, HostViews
from wholecard.audit.views.source import Views
from wholecard.core.releases import LATEST
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.options import OPTIONS


class WithDeviceSpecs:
    """`Views` with `device_specs`: of the host's own files, else of those without a host.

    `computes` are the files or folders by hypervisor's host name, by the empty name those of every
    other host. Raises UsageError for a file that cannot be read.
    """

    def __init__(self, views: Views, computes: Mapping[str, Sequence[Path]]) -> None:
        self._views = views
        self._specs = {host: device_specs(paths) for host, paths in computes.items()}

    def cloud_views(self) -> CloudViews:
        """See `Views`."""
        return self._views.cloud_views()

    def host_views(self) -> Iterator[HostViews]:
        """See `Views`."""
        every = self._specs.get("")
        for host in self._views.host_views():
            yield replace(host, device_specs=self._specs.get(host.host, every))


def device_specs(paths: Sequence[Path]) -> tuple[str, ...]:
    """The texts of `[pci] device_spec` that nova-compute reads there, also by its older name."""
    conf = NovaConf.read(paths, "compute")
    option = next(option for option in OPTIONS if option.name == "device_spec")
    entries = conf.effective(option, LATEST.nova).entries
    return tuple(conf.substituted(entry).text for entry in entries)

"""What prevents that servers with devices are migrated live, or is read otherwise than meant.

Source: `wholecard.nova.live_migration`; an alias's key: nova/pci/stats.py,
`_filter_pools_for_live_migratable_devices`.
"""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.capabilities import Capability, has
from wholecard.nova.conf.service_conf import as_boolean
from wholecard.nova.lint.diagnostic import Diagnostic, entry_diagnostic
from wholecard.nova.lint.service import ReadSpec, Service
from wholecard.nova.live_migration import PCI_DEVICES, POST_COPY

_KEY = "live_migratable"


def check_post_copy(service: Service) -> Iterator[Diagnostic]:
    """Post-copy is permitted on a host whose devices could be migrated live."""
    if service.role not in (None, "compute") or not service.boolean(
        "live_migration_permit_post_copy"
    ):
        return
    what = _migratable(service)
    if what:
        entry = service.effective("live_migration_permit_post_copy").entries[-1]
        yield entry_diagnostic(
            "WC270", entry,
            f"the host gives {what}, and QEMU refuses to migrate such a server with post-copy "
            f"permitted ({POST_COPY})",
            "Write live_migration_permit_post_copy = false.",
        )  # fmt: skip


def _migratable(service: Service) -> str:
    """What of this host could be migrated live; empty for nothing."""
    if (
        has(service.major, Capability.MDEV_LIVE_MIGRATION)
        and service.effective("enabled_mdev_types").values
    ):
        return "mediated devices"
    return "live-migratable devices" if next(_saying(service, value=True), None) else ""


def _saying(service: Service, *, value: bool) -> Iterator[ReadSpec]:
    """The device_specs that have the key with this value."""
    if has(service.major, Capability.LIVE_MIGRATABLE):
        for read in service.specs:
            if _KEY in read.conf and as_boolean(str(read.conf[_KEY])) is value:
                yield read


def check_versions(service: Service) -> Iterator[Diagnostic]:
    """A device_spec names live_migratable on a host whose distribution is too old for it."""
    named = [*_saying(service, value=True), *_saying(service, value=False)]
    for facts in service.hosts if named and service.role in (None, "compute") else ():
        distribution = facts.host.boot.distribution
        lacking = PCI_DEVICES.lacking(distribution)
        if lacking:
            read = named[0]
            yield entry_diagnostic(
                "WC271", read.value.at_key((*read.path, _KEY)),
                f"{facts.name} is {distribution}, which has {lacking}: where a device_spec names "
                f"{_KEY}, even with no, nova-compute starts with {PCI_DEVICES} or later only",
                "Remove the key, or install newer ones first (a container's image, Ubuntu Cloud "
                "Archive).",
            )  # fmt: skip
            return


def check_aliases(service: Service) -> Iterator[Diagnostic]:
    """An alias that says no: it takes only devices whose device_spec says no as well."""
    if not has(service.major, Capability.LIVE_MIGRATABLE):
        return
    for read in service.aliases if service.role in (None, "api", "compute") else ():
        if read.alias and as_boolean(str(read.conf.get(_KEY, ""))) is False:
            yield entry_diagnostic(
                "WC272", read.value.at_key((_KEY,)),
                f'"{_KEY}": "no" does not mean any device: it takes only devices whose device_spec '
                f'says "{_KEY}": "no" too, and none whose device_spec leaves it out',
                "Remove the key: then both kinds are taken, and the server is not migrated live.",
            )  # fmt: skip

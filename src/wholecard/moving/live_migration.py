"""Why nova refuses to migrate a server live, or that it does not.

A refusal comes from nova-conductor, after the API has answered 202, so that nobody sees it who
does not look at the server's actions: this says it beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping

from wholecard.cloud.client.server_details import ServerDetails
from wholecard.core.releases import Release
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC, aliases_of, names_in
from wholecard.moving.record import Holdings, LiveAnswer
from wholecard.nova.conf.service_conf import NovaConf
from wholecard.nova.live_migration import MDEVS, PCI_DEVICES
from wholecard.nova.match import rules_for

# nova/conductor/tasks/live_migrate.py, `_check_can_migrate_pci`.
REFUSAL = "This request does not explicitly request live-migratable devices."
_CONDUCTOR = "nova, nova/conductor/tasks/live_migrate.py, _check_can_migrate_pci"
# nova/compute/api.py, `live_migrate`.
_STATES = frozenset({"active", "paused"})
# nova/virt/libvirt/driver.py, MIN_MDEV_LIVEMIG_*: nova-compute checks QEMU and libvirt on both
# hosts before anything is moved. The kernel's is in nova's documentation (admin/virtual-gpu.rst).
_MDEV_NEEDS = str(MDEVS)
_MDEV = "nova, doc/source/admin/virtual-gpu.rst"
_START = "start it; one that is shut off moves cold."
_YES = (
    'write "live_migratable": "yes" in the alias of nova-api and nova-compute and in device_spec '
    f"of both hosts, which needs {PCI_DEVICES} and a variant driver of VFIO that hands over the "
    "card's state, and resize the server: what it asked for is stored with it (WC257, WC271)."
)
_REPORT = "let nova report cards to Placement ([pci] report_in_placement), so that it is known."
_UPGRADE = "upgrade libvirt and QEMU of both hosts, and restart nova-compute (WC271)."


def live_answer(
    server: ServerDetails,
    holdings: Holdings,
    migratable: Mapping[str, bool] | None = None,
    qemu: int = 0,
) -> LiveAnswer:
    """Whether nova would migrate it live. `migratable` is what nova's aliases say, where known.
    `qemu` is the version on its host, 8001002 for 8.1.2, 0 where it is not known.

    A whole card on vfio-pci cannot be migrated: nova asks for `live_migratable` in the alias and
    in device_spec, and the host for a variant driver of VFIO that can do it (2025.1).
    """
    if server.vm_state not in _STATES:
        what = f"a server in {server.status} is not migrated live, only one that runs"
        return LiveAnswer(False, what, "nova, nova/compute/api.py, live_migrate", _START)
    aliases = names_in(server.extra_specs[EXTRA_SPEC]) if EXTRA_SPEC in server.extra_specs else ()
    if aliases:
        return _of_devices(holdings, aliases, migratable or {})
    if has_mediated_device(holdings):
        return _of_mediated_device(qemu)
    if holdings.cards:
        what = "it has a device of another service than nova's aliases (a port, an accelerator)"
        return LiveAnswer(None, what, _CONDUCTOR)
    if not holdings.read:
        return LiveAnswer(None, "Placement does not show this user what it holds")
    return LiveAnswer(True, "it has no card")


def has_mediated_device(holdings: Holdings) -> bool:
    """Whether a device of the server is a mediated one, whose provider is its parent's."""
    return any(card.resource_class == "VGPU" or not card.address for card in holdings.cards)


def _of_mediated_device(qemu: int) -> LiveAnswer:
    if not qemu:
        what = f"it has a mediated device: both hosts need {_MDEV_NEEDS}"
        return LiveAnswer(None, what, _MDEV)
    numbers = (qemu // 1_000_000, qemu // 1000 % 1000, qemu % 1000)
    version = ".".join(map(str, numbers))
    if numbers < MDEVS.qemu:
        what = f"it has a mediated device, and its host has QEMU {version}: it needs {_MDEV_NEEDS}"
        return LiveAnswer(False, what, _MDEV, _UPGRADE)
    what = (
        f"it has a mediated device, and its host has QEMU {version}. The other host needs "
        f"{_MDEV_NEEDS} too; nova checks that before it moves anything. Whether the device's "
        "driver can move it, QEMU finds out"
    )
    return LiveAnswer(True, what, _MDEV)


def _of_devices(
    holdings: Holdings, aliases: tuple[str, ...], migratable: Mapping[str, bool]
) -> LiveAnswer:
    refusing = [name for name in aliases if migratable.get(name) is False]
    if refusing:
        what = f'the alias {refusing[0]} does not say "live_migratable": "yes". nova: {REFUSAL}'
        return LiveAnswer(False, what, _CONDUCTOR, _YES)
    without = next((card for card in holdings.cards if not card.live_migratable), None)
    if without is not None:
        what = (
            f"{without.provider} is not live-migratable: its device_spec does not say so. A "
            f"whole card on vfio-pci never is. nova: {REFUSAL}"
        )
        return LiveAnswer(False, what, _CONDUCTOR, _YES)
    if not holdings.cards:
        what = f"Placement does not count its devices, so their kind is not known. nova: {REFUSAL}"
        return LiveAnswer(False, what, _CONDUCTOR, _REPORT)
    if all(name in migratable for name in aliases):
        return LiveAnswer(True, "its alias and its devices are live-migratable", _CONDUCTOR)
    what = "its devices are live-migratable; whether the alias says so is not known (--conf api=…)"
    return LiveAnswer(None, what, _CONDUCTOR)


def migratable_aliases(conf: NovaConf | None, release: Release) -> dict[str, bool]:
    """What nova-api's aliases say of live migration, by name; {} without its files."""
    if conf is None:
        return {}
    aliases = aliases_of(conf, rules_for(release.nova, pci_in_placement=True), release).by_name
    return {
        name: all(spec.get("live_migratable") == "true" for spec in alias.specs)
        for name, alias in aliases.items()
    }

"""The Canonical charms: a bundle overlay for juju.

They have options for device_specs, aliases and the scheduler's filters, and a `config-flags` that
goes to [DEFAULT] alone: nothing can set report_in_placement, pci_in_placement or quotas, and of
the tuning only host_subset_size. An application is configured as a whole, so all its hosts need
the same device_specs. Source: charm-nova-compute and charm-nova-cloud-controller, config.yaml,
templates/yoga/nova.conf, hooks/nova_cc_context.py, hooks/nova_compute_context.py.
"""

from __future__ import annotations

from typing import Any

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import RequiredOption, joined
from wholecard.nova.layouts.cloud import Cloud
from wholecard.nova.layouts.yaml_text import document
from wholecard.nova.render.drop_in_file import comment

_SETTABLE = frozenset({"device_spec", "alias", "enabled_filters", "host_subset_size"})
_TUNING = frozenset({"DEFAULT", "placement", "workarounds", "scheduler", "filter_scheduler"})
# Until which of nova's major versions, itself left out, the charm sets each.
_UNTIL = {"RetryFilter": 22, "AvailabilityZoneFilter": 28,
          "CoreFilter": 16, "RamFilter": 16, "DiskFilter": 16}  # fmt: skip
_LAST = ("DifferentHostFilter", "SameHostFilter")
_GROUPS = ("ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter")
_COMPUTE = ("ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter")


def default_filters(of: Release) -> tuple[str, ...]:
    """What nova-cloud-controller sets where `scheduler-default-filters` is empty."""
    first = (name for name, gone in _UNTIL.items() if of.nova < gone)
    return (*first, *_COMPUTE, *_GROUPS, *_LAST)


def files(cloud: Cloud) -> dict[str, str]:
    """`wholecard-overlay.yaml`.

    Raises UsageError where hosts differ, and for what the charms have no option for.
    """
    if not cloud.hosts_agree:
        raise UsageError(
            "the charms give one list of device_specs to all hosts of an application",
            "The hosts of this site have different ones.",
            "Write select: ids, or deploy an application for each kind of host and render each "
            "from a site of its own.",
        )
    compute: dict[str, Any] = {}
    control: dict[str, Any] = {}
    specs = [value for need in cloud.own("") for value in need.values]
    if specs:
        compute["pci-passthrough-whitelist"] = f"[{', '.join(specs)}]"
    alias = cloud.need("api", "alias")
    if alias:
        listed = f"[{', '.join(alias.values)}]"
        control["pci-alias"] = listed
        if has(cloud.of, Capability.CHARM_ALIAS_LIST):
            compute["pci-alias"] = listed
        elif len(alias.values) == 1:
            compute["pci-alias"] = alias.values[0]
    filters = cloud.need("scheduler", "enabled_filters")
    if filters:
        control["scheduler-default-filters"] = joined(filters.values)
    subset = cloud.need("scheduler", "host_subset_size")
    if subset:
        control["scheduler-host-subset-size"] = int(subset.values[0])
    data = {
        "applications": {
            "nova-compute": {"options": compute},
            "nova-cloud-controller": {"options": control},
        }
    }
    notes = "".join(f"{line}\n" for line in _unsettable(cloud))
    return {"wholecard-overlay.yaml": document(data, "for the Canonical charms", cloud.of, notes)}


def _unsettable(cloud: Cloud) -> list[str]:
    """Comments on tuning that the charms cannot set. Raises UsageError for what is no tuning."""
    missing: dict[str, None] = {}
    for found in cloud.roles.values():
        for need in found:
            spelling = need.option.spelling(cloud.of.nova)
            if need.option.name in _SETTABLE or need.values == ("false",) or spelling is None:
                continue
            if spelling.section not in _TUNING or _is_switch(need):
                raise UsageError(
                    f"the charms have no option for {spelling}",
                    "Their config-flags reaches [DEFAULT] alone.",
                    "Take it out of the site, or set it beside the charms and render without "
                    "--layout.",
                )
            missing[f"{spelling} = {joined(need.values)}"] = None
    if not missing:
        return []
    return comment(f"The charms have no option for {', '.join(missing)}.")


def _is_switch(need: RequiredOption) -> bool:
    return need.option.name in ("pci_in_placement", "available_filters", "driver")

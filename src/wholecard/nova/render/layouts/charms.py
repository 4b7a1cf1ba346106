"""The Canonical charms: a bundle overlay for juju.

They have options for device_specs, aliases and the scheduler's filters, for mediated devices those
of the subordinate charm nova-compute-nvidia-vgpu, and `config-flags`, which goes to [DEFAULT] only:
they cannot set report_in_placement, pci_in_placement or quotas, and of the
tuning only host_subset_size. An application has one configuration, so all its hosts need the same
device_specs. Source: charm-nova-compute and charm-nova-cloud-controller, config.yaml,
templates/yoga/nova.conf, hooks/nova_cc_context.py, hooks/nova_compute_context.py;
charm-nova-compute-nvidia-vgpu, config.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from wholecard.core import UsageError
from wholecard.core.capabilities import Capability, has
from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import joined
from wholecard.nova.render.drop_in_file import comment
from wholecard.nova.render.layouts.cloud import Cloud
from wholecard.nova.render.layouts.yaml_text import document

_SETTABLE = frozenset({"device_spec", "alias", "enabled_filters", "host_subset_size"})
_TUNING = frozenset({"DEFAULT", "placement", "workarounds", "scheduler", "filter_scheduler"})
# Without these servers with cards do not work, though they are in sections of tuning.
_SWITCHES = frozenset({"pci_in_placement", "available_filters", "driver"})
# The charm sets each before this major version of nova.
_UNTIL = {"RetryFilter": 22, "AvailabilityZoneFilter": 28,
          "CoreFilter": 16, "RamFilter": 16, "DiskFilter": 16}  # fmt: skip
_LAST = ("DifferentHostFilter", "SameHostFilter")
_GROUPS = ("ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter")
_COMPUTE = ("ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter")


def default_filters(release: Release) -> tuple[str, ...]:
    """What nova-cloud-controller sets where `scheduler-default-filters` is empty."""
    first = (name for name, until in _UNTIL.items() if release.nova < until)
    return (*first, *_COMPUTE, *_GROUPS, *_LAST)


def files(cloud: Cloud) -> dict[str, str]:
    """`wholecard-overlay.yaml`.

    Raises UsageError where hosts differ, and for what the charms have no option for.
    """
    if not cloud.hosts_agree:
        raise UsageError(
            "the charms have one list of device_specs for all hosts of an application",
            "The hosts of this site have different ones.",
            "Write select: ids, or deploy an application for each kind of host, and render each "
            "from its own site file.",
        )
    applications = {
        "nova-compute": {"options": _compute(cloud)},
        "nova-cloud-controller": {"options": _cloud_controller(cloud)},
    }
    if mappings := _vgpu_mappings(cloud):
        options = {"vgpu-device-mappings": mappings}
        applications["nova-compute-nvidia-vgpu"] = {"options": options}
    notes = "".join(f"{line}\n" for line in _unsettable(cloud))
    what, data = "for the Canonical charms", {"applications": applications}
    return {"wholecard-overlay.yaml": document(data, what, cloud.release, notes)}


def _compute(cloud: Cloud) -> dict[str, str]:
    options = {}
    specs = [value for option in cloud.own("") if option.option.name == "device_spec"
             for value in option.values]  # fmt: skip
    if specs:
        options["pci-passthrough-whitelist"] = _json_list(specs)
    alias = cloud.required("api", "alias")
    if alias and has(cloud.release, Capability.CHARM_ALIAS_LIST):
        options["pci-alias"] = _json_list(alias.values)
    elif alias and len(alias.values) == 1:
        # The older charm writes the option's text as one alias, so it cannot have several.
        options["pci-alias"] = alias.values[0]
    return options


def _vgpu_mappings(cloud: Cloud) -> str:
    """The parents of each type. Raises UsageError for a class, which the charm cannot set."""
    types = cloud.mdev_types("")
    classes = [name for name, options in types.items() if "mdev_class" in options]
    if classes:
        raise UsageError(
            f"the charms have no option for mdev_class (of {classes[0]})",
            "nova-compute-nvidia-vgpu sets types and their parents.",
            "Give one kind of mediated device without a resource_class, or deploy nova without the "
            "charms.",
        )
    parents = {name: list(options.get("device_addresses", ())) for name, options in types.items()}
    lacking = [name for name, own in parents.items() if not own]
    if lacking:
        raise UsageError(
            f"the parents of {lacking[0]} are not known",
            "nova-compute-nvidia-vgpu is told the parents of each type.",
            "Name a facts file as hosts.NAME.facts (wholecard-host inspect --json).",
        )
    return json.dumps(parents) if parents else ""


def _cloud_controller(cloud: Cloud) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if alias := cloud.required("api", "alias"):
        options["pci-alias"] = _json_list(alias.values)
    if filters := cloud.required("scheduler", "enabled_filters"):
        options["scheduler-default-filters"] = joined(filters.values)
    if subset := cloud.required("scheduler", "host_subset_size"):
        options["scheduler-host-subset-size"] = int(subset.values[0])
    return options


def _json_list(values: Iterable[str]) -> str:
    return f"[{', '.join(values)}]"


def _unsettable(cloud: Cloud) -> list[str]:
    """Comments on tuning that the charms cannot set. Raises UsageError for any other option."""
    missing: dict[str, None] = {}
    for required in cloud.roles.values():
        for option in required:
            spelling = option.option.spelling(cloud.release.nova)
            if option.option.name in _SETTABLE or option.values == ("false",) or spelling is None:
                continue
            if spelling.section not in _TUNING or option.option.name in _SWITCHES:
                raise UsageError(
                    f"the charms have no option for {spelling}",
                    "Their config-flags sets only [DEFAULT].",
                    "Remove it from the site file, or set it without the charms and render without "
                    "--layout.",
                )
            missing[f"{spelling} = {joined(option.values)}"] = None
    return comment(f"The charms have no option for {', '.join(missing)}.") if missing else []

"""Red Hat OpenStack Services on OpenShift: a patch of the control plane, ConfigMaps for computes.

`customServiceConfig` becomes the service's `02-nova-override.conf` after the operator's own file,
which already enables PciPassthroughFilter; a ConfigMap's keys become files in the compute's
`/etc/nova/nova.conf.d`. A node set has what its services name, so hosts that differ need a service
for each kind. Source: nova-operator, templates/nova/nova.conf; openstack-operator,
config/services/dataplane_v1beta1_openstackdataplaneservice_nova.yaml.
"""

from __future__ import annotations

import re
from typing import Any

from wholecard.core.releases import Release
from wholecard.nova.desired.required_options import RequiredOption
from wholecard.nova.desired.scheduler_filters import PCI_FILTER
from wholecard.nova.options import Role
from wholecard.nova.render.drop_in_file import text
from wholecard.nova.render.layouts.cloud import Cloud
from wholecard.nova.render.layouts.drop_in import NAME
from wholecard.nova.render.layouts.yaml_text import document

_NAMESPACE = "openstack"
# The operator defines this name, so a ConfigMap may exist already, with other keys.
_SHARED = """\
# If this ConfigMap exists already, with keys of yours, set only this key:
#   oc patch configmap nova-extra-config -n openstack --type merge --patch-file FILE
# If it does not exist: oc create -f FILE
"""
_OPERATORS_FILTERS = (
    "AggregateInstanceExtraSpecsFilter", "ComputeFilter", "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter",
    "SameHostFilter", "DifferentHostFilter", PCI_FILTER, "NUMATopologyFilter",
)  # fmt: skip


def default_filters(release: Release) -> tuple[str, ...]:  # noqa: ARG001 - one for all
    """What the operator sets for nova-scheduler."""
    return _OPERATORS_FILTERS


def files(cloud: Cloud) -> dict[str, str]:
    """`controlplane-patch.yaml`, and the ConfigMaps of the computes with a service for each."""
    what = "for the OpenStackControlPlane of RHOSO, as a patch"
    texts = {"controlplane-patch.yaml": document(_control_plane(cloud), what, cloud.release)}
    groups = cloud.same_hosts()
    for names, own in groups:
        conf = text("compute", (*own, *cloud.roles["compute"]), cloud.release)
        name = "nova-extra-config" if len(groups) == 1 else f"nova-{_label(names[0])}-wholecard"
        whom = "for all computes of RHOSO" if len(groups) == 1 else f"for {', '.join(names)}"
        notes = _SHARED if len(groups) == 1 else ""
        metadata = {"name": name, "namespace": _NAMESPACE}
        config_map = {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {NAME: conf},
        }  # fmt: skip
        texts[f"{name}.yaml"] = document(config_map, whom, cloud.release, notes)
        if len(groups) > 1:
            texts[f"{name}-service.yaml"] = document(_service(name), whom, cloud.release)
    return texts


def _control_plane(cloud: Cloud) -> dict[str, Any]:
    nova: dict[str, Any] = {}
    if api := _custom(cloud, "api"):
        nova["apiServiceTemplate"] = api
    if scheduler := _custom(cloud, "scheduler"):
        nova["schedulerServiceTemplate"] = scheduler
    if conductor := _custom(cloud, "conductor"):
        # cell0's conductor is the super conductor and schedules; a cell's own checks quotas again.
        template = {"conductorServiceTemplate": conductor}
        nova["cellTemplates"] = dict.fromkeys(("cell0", "cell1"), template)
    spec: dict[str, Any] = {"nova": {"template": nova}}
    if placement := _custom(cloud, "placement"):
        spec["placement"] = {"template": placement}
    return {"spec": spec}


def _custom(cloud: Cloud, role: Role) -> dict[str, str]:
    options = tuple(option for option in cloud.roles[role] if not _is_operators(option, cloud))
    return {"customServiceConfig": text(role, options, cloud.release)} if options else {}


def _is_operators(option: RequiredOption, cloud: Cloud) -> bool:
    """Whether the operator sets it: its list has the filter, its pods have one worker each."""
    if option.option.name == "workers":
        return True
    return option.option.name == "enabled_filters" and not cloud.filters_known


def _service(name: str) -> dict[str, Any]:
    """The operator's service `nova` with one more source; a node set names it instead."""
    return {
        "apiVersion": "dataplane.openstack.org/v1beta1",
        "kind": "OpenStackDataPlaneService",
        "metadata": {"name": name, "namespace": _NAMESPACE},
        "spec": {
            "dataSources": [
                {"secretRef": {"name": "nova-cell1-compute-config"}},
                {"secretRef": {"name": "nova-migration-ssh-key"}},
                {"configMapRef": {"name": "nova-extra-config", "optional": True}},
                {"configMapRef": {"name": name}},
            ],
            "playbook": "osp.edpm.nova",
            "caCerts": "combined-ca-bundle",
            "edpmServiceType": "nova",
            "containerImageFields": ["NovaComputeImage"],
        },
    }


def _label(host: str) -> str:
    """A host's name as a part of an object's name: lower case, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.-]+", "-", host.lower()).strip("-.") or "host"

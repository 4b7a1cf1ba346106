"""What real nova asks Placement: run with the Python of an environment that has nova.

Reads cases as JSON lines on standard input, writes one answer a line. Of the request filters those
run that need neither a database nor another service; all that decides is nova's own code.
"""

from __future__ import annotations

import json
import logging
import sys
import types
import uuid

logging.disable(logging.CRITICAL)

from nova.scheduler import request_filter, utils  # noqa: E402
from nova.scheduler.filters import aggregate_instance_extra_specs as aggregate_filter  # noqa: E402

import nova.conf  # noqa: E402
from nova import context, objects  # noqa: E402

objects.register_all()
nova.conf.CONF([], default_config_files=[])
FILTERS = (
    "compute_status_filter", "accelerators_filter", "packed_virtqueue_filter",
    "ephemeral_encryption_filter", "virtio_sound_filter", "tpm_secret_security_filter",
)  # fmt: skip


def spec_of(case):
    flavor = objects.Flavor(
        name="f", flavorid="f", vcpus=case["vcpus"], memory_mb=case["ram_mb"],
        root_gb=case["root_gb"], ephemeral_gb=case["ephemeral_gb"], swap=case["swap_mb"],
        extra_specs=case["specs"],
    )  # fmt: skip
    image = objects.ImageMeta.from_dict(
        {"id": str(uuid.UUID(int=1)), "name": "i", "properties": case["properties"]}
    )
    spec = objects.RequestSpec(
        flavor=flavor, image=image, numa_topology=None, requested_resources=[], pci_requests=None,
        request_level_params=objects.RequestLevelParams(), is_bfv=case["on_volume"],
    )  # fmt: skip
    for each in FILTERS:
        if hasattr(request_filter, each):
            getattr(request_filter, each)(context.RequestContext(), spec)
    return spec


def asked(case, translate):
    found = utils.ResourceRequest.from_request_spec(spec_of(case), translate)
    groups = {
        key or "": [group.resources, sorted(group.required_traits), sorted(group.forbidden_traits)]
        for key, group in found._rg_by_id.items()
    }
    return {
        "machine": groups.pop("", [{}, [], []]),
        "groups": groups,
        "root": [sorted(found._root_required), sorted(found._root_forbidden)],
        "policy": found.group_policy or "",
        "pinned": found.cpu_pinning_requested,
        "required": sorted(found.all_required_traits),
    }


def passes(case):
    host = types.SimpleNamespace(
        aggregates=[types.SimpleNamespace(metadata=each) for each in case["aggregates"]]
    )
    flavor = objects.Flavor(extra_specs=case["wishes"])
    try:
        return aggregate_filter.AggregateInstanceExtraSpecsFilter().host_passes(
            host, types.SimpleNamespace(flavor=flavor)
        )
    except (ValueError, IndexError):
        return "stumbled"


def answer(case):
    try:
        found = [asked(case, True), asked(case, False)]
    except Exception as error:
        found = {"refused": type(error).__name__}
    return {"asked": found, "passes": passes(case)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line)), sort_keys=True))

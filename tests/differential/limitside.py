"""What real nova's limits say of cards: run with the Python of an environment that has nova.

Reads cases as JSON lines on standard input, writes one answer a line. nova's own code reads the
aliases, makes of a flavor what it asks Placement for and enforces the limits, with oslo.limit's own
enforcer; only Keystone's answers (oslo.limit's fixture) and the project's use come from the case.
"""

from __future__ import annotations

import json
import logging
import sys
from unittest import mock

logging.disable(logging.CRITICAL)

from nova.limit import placement as limits  # noqa: E402
from nova.limit import utils as limit_utils  # noqa: E402
from nova.pci import request  # noqa: E402
from nova.scheduler import utils  # noqa: E402
from oslo_limit.fixture import LimitFixture  # noqa: E402

import nova.conf  # noqa: E402
from nova import context, exception, objects  # noqa: E402

CONF = nova.conf.CONF
PROJECT = "p"
objects.register_all()
CONF([], default_config_files=[])


def configure(case):
    # nova keeps them from the first time that it reads them.
    request.get_alias_from_config.cache_clear()
    CONF.set_override("alias", case["aliases"], "pci")
    CONF.set_override("pci_in_placement", case["pci_in_placement"], "filter_scheduler")
    CONF.set_override("endpoint_id", "nova", "oslo_limit")
    CONF.clear_override("driver", "quota")
    if case["driver"]:
        CONF.set_override("driver", case["driver"], "quota")
    CONF.clear_override("unified_limits_resource_list", "quota")
    if case["resource_list"]:
        CONF.set_override("unified_limits_resource_list", case["resource_list"], "quota")


def keystone(fixture):
    return limit_utils.IdentityClient(fixture.mock_conn, "service", "region")


def enforce(case):
    flavor = objects.Flavor(
        name="f", flavorid="f", vcpus=1, memory_mb=512, root_gb=0, ephemeral_gb=0, swap=0,
        extra_specs={"pci_passthrough:alias": case["asked"]},
    )  # fmt: skip
    spec = utils.request_spec_for_limits(flavor, is_bfv=False)
    resources = utils.ResourceRequest.from_request_spec(spec).merged_resources()
    cards = {name: amount for name, amount in resources.items() if name.startswith("CUSTOM_")}
    count = {"project": {"instances": case["servers"]}}
    fixture = LimitFixture(case["registered"], {PROJECT: case["limits"]})
    with (
        fixture,
        mock.patch.object(limits, "_get_placement_usages", return_value=case["used"]),
        mock.patch.object(limits.quota, "is_qfd_populated", return_value=True),
        mock.patch.object(objects.InstanceMappingList, "get_counts", return_value=count),
        mock.patch.object(limit_utils, "IDENTITY_CLIENT", keystone(fixture)),
    ):
        try:
            limits.enforce_num_instances_and_resources(
                context.RequestContext(project_id=PROJECT), PROJECT, spec, 1, 1
            )
        except exception.TooManyInstances as error:
            return {"cards": cards, "refused": str(error)}
    return {"cards": cards, "refused": ""}


for line in sys.stdin:
    case = json.loads(line)
    configure(case)
    print(json.dumps(enforce(case), sort_keys=True))

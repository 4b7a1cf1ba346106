"""nova's matching, pure: which devices a configuration gives and which servers a host can take.

    rules = rules_for(34, report_in_placement=True)
    devices = devices_of(host.functions)
    sysfs = DeviceSysfs(devices)
    specs = [spec for text in texts for spec in Spec.parse(text, rules, sysfs)]
    spec = assign(device, specs)                    # the first that matches, or None
    spec.why_not(device)                            # Mismatch(key, wanted, found) or None
    aliases = parse_aliases(alias_texts, rules)
    requests = parse_request("gpu:2", aliases)
    pools = Pools.of(free_devices(devices, taken), specs, rules, host_cells=..., providers=...)
    verdict = pools.supports(requests, numa_cells=[0])
    verdict.broken.broken                           # the Stage that left too few devices
    providers_of(hostname, devices, specs, rules)   # what Placement is told
    groups_of(requests, rules)                      # what Placement is asked

What nova refuses is raised as SpecError, AliasError, RequestError or PlacementError, each with a
stable `kind` (its class's `kinds` has them all), the JSON `key` and a `reason`. `Rules` holds what
differs between releases. Nothing here reads a file or knows a host: what nova looks up in sysfs
comes in as `Sysfs`. `tests/differential` compares all of it with nova's own code;
docs/explanation/matching.md says how, and what is different on purpose.

files: rules, errors, device, words, pattern (which regular expressions are safe), fields, address,
spec, alias, request, pool, stages, pools, verdict, placement.
"""

from wholecard.nova.match.alias import Alias, parse_aliases
from wholecard.nova.match.device import Device, DeviceSysfs, Sysfs, devices_of, free_devices
from wholecard.nova.match.errors import (
    AliasError,
    MatchError,
    PlacementError,
    RequestError,
    SpecError,
)
from wholecard.nova.match.fields import ADDRESS_BOUNDS, Fields
from wholecard.nova.match.placement import (
    PciResourceProvider,
    RequestGroup,
    custom_name,
    groups_of,
    providers_of,
    resource_class_for,
    resource_class_of,
    traits_of,
)
from wholecard.nova.match.pools import Pools
from wholecard.nova.match.request import PciRequest, parse_request
from wholecard.nova.match.rules import Rules, rules_for
from wholecard.nova.match.spec import Mismatch, Spec, assign
from wholecard.nova.match.stages import HostCell
from wholecard.nova.match.verdict import STAGES, Stage, Verdict

__all__ = [
    "Rules", "rules_for",
    "Device", "devices_of", "free_devices", "Sysfs", "DeviceSysfs",
    "Spec", "Mismatch", "assign", "Fields", "ADDRESS_BOUNDS",
    "Alias", "parse_aliases", "PciRequest", "parse_request",
    "Pools", "HostCell", "Verdict", "Stage", "STAGES",
    "PciResourceProvider", "providers_of", "resource_class_of", "traits_of",
    "RequestGroup", "groups_of", "resource_class_for", "custom_name",
    "MatchError", "SpecError", "AliasError", "RequestError", "PlacementError",
]  # fmt: skip

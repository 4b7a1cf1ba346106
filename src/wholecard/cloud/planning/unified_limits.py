"""The plan of Keystone's limits, for a nova with `nova.quota.UnifiedLimitsDriver`. Pure.

What has no registered limit counts as a limit of 0 before 2025.1, and later where nova's
`unified_limits_resource_list` names it, `servers` by default (nova/limit/utils.py).
"""

from __future__ import annotations

from wholecard.cloud.operations.operation import values
from wholecard.cloud.operations.quotas import UNLIMITED, LimitPlace, RegisterLimit, SetLimit
from wholecard.cloud.planning.current import CurrentCloud
from wholecard.cloud.planning.desired import DesiredCloud, DesiredQuota
from wholecard.core import Action, Finding, Severity
from wholecard.core.capabilities import Capability, has

# nova's quota and the name under which Keystone limits it (nova/limit/placement.py).
RESOURCES = {"instances": "servers", "cores": "class:VCPU", "ram": "class:MEMORY_MB"}


def plan_limits(
    wanted: DesiredCloud, found: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    """Register what the site limits, without a limit for all others, and limit its projects."""
    place = found.limit_place
    if place is None:
        return
    wished = {
        quota.project: _wished(quota) for quota in wanted.quotas if quota.project in found.projects
    }
    named = {resource for each in wished.values() for resource in each}
    for resource in sorted(named - found.registered.keys()):
        actions.append(_register(resource, place))
    for project, limits in wished.items():
        now = {name: str(value) for name, value in found.limits.get(project, {}).items()}
        changes = values(now, limits)
        if changes:
            here = (project, found.projects[project], place.service, place.region)
            undo = "; ".join(
                f"the limit of {name} is {before} again" if before else f"no limit of {name}"
                for name, before, _ in changes
            )
            actions.append(
                Action(
                    "set limits",
                    project,
                    "the site limits it",
                    SetLimit(*here, changes),
                    undo,
                )
            )
    _missing(wanted, named | found.registered.keys(), findings)


def _wished(quota: DesiredQuota) -> dict[str, str | None]:
    """The limits of a project by Keystone's names."""
    return {
        **{RESOURCES[key]: str(value) for key, value in quota.values.items()},
        **{f"class:{name}": str(count) for name, count in quota.cards.items()},
    }


def _register(resource: str, place: LimitPlace) -> Action:
    do = RegisterLimit(resource, UNLIMITED, place.service, place.region)
    return Action(
        "register limit",
        resource,
        "a project's limit needs one; others stay without a limit (-1)",
        do,
        f"openstack registered limit delete ID  # that of {resource}",
    )


def _missing(wanted: DesiredCloud, registered: set[str], findings: list[Finding]) -> None:
    """WC335: what nova counts of the site's flavors and takes for a limit of 0."""
    counted = {"servers"}
    if not has(wanted.release, Capability.LENIENT_LIMITS):
        counted |= {"class:VCPU", "class:MEMORY_MB"}
        if any(flavor.disk_gb for flavor in wanted.flavors):
            counted.add("class:DISK_GB")
        policies = {flavor.extra_specs.get("hw:cpu_policy") for flavor in wanted.flavors}
        if policies & {"dedicated", "mixed"}:
            counted.add("class:PCPU")
    for resource in sorted(counted - registered):
        findings.append(
            Finding(
                "WC335",
                resource,
                Severity.ERROR,
                "Keystone has no registered limit of it for nova, and nova takes that for a limit "
                "of 0: no server starts.",
                "Register it, -1 for no limit:\n"
                "  openstack registered limit create --service nova --region REGION "
                f"--default-limit -1 {resource}",
            )
        )

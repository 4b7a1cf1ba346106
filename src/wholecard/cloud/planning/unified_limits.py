"""The plan of Keystone's limits, for a nova with `nova.quota.UnifiedLimitsDriver`. Pure.

What has no registered limit counts as a limit of 0 before 2025.1, and later where nova's
`unified_limits_resource_list` names it, `servers` by default (nova/limit/utils.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wholecard.cloud.operations.operation import values
from wholecard.cloud.operations.quotas import UNLIMITED, LimitPlace, RegisterLimit, SetLimit
from wholecard.cloud.planning.current import CurrentCloud
from wholecard.cloud.planning.desired import DesiredCloud, DesiredQuota
from wholecard.core import Action, Finding, Severity
from wholecard.core.capabilities import Capability, has

# nova's quota and the name under which Keystone limits it (nova/limit/placement.py).
RESOURCES = {"instances": "servers", "cores": "class:VCPU", "ram": "class:MEMORY_MB"}


def plan_limits(
    desired: DesiredCloud, current: CurrentCloud, actions: list[Action], findings: list[Finding]
) -> None:
    """Register what the site limits, without a limit for all others, and limit its projects."""
    place = current.limit_place
    if place is None:
        return
    by_project = {
        quota.project: _limits(quota)
        for quota in desired.quotas
        if quota.project in current.projects
    }
    resources = {resource for limits in by_project.values() for resource in limits}
    actions += _registrations(sorted(resources - current.registered.keys()), place)
    for project, limits in by_project.items():
        own = current.limits.get(project, {})
        changes = values({name: str(value) for name, value in own.items()}, limits)
        if changes:
            keystone = (project, current.projects[project], place.service, place.region)
            undo = "; ".join(_undo_text(name, before) for name, before, _ in changes)
            reason = "the site limits it"
            operation = SetLimit(*keystone, changes)
            actions.append(Action("set limits", project, reason, operation, undo))
    findings += _missing(desired, resources | current.registered.keys())


def _registrations(resources: Iterable[str], place: LimitPlace) -> Iterator[Action]:
    """The registered limits that Keystone needs before it accepts a project's limit."""
    for resource in resources:
        register = RegisterLimit(resource, UNLIMITED, place.service, place.region)
        reason = "a project's limit needs one; other projects have no limit (-1)"
        undo = f"openstack registered limit delete ID  # that of {resource}"
        yield Action("register limit", resource, reason, register, undo)


def _undo_text(name: str, before: str | None) -> str:
    return f"the limit of {name} is {before} again" if before else f"no limit of {name}"


def _limits(quota: DesiredQuota) -> dict[str, str | None]:
    """The limits of a project by Keystone's names."""
    return {
        **{RESOURCES[key]: str(value) for key, value in quota.values.items()},
        **{f"class:{name}": str(count) for name, count in quota.cards.items()},
    }


def _missing(desired: DesiredCloud, registered: set[str]) -> Iterator[Finding]:
    """WC335: what nova counts of the site's flavors, and takes as a limit of 0."""
    counted = {"servers"}
    if not has(desired.release, Capability.LENIENT_LIMITS):
        counted |= {"class:VCPU", "class:MEMORY_MB"}
        if any(flavor.disk_gb for flavor in desired.flavors):
            counted.add("class:DISK_GB")
        policies = {flavor.extra_specs.get("hw:cpu_policy") for flavor in desired.flavors}
        if policies & {"dedicated", "mixed"}:
            counted.add("class:PCPU")
    for resource in sorted(counted - registered):
        yield Finding(
            "WC335",
            resource,
            Severity.ERROR,
            "Keystone has no registered limit of it for nova, so the limit is 0: no server that "
            "uses it starts.",
            "Register a limit; -1 means no limit:\n  openstack registered limit create --service "
            "nova "
            f"--region REGION --default-limit -1 {resource}",
        )

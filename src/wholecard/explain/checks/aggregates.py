"""Whether the host's aggregates take the request: by the flavor's keys, and by traits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

from wholecard.core.capabilities import Capability, has
from wholecard.explain.check_result import CheckResult, failed, unknown
from wholecard.explain.checks.host_case import HostCase
from wholecard.explain.evidence.conf_values import items, other
from wholecard.explain.evidence.evidence import HostAggregate
from wholecard.nova.conf.service_conf import as_boolean

_FILTER = "AggregateInstanceExtraSpecsFilter"
_SCOPE = "aggregate_instance_extra_specs"
_ISOLATION = "enable_isolated_aggregate_filtering"
_TRAIT = "trait:"
_OF_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "<in>": operator.contains,
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}
# A single = means at least.
_OF_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}


def matches(value: str, requested: str) -> bool:
    """Whether an aggregate's value fits the flavor's, which may begin with an operator.

    nova, nova/scheduler/filters/extra_specs_ops.py, `match`. Where nova fails, over a word that
    is no number or `<or>` alone, the answer is no: the server ends in ERROR.
    """
    operation, *words = requested.split() or [""]
    if operation == "<or>":
        return value in words[::2]
    if operation == "<all-in>":
        return bool(words) and all(word in value for word in words)
    if operation in _OF_TEXT:
        return bool(words) and _OF_TEXT[operation](value, words[0])
    if operation in _OF_NUMBERS:
        return bool(words) and _compared(_OF_NUMBERS[operation], value, words[0])
    return value == requested


def _compared(compare: Callable[[float, float], bool], value: str, requested: str) -> bool:
    try:
        return compare(float(value), float(requested))
    except ValueError:
        return False


def unmet(aggregates: Iterable[HostAggregate], specs: Mapping[str, str]) -> tuple[str, str] | None:
    """The first extra spec about aggregates, key and value, that those of a host do not meet.

    nova, nova/scheduler/filters/aggregate_instance_extra_specs.py: keys of the scope, and those
    without any. An aggregate's value is a list with commas (nova/scheduler/filters/utils.py).
    """
    metadata: dict[str, set[str]] = {}
    for aggregate in aggregates:
        for key, value in aggregate.metadata.items():
            metadata.setdefault(key, set()).update(part.strip() for part in value.split(","))
    for spec, requested in specs.items():
        scope, colon, name = spec.partition(":")
        if colon and scope != _SCOPE:
            continue
        key = name if colon else spec
        if not any(matches(value, str(requested)) for value in metadata.get(key, ())):
            return key, str(requested)
    return None


def isolated(
    aggregates: Iterable[HostAggregate], traits: frozenset[str]
) -> tuple[HostAggregate, str] | None:
    """The first aggregate that is reserved for requests with a trait that is not among these.

    nova, nova/scheduler/request_filter.py, `isolate_aggregates` (Train).
    """
    for aggregate in aggregates:
        for key, value in aggregate.metadata.items():
            trait = key.removeprefix(_TRAIT)
            if trait != key and value == "required" and trait not in traits:
                return aggregate, trait
    return None


def by_keys(case: HostCase) -> CheckResult | None:
    """How the host's aggregates keep the request out by their metadata, or may; None if not."""
    request, host, conf = case.evidence.request, case.host, case.evidence.scheduler
    enabled = items(conf, "enabled_filters", case.evidence.release) if conf else None
    if conf and (not enabled or _FILTER not in enabled[0]):
        return None
    specs = request.extra_specs
    if not enabled:
        # Whether the filter is on is not known, and a key without its scope may be for others.
        specs = {key: value for key, value in specs.items() if key.startswith(f"{_SCOPE}:")}
    missing = unmet(host.aggregates or (), specs)
    if missing is None:
        return None
    spec = "{}={}".format(*missing)
    if not enabled:
        return unknown(f"whether {_FILTER} is enabled, with which the flavor requests {spec}",
                       "--conf scheduler=FILE")  # fmt: skip
    if host.aggregates is None:
        return unknown(f"its aggregates are not known; the flavor requests one with {spec}",
                       "--cloud NAME", enabled[1])  # fmt: skip
    return failed(
        "WC326",
        f"{host.name} is in no aggregate with {spec}, which the flavor {request.flavor_text} "
        "requests.",
        "Add the host to such an aggregate:\n    openstack aggregate add host AGGREGATE "
        f"{host.name}",
        enabled[1],
    )


def by_traits(case: HostCase, required: frozenset[str]) -> CheckResult | None:
    """How they do by the traits that they are reserved for; None if not.

    `required` are the traits that the request needs of any provider.
    """
    request, host, conf = case.evidence.request, case.host, case.evidence.scheduler
    if not has(case.evidence.release, Capability.ISOLATED_AGGREGATES):
        return None
    setting = other(conf, "scheduler", _ISOLATION) if conf else None
    if conf and not (setting and as_boolean(setting.text)):
        return None
    if setting and host.aggregates is None:
        return unknown("its aggregates are not known; nova checks their traits",
                       "--cloud NAME", setting.position)  # fmt: skip
    isolation = isolated(host.aggregates or (), required)
    if isolation is None:
        return None
    aggregate, trait = isolation
    if setting is None:
        return unknown(
            f"whether nova reserves the aggregate {aggregate.name} for requests with {trait}; "
            "this request does not have it",
            f"--conf scheduler=FILE ([scheduler] {_ISOLATION})",
        )
    return failed(
        "WC326",
        f"{host.name} is in the aggregate {aggregate.name}, which is reserved for requests with "
        f"the trait {trait}; the flavor {request.flavor_text} does not request it.",
        f"openstack flavor set {request.flavor_argument} --property {_TRAIT}{trait}=required",
        setting.position,
    )

"""Whether the host's aggregates let the request in: by the flavor's keys, and by traits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

from wholecard.core.capabilities import Capability, has
from wholecard.explain.evidence.conf_values import items, other
from wholecard.explain.evidence.evidence import Aggregate, Evidence, HostEvidence
from wholecard.explain.link import CheckResult, broken, unknown
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


def matches(value: str, wish: str) -> bool:
    """Whether an aggregate's value is what a flavor's wish, with or without an operator, takes.

    nova, nova/scheduler/filters/extra_specs_ops.py, `match`. Where nova stumbles, over a word that
    is no number or `<or>` alone, the answer is no: the server ends in an error.
    """
    words = wish.split()
    sign, words = (words[0], words[1:]) if words else ("", [])
    if sign == "<or>":
        return value in words[::2]
    if sign == "<all-in>":
        return bool(words) and all(word in value for word in words)
    if sign in _OF_TEXT:
        return bool(words) and _OF_TEXT[sign](value, words[0])
    if sign in _OF_NUMBERS:
        try:
            return bool(words) and _OF_NUMBERS[sign](float(value), float(words[0]))
        except ValueError:
            return False
    return value == wish


def unmet(aggregates: Iterable[Aggregate], specs: Mapping[str, str]) -> tuple[str, str] | None:
    """The first wish for aggregates, key and value, that those of a host do not fulfil.

    nova, nova/scheduler/filters/aggregate_instance_extra_specs.py: keys of the scope, and those
    without any. An aggregate's value is a list with commas (nova/scheduler/filters/utils.py).
    """
    there: dict[str, set[str]] = {}
    for aggregate in aggregates:
        for key, value in aggregate.metadata.items():
            there.setdefault(key, set()).update(each.strip() for each in value.split(","))
    for key, wish in specs.items():
        scope, colon, name = key.partition(":")
        if colon and scope != _SCOPE:
            continue
        word = name if colon else key
        if not any(matches(value, str(wish)) for value in there.get(word, ())):
            return word, str(wish)
    return None


def isolated(
    aggregates: Iterable[Aggregate], traits: frozenset[str]
) -> tuple[Aggregate, str] | None:
    """The first aggregate that is kept for requests with a trait that is not among these.

    nova, nova/scheduler/request_filter.py, `isolate_aggregates` (Train).
    """
    for aggregate in aggregates:
        for key, value in aggregate.metadata.items():
            trait = key.removeprefix(_TRAIT)
            if trait != key and value == "required" and trait not in traits:
                return aggregate, trait
    return None


def aggregates_link(
    name: str, evidence: Evidence, host: HostEvidence, required: frozenset[str]
) -> CheckResult | None:
    """What of the host's aggregates stands against the request; None where nothing does.

    `required` are the traits that the request needs of anything.
    """
    return _by_keys(name, evidence, host) or _by_traits(name, evidence, host, required)


def _by_keys(name: str, evidence: Evidence, host: HostEvidence) -> CheckResult | None:
    request, conf = evidence.request, evidence.scheduler
    found = items(conf, "enabled_filters", evidence.release) if conf else None
    if conf and (not found or _FILTER not in found[0]):
        return None
    specs = request.extra_specs
    if not found:
        # Without the filter's scope a key may be there for anybody.
        specs = {key: value for key, value in specs.items() if key.startswith(f"{_SCOPE}:")}
    missing = unmet(host.aggregates or (), specs)
    if missing is None:
        return None
    says = "{}={}".format(*missing)
    if not found:
        return unknown(name, f"whether {_FILTER} is enabled, by which the flavor wants {says}",
                       "--scheduler-conf FILE")  # fmt: skip
    if host.aggregates is None:
        return unknown(name, f"its aggregates are not known, the flavor wants one with {says}",
                       "--cloud NAME", found[1])  # fmt: skip
    return broken(
        name, "WC326",
        f"{host.name} is in no aggregate with {says}, which the flavor {request.flavor_said} asks "
        "for.",
        f"Add the host to such an aggregate:\n    openstack aggregate add host AGGREGATE "
        f"{host.name}",
        found[1],
    )  # fmt: skip


def _by_traits(
    name: str, evidence: Evidence, host: HostEvidence, required: frozenset[str]
) -> CheckResult | None:
    conf = evidence.scheduler
    setting = other(conf, "scheduler", _ISOLATION) if conf else None
    on = bool(setting and as_boolean(setting.text))
    if not has(evidence.release, Capability.ISOLATED_AGGREGATES) or (conf and not on):
        return None
    if setting and host.aggregates is None:
        return unknown(name, "its aggregates are not known, and nova looks at their traits",
                       "--cloud NAME", setting.where)  # fmt: skip
    kept = isolated(host.aggregates or (), required)
    if kept is None:
        return None
    aggregate, trait = kept
    if setting is None:
        return unknown(
            name,
            f"whether nova keeps the aggregate {aggregate.name} for requests with {trait}, which "
            "this one is not",
            f"--scheduler-conf FILE ([scheduler] {_ISOLATION})",
        )
    return broken(
        name, "WC326",
        f"{host.name} is in the aggregate {aggregate.name}, which is kept for requests with the "
        f"trait {trait}; the flavor {evidence.request.flavor_said} does not ask for it.",
        f"openstack flavor set {evidence.request.flavor_typed} --property {_TRAIT}{trait}=required",
        setting.where,
    )  # fmt: skip

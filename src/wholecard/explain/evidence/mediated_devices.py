"""What a flavor asks for of mediated devices, by its resource classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wholecard.explain.evidence.evidence import Evidence
from wholecard.explain.evidence.requested_devices import EXTRA_SPEC
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.nova.match.mdevs import VGPU

_CLASS = re.compile(rf"{VGPU}|CUSTOM_\w+")


@dataclass(frozen=True)
class MdevDemand:
    """An amount of a class from one parent, with these traits; `key` is the extra spec's."""

    key: str
    resource_class: str
    amount: int
    traits: frozenset[str] = frozenset()


def asks_for_mdevs(extra_specs: Mapping[str, str]) -> bool:
    """Whether a flavor asks for mediated devices, and for no device by an alias.

    A custom class may be anything; without an alias, mediated devices are what nova has of them.
    """
    if extra_specs.get(EXTRA_SPEC):
        return False
    keys = (key.partition(":") for key in extra_specs)
    return any(
        start.startswith("resources") and _CLASS.fullmatch(name) is not None
        for start, _, name in keys
    )


def mdev_demands(evidence: Evidence) -> tuple[MdevDemand, ...]:
    """The demands for mediated devices; none where nova refuses the flavor."""
    try:
        request = resource_request(evidence.request, evidence.release, False)
    except LayoutError:
        return ()
    groups = {"": request.machine, **request.groups}
    return tuple(
        # Traits of the group without a number may be at any provider of the host.
        MdevDemand(
            f"resources{suffix}:{name}", name, amount, group.required if suffix else frozenset()
        )
        for suffix, group in groups.items()
        for name, amount in group.resources.items()
        if _CLASS.fullmatch(name)
    )

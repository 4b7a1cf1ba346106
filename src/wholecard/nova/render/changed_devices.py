"""What a changed device_spec does to servers that have its devices. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wholecard.core.releases import Release
from wholecard.nova.conf.oslo_values import Values
from wholecard.nova.known_bugs import by_bug
from wholecard.nova.match.placement import resource_class_for
from wholecard.nova.options import by_name
from wholecard.nova.render.option_change import OptionChange, as_json, parsed

# The keys of a device_spec that select devices; the others are tags.
_MATCHING = frozenset({"vendor_id", "product_id", "address", "devname"})


def device_warnings(
    changes: Iterable[OptionChange], after: Values, release: Release
) -> Iterator[str]:
    """What a changed device_spec does to servers that have its devices.

    `after` are the values of the service's files with the new one.
    """
    by_option = {change.option.name: change for change in changes}
    specs = by_option.get("device_spec")
    if specs is None:
        return
    reports = by_name("report_in_placement")
    is_reported = parsed(reports, after.get(reports, ())) == [True]
    left, before = list(_device_specs(specs.new)), list(_device_specs(specs.old))
    removed = [spec for spec in before if not any(_covers(new, spec) for new in left)]
    texts = list(_removed(removed, is_reported, release))
    if is_reported and reports.name not in by_option:
        texts += _other_classes(before, left)
    yield from (f"{specs.name}: {text}" for text in texts)


def _removed(removed: Sequence[object], is_reported: bool, release: Release) -> Iterator[str]:
    """device_specs that are removed.

    nova, nova/pci/manager.py, `_set_hvdevs`: since Stein it keeps a device that is held, with a
    warning each minute, until the server is gone.
    """
    if not removed:
        return
    yield (
        f"{'; '.join(map(json.dumps, removed))} {'is' if len(removed) == 1 else 'are'} removed: no "
        "server may have a device that no device_spec matches. Remove the servers from those cards "
        "before you restart nova-compute"
    )
    yield from _bugs_at_removal(is_reported, release)


def _other_classes(before: Iterable[object], left: Iterable[object]) -> Iterator[str]:
    """device_specs whose devices nova-compute would report under another resource class.

    It writes the new class beside the old one into the servers' allocations, Placement refuses
    that (409), and nova-compute ends: nova/compute/pci_placement_translator.py,
    PciResourceProvider.update_allocations; nova/compute/manager.py (ReshapeFailed). Seen with real
    nova 34 and Placement.
    """
    for old in before:
        covering = [new for new in left if isinstance(new, Mapping) and _covers(new, old)]
        if not covering or not isinstance(old, Mapping):
            continue
        # nova takes the first one that matches.
        was, will = _class_of(old), _class_of(covering[0])
        if was != will:
            yield (
                f"{json.dumps(old)} gets another resource class ({was or 'of its ids'}, then "
                f"{will or 'of its ids'}): no server may have one of its devices, or nova-compute "
                "does not start (ReshapeFailed). Move or delete those servers before you restart it"
            )


def _class_of(spec: Mapping[str, Any]) -> str:
    """The class that the tag names, in Placement's spelling; empty for the one of the ids."""
    tag = spec.get("resource_class")
    if not tag or not isinstance(tag, str):
        return ""
    vendor, product = (str(spec.get(key, "")) for key in ("vendor_id", "product_id"))
    found = resource_class_for(tag, vendor, product)
    return "" if found == resource_class_for(None, vendor, product) else found


def _bugs_at_removal(is_reported: bool, release: Release) -> Iterator[str]:
    """nova's bugs that a device_spec meets when it is removed."""
    for bug in map(by_bug, (1633120, 2115905, 2115729) if is_reported else (1633120, 2115729)):
        if bug.is_in(release.nova):
            yield f"nova of {release} has the bug {bug.bug} ({bug.link}): {bug.what}. {bug.do}"


def _device_specs(values: Iterable[str]) -> Iterable[object]:
    """The objects of device_spec: a value is one, or a list of them."""
    for value in map(as_json, values):
        yield from value if isinstance(value, list) else (value,)


def _covers(spec: object, other: object) -> bool:
    """Whether a device_spec gives all that another gives, as far as their texts show."""
    if not isinstance(spec, Mapping) or not isinstance(other, Mapping):
        return spec == other
    return all(
        key in other and _folded(spec[key]) == _folded(other[key])
        for key in _MATCHING & spec.keys()
        if spec[key] != "*"
    )


def _folded(value: object) -> object:
    return value.lower() if isinstance(value, str) else value

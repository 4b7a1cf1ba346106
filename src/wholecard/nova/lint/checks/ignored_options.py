"""Options that nova passes over, and what would be wrong with them were they to count.

A right name makes such an option count for the first time, perhaps after years: what nova refuses
in it then keeps a service from starting, and cards may be given that nobody meant to give. So its
value is looked at under the right name before the mend is called certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from wholecard.nova.conf.conf_file import ConfEntry, ConfFile
from wholecard.nova.conf.service_conf import NovaConf, as_boolean
from wholecard.nova.lint.checks import alias, device_spec, filters, inventory
from wholecard.nova.lint.diagnostic import Diagnostic
from wholecard.nova.lint.service import LONGEST_VALUE, Service
from wholecard.nova.options import Option, Spelling

Check = Callable[[Service], Iterator[Diagnostic]]

_OF_JSON: tuple[Check, ...] = (device_spec.check_json, device_spec.check_form)
_OF_A_SPEC: tuple[Check, ...] = (
    device_spec.check_keys, device_spec.check_refused, device_spec.check_prefixes,
    device_spec.check_everything, inventory.check_ids, inventory.check_nothing,
    inventory.check_host_own, inventory.check_companions,
    inventory.check_reported, inventory.check_drivers,
)  # fmt: skip
_OF_AN_ALIAS: tuple[Check, ...] = (
    alias.check_aliases, alias.check_agreement, inventory.check_ids,
)  # fmt: skip
_CHECKS: dict[str, tuple[Check, ...]] = {
    "device_spec": (*_OF_JSON, *_OF_A_SPEC),
    "alias": (*_OF_JSON, *_OF_AN_ALIAS),
    "enabled_filters": (filters.check_filter_names, filters.check_standard_filters),
    "available_filters": (filters.check_available,),
}
# Switches of the whole cloud; a host that has reported once refuses to start without it.
_SWITCHES = {
    "report_in_placement": "it cannot be taken back on a host that has reported once",
    "pci_in_placement": "every compute has to report its cards before",
}


def text_of(entry: ConfEntry) -> str:
    """What stands in the file behind an entry's name, with its sign and all its lines."""
    first, *more = entry.lines
    begin = first.find(entry.name) + len(entry.name)
    return "\n".join([first[begin:], *more])


def objection(service: Service, option: Option, right: Spelling, text: str) -> str:
    """Why an option may not simply begin to count as `right`; empty where it may.

    `text` is what stands behind its name: `= VALUE`, and lines that go on.
    """
    if option.name in _SWITCHES:
        return _SWITCHES[option.name]
    if option.kind != "multi" and service.effective(option.name).is_set:
        return f"{right} is set already"
    if "$" in text or len(text) > LONGEST_VALUE:
        return "it has to be looked at"
    return _of_value(service, option, _alone(service, right, text))


def _of_value(service: Service, option: Option, made: Service) -> str:
    """What is wrong with an option's value in `made`, where it stands under its right name."""
    values = [entry.value for file in made.conf.files for entry in file.entries]
    if values and (wrong := wrong_type(option, values[0])):
        return f"it has to be {wrong}"
    if option.name == "alias" and _names(made) & _names(service):
        return "an alias of that name is there already"
    found = (found for check in _CHECKS.get(option.name, ()) for found in check(made))
    return next((f"{each.finding.rule}, {each.finding.message}" for each in found), "")


def _names(service: Service) -> set[str]:
    return {alias.name for alias in service.aliases}


def _alone(service: Service, right: Spelling, text: str) -> Service:
    """A service of which nothing is known but this option, and how it uses Placement."""
    lines = [f"[{right.section}]", f"{right.name}{text}"]
    if service.rules.report_in_placement:
        lines += ["[pci]", "report_in_placement = true"]
    if service.rules.pci_in_placement:
        lines += ["[filter_scheduler]", "pci_in_placement = true"]
    data = "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")
    return Service(NovaConf((ConfFile.parse(data),)), service.release, None, service.facts)


def wrong_type(option: Option, value: str) -> str:
    """What a value has to be and is not; empty where it is right."""
    if option.kind == "boolean" and as_boolean(value) is None:
        return "true or false"
    if option.kind == "integer" and not re.fullmatch(r"\s*[-+]?\d+\s*", value):
        return "a whole number"
    if option.kind == "real" and not re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)\s*", value):
        return "a number"
    return ""

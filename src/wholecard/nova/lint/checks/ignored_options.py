"""Options that nova ignores, and what would be wrong with them if they counted.

A right name makes such an option count for the first time, perhaps after years: what nova refuses
in it then prevents a service from starting, and cards may be given that nobody meant to give. So
its value is checked under the right name before the edit is called certain.
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
    "report_in_placement": "it cannot be turned off again on a host that has reported once",
    "pci_in_placement": "every nova-compute has to report its cards first",
}


def text_of(entry: ConfEntry) -> str:
    """The text of an entry behind its name, with the sign and all lines."""
    first, *more = entry.lines
    begin = first.find(entry.name) + len(entry.name)
    return "\n".join([first[begin:], *more])


def objection(service: Service, option: Option, right: Spelling, text: str) -> str:
    """Why an option may not simply begin to count as `right`; empty where it may.

    `text` is what follows its name: `= VALUE`, and continuation lines.
    """
    if option.name in _SWITCHES:
        return _SWITCHES[option.name]
    if option.kind != "multi" and service.effective(option.name).is_set:
        return f"{right} is set already"
    if "$" in text or len(text) > LONGEST_VALUE:
        return "check its value first"
    return _of_value(service, option, _alone(service, right, text))


def _of_value(service: Service, option: Option, alone: Service) -> str:
    """What is wrong with an option's value in `alone`, which has it under its right name."""
    values = [entry.value for file in alone.conf.files for entry in file.entries]
    if values and (wrong := wrong_type(option, values[0])):
        return f"its value has to be {wrong}"
    if option.name == "alias" and _names(alone) & _names(service):
        return "an alias of that name exists already"
    diagnostics = (one for check in _CHECKS.get(option.name, ()) for one in check(alone))
    return next((f"{one.finding.rule}, {one.finding.message}" for one in diagnostics), "")


def _names(service: Service) -> set[str]:
    return {alias.name for alias in service.aliases}


def _alone(service: Service, right: Spelling, text: str) -> Service:
    """A service with nothing but this option, and the same use of Placement."""
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

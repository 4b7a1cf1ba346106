"""`device_spec` by itself: JSON, keys, ids, addresses, and what nova refuses of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from wholecard.core import Severity
from wholecard.core.near_names import NearNames
from wholecard.core.position import Position
from wholecard.nova.lint.broken_values import Broken, broken
from wholecard.nova.lint.diagnostic import (
    ERROR,
    WARNING,
    Diagnostic,
    Spot,
    TextEdit,
    entry_diagnostic,
    listed,
)
from wholecard.nova.lint.json_positions import Diagnosis, Path
from wholecard.nova.lint.option_spelling import series
from wholecard.nova.lint.service import MOST_STEPS, ReadSpec, Service, Value
from wholecard.nova.match import ADDRESS_BOUNDS, SpecError
from wholecard.nova.options import ALIAS_KEYS, DEVICE_SPEC_KEYS

_KEYS = {"device_spec": DEVICE_SPEC_KEYS, "alias": ALIAS_KEYS}
_UNKNOWN_KEY = {
    "device_spec": (
        "nova has no key {}: it takes it as a tag, and does not choose devices by it", WARNING),
    "alias": ("aliases have no key {}: nova refuses every alias because of it", ERROR),
}  # fmt: skip
_NEAR_KEYS = {
    "device_spec": NearNames([*DEVICE_SPEC_KEYS, "dev_type"]),
    "alias": NearNames(ALIAS_KEYS),
}
_NEAR_FIELDS = NearNames(ADDRESS_BOUNDS)
# What people write instead of a key, where letters alone do not tell.
_MEANT = {
    "vendor": "vendor_id", "product": "product_id", "device_id": "product_id",
    "device": "product_id", "pci_address": "address", "class": "resource_class",
    "rc": "resource_class", "trait": "traits", "type": "device_type", "dev_type": "device_type",
    "numa": "numa_policy", "func": "function", "dev": "devname", "physnet": "physical_network",
}  # fmt: skip
# Those of them that can mean nothing else.
_CERTAIN = frozenset({"vendor", "product", "device_id", "pci_address", "dev_type", "func"})

_HIGHEST = ", ".join(f"{name} {largest:x}" for name, (largest, _) in ADDRESS_BOUNDS.items())
_RULES = {
    "not-an-object": "WC218", "item-not-an-object": "WC218", "id-not-text": "WC222",
    "bad-id": "WC222", "id-too-large": "WC222", "bad-address": "WC223", "too-many-fields": "WC223",
    "field-not-hex": "WC223", "regex-unsupported": "WC223", "regex-not-text": "WC223",
    "bad-regex": "WC223", "field-too-large": "WC224", "dangerous-regex": "WC225",
    "address-and-devname": "WC227", "bad-boolean": "WC227", "remote-managed-absent": "WC227",
    "remote-managed-pf": "WC227", "one-time-use-needs-placement": "WC228",
}  # fmt: skip
_FIXES = {
    "WC218": "Write an object: {\"vendor_id\": \"10de\", \"product_id\": \"2330\"}",
    "WC222": "Write four hexadecimal digits in double quotes, as lspci -nn prints them.",
    "WC223": "Write the address as lspci -D prints it, and * for a field that may be anything.",
    "WC224": f"The highest values are: {_HIGHEST}.",
    "WC225": "Write a character class, as [0-7], or a glob: 0000:41:*.0",
    "WC227": "",
    "WC228": "Set [pci] report_in_placement = true on every compute.",
}  # fmt: skip


def check_json(service: Service) -> Iterator[Diagnostic]:
    """Values that are not JSON, and objects in which a key comes twice."""
    # By identity: two lines may have equal entries.
    goes_on = {id(value.entry): value for value in broken(service)}
    for name in ("device_spec", "alias"):
        for value in service.values(name):
            if id(value.entry) in goes_on:
                yield _broken_off(goes_on[id(value.entry)])
            elif value.wrong:
                yield _not_json(value, value.wrong)
            for twice in value.twice if value.is_own_text else ():
                yield entry_diagnostic(
                    "WC219", WARNING, value.spot(*twice.key),
                    f"the object has {twice.path[-1]} twice: nova takes the last",
                    "Delete one of them.",
                )  # fmt: skip


def _broken_off(value: Broken) -> Diagnostic:
    """A value that goes on where nova has ended it."""
    entry, line = value.entry, value.entry.file.lines[value.first - 1]
    blanks = len(line) - len(line.lstrip())
    effect = (
        f"oslo.config stops at line {value.stop}, and no service that reads the file starts"
        if value.stop
        else f"nova refuses every {entry.name} because of it"
    )
    diagnostic = entry_diagnostic(
        "WC217", ERROR, entry,
        f"the object that begins on line {entry.line} goes on here: only indented lines continue a "
        f"value, and an empty line or a comment ends it: {effect}",
        value.fix,
    )  # fmt: skip
    return replace(diagnostic, position=Position(value.first, blanks + 1), length=1, shown=line)


def _not_json(value: Value, wrong: Diagnosis) -> Diagnostic:
    edits: list[TextEdit] = []
    if value.is_own_text:
        edits = [value.spot(edit.start, edit.end).edit(edit.text) for edit in wrong.edits]
    return entry_diagnostic(
        "WC217", ERROR, value.spot(wrong.offset, wrong.offset + 1),
        f"the value is not JSON: {wrong.message}. nova refuses every {value.entry.name} because of "
        "it",
        wrong.fix or "Write an object with double quotes around keys and values.", edits,
    )  # fmt: skip


def check_form(service: Service) -> Iterator[Diagnostic]:
    """Values that are JSON and no object."""
    for value in service.values("device_spec"):
        for path, item in value.items() if not value.wrong else ():
            if not isinstance(item, dict):
                yield _no_object(value, path, "an object or a list of objects")
    for value in service.values("alias"):
        if not value.wrong and not isinstance(value.data, dict):
            yield _no_object(value, (), "one object; each alias has a line of its own")


def _no_object(value: Value, path: Path, needed: str) -> Diagnostic:
    return entry_diagnostic(
        "WC218", ERROR, Spot(value.entry, value.at_value(path).offset, 1),
        f"the value has to be {needed}", _FIXES["WC218"],
    )  # fmt: skip


def check_keys(service: Service) -> Iterator[Diagnostic]:
    """Keys of a device_spec that nova does not know and takes as tags."""
    for spec in service.specs:
        for key in spec.conf:
            since = DEVICE_SPEC_KEYS.get(key)
            if since is None:
                yield unknown_key("device_spec", spec.value, (*spec.path, key), spec.conf)
            elif since > service.major:
                yield early_key(service, spec.value, (*spec.path, key), since, WARNING)
        address = spec.conf.get("address")
        if isinstance(address, dict):
            for key in address:
                if key not in ADDRESS_BOUNDS:
                    yield _unknown_field(spec, key, address)


def unknown_key(option: str, value: Value, path: Path, conf: dict[str, object]) -> Diagnostic:
    """A key that the option's objects do not have, with the one that is probably meant."""
    key = str(path[-1])
    known = _KEYS[option]
    right = _key_meant(key, _NEAR_KEYS[option], known, conf)
    is_certain = key.lower() in _CERTAIN or _NEAR_KEYS[option].same(key) == right
    message, severity = _UNKNOWN_KEY[option]
    return entry_diagnostic(
        "WC220", severity, value.at_key(path), message.format(_shown(key)),
        f"Write {right}." if right else f"Valid keys are {', '.join(known)}.",
        value.renamed(path, right) if right and is_certain else (),
    )  # fmt: skip


def _key_meant(
    key: str, near: NearNames, known: Collection[str], conf: Mapping[str, object]
) -> str | None:
    """The key that an unknown one means; None where it is not known, or is set as well."""
    right = near.same(key) or _MEANT.get(key.lower()) or near.near(key)
    return right if right in known and right not in conf else None


def _shown(key: str) -> str:
    return repr(key) if len(key) <= 64 else "this name"


def early_key(
    service: Service, value: Value, path: Path, since: int, severity: Severity
) -> Diagnostic:
    """A key that a later release introduces."""
    consequence = (
        "it is a tag that has no effect" if severity is WARNING else "nova refuses every alias"
    )
    return entry_diagnostic(
        "WC221", severity, value.at_key(path),
        f"nova has {path[-1]} since {series(since)}; in {service.release} {consequence}",
        "Delete the key, or upgrade.",
    )  # fmt: skip


def _unknown_field(spec: ReadSpec, key: str, address: dict[str, object]) -> Diagnostic:
    right = _key_meant(key, _NEAR_FIELDS, ADDRESS_BOUNDS, address)
    path = (*spec.path, "address", key)
    return entry_diagnostic(
        "WC220", WARNING, spec.value.at_key(path),
        f"an address has no field {_shown(key)}: nova ignores it, and that part of the address may "
        "be anything",
        f"Write {right}." if right else f"Valid fields are {', '.join(ADDRESS_BOUNDS)}.",
        spec.value.renamed(path, right) if right else (),
    )  # fmt: skip


def check_refused(service: Service) -> Iterator[Diagnostic]:
    """What nova refuses of a device_spec: nova-compute does not start."""
    for spec in service.specs:
        if spec.error is not None:
            yield _refused(spec, spec.error)


def _refused(spec: ReadSpec, error: SpecError) -> Diagnostic:
    value = spec.value
    path = (*spec.path, *error.key.split(".")) if error.key else spec.path
    rule = _RULES.get(error.kind, "WC227")
    return entry_diagnostic(
        rule, ERROR, value.at_value(path), f"{_short(error.reason)}: nova-compute does not start",
        _FIXES.get(rule, ""),
    )  # fmt: skip


def _short(text: str, most: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}…"


def check_prefixes(service: Service) -> Iterator[Diagnostic]:
    """Regular expressions that match by their beginning (nova, devspec.py: `re.match`)."""
    for spec in service.specs:
        address = spec.spec.address if spec.spec else None
        if address is None or not address.patterns or spec.steps > MOST_STEPS:
            continue
        for name, pattern in zip(ADDRESS_BOUNDS, address.patterns, strict=True):
            more = _more_than_whole(name, pattern) if name in spec.conf["address"] else []
            if more:
                yield entry_diagnostic(
                    "WC226", WARNING, spec.value.at_value((*spec.path, "address", name)),
                    f"nova compares the beginning only: this {name} also matches "
                    f"{listed(more, 3)}",
                    "Write $$ at its end, which is a plain $ to nova, or all digits.",
                )  # fmt: skip


# Every value of a field; of domains those that machines have.
_DOMAINS = (*range(32), 0x1000, 0x1001, 0x8000, ADDRESS_BOUNDS["domain"][0])
_VALUES = {
    name: [
        f"{number:0{digits}x}" for number in (_DOMAINS if name == "domain" else range(largest + 1))
    ]
    for name, (largest, digits) in ADDRESS_BOUNDS.items()
}


def _more_than_whole(name: str, pattern: re.Pattern[str]) -> list[str]:
    """The values that it takes by their beginning alone."""
    return [
        value for value in _VALUES[name] if pattern.match(value) and not pattern.fullmatch(value)
    ]


def check_everything(service: Service) -> Iterator[Diagnostic]:
    """A device_spec without ids and address, which matches every device of the host."""
    for read in service.specs:
        spec = read.spec
        if spec is None or spec.devname or spec.address is None:
            continue
        fields = (spec.vendor_id, spec.product_id, *spec.address.fields)
        if all(field in ("*", ".*") for field in fields):
            yield entry_diagnostic(
                "WC229", ERROR, read.value.at_value(read.path),
                "this matches every PCI device of the host: its disks, network and bridges",
                "Name the cards by vendor_id and product_id, or by address.",
            )  # fmt: skip

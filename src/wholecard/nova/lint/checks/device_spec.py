"""`device_spec` by itself: JSON, keys, ids, addresses, and what nova refuses of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from wholecard.core import Severity
from wholecard.core.near_names import NearNames
from wholecard.nova.conf.conf_file import Position
from wholecard.nova.lint.broken_values import Broken, broken
from wholecard.nova.lint.diagnostic import ERROR, WARNING, Diagnostic, Spot, TextEdit, remark
from wholecard.nova.lint.json_positions import Diagnosis
from wholecard.nova.lint.option_spelling import series
from wholecard.nova.lint.service import MOST_STEPS, ReadSpec, Service, Value
from wholecard.nova.match import ADDRESS_BOUNDS, SpecError
from wholecard.nova.options import ALIAS_KEYS, DEVICE_SPEC_KEYS

_NEAR_KEYS = {
    "device_spec": NearNames([*DEVICE_SPEC_KEYS, "dev_type"]),
    "alias": NearNames(ALIAS_KEYS),
}
_NEAR_FIELDS = NearNames(ADDRESS_BOUNDS)
# What people write for a key, and is far from it by letters.
_MEANT = {
    "vendor": "vendor_id", "product": "product_id", "device_id": "product_id",
    "device": "product_id", "pci_address": "address", "class": "resource_class",
    "rc": "resource_class", "trait": "traits", "type": "device_type", "dev_type": "device_type",
    "numa": "numa_policy", "func": "function", "dev": "devname", "physnet": "physical_network",
}  # fmt: skip
# Of those the ones that can mean nothing else.
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
    "WC223": "Write the address as lspci -D prints it, * for a field that may be anything.",
    "WC224": f"The highest there are: {_HIGHEST}.",
    "WC225": "Write a character class, as [0-7], or a glob: 0000:41:*.0",
    "WC227": "",
    "WC228": "Set [pci] report_in_placement = true on every compute.",
}  # fmt: skip


def check_json(service: Service) -> Iterator[Diagnostic]:
    """Values that are not JSON, and objects in which a key comes twice."""
    goes_on = {id(each.entry): each for each in broken(service)}
    for name in ("device_spec", "alias"):
        for value in service.values(name):
            if id(value.entry) in goes_on:
                yield _broken_off(goes_on[id(value.entry)])
            elif value.wrong:
                yield _not_json(value, value.wrong)
            for twice in value.twice if value.is_own_text else ():
                yield remark(
                    "WC219", WARNING, value.spot(*twice.key),
                    f"{twice.path[-1]} stands there twice: nova takes the last",
                    "Delete one of them.",
                )  # fmt: skip


def _broken_off(found: Broken) -> Diagnostic:
    """A value that goes on where nova has ended it."""
    entry, line = found.entry, found.entry.file.lines[found.first - 1]
    blanks = len(line) - len(line.lstrip())
    effect = (
        f"oslo.config stops at line {found.stop}, and no service that reads the file starts"
        if found.stop
        else f"nova refuses every {entry.name} for it"
    )
    said = remark(
        "WC217", ERROR, entry,
        f"the object that begins on line {entry.line} goes on here: a value goes on only on "
        f"indented lines, and an empty line or a comment ends it: {effect}",
        found.fix,
    )  # fmt: skip
    return replace(said, place=Position(found.first, blanks + 1), length=1, shown=line)


def _not_json(value: Value, wrong: Diagnosis) -> Diagnostic:
    entry = value.entry
    mend: list[TextEdit] = []
    if value.is_own_text:
        mend = [value.spot(each.start, each.end).edit(each.text) for each in wrong.changes]
    spot = value.spot(wrong.offset, wrong.offset + 1)
    return remark(
        "WC217", ERROR, spot,
        f"the value is not JSON: {wrong.message}. nova refuses every {entry.name} for it",
        wrong.fix or "Write an object with double quotes around keys and values.", mend,
    )  # fmt: skip


def check_form(service: Service) -> Iterator[Diagnostic]:
    """Values that are JSON and no object."""
    for value in service.values("device_spec"):
        items = value.data if isinstance(value.data, list) else [value.data]
        for place, item in enumerate(items):
            if not value.wrong and not isinstance(item, dict):
                path = (place,) if isinstance(value.data, list) else ()
                yield _no_object(value, path, "an object or a list of objects")
    for value in service.values("alias"):
        if not value.wrong and not isinstance(value.data, dict):
            yield _no_object(value, (), "one object; each alias has a line of its own")


def _no_object(value: Value, path: tuple[int, ...], wanted: str) -> Diagnostic:
    return remark(
        "WC218", ERROR, Spot(value.entry, value.at_value(path).offset, 1),
        f"the value has to be {wanted}", _FIXES["WC218"],
    )  # fmt: skip


def check_keys(service: Service) -> Iterator[Diagnostic]:
    """Keys of a device_spec that mean nothing to nova, which takes them for tags."""
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


def unknown_key(
    option: str, value: Value, path: tuple[str | int, ...], conf: dict[str, object]
) -> Diagnostic:
    """A key that the option's objects do not have, with the one that is probably meant."""
    key = str(path[-1])
    near = _NEAR_KEYS[option]
    known = DEVICE_SPEC_KEYS if option == "device_spec" else ALIAS_KEYS
    meant = near.same(key) or _MEANT.get(key.lower()) or near.near(key)
    meant = meant if meant in known and meant not in conf else None
    certain = meant is not None and (near.same(key) == meant or key.lower() in _CERTAIN)
    shown = key if len(key) <= 64 else "this"
    if option == "device_spec":
        message = (
            f"nova has no key {shown!r}: it takes it for a tag, and a device is not chosen by it"
        )
    else:
        message = f"aliases have no key {shown!r}: nova refuses every alias for it"
    return remark(
        "WC220", WARNING if option == "device_spec" else ERROR, value.at_key(path), message,
        f"Write {meant}." if meant else f"Known are {', '.join(known)}.",
        value.renamed(path, meant) if meant and certain else (),
    )  # fmt: skip


def early_key(
    service: Service, value: Value, path: tuple[str | int, ...], since: int, severity: Severity
) -> Diagnostic:
    """A key that nova knows from a later release on."""
    consequence = (
        "it is a tag without meaning" if severity is WARNING else "nova refuses every alias"
    )
    return remark(
        "WC221", severity, value.at_key(path),
        f"{path[-1]} is there from {series(since)} on; in {service.release} {consequence}",
        "Delete the key, or upgrade.",
    )  # fmt: skip


def _unknown_field(spec: ReadSpec, key: str, address: dict[str, object]) -> Diagnostic:
    meant = _NEAR_FIELDS.same(key) or _MEANT.get(key.lower()) or _NEAR_FIELDS.near(key)
    meant = meant if meant in ADDRESS_BOUNDS and meant not in address else None
    path = (*spec.path, "address", key)
    shown = key if len(key) <= 64 else "this"
    return remark(
        "WC220", WARNING, spec.value.at_key(path),
        f"an address has no {shown!r}: nova passes over it, and the field may be anything",
        f"Write {meant}." if meant else f"Known are {', '.join(ADDRESS_BOUNDS)}.",
        spec.value.renamed(path, meant) if meant else (),
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
    return remark(
        rule, ERROR, value.at_value(path), f"{_short(error.reason)}: nova-compute does not start",
        _FIXES.get(rule, ""),
    )  # fmt: skip


def _short(text: str, most: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}…"


def check_prefixes(service: Service) -> Iterator[Diagnostic]:
    """Regular expressions of which nova takes a beginning for enough."""
    for spec in service.specs:
        if spec.spec is None or spec.spec.address is None or not spec.spec.address.patterns:
            continue
        address = spec.conf["address"]
        if spec.steps > MOST_STEPS:
            continue
        for name, pattern in zip(ADDRESS_BOUNDS, spec.spec.address.patterns, strict=True):
            more = _more_than_whole(name, pattern) if name in address else []
            if more:
                yield remark(
                    "WC226", WARNING, spec.value.at_value((*spec.path, "address", name)),
                    f"nova matches the beginning: this {name} takes {_some(more)} too",
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


def _some(values: list[str]) -> str:
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def check_everything(service: Service) -> Iterator[Diagnostic]:
    """A device_spec without ids and address, which means every device of the host."""
    for spec in service.specs:
        each = spec.spec
        if each is None or each.devname or each.address is None:
            continue
        fields = each.address.fields
        anything = all(field in ("*", ".*") for field in fields)
        if anything and each.vendor_id == "*" and each.product_id == "*":
            yield remark(
                "WC229", ERROR, spec.value.at_value(spec.path),
                "this means every PCI device of the host: its disks, its network, its bridges",
                "Name the cards by vendor_id and product_id, or by address.",
            )  # fmt: skip

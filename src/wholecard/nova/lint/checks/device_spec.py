"""`device_spec` by itself: JSON, keys, ids, addresses, and what nova refuses of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from wholecard.core import Severity
from wholecard.core.near_names import NearNames
from wholecard.core.position import Position
from wholecard.nova.lint.broken_values import Broken, broken
from wholecard.nova.lint.checks import value_shapes
from wholecard.nova.lint.diagnostic import Diagnostic, Spot, cut, entry_diagnostic, listed
from wholecard.nova.lint.json_positions import Diagnosis, Path
from wholecard.nova.lint.option_spelling import series
from wholecard.nova.lint.service import MOST_STEPS, ReadSpec, Service, Value
from wholecard.nova.match import ADDRESS_BOUNDS
from wholecard.nova.options import ALIAS_KEYS, DEVICE_SPEC_KEYS

_KEYS = {"device_spec": DEVICE_SPEC_KEYS, "alias": ALIAS_KEYS}
_SEVERITIES = {"device_spec": Severity.WARNING, "alias": Severity.ERROR}
_UNKNOWN_KEY = {
    "device_spec": "nova has no key {}: it reads it as a tag, and does not select devices by it",
    "alias": "aliases have no key {}: nova refuses every alias because of it",
}
_EARLY_KEY = {
    "device_spec": "it is a tag that has no effect",
    "alias": "nova refuses every alias",
}
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
                yield value_shapes.of_value(value) or _not_json(value, value.wrong)
            for twice in value.twice if value.is_own_text else ():
                yield entry_diagnostic(
                    "WC219", value.spot(*twice.key),
                    f"the object has {twice.path[-1]} twice: nova uses the last",
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
        "WC217", entry,
        f"the object that begins on line {entry.line} continues here, but only indented lines "
        f"continue a value, and an empty line or a comment ends it: {effect}",
        value.fix,
    )  # fmt: skip
    return replace(diagnostic, position=Position(value.first, blanks + 1), length=1, shown=line)


def _not_json(value: Value, wrong: Diagnosis) -> Diagnostic:
    edits = wrong.edits if value.is_own_text else ()
    return entry_diagnostic(
        "WC217", value.spot(wrong.offset, wrong.offset + 1),
        f"the value is not JSON: {wrong.message}. nova refuses every {value.entry.name} because of "
        "it",
        wrong.fix or "Write an object with double quotes around keys and values.",
        [value.spot(edit.start, edit.end).edit(edit.text) for edit in edits],
    )  # fmt: skip


def check_form(service: Service) -> Iterator[Diagnostic]:
    """Values that are JSON and no object."""
    for value in service.values("device_spec"):
        for path, item in value.items() if not value.wrong else ():
            if not isinstance(item, dict):
                yield _no_object(value, path, "an object or a list of objects")
    for value in service.values("alias"):
        if not value.wrong and not isinstance(value.data, dict):
            yield value_shapes.of_value(value) or _no_object(value, (), "one object")


def _no_object(value: Value, path: Path, needed: str) -> Diagnostic:
    return entry_diagnostic(
        "WC218", Spot(value.entry, value.at_value(path).offset, 1),
        f"the value has to be {needed}", _FIXES["WC218"],
    )  # fmt: skip


def check_keys(service: Service) -> Iterator[Diagnostic]:
    """Keys of a device_spec that nova does not know and takes as tags."""
    for spec in service.specs:
        yield from wrong_keys(service, "device_spec", spec.value, spec.path, spec.conf)
        address = spec.conf.get("address")
        if isinstance(address, dict):
            for key in address:
                if key not in ADDRESS_BOUNDS:
                    yield _unknown_field(spec, key, address)


def wrong_keys(
    service: Service, option: str, value: Value, path: Path, conf: dict[str, object]
) -> Iterator[Diagnostic]:
    """The keys of an object of device_spec or alias that nova does not have, or has later."""
    for key in conf:
        since = _KEYS[option].get(key)
        if since is None:
            yield _unknown_key(option, value, (*path, key), conf, service.major)
        elif since > service.major:
            yield entry_diagnostic(
                "WC221", value.at_key((*path, key)),
                f"nova has {key} since {series(since)}; in {service.release} {_EARLY_KEY[option]}",
                "Delete the key, or upgrade.", severity=_SEVERITIES[option],
            )  # fmt: skip


def _unknown_key(
    option: str, value: Value, path: Path, conf: dict[str, object], major: int
) -> Diagnostic:
    key = str(path[-1])
    known = {name: since for name, since in _KEYS[option].items() if since <= major}
    right = _key_meant(key, _NEAR_KEYS[option], known, conf)
    if option == "device_spec" and key == "dev_type":
        # nova/pci/stats.py: a tag of that name overwrites the type that nova sees.
        return entry_diagnostic(
            "WC220", value.at_key(path),
            f"nova has no key {key!r} and reads it as a tag, which replaces the devices' own type",
            "Remove it: the alias requests the type, by device_type.",
        )  # fmt: skip
    is_certain = key.lower() in _CERTAIN or _NEAR_KEYS[option].same(key) == right
    return entry_diagnostic(
        "WC220", value.at_key(path), _UNKNOWN_KEY[option].format(_shown(key)),
        f"Write {right}." if right else f"Valid keys are {', '.join(known)}.",
        value.renamed(path, right) if right and is_certain else (), _SEVERITIES[option],
    )  # fmt: skip


def _key_meant(
    key: str, near: NearNames, known: Collection[str], conf: Mapping[str, object]
) -> str | None:
    """The key that an unknown one means; None where it is not known, or is set as well."""
    right = near.same(key) or _MEANT.get(key.lower()) or near.near(key)
    return right if right in known and right not in conf else None


def _shown(key: str) -> str:
    return repr(key) if len(key) <= 64 else "this name"


def _unknown_field(spec: ReadSpec, key: str, address: dict[str, object]) -> Diagnostic:
    right = _key_meant(key, _NEAR_FIELDS, ADDRESS_BOUNDS, address)
    path = (*spec.path, "address", key)
    return entry_diagnostic(
        "WC220", spec.value.at_key(path),
        f"an address has no field {_shown(key)}: nova ignores it, and that part of the address may "
        "be anything",
        f"Write {right}." if right else f"Valid fields are {', '.join(ADDRESS_BOUNDS)}.",
        spec.value.renamed(path, right) if right else (),
    )  # fmt: skip


def check_refused(service: Service) -> Iterator[Diagnostic]:
    """What nova refuses of a device_spec: nova-compute does not start."""
    for spec in service.specs:
        if error := spec.error:
            path = (*spec.path, *error.key.split(".")) if error.key else spec.path
            rule = _RULES.get(error.kind, "WC227")
            reason = cut(" ".join(error.reason.split()), 200)
            yield entry_diagnostic(
                rule, spec.value.at_value(path), f"{reason}: nova-compute does not start",
                _FIXES.get(rule, ""),
            )  # fmt: skip


def check_prefixes(service: Service) -> Iterator[Diagnostic]:
    """Regular expressions that match by their beginning (nova, devspec.py: `re.match`)."""
    for spec in service.specs:
        address = spec.spec.address if spec.spec else None
        if address is None or not address.patterns or spec.steps > MOST_STEPS:
            continue
        for name, pattern in zip(ADDRESS_BOUNDS, address.patterns, strict=True):
            if more := _by_beginning(name, pattern):
                yield entry_diagnostic(
                    "WC226", spec.value.at_value((*spec.path, "address", name)),
                    f"nova compares the beginning only: this {name} also matches "
                    f"{listed(more, 3)}",
                    "Write $$ at its end, which nova reads as a plain $, or write all digits.",
                )  # fmt: skip


def _by_beginning(name: str, pattern: re.Pattern[str]) -> list[str]:
    """The values of a field that a pattern matches by their beginning alone."""
    values = _VALUES[name]
    return [one for one in values if pattern.match(one) and not pattern.fullmatch(one)]


# Every value of a field; of domains those that machines have.
_DOMAINS = (*range(32), 0x1000, 0x1001, 0x8000, ADDRESS_BOUNDS["domain"][0])
_VALUES = {
    name: [
        f"{number:0{digits}x}" for number in (_DOMAINS if name == "domain" else range(largest + 1))
    ]
    for name, (largest, digits) in ADDRESS_BOUNDS.items()
}


def check_everything(service: Service) -> Iterator[Diagnostic]:
    """A device_spec without ids and address, which matches every device of the host."""
    for read in service.specs:
        spec = read.spec
        if spec is None or spec.devname or spec.address is None:
            continue
        fields = (spec.vendor_id, spec.product_id, *spec.address.fields)
        if all(field in ("*", ".*") for field in fields):
            yield entry_diagnostic(
                "WC229", read.value.at_value(read.path),
                "this matches every PCI device of the host: its disks, network and bridges",
                "Name the cards by vendor_id and product_id, or by address.",
            )  # fmt: skip

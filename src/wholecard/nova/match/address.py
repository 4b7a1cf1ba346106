"""The `address` of a `device_spec`: a glob, regular expressions, or a function by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wholecard.core.capabilities import Capability
from wholecard.nova.match.device import Device, Sysfs
from wholecard.nova.match.errors import SpecError
from wholecard.nova.match.fields import (
    ADDRESS_BOUNDS,
    Fields,
    UnreadableAddressError,
    device_fields,
    hex_word,
)
from wholecard.nova.match.pattern import DangerousPatternError, compiled
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.words import ANY, kind_of, shown

_ANY_PATTERN = ".*"


@dataclass(frozen=True)
class AddressRule:
    """Which devices an address matches.

    `fields` are those of the configuration, normalised; `patterns` the same compiled where they
    are regular expressions. With `exact` a `*` is not special. `is_pf`: it is the single address
    of a function that can have VFs, and matches those too; without `pf_itself` only those.
    """

    fields: Fields
    patterns: tuple[re.Pattern[str], ...] = ()
    exact: bool = False
    is_pf: bool = False
    pf_itself: bool = True

    def matches(self, device: Device) -> bool:
        """Whether it matches; raises UnreadableAddressError where nova cannot read the address."""
        if self.is_pf and not self.pf_itself:
            return bool(device.parent_addr) and str(self.fields) == device.parent_addr
        # A PF's address matches its VFs too: nova/pci/devspec.py, `WhitelistPciAddress.match`.
        parent = device.parent_fields if self.is_pf else None
        return (parent is not None and self._fits(parent)) or self._fits(device.fields)

    def _fits(self, address: Fields) -> bool:
        if self.patterns:
            pairs = zip(self.patterns, address, strict=True)
            return all(pattern.match(field) for pattern, field in pairs)
        if self.exact:
            return self.fields == address
        return all(glob in (ANY, field) for glob, field in zip(self.fields, address, strict=True))


def read_address(value: Any, rules: Rules, sysfs: Sysfs) -> AddressRule:
    """The rule that the value of the key `address` makes.

    Raises SpecError for what nova refuses, and for a regular expression too dangerous to match.
    """
    if isinstance(value, str):
        rule = AddressRule(_glob_fields(value), pf_itself=rules.has(Capability.PF_BY_ADDRESS))
    elif isinstance(value, dict):
        if not rules.has(Capability.ADDRESS_REGEX):
            since = Capability.ADDRESS_REGEX.series
            reason = f"an address can be an object of regular expressions only from {since} on"
            raise SpecError("regex-unsupported", reason, "address")
        rule = _regex_rule(value)
    else:
        reason = f"the address is {kind_of(value)}, not a string or an object"
        raise SpecError("bad-address", reason, "address")
    if rule.fields.is_single and sysfs.is_physical_function(str(rule.fields)):
        return AddressRule(rule.fields, rule.patterns, is_pf=True, pf_itself=rule.pf_itself)
    return rule


def interface_rule(address: str, is_pf: bool, rules: Rules, sysfs: Sysfs) -> AddressRule:
    """The rule of the function behind a network interface (`devname`)."""
    if not is_pf:
        return read_address(address, rules, sysfs)
    try:
        fields = device_fields(address)
    except UnreadableAddressError:
        reason = f"nova cannot read the interface's address {address}"
        raise SpecError("field-too-large", reason, "devname") from None
    pf_itself = rules.has(Capability.PF_BY_ADDRESS)
    return AddressRule(fields, exact=True, is_pf=True, pf_itself=pf_itself)


def _glob_fields(text: str) -> Fields:
    """The fields of a glob; those that are missing on the left are `*`, and so are empty ones."""
    fields = dict.fromkeys(Fields._fields, ANY)
    left, _, function = text.partition(".")
    if function:
        fields["function"] = _glob_field("function", function.strip())
    if left:
        parts = left.split(":")
        if len(parts) > 3:
            raise SpecError(
                "too-many-fields",
                f"the address {shown(text)} has {len(parts)} fields before the dot; it can have "
                "only domain, bus and slot",
                "address",
            )
        names = ("domain", "bus", "slot")[3 - len(parts) :]
        for name, part in zip(names, parts, strict=True):
            fields[name] = _glob_field(name, part.strip() or ANY)
    return Fields(**fields)


def _glob_field(name: str, word: str) -> str:
    largest, digits = ADDRESS_BOUNDS[name]
    try:
        return hex_word(word, largest, digits)
    except OverflowError:
        raise SpecError(
            "field-too-large",
            f"the {name} {shown(word)} of the address is above {largest:x}, the maximum",
            "address",
        ) from None
    except ValueError:
        reason = f"the {name} {shown(word)} of the address is neither * nor hexadecimal"
        raise SpecError("field-not-hex", reason, "address") from None


def _regex_rule(value: Mapping[str, Any]) -> AddressRule:
    """The rule of an object with regular expressions; nova ignores other keys than the four."""
    fields = Fields(*(value.get(name, _ANY_PATTERN) for name in Fields._fields))
    patterns = []
    for name, pattern in zip(Fields._fields, fields, strict=True):
        key = f"address.{name}"
        if not isinstance(pattern, str):
            raise SpecError("regex-not-text", f"the {name} of the address is not a string", key)
        try:
            patterns.append(compiled(pattern, ADDRESS_BOUNDS[name][1]))
        except re.error as error:
            reason = f"the {name} of the address is not a valid regular expression: {error.msg}"
            raise SpecError("bad-regex", reason, key) from None
        except DangerousPatternError as error:
            raise SpecError(
                "dangerous-regex",
                f"the {name} of the address is a regular expression that could take hours: {error}",
                key,
            ) from None
    return AddressRule(fields, tuple(patterns))

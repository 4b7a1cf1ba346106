"""`[pci] alias`: the names by which flavors ask for devices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wholecard.core.capabilities import Capability
from wholecard.nova.match.errors import AliasError
from wholecard.nova.match.rules import Rules
from wholecard.nova.match.words import kind_of, read_json, shown, truth
from wholecard.pci.device_types import DEVICE_TYPES

# nova/pci/utils.py PCI_VENDOR_PATTERN. As there, any script's digits and a last newline pass.
_ID = re.compile(r"^([\da-fA-F]{4})$")
_LONGEST_NAME = 256


@dataclass(frozen=True)
class Alias:
    """All aliases of one name. A device matches when it has all that one of `specs` asks for.

    A spec has the keys of the alias but its name and policy, and `dev_type` for `device_type`.
    """

    name: str
    numa_policy: str
    specs: tuple[Mapping[str, str], ...] = field(hash=False)


def parse_aliases(texts: Iterable[str], rules: Rules) -> dict[str, Alias]:
    """The aliases that the values of the option make, by name.

    Raises AliasError where nova refuses them: for one bad value it refuses all of them.
    """
    aliases: dict[str, Alias] = {}
    for text in texts:
        spec = _read(text, rules)
        name = spec.pop("name").strip()
        policy = spec.pop("numa_policy", "legacy")
        if "device_type" in spec:
            spec["dev_type"] = spec.pop("device_type")
        if "live_migratable" in spec:
            spec["live_migratable"] = _boolean(name, spec["live_migratable"])
        known = aliases.get(name)
        if known is not None:
            _check_same(known, policy, spec)
        aliases[name] = Alias(name, policy, (*(known.specs if known else ()), spec))
    if rules.has(Capability.ALIASES_CHECKED):
        _check_specs(aliases, rules)
    return aliases


def _read(text: str, rules: Rules) -> dict[str, str]:
    """The object of one value, checked against nova's schema for this release."""
    try:
        value = read_json(text)
    except ValueError as error:
        raise AliasError("bad-json", f"the value is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise AliasError("not-an-object", "the value is not an object")
    for key in value:
        if key not in rules.alias_keys:
            reason = f"aliases have no key {shown(key)} in this release"
            raise AliasError("unknown-key", reason, key)
    if "name" not in value:
        raise AliasError("no-name", "the alias has no name", "name")
    for key, content in value.items():
        _check_value(key, content, rules)
    return dict(value)


def _check_value(key: str, value: Any, rules: Rules) -> None:
    if not isinstance(value, str):
        raise AliasError("not-text", f"{key} is {kind_of(value)}, not a string", key)
    if key == "name" and not 1 <= len(value) <= _LONGEST_NAME:
        reason = f"the name has {len(value)} characters, not 1 to {_LONGEST_NAME}"
        raise AliasError("bad-name", reason, key)
    if key in ("vendor_id", "product_id") and not _ID.search(value):
        raise AliasError("bad-id", f"{key} {shown(value)} is not four hexadecimal digits", key)
    allowed: Iterable[str] | None = {
        "device_type": DEVICE_TYPES,
        "capability_type": ("pci",),
        "numa_policy": rules.numa_policies,
    }.get(key)
    if allowed is not None and value not in allowed:
        reason = f"{key} {shown(value)} is not one of {', '.join(allowed)}"
        raise AliasError("bad-value", reason, key)


def _boolean(name: str, value: str) -> str:
    is_true = truth(value)
    if is_true is None:
        reason = f"live_migratable {shown(value)} of alias {shown(name)} is not a boolean"
        raise AliasError("bad-boolean", reason, "live_migratable")
    return "true" if is_true else "false"


def _check_same(known: Alias, policy: str, spec: Mapping[str, str]) -> None:
    """What nova requires of another alias of the same name."""
    name = known.name
    if known.numa_policy != policy:
        reason = f"alias {shown(name)} has two NUMA policies, {known.numa_policy} and {policy}"
        raise AliasError("policy-mismatch", reason, "numa_policy")
    first = known.specs[0]
    if "dev_type" not in first or "dev_type" not in spec:
        raise AliasError(
            "device-type-missing",
            f"alias {shown(name)} is defined more than once, so each definition needs a "
            "device_type",
            "device_type",
        )
    if first["dev_type"] != spec["dev_type"]:
        raise AliasError(
            "device-type-mismatch",
            f"alias {shown(name)} has two device types, {first['dev_type']} and {spec['dev_type']}",
            "device_type",
        )


def _check_specs(aliases: Mapping[str, Alias], rules: Rules) -> None:
    """What nova requires of all aliases since 2025.2, when the api and the compute start.

    Source: nova, nova/pci/request.py, `_validate_aliases`, which counts the specs first.
    """
    for alias in aliases.values() if rules.pci_in_placement else ():
        if len(alias.specs) > 1:
            raise AliasError(
                "several-specs",
                f"alias {shown(alias.name)} is given {len(alias.specs)} times; with "
                "pci_in_placement it can have only one definition",
                "name",
            )
    for alias in aliases.values():
        for spec in alias.specs:
            _check_ids(alias, spec, rules)


def _check_ids(alias: Alias, spec: Mapping[str, str], rules: Rules) -> None:
    has_ids = "vendor_id" in spec and "product_id" in spec
    if has_ids or (rules.pci_in_placement and "resource_class" in spec):
        return
    missing = "product_id" if "vendor_id" in spec else "vendor_id"
    other = " or a resource_class" if rules.pci_in_placement else ""
    raise AliasError(
        "ids-missing", f"alias {shown(alias.name)} needs vendor_id and product_id{other}", missing
    )

"""Why nova refuses a value: one error for each kind of value, each with a stable `kind`."""

from __future__ import annotations

from typing import ClassVar

from wholecard.core import UsageError


class MatchError(UsageError):
    """nova would refuse this. `kind` is one of `kinds` and stable; `key` is the JSON key, or ""."""

    kinds: ClassVar[dict[str, str]] = {}

    def __init__(self, kind: str, reason: str, key: str = "") -> None:
        super().__init__(reason)
        self.kind = kind
        self.key = key
        self.reason = reason


class SpecError(MatchError):
    """nova-compute does not start with this `device_spec`."""

    kinds: ClassVar[dict[str, str]] = {
        "bad-json": "the value is not JSON",
        "not-an-object": "the value is neither an object nor a list",
        "item-not-an-object": "an item of the list is not an object",
        "id-not-text": "an id is not a string",
        "bad-id": "an id is not hexadecimal",
        "id-too-large": "an id is above ffff",
        "address-and-devname": "address and devname exclude each other",
        "bad-address": "the address is neither a string nor an object",
        "too-many-fields": "the address has more than domain, bus and slot before the dot",
        "field-not-hex": "a field of the address is not hexadecimal",
        "field-too-large": "a field of the address is above its bound",
        "regex-unsupported": "this release takes no regular expressions",
        "regex-not-text": "a regular expression is not a string",
        "bad-regex": "a regular expression does not compile",
        "dangerous-regex": "a regular expression could take hours to match",
        "bad-boolean": "a truth value is not valid",
        "one-time-use-needs-placement": "one_time_use needs report_in_placement",
        "remote-managed-absent": "a remote_managed network device is not there",
        "remote-managed-pf": "remote_managed on a PF",
    }


class AliasError(MatchError):
    """nova-api (and since 2025.2 nova-compute) refuses all aliases because of this one."""

    kinds: ClassVar[dict[str, str]] = {
        "bad-json": "the value is not JSON",
        "not-an-object": "the value is not an object",
        "unknown-key": "a key that this release's aliases do not have",
        "no-name": "the alias has no name",
        "bad-name": "the name is empty or longer than 256 characters",
        "not-text": "a value is not a string",
        "bad-id": "an id is not four hexadecimal digits",
        "bad-value": "a value that is not one of those allowed",
        "bad-boolean": "a truth value is not valid",
        "policy-mismatch": "two aliases of one name differ in their NUMA policy",
        "device-type-mismatch": "two aliases of one name differ in their device type",
        "device-type-missing": "an alias that is given twice has to name its device type each time",
        "several-specs": "pci_in_placement takes one alias of a name",
        "ids-missing": "vendor_id and product_id (or with pci_in_placement a resource_class)",
    }


class RequestError(MatchError):
    """A `pci_passthrough:alias` that nova-api cannot turn into requests."""

    kinds: ClassVar[dict[str, str]] = {
        "malformed": "it is not name:count[,name:count...]",
        "bad-count": "a count is not a number",
        "alias-not-defined": "there is no such alias",
        "bad-policy": "the flavor's NUMA policy does not exist",
        "several-specs": "Placement cannot be asked for an alias with several specs",
        "too-many": "Placement cannot be asked for so many devices",
    }


class PlacementError(MatchError):
    """nova-compute cannot report its devices to Placement, and stops or reports nothing."""

    kinds: ClassVar[dict[str, str]] = {
        "devname": "a device_spec by devname cannot be reported",
        "dependent-devices": "a PF and VFs of it are both given",
        "mixed-resource-class": "VFs of one PF have different resource classes",
        "mixed-traits": "VFs of one PF have different traits",
        "one-time-use-on-vf": "one_time_use on a VF",
        "not-text": "a tag for Placement is not a string",
    }


class MdevError(MatchError):
    """nova-compute does not start with these types of mediated devices; `key` is the type."""

    kinds: ClassVar[dict[str, str]] = {
        "duplicate-address": "two types have one parent",
        "bad-address": "a parent's address that nova cannot read",
    }

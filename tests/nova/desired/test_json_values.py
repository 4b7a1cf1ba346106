"""device_spec and alias as nova takes them."""

from __future__ import annotations

import json

import pytest

from wholecard.core import UsageError
from wholecard.nova.desired.json_values import PciAlias, PciDeviceSpec

SPECS = [
    (PciDeviceSpec("1002", "5046"), '{"vendor_id": "1002", "product_id": "5046"}'),
    (
        PciDeviceSpec("10de", "2330", address="0000:41:*.0"),
        '{"vendor_id": "10de", "product_id": "2330", "address": "0000:41:*.0"}',
    ),
    (
        PciDeviceSpec(
            "10de", "2330", resource_class="CUSTOM_H100", traits=("CUSTOM_A", "CUSTOM_B")
        ),
        '{"vendor_id": "10de", "product_id": "2330", "resource_class": "CUSTOM_H100", '
        '"traits": "CUSTOM_A,CUSTOM_B"}',
    ),
]


@pytest.mark.parametrize(("spec", "text"), SPECS)
def test_device_spec_text(spec: PciDeviceSpec, text: str) -> None:
    """A device_spec is one line of JSON with only the keys that were given."""
    assert spec.to_json() == text


def test_alias_text() -> None:
    """An alias always names its device type and NUMA policy."""
    assert json.loads(PciAlias("card", "1002", "5046", "type-PF", "required").to_json()) == {
        "name": "card",
        "vendor_id": "1002",
        "product_id": "5046",
        "device_type": "type-PF",
        "numa_policy": "required",
    }


def test_alias_keys_are_novas() -> None:
    """No key of an alias is outside nova 34's schema, which refuses unknown ones."""
    full = PciAlias("card", "1002", "5046", resource_class="CUSTOM_X", traits=("CUSTOM_A",))
    known = {"name", "capability_type", "product_id", "vendor_id", "device_type", "numa_policy"}
    known |= {"resource_class", "traits", "live_migratable"}
    assert json.loads(full.to_json()).keys() <= known


@pytest.mark.parametrize("wrong", ["", "10DE", "0x10de", "10d", "10dee", "*", "10de\n"])
def test_ids_are_four_hexadecimal_digits(wrong: str) -> None:
    """Anything but four lower-case hexadecimal digits is refused, on both sides."""
    with pytest.raises(UsageError, match="not a PCI vendor or product id"):
        PciDeviceSpec(wrong, "5046")
    with pytest.raises(UsageError, match="not a PCI vendor or product id"):
        PciAlias("card", "1002", wrong)


@pytest.mark.parametrize("name", ["", "  ", "a:b", "a,b", "x" * 257])
def test_alias_name_fits_into_a_flavor(name: str) -> None:
    """A name that `name:count,name:count` could not hold is refused."""
    with pytest.raises(UsageError, match="cannot be the name"):
        PciAlias(name, "1002", "5046")

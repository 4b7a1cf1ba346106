"""What prevents live migration of servers with devices, and the key live_migratable."""

from __future__ import annotations

import pytest

from support.lint_hosts import service
from wholecard.nova.lint import lint
from wholecard.nova.options import Role

POST_COPY = "[libvirt]\nlive_migration_permit_post_copy = true\n"
SPEC = '{"vendor_id": "10de", "product_id": "2330", "live_migratable": "%s", "managed": "no"}'
YES, NO = f"[pci]\ndevice_spec = {SPEC % 'yes'}\n", f"[pci]\ndevice_spec = {SPEC % 'no'}\n"
ALIAS = '[pci]\nalias = {"name": "a", "vendor_id": "10de", "product_id": "2330", %s}\n'
MDEVS = "[devices]\nenabled_mdev_types = nvidia-35\n"


def rules(text: str, role: Role = "compute", series: str = "2025.2", *on: str) -> list[str]:
    return [one.finding.rule for one in lint([service(text, role, series, *on)])]


@pytest.mark.parametrize(
    ("text", "series", "expected"),
    [
        (POST_COPY + MDEVS, "2025.2", ["WC270"]),
        (POST_COPY + MDEVS, "2023.2", []),
        (POST_COPY + YES, "2025.2", ["WC270"]),
        (POST_COPY + NO, "2025.2", []),
        (POST_COPY, "2025.2", []),
        (POST_COPY.replace("true", "false") + MDEVS, "2025.2", []),
        ("[workarounds]\nskip_cpu_compare_on_dest = true\n", "yoga", ["WC212"]),
        ("[libvirt]\nlive_migration_permit_postcopy = true\n", "2025.2", ["WC214"]),
    ],
)
def test_post_copy(text: str, series: str, expected: list[str]) -> None:
    """Post-copy is a finding where something on the host could be migrated without it."""
    assert rules(text, "compute", series) == expected


@pytest.mark.parametrize(
    ("text", "series", "host", "expected"),
    [
        (YES, "2025.2", "debian-12", ["WC257", "WC271"]),
        (NO, "2025.2", "debian-12", ["WC271"]),
        (NO, "2025.2", "gpu-01", []),
        (NO, "2024.2", "debian-12", ["WC221", "WC221"]),
    ],
)
def test_old_versions(text: str, series: str, host: str, expected: list[str]) -> None:
    """The key alone, with whatever value, needs libvirt 10 on the host."""
    found = [one for one in rules(text, "compute", series, host) if one != "WC250"]
    assert sorted(found) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("no", ["WC272"]), ("yes", []), ("false", ["WC272"])]
)
def test_an_alias_that_says_no(value: str, expected: list[str]) -> None:
    """It takes only devices that say no as well."""
    text = ALIAS % f'"device_type": "type-VF", "live_migratable": "{value}"'
    assert rules(text, "api") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("$my_ip", []), ("${my_ip}", []), ("$my_block_storage_ip", []), ("$storage_ip", ["WC208"])],
)
def test_nova_refers_to_its_own_options(value: str, expected: list[str]) -> None:
    """`$my_ip` is nova's own default of several options, and has a value where no file sets it."""
    assert rules(f"[libvirt]\nlive_migration_inbound_addr = {value}\n") == expected

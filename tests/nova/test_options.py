"""The table of nova's options: names, readers and keys by release."""

from __future__ import annotations

import pytest

from wholecard.core.releases import RELEASES
from wholecard.nova.options import OPTIONS, ROLES, by_name, find

NAMES = [
    ("device_spec", 14, "[DEFAULT] pci_passthrough_whitelist"),
    ("device_spec", 15, "[pci] passthrough_whitelist"),
    ("device_spec", 25, "[pci] passthrough_whitelist"),
    ("device_spec", 26, "[pci] device_spec"),
    ("alias", 14, "[DEFAULT] pci_alias"),
    ("alias", 15, "[pci] alias"),
    ("enabled_filters", 14, "[DEFAULT] scheduler_default_filters"),
    ("enabled_filters", 15, "[filter_scheduler] enabled_filters"),
    ("report_in_placement", 25, "None"),
    ("report_in_placement", 26, "[pci] report_in_placement"),
    ("pci_in_placement", 26, "None"),
    ("pci_in_placement", 27, "[filter_scheduler] pci_in_placement"),
    ("enabled_mdev_types", 16, "None"),
    ("enabled_mdev_types", 17, "[devices] enabled_vgpu_types"),
    ("enabled_mdev_types", 23, "[devices] enabled_vgpu_types"),
    ("enabled_mdev_types", 24, "[devices] enabled_mdev_types"),
    ("driver", 14, "[DEFAULT] quota_driver"),
    ("driver", 34, "[quota] driver"),
]


@pytest.mark.parametrize(("name", "major", "right"), NAMES)
def test_right_names(name: str, major: int, right: str) -> None:
    """Each release has one right name for an option, or none."""
    assert str(by_name(name).spelling(major)) == right


READERS = [
    ("alias", "compute", 13, False),
    ("alias", "compute", 14, True),
    ("alias", "scheduler", 34, False),
    ("pci_in_placement", "compute", 30, False),
    ("pci_in_placement", "compute", 31, True),
    ("pci_in_placement", "conductor", 27, True),
    ("device_spec", "api", 34, False),
    ("report_in_placement", "compute", 25, False),
]


@pytest.mark.parametrize(("name", "role", "major", "reads"), READERS)
def test_readers(name: str, role: str, major: int, reads: bool) -> None:
    """A role reads an option from the release on in which its code began to."""
    chosen = next(each for each in ROLES if each == role)
    assert by_name(name).is_read_by(chosen, major) is reads


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_names_do_not_overlap(option: object) -> None:
    """In no release are two names of an option right, and every name is found again."""
    assert option in OPTIONS
    known = next(each for each in OPTIONS if each is option)
    for each in RELEASES:
        right = [one for one in known.spellings if one.state(each.nova) == "right"]
        assert len(right) <= 1
    for spelling in known.spellings:
        assert find(spelling.section, spelling.name) == (known, spelling)


def test_a_name_that_is_not_there_is_not_found() -> None:
    """An unknown name is nothing, and by_name raises KeyError for it."""
    assert find("pci", "devices") is None
    with pytest.raises(KeyError):
        by_name("devices")

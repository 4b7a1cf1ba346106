"""The properties of a site's image, and those that nova refuses together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from wholecard.core.releases import release
from wholecard.nova.desired.image_properties import derived_properties, image_errors
from wholecard.site.model import Site, SiteImage

Q35 = {"hw_machine_type": "q35", "hw_firmware_type": "uefi"}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, {**Q35, "os_type": "linux"}),
        ({"os": "windows", "secure_boot": "required", "tpm": "2.0", "tpm_model": "tpm-crb"},
         {**Q35, "os_type": "windows", "os_secure_boot": "required", "hw_tpm_version": "2.0",
          "hw_tpm_model": "tpm-crb"}),
        ({"disk_bus": "scsi", "vif_model": "e1000", "guest_agent": "true"},
         {**Q35, "os_type": "linux", "hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi",
          "hw_vif_model": "e1000", "hw_qemu_guest_agent": "true"}),
        ({"disk_bus": "sata", "guest_agent": False},
         {**Q35, "os_type": "linux", "hw_disk_bus": "sata", "hw_qemu_guest_agent": "false"}),
    ],
)  # fmt: skip
def test_properties(image: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    """Each key is a property; what is not given stays nova's default."""
    assert derived_properties(SiteImage.model_validate(image)) == expected


@pytest.mark.parametrize(
    ("image", "series", "words"),
    [
        ({"secure_boot": "required"}, "2026.2", ""),
        ({"secure_boot": "optional", "firmware": "bios"}, "2026.2", ""),
        ({"secure_boot": "required", "firmware": "bios"}, "2026.2", "needs firmware: uefi"),
        ({"secure_boot": "required", "machine": "pc"}, "2026.2", "needs machine: q35"),
        ({"secure_boot": "required", "machine": "pc"}, "victoria", ""),
        ({"secure_boot": "required", "properties": {"hw_machine_type": "pc-q35-9.2"}}, "2026.2",
         ""),
        ({"tpm": "1.2", "tpm_model": "tpm-crb"}, "2026.2", "tpm-crb needs version 2.0"),
        ({"tpm": "1.2", "tpm_model": "tpm-crb"}, "ussuri", ""),
        ({"tpm_model": "tpm-crb"}, "2026.2", "no effect without tpm"),
        ({"properties": {"os_secure_boot": "always"}}, "2026.2", "not a value of os:secure_boot"),
    ],
)  # fmt: skip
def test_what_nova_refuses(image: Mapping[str, Any], series: str, words: str) -> None:
    """Properties that cannot be together are an error, where the release reads them."""
    made = Site.model_validate({"release": series, "cards": {}, "images": {"i": image}})
    found = [one.what for one in image_errors(made, release(series))]
    assert len(found) == bool(words)
    assert all(words in one for one in found)

"""The properties that a site's image has in Glance, and those that nova refuses together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from wholecard.core.releases import Release
from wholecard.nova.desired.unsupported import Keys, Unsupported
from wholecard.nova.flavor.extra_specs import LayoutError
from wholecard.nova.flavor.resource_request import resource_request
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.options import IMAGE_KEYS
from wholecard.site.model import Site, SiteImage


def derived_properties(image: SiteImage) -> dict[str, str]:
    """The properties of the image's keys, without its own `properties`."""
    values: dict[str, object] = {
        "hw_machine_type": image.machine,
        "hw_firmware_type": image.firmware,
        "os_type": image.os,
        "os_secure_boot": image.secure_boot,
        "hw_tpm_version": image.tpm,
        "hw_tpm_model": image.tpm_model if image.tpm else None,
        "hw_disk_bus": image.disk_bus,
        # Without it the bus has a controller that few systems have a driver for.
        "hw_scsi_model": "virtio-scsi" if image.disk_bus == "scsi" else None,
        "hw_vif_model": image.vif_model,
        "hw_qemu_guest_agent": image.guest_agent,
    }
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in values.items()
        if value is not None
    }


def image_errors(site: Site, release: Release) -> Iterator[Unsupported]:
    """Images whose properties nova refuses together, whatever the flavor."""
    for name, image in site.images.items():
        yield from _conflicts(name, image, release)


def _conflicts(name: str, image: SiteImage, release: Release) -> Iterator[Unsupported]:
    derived = derived_properties(image)
    known = {key: text for key, text in derived.items() if release.nova >= IMAGE_KEYS[key]}
    properties = {**known, **image.properties}
    if properties.get("os_secure_boot") == "required":
        yield from _insecure(name, properties)
    if image.tpm_model and not image.tpm:
        yield Unsupported(
            _keys(name, "tpm_model"),
            f"images.{name}: tpm_model has no effect without tpm",
            "",
            "Write tpm: 2.0, or remove tpm_model.",
        )
    try:
        resource_request(ServerRequest(None, "site", {}, properties=properties), release)
    except LayoutError as error:
        yield Unsupported(
            _keys(name, "tpm_model" if "TPM" in error.brief else "properties"),
            f"images.{name}: nova refuses it: {error.brief}",
            "",
            error.resolution.replace("hw:", "hw_"),
        )


def _insecure(name: str, properties: dict[str, str]) -> Iterator[Unsupported]:
    """Secure boot without its firmware or machine type.

    nova, nova/virt/libvirt/driver.py, `_check_secure_boot_support`: the server fails on its host
    (SecureBootNotSupported); without UEFI nova ignores the property.
    """
    for key, wanted, field in (
        ("hw_firmware_type", "uefi", "firmware"),
        ("hw_machine_type", "q35", "machine"),
    ):
        if wanted not in properties.get(key, ""):
            yield Unsupported(
                _keys(name, "secure_boot"),
                f"images.{name}: secure boot needs {field}: {wanted}, and it has "
                f"{properties.get(key)}",
                "",
                f"Write {field}: {wanted}, or remove secure_boot.",
            )


def _keys(name: str, key: str) -> Keys:
    return ("images", name, key)

"""How a fix names what puts a change into effect here: `apply`, or the host's image. Pure."""

from __future__ import annotations

from wholecard.host.facts.host import Host

_IN_IMAGE = "wholecard-host plan --for-image"


def how_to_apply(host: Host, options: str, beside: str = "") -> str:
    """What binds cards as `options` say; `beside` names further options.

    A system that comes from an image is not changed in place, so `apply` is refused there.
    """
    if host.boot.is_from_image:
        return (
            f"Make the change in the image and boot it. This prints it, ready to paste{beside}:\n"
            f"  {_IN_IMAGE} {options}"
        )
    return f"wholecard-host apply {options}{beside}, then reboot"


def who_adds(host: Host) -> str:
    """Who writes a setting: "apply adds it", or the text to paste for a system from an image."""
    if host.boot.is_from_image:
        return f"for the image of this host, {_IN_IMAGE} prints it, ready to paste"
    return "apply adds it"

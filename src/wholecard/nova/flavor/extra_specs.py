"""What a flavor's extra specs and an image's properties ask of the host together.

Source: nova, nova/virt/hardware.py, `_get_unique_flavor_image_meta` and what is built the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

from wholecard.core import UsageError
from wholecard.nova.flavor.server_request import ServerRequest
from wholecard.nova.match.words import truth


class LayoutError(UsageError):
    """nova refuses this flavor with this image; where it is nova-api that does, by `http`."""

    def __init__(self, brief: str, *, resolution: str, http: int = 400) -> None:
        super().__init__(brief, resolution=resolution)
        self.http = http


@dataclass(frozen=True)
class ExtraSpecs:
    """The values of a request: the flavor's `hw:key` and the image's `hw_key`.

    Each method raises LayoutError for what nova refuses: nova-api some, the scheduler the others.
    """

    request: ServerRequest

    def either(self, key: str, prefix: str = "hw") -> str | None:
        """The one value of both, which may not differ."""
        flavor = self.request.extra_specs.get(f"{prefix}:{key}")
        image = self.request.properties.get(f"{prefix}_{key}")
        if flavor and image and flavor != image:
            raise different(f"{prefix}:{key}", flavor, image)
        return flavor or image or None

    def one(self, key: str, allowed: tuple[str, ...], prefix: str = "hw") -> str | None:
        """The one value of both, among those that nova knows."""
        return _known(f"{prefix}:{key}", self.either(key, prefix), allowed)

    def flavor_one(self, key: str, allowed: tuple[str, ...]) -> str | None:
        """The flavor's value, of a key that an image does not have."""
        return _known(f"hw:{key}", self.request.extra_specs.get(f"hw:{key}") or None, allowed)

    def flag(self, key: str) -> bool:
        """Whether one of both is true; the other may not be false."""
        flavor = self.request.extra_specs.get(f"hw:{key}")
        image = self.request.properties.get(f"hw_{key}")
        if flavor is not None and image is not None and _is_true(flavor) != _is_true(image):
            raise different(f"hw:{key}", flavor, image)
        return _is_true(flavor) or _is_true(image)

    def flavor_flag(self, key: str) -> bool:
        """Whether the flavor's value is true."""
        return _is_true(self.request.extra_specs.get(f"hw:{key}"))

    def image_flag(self, key: str) -> bool:
        """Whether the image's value is true."""
        return _is_true(self.request.properties.get(f"hw_{key}"))

    def threads(self) -> str | None:
        """The policy of CPU threads: an image may set what the flavor leaves open."""
        key, allowed = "hw:cpu_thread_policy", ("prefer", "isolate", "require")
        flavor = _known(key, self.request.extra_specs.get(key) or None, allowed)
        image = _known(key, self.request.properties.get("hw_cpu_thread_policy") or None, allowed)
        if flavor in (None, "prefer"):
            return flavor or image
        if image and image != flavor:
            raise different(key, str(flavor), image)
        return flavor


def _is_true(value: str | None) -> bool:
    return value is not None and truth(value) is True


def _known(key: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise LayoutError(
            f"{value!r} is not a value of {key}", resolution=f"Choose one of {', '.join(allowed)}."
        )
    return value


def different(key: str, flavor: str, image: str) -> LayoutError:
    """The error for a key to which flavor and image give different values."""
    return LayoutError(
        f"the flavor's {key} is {flavor!r}, the image's {image!r}",
        resolution="Remove one of them, or set both to the same value.",
    )

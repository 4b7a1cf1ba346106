"""What a flavor's and an image's words say together of the host that is wanted.

Source: nova, nova/virt/hardware.py, `_get_unique_flavor_image_meta` and what is built alike.
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
    """The words of a request: the flavor's `hw:key` and the image's `hw_key`.

    Each reading raises LayoutError for what nova refuses: nova-api some, the scheduler the others.
    """

    request: ServerRequest

    def either(self, key: str, prefix: str = "hw") -> str | None:
        """The one word of both; they may not differ."""
        flavor = self.request.extra_specs.get(f"{prefix}:{key}")
        image = self.request.properties.get(f"{prefix}_{key}")
        if flavor and image and flavor != image:
            raise _differ(f"{prefix}:{key}", flavor, image)
        return flavor or image or None

    def one(self, key: str, allowed: tuple[str, ...], prefix: str = "hw") -> str | None:
        """The one word of both, among those that nova knows."""
        return _known(f"{prefix}:{key}", self.either(key, prefix), allowed)

    def flavor_one(self, key: str, allowed: tuple[str, ...]) -> str | None:
        """The flavor's word, of a key that an image has not."""
        return _known(f"hw:{key}", self.request.extra_specs.get(f"hw:{key}") or None, allowed)

    def flag(self, key: str) -> bool:
        """Whether one of both says yes; neither may say no to it."""
        flavor = self.request.extra_specs.get(f"hw:{key}")
        image = self.request.properties.get(f"hw_{key}")
        if flavor is not None and image is not None and _yes(flavor) != _yes(image):
            raise _differ(f"hw:{key}", flavor, image)
        return _yes(flavor) or _yes(image)

    def flavor_flag(self, key: str) -> bool:
        """Whether the flavor says yes."""
        return _yes(self.request.extra_specs.get(f"hw:{key}"))

    def image_flag(self, key: str) -> bool:
        """Whether the image says yes."""
        return _yes(self.request.properties.get(f"hw_{key}"))

    def threads(self) -> str | None:
        """The policy of CPU threads: an image may say what the flavor leaves open."""
        key, allowed = "hw:cpu_thread_policy", ("prefer", "isolate", "require")
        flavor = _known(key, self.request.extra_specs.get(key) or None, allowed)
        image = _known(key, self.request.properties.get("hw_cpu_thread_policy") or None, allowed)
        if flavor in (None, "prefer"):
            return flavor or image
        if image and image != flavor:
            raise _differ(key, str(flavor), image)
        return flavor


def _yes(word: str | None) -> bool:
    return word is not None and truth(word) is True


def _known(key: str, word: str | None, allowed: tuple[str, ...]) -> str | None:
    if word is not None and word not in allowed:
        raise LayoutError(
            f"{word!r} is nothing that {key} can be", resolution=f"Choose {', '.join(allowed)}."
        )
    return word


def _differ(key: str, flavor: str, image: str) -> LayoutError:
    return LayoutError(
        f"the flavor's {key} is {flavor!r}, the image says {image!r}",
        resolution="Leave one of them out, or let both say the same.",
    )

"""Two answers side by side: where they differ, and which differences are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "differences"]

Answer = Mapping[str, Any]

_CONFIG = "PciConfigInvalidSpec"
_FORMAT = "PciDeviceWrongAddressFormat"

# Which exception of nova's a refusal of ours stands for. Where nova stumbles over a value and
# raises no error of its own (AttributeError, TypeError), its service fails to start all the same.
EXCEPTIONS: Mapping[str, frozenset[str]] = {
    key: frozenset(names.split())
    for key, names in {
        "SpecError:bad-json": _CONFIG,
        "SpecError:not-an-object": _CONFIG,
        "SpecError:item-not-an-object": _CONFIG,
        "SpecError:id-not-text": "AttributeError TypeError",
        "SpecError:bad-id": _CONFIG,
        "SpecError:id-too-large": _CONFIG,
        "SpecError:address-and-devname": "PciDeviceInvalidDeviceName",
        "SpecError:bad-address": _FORMAT,
        "SpecError:too-many-fields": _FORMAT,
        "SpecError:field-not-hex": _CONFIG,
        "SpecError:field-too-large": _CONFIG,
        "SpecError:regex-not-text": "TypeError",
        "SpecError:bad-regex": f"{_FORMAT} OverflowError RecursionError",
        "SpecError:bad-boolean": _CONFIG,
        "SpecError:one-time-use-needs-placement": _CONFIG,
        "SpecError:remote-managed-absent": "PciDeviceRemoteManagedNotPresent",
        "SpecError:remote-managed-pf": "PciDeviceNotFoundById",
        "RequestError:alias-not-defined": "PciRequestAliasNotDefined",
        "RequestError:malformed": "ValueError",
        "RequestError:bad-count": "ValueError",
        "RequestError:bad-policy": "ValueError",
        "RequestError:several-specs": "ValueError",
        "PlacementError:devname": "PlacementPciException",
        "PlacementError:dependent-devices": "PlacementPciDependentDeviceException",
        "PlacementError:mixed-resource-class": "PlacementPciMixedResourceClassException",
        "PlacementError:mixed-traits": "PlacementPciMixedTraitsException",
        "PlacementError:one-time-use-on-vf": "PlacementPciException",
        "PlacementError:not-text": "AttributeError TypeError",
    }.items()
}


@dataclass(frozen=True)
class Difference:
    """One place where the answers differ: a path such as `specs/0`, what we say, what nova says."""

    path: str
    ours: Any
    nova: Any


def differences(ours: Answer, nova: Answer) -> Iterator[Difference]:
    """Every place where two answers to one case differ."""
    for key in sorted((ours.keys() | nova.keys()) - {"reportable"}):
        yield from _in(key, ours.get(key), nova.get(key))


def _in(path: str, ours: Any, nova: Any) -> Iterator[Difference]:
    if path == "specs":
        for at, (one, other) in enumerate(zip(ours, nova, strict=True)):
            if not _same(one, other):
                yield Difference(f"specs/{at}", one, other)
    elif not _same(ours, nova):
        yield Difference(path, ours, nova)


def _same(ours: Any, nova: Any) -> bool:
    if not isinstance(ours, Mapping) or "refused" not in ours:
        return bool(ours == nova)
    if not isinstance(nova, Mapping) or "refused" not in nova:
        return False
    kind = ours["refused"]
    if kind.startswith("AliasError:"):
        return bool(nova["refused"] == "PciInvalidAlias")
    return nova["refused"] in EXCEPTIONS.get(kind, frozenset())

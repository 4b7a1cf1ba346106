"""Sites for nova: hosts with eight H100, one of them with audio functions, as facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from support import hosts
from wholecard.host.facts.host import Host
from wholecard.pci import Function
from wholecard.site.model import Site

H100, H100_SECOND, AUDIO, RTX, BMC, NVME = (
    "10de:2330", "10de:2331", "10de:22ba", "10de:2684", "1a03:2000", "144d:a80a",
)  # fmt: skip
_BUSES = (0x19, 0x3B, 0x4C, 0x5D, 0x9B, 0xBB, 0xCB, 0xDB)


def function(
    address: str, ids: str, class_code: str = "030200", sriov: int = 0, **fields: Any
) -> Function:
    """A function with a subsystem of NVIDIA's."""
    subsystem = {"subsystem_vendor": "10de", "subsystem_device": "16c1"}
    return hosts.function(address, ids, class_code, sriov_total=sriov, **{**subsystem, **fields})


def host(functions: Iterable[Function]) -> Host:
    """The facts of a host with these functions, each in a group of its own."""
    return hosts.host(*sorted(functions, key=lambda function: function.address), group=hosts.alone)


def own() -> tuple[Function, ...]:
    """What a server has for itself: the BMC's display, on which it boots, and a disk."""
    return (
        function("0000:03:00.0", BMC, "030000", boot_vga=True, subsystem_vendor="1a03"),
        function("0000:81:00.0", NVME, "010802", subsystem_vendor="144d"),
    )


def eight(audio: bool, ids: str = H100, sriov: int = 16) -> Host:
    """A host with eight cards in its own slots, each with an audio function or without."""
    cards = [function(f"0000:{bus:02x}:00.0", ids, sriov=sriov) for bus in _BUSES]
    sound = [function(f"0000:{bus:02x}:00.1", AUDIO, "040300") for bus in _BUSES] if audio else []
    return host([*own(), *cards, *sound])


FACTS: Mapping[str, Host] = {"gpu-01": eight(audio=False), "gpu-02": eight(audio=True)}


def site(cards: Mapping[str, Any] | None = None, **more: Any) -> Site:
    """A site of the two hosts with eight H100 each, changed by what is given."""
    data: dict[str, Any] = {
        "release": "2026.2",
        "cards": cards or {"h100": {"match": [{"vendor": "10de", "product": "2330"}]}},
        "hosts": {"gpu-01": {"facts": "gpu-01.json"}, "gpu-02": {"facts": "gpu-02.json"}},
    }
    return Site.model_validate({**data, **more})

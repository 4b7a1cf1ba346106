"""Which reset a card gets, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from support.hosts import function, host
from wholecard.core import Finding
from wholecard.host.cleaning.reset_choice import choose
from wholecard.pci import Address, Function

PORT = Address.parse("0000:00:02.0")
H100, H200, VEGA = "10de:2330", "10de:2335", "1002:687f"


def card(ids: str, gpu: str, audio: str | None = "") -> list[Function]:
    """A GPU with these methods, and its audio function if that has methods."""
    shared: dict[str, Any] = {"iommu_group": 1, "parents": (PORT,)}
    found = [function("0000:01:00.0", ids, reset_methods=tuple(gpu.split()), **shared)]
    if audio is not None:
        methods = tuple(audio.split())
        found.append(
            function("0000:01:00.1", "10de:22ba", "040300", reset_methods=methods, **shared)
        )
    return found


NIC = function("0000:01:01.0", "8086:1521", "020000", iommu_group=2, parents=(PORT,))
BRIDGE = function(str(PORT), "1b36:000c", "060400")


@pytest.mark.parametrize(
    ("functions", "subordinate", "expected"),
    [
        (card(H100, "flr bus", None), True, ("function", "flr")),
        (card(H100, "flr", "flr"), True, ("function", "flr")),
        (card(H100, "device_specific flr"), True, ("function", "device_specific")),
        # Its memory has power in D3hot, so `pm` alone clears nothing.
        (card(H100, "pm bus", None), True, ("bus", "bus")),
        (card(H100, "pm"), True, ("bridge", "bus")),
        (card(H100, ""), False, ("hot", "bus")),
        (card(H200, "flr bus", None), True, ("bus", "bus")),
        (card(H200, "flr", "flr"), True, ("bridge", "bus")),
        (card(H200, "flr", "flr"), False, ("hot", "bus")),
        (card(VEGA, "device_specific"), True, ("function", "device_specific")),
    ],
)  # fmt: skip
def test_choice(functions: list[Function], subordinate: bool, expected: tuple[str, str]) -> None:
    """The kernel's own order, and the bus where a function-level reset is known not to suffice."""
    found = host(BRIDGE, *functions)
    choice = choose(found.cards[0], found.functions, subordinate)
    assert not isinstance(choice, Finding)
    assert (choice.way, choice.name) == expected


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ([*card(H200, "flr bus", None), NIC], "would also reset 0000:01:01.0"),
        ([*card(H100, "pm"), NIC], "would also reset 0000:01:01.0"),
        (card("1002:74a1", "flr", None), "configuration space reads as all ones"),
        (card(VEGA, "bus", None), "a bus reset does not make it work again"),
    ],
)
def test_no_reset(functions: list[Function], words: str) -> None:
    """WC572: never with a foreign function below the bridge, nor on a model that it breaks."""
    found = host(BRIDGE, *functions)
    refusal = choose(found.cards[0], found.functions, True)
    assert isinstance(refusal, Finding)
    assert refusal.rule == "WC572"
    assert words in refusal.message


def test_foreign_function_and_flr() -> None:
    """A neighbour below the bridge does not matter to a reset of single functions."""
    found = host(BRIDGE, *card(H100, "flr", "flr"), NIC)
    choice = choose(found.cards[0], found.functions, True)
    assert not isinstance(choice, Finding)
    assert choice.methods == (
        (Address.parse("0000:01:00.0"), "flr"), (Address.parse("0000:01:00.1"), "flr"),
    )  # fmt: skip
